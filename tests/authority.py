"""A timestamp authority for the tests: `openssl ts -reply` over certificates made here."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

EARLY = datetime(2020, 1, 1, tzinfo=UTC)
LATE = datetime(2120, 1, 1, tzinfo=UTC)

CONFIGURATION = """\
[tsa]
serial = {directory}/serial
signer_cert = {directory}/signer.pem
signer_key = {directory}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""
# `certs` stays unset: with it, what `openssl ts` writes is not valid DER (the certificates stand in no order).


@dataclass(frozen=True)
class Holder:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

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


def certify(name: str, issuer: Holder | None = None) -> Holder:
    """Return a root, or what signs timestamps under one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(EARLY)
        .not_valid_after(LATE)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return Holder(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


class Authority:
    """A timestamp authority."""

    def __init__(self, directory: Path, name: str = "Test authority") -> None:
        self.directory = directory
        self.root = certify(f"{name} root")
        self.signer = certify(name, self.root)
        directory.mkdir(exist_ok=True)
        (directory / "signer.pem").write_text(self.signer.pem)
        (directory / "signer.key").write_bytes(self.signer.key_pem)
        (directory / "serial").write_text("01\n")
        (directory / "ts.cnf").write_text(CONFIGURATION.format(directory=directory))

    def stamp(self, message: bytes) -> bytes:
        """Return a response over a message, asked for by `openssl ts -query`."""
        data, query, reply = (self.directory / name for name in ("data", "query.tsq", "reply.tsr"))
        data.write_bytes(message)
        self._run("-query", "-data", data, "-sha256", "-cert", "-out", query)
        self._run("-reply", "-config", self.directory / "ts.cnf", "-section", "tsa", "-queryfile", query, "-out", reply)
        return reply.read_bytes()

    @staticmethod
    def _run(*arguments: str | Path) -> None:
        subprocess.run(["openssl", "ts", *arguments], check=True, capture_output=True)
