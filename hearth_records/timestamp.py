"""RFC 3161 timestamps over signatures (FORMAT §6): asking for one, and judging what came back.

A timestamp says that the bytes of one signature existed at a time, by the word of an authority. Evidence of the type
`rfc3161` is a whole TimeStampResp. It is good when all of this holds:

     1. it is DER, with nothing behind it, and its status is `granted`
     2. its token is SignedData over a TSTInfo of version 1, by one signer who is named by issuer and serial number;
        if the TSTInfo names its maker (`tsa`), it is a name of the signer's certificate, and nothing in it is critical
     3. the imprint is the SHA-256, SHA-384 or SHA-512 of the signature's raw bytes
     4. the signer's certificate is among the token's, and a signed attribute (ESSCertID or ESSCertIDv2) binds it
     5. ECDSA (P-256, P-384, P-521) or RSA PKCS#1 v1.5 (from 2048 bits on) over SHA-256, SHA-384 or SHA-512: the
        signature over the signed attributes holds
     6. that certificate is for timestamps alone: extended key usage critical, `timeStamping`, no other; no CA
     7. it leads to an authority, a self-signed certificate that the reader names, over certificates of the token
        or of the reader, every one of them valid at the time that the token states
     8. no certificate, of the token or of the reader, constrains names or has a critical extension that is not judged

That time, `genTime`, is what a reader goes by. The present time plays no part: a certificate may expire afterwards.
No revocation list is asked for, and the accuracy that an authority claims is not added.

`rfc3161_client` decides 5 to 7 and that all of it is DER. What it leaves open is decided here: it takes a token without
signed attributes or ESSCertID, any version of TSTInfo, any maker's name, critical extensions, weak keys, and
certificates for more than timestamps, and it cuts the fraction off the time (version 1.0.9). Each authority is tried
alone, because of two with the same name it finds either.
"""

from __future__ import annotations

import functools
import hashlib
import re
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from hearth_records.errors import TrustError, quote
from hearth_records.model import check_timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate

__all__ = ["Authority", "Timestamp", "make_request", "read_authorities", "read_authority", "verify_response"]

MAX_RESPONSE: Final = 1024 * 1024
"""Bytes of a response that is attached: certificates and a few hundred bytes."""
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----\n?").fullmatch
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d*[1-9]))?Z", re.ASCII).fullmatch
_REASON = re.compile(r"Verify error: ?([^\"]+)").search

_STATUS: Final = ("granted", "granted with changes", "rejected", "waiting", "revocation is near", "revoked")


def _oid(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal)


_SIGNED_DATA: Final = _oid("2a864886f70d010702")
_TST_INFO: Final = _oid("2a864886f70d0109100104")
_CONTENT_TYPE: Final = _oid("2a864886f70d010903")
_MESSAGE_DIGEST: Final = _oid("2a864886f70d010904")
_SIGNING_CERTIFICATE: Final = _oid("2a864886f70d010910020c")
_SIGNING_CERTIFICATE_2: Final = _oid("2a864886f70d010910022f")
_HASHES: Final = {
    _oid("608648016503040201"): "sha256",
    _oid("608648016503040202"): "sha384",
    _oid("608648016503040203"): "sha512",
}
_ALGORITHMS: Final = {
    *map(_oid, ("2a8648ce3d040302", "2a8648ce3d040303", "2a8648ce3d040304")),  # ecdsa-with-SHA256, 384, 512
    *map(_oid, ("2a864886f70d01010b", "2a864886f70d01010c", "2a864886f70d01010d")),  # sha256…WithRSAEncryption
    _oid("2a864886f70d010101"),  # rsaEncryption
}
_RSA: Final = _oid("2a864886f70d010101")
_EC: Final = _oid("2a8648ce3d0201")
_CURVES: Final = {*map(_oid, ("2a8648ce3d030107", "2b81040022", "2b81040023"))}  # P-256, P-384, P-521
_MIN_RSA: Final = 2048  # bits
_ALTERNATIVE_NAMES: Final = _oid("551d11")
_MAY_BE_CRITICAL: Final = {  # key usage, alternative names, basic constraints, policies, extended key usage
    *map(_oid, ("551d0f", "551d11", "551d13", "551d20", "551d25"))
}
_CONSTRAINTS: Final = {  # name constraints; RFC 3779: IP addresses, AS numbers
    *map(_oid, ("551d1e", "2b06010505070107", "2b06010505070108"))
}
_INTEGER, _BITS, _OCTETS, _GENERALIZED_TIME = 0x02, 0x03, 0x04, 0x18
_SEQUENCE, _SET, _CONTEXT, _EXTENSIONS, _DIRECTORY_NAME = 0x30, 0x31, 0xA0, 0xA3, 0xA4


class Timestamp(NamedTuple):
    """What good evidence says: when, and by whose word (`Authority.digest`; None when nobody judged that)."""

    time: str
    authority: str | None


class Authority(NamedTuple):
    """A certificate that a policy names. Only a self-signed one ends a chain; another can only be part of one."""

    pem: str
    certificate: Certificate
    digest: str
    """SHA-256 of its DER, as of `openssl x509 -noout -fingerprint -sha256`."""
    is_root: bool


# --- asking ----------------------------------------------------------------------------------------------------------


def make_request(signature: bytes) -> tuple[bytes, int]:
    """Return a TimeStampReq over a signature's raw bytes (SHA-256, with certificates) and its nonce."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415 - only who asks needs it

    request = TimestampRequestBuilder().data(signature).hash_algorithm(HashAlgorithm.SHA256).build()
    if request.nonce is None:
        raise TrustError("the request has no nonce", code="timestamp-request")
    return request.as_bytes(), request.nonce


# --- judging ---------------------------------------------------------------------------------------------------------


def read_authority(pem: str) -> Authority:
    """Return the certificate in one PEM block with nothing around it. Raises `TrustError`."""
    from cryptography import x509  # noqa: PLC0415 - heavy; only evidence needs it
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - as above

    if not _PEM(pem):
        raise TrustError("not a certificate in PEM: one CERTIFICATE block, nothing around it", code="certificate")
    try:
        with warnings.catch_warnings(action="error"):
            certificate = x509.load_pem_x509_certificate(pem.encode())
            der = certificate.public_bytes(Encoding.DER)
    except Exception as error:
        raise TrustError("not a certificate that can be read", code="certificate") from error
    try:
        _Certificate.read(_elements(der)[0]).check_extensions()
    except (ValueError, IndexError) as error:
        what = "a certificate with constraints on names or addresses, or a critical extension that is not judged here"
        raise TrustError(what, code="certificate") from error
    digest = hashlib.sha256(der).hexdigest()
    try:
        certificate.verify_directly_issued_by(certificate)
    except Exception:  # noqa: BLE001 - whatever speaks against it, it does not vouch for itself
        return Authority(pem, certificate, digest, is_root=False)
    return Authority(pem, certificate, digest, is_root=True)


@functools.lru_cache(maxsize=16)
def read_authorities(pems: tuple[str, ...]) -> tuple[Authority, ...]:
    """Return the certificates; what is none vouches for nothing."""
    found = []
    for pem in pems:
        try:
            found.append(read_authority(pem))
        except TrustError:
            continue
    return tuple(found)


def verify_response(
    response: bytes, signature: bytes, authorities: Sequence[str] | None, *, nonce: int | None = None
) -> Timestamp:
    """Return what a TimeStampResp says about a signature, if it is good.

    Args:
        response: the whole response, DER.
        signature: the raw bytes of the signature that it has to be over.
        authorities: certificates in PEM that are trusted; None judges the token by the certificate inside it, which
            anybody can make.
        nonce: that of the request, which the response has to repeat; None when it is not known.

    Raises:
        TrustError: it is not good. `code` is `timestamp-malformed`, `timestamp-status`, `timestamp-imprint` (over other
            data), `timestamp-nonce`, `timestamp-signature` or `timestamp-authority`.

    """
    token = _Token.read(response)
    if hashlib.new(token.imprint[0], signature).digest() != token.imprint[1]:
        raise TrustError("the timestamp is over other data", code="timestamp-imprint")
    if nonce not in (None, token.nonce):
        raise TrustError("the response is to another request", code="timestamp-nonce")
    token.check_purpose()
    if authorities is None:
        token.check_signature()
        return Timestamp(token.time, None)
    return Timestamp(token.time, _find_authority(response, signature, read_authorities(tuple(authorities))))


def _find_authority(response: bytes, signature: bytes, authorities: tuple[Authority, ...]) -> str:
    """Return the digest of the first authority that a response leads to. Raises `TrustError` when there is none."""
    from rfc3161_client import VerifierBuilder, decode_timestamp_response  # noqa: PLC0415 - only evidence needs it

    links = [authority.certificate for authority in authorities if not authority.is_root]
    reasons = []
    for authority in authorities:
        if not authority.is_root:
            continue
        try:
            with warnings.catch_warnings(action="error"):
                verifier = VerifierBuilder(roots=[authority.certificate], intermediates=links).build()
                verifier.verify_message(decode_timestamp_response(response), signature)
        except Exception as error:  # noqa: BLE001 - whatever it makes of the bytes of others, they do not hold
            found = _REASON(str(error))
            reasons.append(found[1] if found else str(error))
        else:
            return authority.digest
    reason = f" ({quote(reasons[0])})" if reasons else ""
    raise TrustError(f"no authority that is trusted vouches for the timestamp{reason}", code="timestamp-authority")


# --- the token -------------------------------------------------------------------------------------------------------


class _Element(NamedTuple):
    """A DER element: its tag, its content, and the whole of it."""

    tag: int
    content: bytes
    whole: bytes

    def parts(self, tag: int = _SEQUENCE) -> list[_Element]:
        """Return the elements inside. Raises `ValueError` when it is no `tag`."""
        return _elements(self.expect(tag))

    def expect(self, tag: int) -> bytes:
        """Return the content. Raises `ValueError` when it is no `tag`."""
        if self.tag != tag:
            raise ValueError
        return self.content


def _elements(data: bytes) -> list[_Element]:
    """Return the DER elements that stand one behind the other. Raises `ValueError` or `IndexError`."""
    found = []
    start = 0
    while start < len(data):
        at = start + 2
        length = data[start + 1]
        if length & 0x80:
            at += length & 0x7F
            length = int.from_bytes(data[start + 2 : at])
        if at + length > len(data):
            raise ValueError
        found.append(_Element(data[start], data[at : at + length], data[start : at + length]))
        start = at + length
    return found


class _Certificate(NamedTuple):
    """The parts of a certificate that are looked at here, DER. Every check raises `ValueError`."""

    whole: bytes
    serial: bytes
    issuer: bytes
    subject: bytes
    key: _Element
    extensions: list[tuple[bytes, bool, bytes]]
    """Type, whether it is critical, and value of each."""

    @classmethod
    def read(cls, certificate: _Element) -> _Certificate:
        """Return the parts. Raises `ValueError` or `IndexError`."""
        fields = certificate.parts()[0].parts()
        if fields[0].tag == _CONTEXT:  # the version, which the first one has not
            del fields[0]
        serial, _, issuer, _, subject, key, *optional = fields
        wrapped = [part.parts(_EXTENSIONS)[0] for part in optional if part.tag == _EXTENSIONS]
        extensions = []
        for extension in [extension for sequence in wrapped for extension in sequence.parts()]:
            kind, *critical, value = extension.parts()
            if [one.content for one in critical] not in ([], [b"\xff"]):  # DER leaves the default out
                raise ValueError
            extensions.append((kind.content, bool(critical), value.expect(_OCTETS)))
        return cls(certificate.whole, serial.whole, issuer.whole, subject.whole, key, extensions)

    def is_named(self, sid: _Element) -> bool:
        """Whether it has this issuer and serial number."""
        return [self.issuer, self.serial] == [part.whole for part in sid.parts()]

    def has_name(self, name: _Element) -> bool:
        """Whether a GeneralName is, byte for byte, its subject or one of its alternative names."""
        if (name.tag, name.content) == (_DIRECTORY_NAME, self.subject):
            return True
        values = [value for kind, _, value in self.extensions if kind == _ALTERNATIVE_NAMES]
        return any(name.whole == other.whole for value in values for other in _elements(value)[0].parts())

    def check_key(self) -> None:
        """Raise unless its key may sign timestamps: RSA of at least 2048 bits, P-256, P-384 or P-521."""
        algorithm, bits = self.key.parts()
        kind, parameters = algorithm.parts()
        if kind.content == _RSA:
            modulus = _elements(bits.expect(_BITS)[1:])[0].parts()[0].expect(_INTEGER)
            accepted = int.from_bytes(modulus).bit_length() >= _MIN_RSA
        else:
            accepted = kind.content == _EC and parameters.content in _CURVES
        if not accepted:
            raise ValueError

    def check_extensions(self) -> None:
        """Raise for a critical extension that not every verifier judges, for constraints, and for what stands twice.

        `openssl` heeds constraints on names though they are not critical, and other verifiers do not.
        """
        kinds = [kind for kind, _, _ in self.extensions]
        critical = {kind for kind, is_critical, _ in self.extensions if is_critical}
        if not critical <= _MAY_BE_CRITICAL or _CONSTRAINTS & set(kinds) or len(kinds) != len(set(kinds)):
            raise ValueError


class _Token(NamedTuple):
    """The parts of a response that are looked at here."""

    time: str
    imprint: tuple[str, bytes]
    nonce: int | None
    info: bytes
    """The TSTInfo, whose digest the signed attributes hold."""
    digest: bytes | None
    hash_name: str
    """What `info` and the attributes are hashed with."""
    attributes: bytes
    """The signed attributes as they are signed: a SET."""
    signature: bytes
    certificate: bytes

    @classmethod
    def read(cls, response: bytes) -> _Token:
        """Return a response's token. Raises `TrustError` for what breaks one of the rules 1 to 5 of this module."""
        try:
            _check_status(response)
            return cls._read(response)
        except (ValueError, IndexError, KeyError):
            raise TrustError(
                "not a response with a timestamp, in DER and as RFC 3161 has it", code="timestamp-malformed"
            ) from None

    @classmethod
    def _read(cls, response: bytes) -> _Token:
        from rfc3161_client import decode_timestamp_response  # noqa: PLC0415 - only evidence needs it

        stated = decode_timestamp_response(response).tst_info  # which is DER from here on
        (whole,) = _elements(response)
        _, token = whole.parts()
        kind, content = token.parts()
        (signed_data,) = content.parts(_CONTEXT)
        _, _, encapsulated, *optional, signers = signed_data.parts()
        info_kind, info_content = encapsulated.parts()
        (octets,) = info_content.parts(_CONTEXT)
        info = octets.expect(_OCTETS)
        (signer,) = signers.parts(_SET)
        _, sid, hash_algorithm, attributes, algorithm, signature, *_ = signer.parts()
        if (kind.content, info_kind.content) != (_SIGNED_DATA, _TST_INFO) or stated.version != 1:
            raise ValueError
        if algorithm.parts()[0].content not in _ALGORITHMS:
            raise ValueError
        certificates = [element for part in optional if part.tag == _CONTEXT for element in part.parts(_CONTEXT)]
        held = [_Certificate.read(element) for element in certificates]
        (certificate,) = [one for one in held if one.is_named(sid)]
        for one in held:
            one.check_extensions()
        certificate.check_key()
        signed = _read_attributes(attributes.parts(_CONTEXT))
        if signed[_CONTENT_TYPE].content != _TST_INFO:
            raise ValueError
        _check_binding(signed, certificate.whole)
        (fields,) = _elements(info)
        _, _, imprint, _, time, *stated_also = fields.parts()
        _check_stated_also(stated_also, certificate)
        imprint_algorithm, hashed = imprint.parts()
        return cls(
            time=_read_time(time.expect(_GENERALIZED_TIME)),
            imprint=(_hash_name(imprint_algorithm), hashed.expect(_OCTETS)),
            nonce=stated.nonce,
            info=info,
            digest=signed[_MESSAGE_DIGEST].expect(_OCTETS),
            hash_name=_hash_name(hash_algorithm),
            attributes=bytes([_SET]) + attributes.whole[1:],
            signature=signature.expect(_OCTETS),
            certificate=certificate.whole,
        )

    def check_purpose(self) -> None:
        """Raise `TrustError` unless the signer's certificate is for timestamps alone (rule 6)."""
        from cryptography import x509  # noqa: PLC0415 - only evidence needs it
        from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415 - as above

        try:
            extensions = x509.load_der_x509_certificate(self.certificate).extensions
            usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
            alone = usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
            is_ca = any(isinstance(item.value, x509.BasicConstraints) and item.value.ca for item in extensions)
        except Exception:  # noqa: BLE001 - whatever it makes of the bytes of others, they do not hold
            alone = False
        if not alone or is_ca:
            raise TrustError("its certificate is not for timestamps alone", code="timestamp-authority")

    def check_signature(self) -> None:
        """Raise `TrustError` unless the token's signature is good by the certificate inside it."""
        from cryptography import x509  # noqa: PLC0415 - only evidence needs it
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa  # noqa: PLC0415 - as above

        algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[self.hash_name]
        try:
            key = x509.load_der_x509_certificate(self.certificate).public_key()
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(self.signature, self.attributes, padding.PKCS1v15(), algorithm)
            else:  # no other than ECDSA: `check_key`
                cast("ec.EllipticCurvePublicKey", key).verify(self.signature, self.attributes, ec.ECDSA(algorithm))
        except Exception:  # noqa: BLE001 - whatever it makes of the bytes of others, they do not hold
            holds = False
        else:
            holds = hashlib.new(self.hash_name, self.info).digest() == self.digest
        if not holds:
            raise TrustError("the timestamp's own signature does not hold", code="timestamp-signature")


def _check_status(response: bytes) -> None:
    (whole,) = _elements(response)
    status = int.from_bytes(whole.parts()[0].parts()[0].expect(_INTEGER))
    if status != 0:
        word = _STATUS[status] if status < len(_STATUS) else str(status)
        raise TrustError(f"the authority gave no timestamp, or another one: {word}", code="timestamp-status")


def _hash_name(algorithm: _Element) -> str:
    return _HASHES[algorithm.parts()[0].content]


def _read_attributes(attributes: list[_Element]) -> dict[bytes, _Element]:
    """Return the one value of each attribute by its type."""
    found = {}
    for attribute in attributes:
        kind, values = attribute.parts()
        (found[kind.content],) = values.parts(_SET)
    if len(found) != len(attributes):
        raise ValueError
    return found


def _check_stated_also(members: list[_Element], certificate: _Certificate) -> None:
    """Raise when the TSTInfo names another maker, or has an extension that is critical: none is known here."""
    for member in members:
        if member.tag == _CONTEXT:
            (name,) = member.parts(_CONTEXT)
            if not certificate.has_name(name):
                raise ValueError
        elif member.tag == _CONTEXT + 1:
            for extension in member.parts(_CONTEXT + 1):
                _, _value = extension.parts()


def _check_binding(signed: dict[bytes, _Element], certificate: bytes) -> None:
    """Raise unless the signed attributes name the signer's certificate by its hash (RFC 2634, RFC 5035)."""
    found = [(kind, signed[kind]) for kind in (_SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_2) if kind in signed]
    if not found:
        raise ValueError
    for kind, value in found:
        name, digest = "sha1" if kind == _SIGNING_CERTIFICATE else "sha256", value.parts()[0].parts()[0].parts()
        if digest[0].tag == _SEQUENCE:
            name = _hash_name(digest.pop(0))
        if hashlib.new(name, certificate).digest() != digest[0].expect(_OCTETS):
            raise ValueError


def _read_time(content: bytes) -> str:
    """Return a timestamp for a GeneralizedTime in DER, cut to microseconds."""
    found = _TIME(content.decode("ascii"))
    if found is None:
        raise ValueError
    year, month, day, hour, minute, second, fraction = found.groups(default="")
    time = f"{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction[:6]:0<6}Z"
    check_timestamp("genTime", time)
    return time
