"""Members of `details` that stand in their event only as a digest (FORMAT §6, RFC 9901).

    disclosure = base64url(JCS([salt, name, value]))        in the closing line, while it is not withheld
    digest     = base64url(SHA-256(ASCII(disclosure)))      in the event, `details._sd`

Deleting a disclosure withholds the member: chain and seal stay valid, and a digest stays that is *withheld or a decoy*.
"""

from __future__ import annotations

import binascii
import hashlib
import itertools
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hearth_records import profile
from hearth_records.errors import FormatError, SealError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.model import Event
    from hearth_records.profile import Limits

__all__ = ["DIGESTS", "DigestIndex", "Disclosure", "decode_disclosure", "digest_of"]

DIGESTS = "_sd"
"""The member of `details` that lists digests."""

_SALT_BYTES = 16
_PARTS = 3


class Disclosure(Struct, frozen=True, kw_only=True):
    """What a disclosure says: member `name` of some event's details has `value`."""

    salt: str
    name: str
    value: Any


def digest_of(disclosure: str) -> str:
    """Return the digest of a disclosure: unpadded base64url of SHA-256 over its ASCII."""
    return _encode_base64url(hashlib.sha256(disclosure.encode("ascii")).digest())


def _encode_base64url(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode().rstrip("=").translate({43: "-", 47: "_"})


def _decode_base64url(text: str) -> bytes | None:
    """Return what unpadded base64url holds, or None: there is one spelling for each value."""
    try:
        data = binascii.a2b_base64(text.translate({45: "+", 95: "/"}) + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return data if _encode_base64url(data) == text else None


def decode_disclosure(text: str) -> Disclosure:
    """Return what a disclosure says.

    Raises:
        SealError: it is not the base64url of canonical `[salt, name, value]` with a 128-bit salt.

    """
    data = _decode_base64url(text)
    if data is None:
        raise SealError("a disclosure is unpadded base64url", code="disclosure-base64url")
    try:
        parts = profile.decode(data)
    except FormatError as error:
        raise SealError(f"a disclosure is canonical JSON: {error}", code="disclosure-canonical") from None
    if not isinstance(parts, list) or len(parts) != _PARTS:
        raise SealError("a disclosure is [salt, name, value]", code="disclosure-parts")
    salt, name, value = parts
    if not isinstance(salt, str) or len(_decode_base64url(salt) or b"") != _SALT_BYTES:
        raise SealError("a disclosure's salt is 22 base64url characters of 128 bits", code="disclosure-salt")
    if not isinstance(name, str) or not _is_member_name(name):
        raise SealError("a disclosure's name is a member name, and not a reserved one", code="disclosure-name")
    if _holds_reserved(value):
        raise SealError("a disclosed value holds no reserved name", code="disclosure-value")
    return Disclosure(salt=salt, name=name, value=value)


def _is_member_name(name: str) -> bool:
    try:
        profile.check_value({name: None})
    except FormatError:
        return False
    return name not in profile.RESERVED_NAMES


def _holds_reserved(value: object) -> bool:
    if isinstance(value, dict):
        return not profile.RESERVED_NAMES.isdisjoint(value) or any(map(_holds_reserved, value.values()))
    return isinstance(value, list) and any(map(_holds_reserved, value))


class DigestIndex:
    """The digests of a record's events, and the event in which each stands."""

    __slots__ = ("_doubled", "_events", "_places")

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._events: dict[int, tuple[dict[str, Any], int]] = {}
        self._doubled: int | None = None

    def add(self, event: Event, position: int, size: int) -> None:
        """Take an event whose canonical bytes are `size` long."""
        details = event.details
        digests = details.get(DIGESTS)
        if digests is None:
            return
        for digest in digests:
            if self._places.setdefault(digest, position) != position and self._doubled is None:
                self._doubled = position
        without = {name: value for name, value in details.items() if name != DIGESTS}
        self._events[position] = (without, size - len(event.details_json) + len(profile.encode(without)))

    def check(self, disclosures: Sequence[str], limits: Limits) -> None:
        """Raise `SealError` unless every disclosure belongs to exactly one digest of these events."""
        if self._doubled is not None:
            raise SealError("a digest stands in two events", code="disclosure-digest-twice", seq=self._doubled)
        if any(a >= b for a, b in itertools.pairwise(disclosures)):
            raise SealError(
                "disclosures are sorted by ASCII, each once", code="disclosure-order", pointer="/disclosures"
            )
        for index, text in enumerate(disclosures):
            try:
                self._place(text, limits)
            except SealError as error:
                error.pointer = f"/disclosures/{index}"
                raise

    def _place(self, text: str, limits: Limits) -> None:
        disclosure = decode_disclosure(text)
        position = self._places.get(digest_of(text))
        if position is None:
            raise SealError("no digest refers to a disclosure", code="disclosure-unreferenced")
        details, size = self._events[position]
        if disclosure.name in details:
            raise SealError(
                "a disclosed name stands in the details already", code="disclosure-name-taken", seq=position
            )
        member = len(profile.encode({disclosure.name: disclosure.value})) - len("{}")
        size += member + (len(",") if details else 0)
        try:
            profile.check_value(disclosure.value, depth=2)
        except FormatError as error:
            raise SealError(
                f"a disclosed value breaks a limit: {error}", code="disclosure-limit", seq=position
            ) from None
        if size > (limits.first_event if position == 0 else limits.event):
            raise SealError("an event with what is disclosed is too large", code="disclosure-limit", seq=position)
        details[disclosure.name] = disclosure.value
        self._events[position] = (details, size)
