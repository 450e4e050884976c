"""A key on an HSM, a smart card or another token: `pkcs11:token=LABEL;object=LABEL?module-path=MODULE` (RFC 7512).

Which token and which key: `token`, `manufacturer`, `model`, `serial`; `object` (CKA_LABEL), `id` (CKA_ID, `%01`),
`type` (only `private`). How: `module-path`, which is needed, since no module is looked for; `pin-source=file:PATH`,
without which the PIN is asked for. An attribute that is not in this list is refused, because it might narrow the
choice. So is `pin-value`: what stands on a command line is seen by every user of the machine and kept by the shell.

1. The module is loaded. That runs the code in it, as the user of this process.
2. Exactly one token has to match, and on it, after C_Login with one try of the PIN, exactly one private key.
3. The private key is CKK_EC_EDWARDS and may sign. Its public half is the public key object with the same CKA_ID (or,
   where it has none, the same CKA_LABEL): CKA_EC_POINT, 32 bytes, bare or as an OCTET STRING.
4. A signature is C_Sign with CKM_EDDSA without parameters: Ed25519 over the message as it is. The session stays open
   until the process ends.

Known gaps: no PIN pads (CKF_PROTECTED_AUTHENTICATION_PATH), no keys that want a PIN for each signature
(CKA_ALWAYS_AUTHENTICATE), no ML-DSA (CKM_ML_DSA of PKCS#11 3.2). A module may hang; nothing here ends it. Two keys of
one token share one log-in, and the PIN given for the second is not looked at.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, SignMixin, TokenFlag
from pkcs11.exceptions import (
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    TokenNotPresent,
    TokenNotRecognised,
    UserAlreadyLoggedIn,
    UserPinNotInitialized,
)

from hearth_records.errors import SealError, quote
from hearth_records.keys import ED25519, ed25519_spki
from hearth_records.signers.uri import attributes, file_path, read_secret, uri_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hearth_records.signers import Ask

_TOKEN: Final = ("token", "manufacturer", "model", "serial")
_PATH: Final = (*_TOKEN, "object", "id", "type")
_QUERY: Final = ("module-path", "pin-source", "pin-value")
_RAW: Final = 32
_OCTET_STRING: Final = b"\x04\x20"
_Found = TypeVar("_Found")


def open_signer(rest: str, ask: Ask) -> TokenSigner:
    """Return the signer of a `pkcs11:` URI, given without its scheme."""
    path, _, query = rest.partition("?")
    wanted, how = attributes(path, ";", _PATH), attributes(query, "&", _QUERY)
    if "pin-value" in how:
        raise uri_error(
            "a PIN does not stand in a URI, where every user of the machine can read it",
            hint="pin-source=file:PATH, --pin-file FILE, or the terminal",
        )
    if "module-path" not in how:
        raise uri_error("?module-path= says which module speaks to the token, and it is missing")
    if wanted.get("type", b"private") != b"private":
        raise uri_error("only a key of type=private signs")
    with _translated():
        token = _find_token(os.fsdecode(how["module-path"]), wanted)
        session = _log_in(token, _read_pin(how, token, ask))
        key = _find_key(session, wanted)
        return TokenSigner(key, _read_public_key(session, key))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise `SealError` for what a module reports."""
    try:
        yield
    except PKCS11Error as error:
        reason = " ".join([type(error).__name__, *map(str, error.args)])
        raise SealError(f"the token failed: {quote(reason)}", code="pkcs11-failed") from error


def _find_token(module: str, wanted: Mapping[str, bytes]) -> pkcs11.Token:
    try:
        library = pkcs11.lib(os.path.abspath(module))  # noqa: PTH100 - a bare name would be searched for
    except (PKCS11Error, OSError) as error:
        raise SealError(
            f"the module cannot be loaded: {quote(str(error) or type(error).__name__)}",
            code="pkcs11-module",
            hint="module-path is the shared library of the token's maker",
        ) from error
    found = []
    for slot in library.get_slots(token_present=True):
        with contextlib.suppress(TokenNotPresent, TokenNotRecognised):
            token = slot.get_token()
            names = (token.label.encode(), token.manufacturer_id.encode(), token.model.encode(), token.serial)
            if token.flags & TokenFlag.TOKEN_INITIALIZED and all(
                wanted.get(attribute, name) == name for attribute, name in zip(_TOKEN, names, strict=True)
            ):
                found.append(token)
    return _only(found, "token", hint="token=LABEL and serial=NUMBER tell tokens apart")


def _only(found: list[_Found], what: str, *, hint: str) -> _Found:
    if len(found) > 1:
        raise SealError(f"more than one {what} matches", code="pkcs11-ambiguous", actual=len(found), hint=hint)
    if not found:
        raise SealError(f"no {what} matches", code=f"pkcs11-{what.rpartition(' ')[2]}", hint=hint)
    return found[0]


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise uri_error("an object's label is UTF-8") from None


def _read_pin(how: Mapping[str, bytes], token: pkcs11.Token, ask: Ask) -> str:
    if "pin-source" in how:
        source = os.fsdecode(how["pin-source"])
        if not source.startswith("file:"):
            raise uri_error("the PIN is read from a file alone", hint="pin-source=file:PATH")
        pin: bytes | None = read_secret(file_path(source.removeprefix("file:")))
    else:
        pin = ask("pin", token.label)
    if not pin:
        raise SealError("the token wants its PIN", code="pin-needed", hint="pin-source=file:PATH, or --pin-file FILE")
    try:
        return pin.decode()
    except UnicodeDecodeError:
        raise SealError("the PIN is not UTF-8", code="pin-wrong") from None


def _log_in(token: pkcs11.Token, pin: str) -> pkcs11.Session:
    try:
        return token.open(user_pin=pin)
    except UserAlreadyLoggedIn:  # another key of the same token
        return token.open()
    except (PinIncorrect, PinInvalid, PinLenRange) as error:
        raise SealError(
            "the token does not take this PIN", code="pin-wrong", hint="tokens lock after a few wrong tries"
        ) from error
    except (PinLocked, PinExpired, UserPinNotInitialized) as error:
        raise SealError(
            f"the token takes no PIN any more, or not yet: {type(error).__name__}",
            code="pin-locked",
            hint="its security officer sets a new one",
        ) from error


def _find_key(session: pkcs11.Session, wanted: Mapping[str, bytes]) -> SignMixin:
    template: dict[Attribute, object] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
    if "object" in wanted:
        template[Attribute.LABEL] = _utf8(wanted["object"])
    if "id" in wanted:
        template[Attribute.ID] = wanted["id"]
    key = _only(list(session.get_objects(template)), "private object", hint="object=LABEL and id=%01 tell keys apart")
    if key[Attribute.KEY_TYPE] != KeyType.EC_EDWARDS:
        raise SealError(
            "the token's key is of a kind that cannot be used",
            code="key-unsupported",
            expected=KeyType.EC_EDWARDS.name,
            actual=str(key[Attribute.KEY_TYPE]),
        )
    if not isinstance(key, SignMixin):
        raise SealError("the token's key may not sign", code="key-unsupported", hint="it was made without CKA_SIGN")
    return key


def _read_public_key(session: pkcs11.Session, key: SignMixin) -> bytes:
    attribute = Attribute.ID if key[Attribute.ID] else Attribute.LABEL
    template = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, attribute: key[attribute]}
    points = {bytes(found[Attribute.EC_POINT]) for found in session.get_objects(template)}
    if len(points) != 1:
        raise SealError(
            "the token has not exactly one public key beside this private key",
            code="pkcs11-public-key",
            actual=len(points),
            hint="store the public key under the same id",
        )
    point = points.pop()
    return ed25519_spki(point.removeprefix(_OCTET_STRING) if len(point) > _RAW else point)


class TokenSigner:
    """An Ed25519 key on a token."""

    algorithm: Final = ED25519

    def __init__(self, key: SignMixin, public_key: bytes) -> None:
        self._key = key
        self.public_key = public_key

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature over `message`. Raises `SealError`: `code` is "pkcs11-failed"."""
        with _translated():
            return self._key.sign(message, mechanism=Mechanism.EDDSA)
