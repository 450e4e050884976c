"""Timestamp authorities for the tests: a real one (`openssl ts`), and a forge for what no authority would sign.

The forge writes RFC 3161 responses byte by byte, because `openssl ts` refuses to make most of what a verifier has to
refuse: a certificate that may not sign timestamps, a time long ago, a missing attribute.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import http.server
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

EARLY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
LATE = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)

UNKNOWN = "1.2.3.4"
"""A type that means nothing to anybody."""

KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Holder:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@dataclass(frozen=True)
class Reissued(Holder):
    """A certificate in other bytes than a library reads or writes."""

    altered: bytes

    @property
    def der(self) -> bytes:
        return self.altered


def certify(
    name: str,
    issuer: Holder | None = None,
    *,
    key: Key | None = None,
    usage: Sequence[x509.ObjectIdentifier] | None = None,
    critical: bool = True,
    ca: bool | None = False,
    key_usage: Sequence[str] = ("digital_signature",),
    path_length: int | None = None,
    not_before: dt.datetime = EARLY,
    not_after: dt.datetime = LATE,
    serial: int | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Holder:
    """Return a new certificate, self-signed without an issuer. `usage` is the extended key usage.

    `extensions` are further ones, each with whether it is critical.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if key_usage:
        every = dict.fromkeys(KEY_USAGES, False)
        builder = builder.add_extension(x509.KeyUsage(**{**every, **dict.fromkeys(key_usage, True)}), critical=True)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=critical)
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    return Holder(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def reissue(holder: Holder, issuer: Holder, old: bytes, new: bytes) -> Holder:
    """Return a certificate with other bytes, of the same length, signed again."""
    tbs = holder.certificate.tbs_certificate_bytes
    if old not in tbs or len(old) != len(new) or isinstance(issuer.key, rsa.RSAPrivateKey):
        raise ValueError(old)
    tbs = tbs.replace(old, new)
    signature = issuer.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    whole = tlv(0x30, tbs, ECDSA_SHA256, tlv(0x03, b"\0", signature))
    return Reissued(holder.certificate, holder.key, whole)


def make_root(name: str = "Test root", **more: Any) -> Holder:
    """Return a root."""
    return certify(name, ca=True, key_usage=("key_cert_sign", "crl_sign"), **more)


def make_signer(issuer: Holder, name: str = "Test authority", **more: Any) -> Holder:
    """Return what signs timestamps."""
    return certify(name, issuer, **{"usage": [ExtendedKeyUsageOID.TIME_STAMPING], **more})


# ---- The forge -------------------------------------------------------------------------------------------------------


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return a DER element."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def oid(text: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, text.split("."))
    content = bytearray([40 * first + second])
    for arc in rest:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(arc & 0x7F | 0x80)
        content += bytes(reversed(digits))
    return tlv(0x06, bytes(content))


def integer(value: int) -> bytes:
    """Return an INTEGER."""
    return tlv(0x02, value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True))


HASHES = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
NULL = tlv(0x05)
ECDSA_SHA256 = tlv(0x30, oid("1.2.840.10045.4.3.2"))
RSA_SHA256 = tlv(0x30, oid("1.2.840.113549.1.1.11"), NULL)
PKCS9 = "1.2.840.113549.1.9."


def attribute(kind: str, value: bytes) -> bytes:
    """Return an attribute with one value."""
    return tlv(0x30, oid(kind), tlv(0x31, value))


def ess_attribute(certificate: bytes, version: int | None) -> list[bytes]:
    """Return the attribute that binds the signer's certificate (RFC 2634, RFC 5035)."""
    if version is None:
        return []
    if version == 1:
        named = tlv(0x30, tlv(0x04, hashlib.sha1(certificate).digest()))
        return [attribute(PKCS9 + "16.2.12", tlv(0x30, tlv(0x30, named)))]
    named = tlv(0x30, tlv(0x04, hashlib.sha256(certificate).digest()))
    return [attribute(PKCS9 + "16.2.47", tlv(0x30, tlv(0x30, named)))]


def tsa(name: bytes) -> bytes:
    """Return the member of TSTInfo that names its maker by a GeneralName."""
    return tlv(0xA0, name)


def directory_name(holder: Holder) -> bytes:
    """Return a GeneralName for the subject of a certificate."""
    return tlv(0xA4, holder.certificate.subject.public_bytes())


def info_extension(*more: bytes) -> bytes:
    """Return the extensions of a TSTInfo: one that is unknown, with `more` before its value."""
    return tlv(0xA1, tlv(0x30, oid(UNKNOWN), *more, tlv(0x04, NULL)))


def forge(
    message: bytes,
    signer: Holder,
    *certificates: Holder,
    time: str = "20261122160500Z",
    serial: bytes | None = None,
    policy: bytes | None = None,
    parameters: bytes = NULL,
    imprint_end: bytes = b"",
    status: int = 0,
    imprint: str = "sha256",
    version: int = 1,
    content_type: str = PKCS9 + "16.1.4",
    signed_type: str = PKCS9 + "16.1.4",
    ess: int | None = 2,
    bound: bytes | None = None,
    signed: bool = True,
    digest: bytes | None = None,
    accuracy: bytes = b"",
    rest: bytes = b"",
    with_signer: bool = True,
    info: bytes | None = None,
    signers: int = 1,
    signer_version: bytes | None = None,
    edit: Callable[[bytes], bytes] = lambda signature: signature,
) -> bytes:
    """Return a TimeStampResp over a message; every argument bends one rule."""
    hashed = hashlib.new(imprint, message).digest()
    info = info or tlv(
        0x30,
        integer(version),
        policy or oid("1.2.3.4.1"),
        tlv(0x30, tlv(0x30, oid(HASHES[imprint]), parameters), tlv(0x04, hashed), imprint_end),
        serial or integer(7),
        tlv(0x18, time.encode()),
        accuracy,
        rest,
    )
    attributes = sorted(
        [
            attribute(PKCS9 + "3", oid(signed_type)),
            attribute(PKCS9 + "4", tlv(0x04, digest or hashlib.sha256(info).digest())),
            *ess_attribute(bound or signer.der, ess),
        ]
    )
    if isinstance(signer.key, rsa.RSAPrivateKey):
        algorithm = RSA_SHA256
        signature = signer.key.sign(tlv(0x31, *attributes) if signed else info, padding.PKCS1v15(), hashes.SHA256())
    else:
        algorithm = ECDSA_SHA256
        signature = signer.key.sign(tlv(0x31, *attributes) if signed else info, ec.ECDSA(hashes.SHA256()))
    certificate = signer.certificate
    sha256 = tlv(0x30, oid(HASHES["sha256"]))
    signer_info = tlv(
        0x30,
        signer_version or integer(1),
        tlv(0x30, certificate.issuer.public_bytes(), integer(certificate.serial_number)),
        sha256,
        tlv(0xA0, *attributes) if signed else b"",
        algorithm,
        tlv(0x04, edit(signature)),
    )
    held = sorted(holder.der for holder in ([signer] if with_signer else []) + list(certificates))
    signed_data = tlv(
        0x30,
        integer(3),
        tlv(0x31, sha256),
        tlv(0x30, oid(content_type), tlv(0xA0, tlv(0x04, info))),
        tlv(0xA0, *held) if held else b"",
        tlv(0x31, *[signer_info] * signers),
    )
    token = tlv(0x30, oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed_data))
    return tlv(0x30, tlv(0x30, integer(status)), token)


# ---- The real one ----------------------------------------------------------------------------------------------------

CONFIGURATION = """\
[tsa]
serial = {directory}/serial
signer_cert = {directory}/signer.pem
signer_key = {directory}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
clock_precision_digits = {fraction_digits}
ess_cert_id_alg = sha256
"""
# `certs` stays unset: with it, what `openssl ts` writes is not valid DER (the certificates stand in no order).


class Authority:
    """A timestamp authority: `openssl ts -reply` over certificates made here."""

    def __init__(self, directory: Path, name: str = "Test authority", *, fraction_digits: int = 6) -> None:
        self.directory = directory
        self.root = make_root(f"{name} root")
        self.signer = make_signer(self.root, name)
        directory.mkdir(exist_ok=True)
        (directory / "root.pem").write_text(self.root.pem)
        (directory / "signer.pem").write_text(self.signer.pem)
        (directory / "signer.key").write_bytes(self.signer.key_pem)
        (directory / "serial").write_text("01\n")
        (directory / "ts.cnf").write_text(CONFIGURATION.format(directory=directory, fraction_digits=fraction_digits))

    @property
    def root_path(self) -> Path:
        """The certificate that a policy names."""
        return self.directory / "root.pem"

    def respond(self, request: bytes) -> bytes:
        """Return the response to a request."""
        query, reply = self.directory / "query.tsq", self.directory / "reply.tsr"
        query.write_bytes(request)
        command = ["openssl", "ts", "-reply", "-config", str(self.directory / "ts.cnf"), "-section", "tsa"]
        command += ["-queryfile", str(query), "-out", str(reply)]
        subprocess.run(command, check=True, capture_output=True)
        return reply.read_bytes()

    def stamp(self, message: bytes) -> bytes:
        """Return a response over a message, asked for by `openssl ts -query`."""
        data, query = self.directory / "data", self.directory / "own.tsq"
        data.write_bytes(message)
        command = ["openssl", "ts", "-query", "-data", str(data), "-sha256", "-cert", "-out", str(query)]
        subprocess.run(command, check=True, capture_output=True)
        return self.respond(query.read_bytes())


Answer = tuple[int, dict[str, str], bytes]


@contextlib.contextmanager
def serve(answer: Callable[[bytes], Answer]) -> Iterator[str]:
    """Serve POST requests on 127.0.0.1 and give the URL. `answer` returns status, headers and body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, reply = answer(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # the client has had enough
                self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/tsr"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
