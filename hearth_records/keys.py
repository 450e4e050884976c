"""Keys: the only importer of `cryptography` for Ed25519 and ML-DSA-44 (FORMAT §2, §5, §9).

A public key is its SubjectPublicKeyInfo DER; its key id is SHA-256 of that, as

    openssl pkey -pubin -in public.pem -outform DER | sha256sum

prints. For the two algorithms the DER is a fixed prefix and the raw key, so that it is read by comparing bytes, and
nothing else than the one encoding is taken. An Ed25519 key is checked strictly: on the curve, canonical, not of small
order, because such a key can make one signature verify every message.
"""

from __future__ import annotations

import binascii
import functools
from typing import TYPE_CHECKING, Any, Final, Protocol

from hearth_records import profile
from hearth_records.errors import SealError, TrustError, quote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ALGORITHMS",
    "ED25519",
    "EXAMPLE_KEYIDS",
    "ML_DSA_44",
    "LocalSigner",
    "PublicKey",
    "Signer",
    "ed25519_spki",
    "generate_private_key",
    "keyid_of",
    "load_private_key",
    "load_public_key",
    "private_key_to_pem",
    "public_key",
    "public_key_to_pem",
    "ssh_wire",
]

ED25519: Final = "ed25519"
ML_DSA_44: Final = "ml-dsa-44"

_SPKI: Final = {
    # RFC 8410: SEQUENCE { SEQUENCE { OID 1.3.101.112 } BIT STRING }
    ED25519: (bytes.fromhex("302a300506032b6570032100"), 32),
    # RFC 9881: SEQUENCE { SEQUENCE { OID 2.16.840.1.101.3.4.3.17 } BIT STRING }
    ML_DSA_44: (bytes.fromhex("30820532300b06096086480165030403110382052100"), 1312),
}
ALGORITHMS: Final = tuple(_SPKI)

EXAMPLE_KEYIDS: Final = frozenset(
    {
        # keys_example/: published with its private half, so that it proves nothing.
        "074ac3e846fe74224d47915c1160709fc27b5ffef5cb54a3280ce1f8e8f6db62",
    }
)

_PEM_BEGIN: Final = b"-----BEGIN PUBLIC KEY-----"
_PEM_LINES: Final = 3
_PEM_END: Final = b"-----END PUBLIC KEY-----"
_SSH_WORD: Final = b"ssh-ed25519"
_SSH_WORDS: Final = (b"ssh-", b"ecdsa-", b"sk-ssh-", b"sk-ecdsa-")
_SSH_WIRE: Final = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"


def keyid_of(spki: bytes) -> str:
    """Return the key id of a SubjectPublicKeyInfo DER (FORMAT §2)."""
    return profile.sha256_hex(spki)


class Signer(Protocol):
    """Something that signs. What it returns is verified before anything is written."""

    @property
    def algorithm(self) -> str:
        """The algorithm's identifier: "ed25519" or "ml-dsa-44"."""

    @property
    def public_key(self) -> bytes:
        """The public key as SubjectPublicKeyInfo DER."""

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature over `message`."""


class PublicKey:
    """A checked public key.

    Raises:
        TrustError: not one of the supported algorithms in its one encoding, or a weak key.

    """

    __slots__ = ("_verify", "algorithm", "keyid", "spki")

    def __init__(self, spki: bytes) -> None:
        for algorithm, (prefix, length) in _SPKI.items():
            if spki.startswith(prefix) and len(spki) == len(prefix) + length:
                self.algorithm = algorithm
                break
        else:
            raise TrustError(
                "not an Ed25519 or ML-DSA-44 public key in SubjectPublicKeyInfo DER",
                code="key-unsupported",
                hint="other kinds of key, RSA and ECDSA among them, cannot be used",
            )
        self.spki = spki
        self.keyid = keyid_of(spki)
        raw = spki[len(prefix) :]
        if algorithm == ED25519:
            check_ed25519_point(raw)
        self._verify: Callable[[bytes, bytes], None] | None = None

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` over `message` is good."""
        if self._verify is None:
            self._verify = _load_verifier(self.algorithm, self.spki[len(_SPKI[self.algorithm][0]) :])
        try:
            self._verify(signature, message)
        except Exception as error:
            if type(error).__name__ == "InvalidSignature":
                return False
            raise
        return True


@functools.lru_cache(maxsize=256)
def public_key(spki: bytes) -> PublicKey:
    """Return the checked public key of a DER, the same object for the same bytes. Raises as `PublicKey`."""
    return PublicKey(spki)


def ed25519_spki(raw: bytes) -> bytes:
    """Return the DER of an Ed25519 key from its 32 raw bytes. Raises `TrustError` as `PublicKey`."""
    return PublicKey(_SPKI[ED25519][0] + raw).spki


def _load_verifier(algorithm: str, raw: bytes) -> Callable[[bytes, bytes], None]:
    if algorithm == ED25519:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - start-up time

        return Ed25519PublicKey.from_public_bytes(raw).verify
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey  # noqa: PLC0415 - start-up time

    return MLDSA44PublicKey.from_public_bytes(raw).verify


# --- Ed25519 points (RFC 8032 §5.1) ----------------------------------------------------------------------------------

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
# The y coordinates of the eight points of small order: 0, 1, -1, and the two of order 8.
_Y8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


@functools.lru_cache(maxsize=4096)
def check_ed25519_point(raw: bytes) -> None:
    """Raise `TrustError` unless 32 bytes are a point of the curve, canonically encoded, not of small order."""
    encoded = int.from_bytes(raw, "little")
    y = encoded & (2**255 - 1)
    if y >= _P:
        raise TrustError("the Ed25519 key is not canonically encoded", code="key-not-canonical")
    if y in _SMALL_ORDER_Y:
        raise TrustError(
            "the Ed25519 key is of small order: one signature could verify any message", code="key-small-order"
        )
    # x^2 = (y^2 - 1) / (d y^2 + 1) has a root when numerator times denominator is a square (Euler). The sign of x is
    # free: x = 0 only at small order.
    if pow((y * y - 1) * (_D * y * y + 1), (_P - 1) // 2, _P) != 1:
        raise TrustError("the Ed25519 key is not a point of the curve", code="key-off-curve")


# --- files -----------------------------------------------------------------------------------------------------------


def load_public_key(data: bytes) -> PublicKey:
    """Return the public key in PEM or in OpenSSH's form, with nothing around it but white space.

    PEM is exactly one `PUBLIC KEY` block. OpenSSH's form is the one line of a `.pub` file, `ssh-ed25519 BASE64` and a
    comment that is not looked at; options before it, as in `authorized_keys`, are refused.

    Raises:
        TrustError: anything else.

    """
    lines = data.strip().splitlines()
    if len(lines) == 1 and lines[0].startswith(_SSH_WORDS):
        return PublicKey(_spki_of_ssh(lines[0]))
    if len(lines) < _PEM_LINES or lines[0] != _PEM_BEGIN or lines[-1] != _PEM_END:
        raise TrustError(
            "not a public key: neither one PUBLIC KEY block in PEM nor one ssh-ed25519 line, with nothing around it",
            code="key-not-pem",
            hint="a private key's public half: openssl pkey -in private.pem -pubout",
        )
    text = b"".join(lines[1:-1])
    try:
        spki = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        spki = b""
    if binascii.b2a_base64(spki, newline=False) != text:  # pad bits
        raise TrustError("the PEM block is not base64", code="key-not-pem")
    return PublicKey(spki)


def _spki_of_ssh(line: bytes) -> bytes:
    """Return the DER of an OpenSSH key: RFC 8709 §4, string "ssh-ed25519" and string key, in one encoding."""
    word, _, rest = line.partition(b" ")
    if word != _SSH_WORD:
        raise TrustError(
            "an OpenSSH key of a kind that cannot be used",
            code="key-unsupported",
            expected=_SSH_WORD.decode(),
            actual=word.decode("ascii", "backslashreplace"),
        )
    text = rest.partition(b" ")[0]
    try:
        blob = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        blob = b""
    prefix, length = _SPKI[ED25519]
    if (
        not blob.startswith(_SSH_WIRE)
        or len(blob) != len(_SSH_WIRE) + length
        or binascii.b2a_base64(blob, newline=False) != text
    ):
        raise TrustError("not an ssh-ed25519 key: one blank, base64 of its 51 bytes", code="key-not-openssh")
    return prefix + blob[len(_SSH_WIRE) :]


def ssh_wire(key: PublicKey) -> bytes:
    """Return an Ed25519 key as SSH writes it on the wire (RFC 8709 §4)."""
    return _SSH_WIRE + key.spki[len(_SPKI[ED25519][0]) :]


def public_key_to_pem(spki: bytes) -> bytes:
    """Return a SubjectPublicKeyInfo DER as PEM."""
    text = binascii.b2a_base64(spki, newline=False)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return b"\n".join([_PEM_BEGIN, *lines, _PEM_END, b""])


class LocalSigner:
    """A private key of `cryptography` in this process's memory.

    Raises:
        SealError: the key is of another kind.

    """

    __slots__ = ("_key", "algorithm", "public_key")

    def __init__(self, private_key: Any) -> None:  # noqa: ANN401 - a key of `cryptography`
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - start-up time

        try:
            spki: bytes = private_key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            self.algorithm = PublicKey(spki).algorithm
        except (AttributeError, TrustError) as error:
            raise SealError(
                f"not an Ed25519 or ML-DSA-44 private key but {quote(type(private_key).__name__)}",
                code="key-unsupported",
            ) from error
        self.public_key = spki
        self._key = private_key

    @property
    def keyid(self) -> str:
        """The key id of the public half."""
        return keyid_of(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature over `message`."""
        signature: bytes = self._key.sign(message)
        return signature


def generate_private_key(algorithm: str = ED25519) -> Any:  # noqa: ANN401 - a key of `cryptography`
    """Return a new private key. Raises `SealError` for an algorithm that is not supported."""
    if algorithm == ED25519:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - start-up time

        return Ed25519PrivateKey.generate()
    if algorithm == ML_DSA_44:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey  # noqa: PLC0415 - start-up time

        return MLDSA44PrivateKey.generate()
    raise SealError(
        f"no such algorithm: {quote(algorithm)}", code="algorithm-unsupported", hint=f"one of {', '.join(ALGORITHMS)}"
    )


def private_key_to_pem(private_key: Any, passphrase: bytes | None = None) -> bytes:  # noqa: ANN401 - as above
    """Return a private key as PKCS#8 PEM, encrypted when there is a passphrase."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - start-up time

    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    pem: bytes = private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return pem


_PRIVATE: Final = b"PRIVATE KEY"
_ENCRYPTED: Final = b"ENCRYPTED PRIVATE KEY"


def _private_label(data: bytes) -> bytes | None:
    """Return the label of the one PEM block of PKCS#8 (RFC 7468 §10, §11) that these bytes are, or None."""
    lines = data.strip().splitlines()
    for label in (_PRIVATE, _ENCRYPTED):
        begin, end = b"-----BEGIN %b-----" % label, b"-----END %b-----" % label
        if lines and lines[0] == begin and lines[-1] == end and data.count(b"-----BEGIN ") == 1:
            return label
    return None


def load_private_key(data: bytes, passphrase: bytes | None = None) -> Any:  # noqa: ANN401 - as above
    """Return the private key in PKCS#8 PEM.

    Raises:
        SealError: `code` is "passphrase-needed", "passphrase-wrong" or "key-unreadable".

    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - start-up time
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - start-up time

    label = _private_label(data)
    if label is None:
        raise SealError(
            "not a private key in PKCS#8 PEM, one block with nothing around it",
            code="key-unreadable",
            hint="openssl pkcs8 -topk8 -in OLD -out NEW makes one of a key in another form",
        )
    encrypted = label == _ENCRYPTED
    if encrypted and passphrase is None:
        raise SealError("the private key is encrypted and no passphrase was given", code="passphrase-needed")
    try:
        return serialization.load_pem_private_key(data, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            raise SealError(
                "the passphrase is wrong, or the private key is damaged", code="passphrase-wrong"
            ) from error
        raise SealError("not a private key in PKCS#8 PEM", code="key-unreadable") from error
