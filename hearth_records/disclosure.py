"""Members of `details` that stand in their event only as a digest (FORMAT §6, RFC 9901).

    disclosure = base64url(JCS([salt, name, value]))        in the closing line, while it is not withheld
    digest     = base64url(SHA-256(ASCII(disclosure)))      in the event, `details._sd`

Deleting a disclosure withholds the member: chain and seal stay valid, and a digest stays that is *withheld or a decoy*.

`Withholder` makes them while an execution is recorded; `DigestIndex` checks them, and says what is disclosed where.
"""

from __future__ import annotations

import binascii
import hashlib
import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from hearth_records import profile
from hearth_records.canonical import LineKind, decode_events, read_lines
from hearth_records.errors import FormatError, RecordingError, SealError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hearth_records.canonical import LineSource
    from hearth_records.model import Event
    from hearth_records.profile import Limits
    from hearth_records.recordable import WithholdableDetails

__all__ = [
    "DIGESTS",
    "DigestIndex",
    "Disclosure",
    "DisclosureFinding",
    "SaltedDetails",
    "SortedDisclosures",
    "Withholder",
    "decode_disclosure",
    "digest_of",
    "encode_disclosure",
    "sort_out",
]

DIGESTS = "_sd"
"""The member of `details` that lists digests."""

MAX_DECOYS: Final = 1024
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


def encode_disclosure(disclosure: Disclosure) -> str:
    """Return the text of a disclosure."""
    return _encode_base64url(profile.encode([disclosure.salt, disclosure.name, disclosure.value]))


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


# --- making them -----------------------------------------------------------------------------------------------------


class SaltedDetails(NamedTuple):
    """Details whose withholdable members stand as digests.

    Attributes:
        data: canonical bytes.
        disclosures: of those members, to be made durable before the event is written.
        growth: bytes by which `data` grows when all of them are put in; 0 when it does not.

    """

    data: bytes
    disclosures: tuple[str, ...]
    growth: int


class Withholder:
    """Makes digests and disclosures.

    Args:
        randomness: from a number of bytes to that many random ones.
        decoys: digests of nothing fill the `_sd` of an event up to a multiple of this number, so that it says less
            about how many members there are; 0 adds none.

    Raises:
        RecordingError: `decoys` is no integer from 0 to 1,024.

    """

    def __init__(self, randomness: Callable[[int], bytes], decoys: int = 0) -> None:
        if type(decoys) is not int or not 0 <= decoys <= MAX_DECOYS:
            raise RecordingError(
                f"decoys is an integer from 0 to {MAX_DECOYS}", code="argument", pointer="/decoys", actual=repr(decoys)
            )
        self._randomness = randomness
        self._decoys = decoys
        self._last = b""

    def withhold(self, details: WithholdableDetails) -> SaltedDetails:
        """Return details with digests in the place of their withholdable members.

        Raises:
            RecordingError: the source of randomness fails. Then nothing is withheld, and nothing may be written.

        """
        if not details.withholdable:
            return SaltedDetails(profile.encode(details.plain), (), 0)
        disclosures = tuple(
            [
                encode_disclosure(Disclosure(salt=_encode_base64url(self._draw()), name=name, value=value))
                for name, value in details.withholdable.items()
            ]
        )
        digests = [digest_of(text) for text in disclosures]
        if self._decoys:
            digests += [digest_of(_encode_base64url(self._draw())) for _ in range(-len(digests) % self._decoys)]
        data = profile.encode({**details.plain, DIGESTS: sorted(digests)})
        whole = profile.encode({**details.plain, **details.withholdable})
        return SaltedDetails(data, disclosures, max(0, len(whole) - len(data)))

    def _draw(self) -> bytes:
        """Return 128 random bits. A source that gives the same twice in a row gives no salt worth the name."""
        try:
            drawn = self._randomness(_SALT_BYTES)
        except Exception as error:
            raise RecordingError("the source of randomness fails", code="randomness") from error
        if type(drawn) is not bytes or len(drawn) != _SALT_BYTES or drawn == self._last:
            raise RecordingError(
                f"the source of randomness does not give {_SALT_BYTES} random bytes", code="randomness"
            )
        self._last = drawn
        return drawn


class SortedDisclosures(NamedTuple):
    """Disclosures by whether an event refers to them: for the closing line, and those of events never acknowledged."""

    referred: tuple[str, ...]
    orphans: tuple[str, ...]


def sort_out(disclosures: Iterable[str], source: LineSource) -> SortedDisclosures:
    """Tell disclosures that the events in `source` refer to, sorted by ASCII, from those that no event refers to.

    Raises:
        FormatError: `source` is no journal.

    """
    by_digest = {digest_of(text): text for text in disclosures}
    referred: list[str] = []
    position = 0
    for kind, lines in read_lines(source):
        if kind is not LineKind.EVENTS:
            continue
        decoded = decode_events(lines, position)
        position += len(lines)
        if decoded.hold_digests:
            for event in decoded.events:
                referred += [by_digest.pop(digest) for digest in event.details.get(DIGESTS, ()) if digest in by_digest]
    return SortedDisclosures(tuple(sorted(referred)), tuple(by_digest.values()))


# --- checking them ---------------------------------------------------------------------------------------------------


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


class DisclosureFinding(Struct, frozen=True, kw_only=True):
    """What is known of an event whose details hold digests.

    Attributes:
        seq: the event's position, from 0.
        type: its type.
        step_index: the step that it is about, or None.
        disclosed: the names of the members that are disclosed.
        undisclosed: how many digests have no disclosure: each is *withheld or a decoy*.
        details_json: canonical bytes of its details with what is disclosed in its place, without `_sd`.

    """

    seq: int
    type: str
    step_index: int | None
    disclosed: tuple[str, ...]
    undisclosed: int
    details_json: bytes

    @property
    def undisclosed_in_words(self) -> str:
        """What can be said of the digests without a disclosure."""
        return "1 withheld, or a decoy" if self.undisclosed == 1 else f"{self.undisclosed} withheld, or decoys"

    @property
    def details(self) -> dict[str, Any]:
        """The details with what is disclosed in its place: a fresh copy at each access."""
        value: dict[str, Any] = profile.decode(self.details_json, depth=1)
        return value


class _Entry:
    """An event with digests: its details without them, and its size with those."""

    __slots__ = ("details", "digests", "disclosed", "size", "step_index", "type")

    def __init__(self, event: Event, details: dict[str, Any], digests: int, size: int) -> None:
        self.type = event.type
        self.step_index: int | None = getattr(event, "step_index", None)
        self.details = details
        self.digests = digests
        self.size = size
        self.disclosed: list[str] = []


class DigestIndex:
    """The digests of a record's events, and the event in which each stands."""

    __slots__ = ("_doubled", "_events", "_places")

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._events: dict[int, _Entry] = {}
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
        size += len(profile.encode(without)) - len(event.details_json)
        self._events[position] = _Entry(event, without, len(digests), size)

    def check(self, disclosures: Sequence[str], limits: Limits) -> None:
        """Raise `SealError` unless every disclosure belongs to exactly one digest of these events."""
        if self._doubled is not None:
            raise SealError("a digest stands in two events", code="disclosure-digest-twice", seq=self._doubled)
        if len(disclosures) > 1 and any(a >= b for a, b in itertools.pairwise(disclosures)):
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
        entry = self._events[position]
        if disclosure.name in entry.details:
            raise SealError(
                "a disclosed name stands in the details already", code="disclosure-name-taken", seq=position
            )
        member = len(profile.encode({disclosure.name: disclosure.value})) - len("{}")
        entry.size += member + (len(",") if entry.details else 0)
        try:
            profile.check_value(disclosure.value, depth=2)
        except FormatError as error:
            raise SealError(
                f"a disclosed value breaks a limit: {error}", code="disclosure-limit", seq=position
            ) from None
        if entry.size > (limits.first_event if position == 0 else limits.event):
            raise SealError("an event with what is disclosed is too large", code="disclosure-limit", seq=position)
        entry.details[disclosure.name] = disclosure.value
        entry.disclosed.append(disclosure.name)

    def findings(self) -> tuple[DisclosureFinding, ...]:
        """Return what `check` has found out, for each event with digests."""
        return tuple(
            [
                DisclosureFinding(
                    seq=position,
                    type=entry.type,
                    step_index=entry.step_index,
                    disclosed=tuple(sorted(entry.disclosed)),
                    undisclosed=entry.digests - len(entry.disclosed),
                    details_json=profile.encode(entry.details),
                )
                for position, entry in self._events.items()
            ]
        )
