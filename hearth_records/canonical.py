r"""The typed door: bytes to structs and back, and the frame and lines of a file (FORMAT §1, §6, §7).

    {"format":"hearth-record/1","events":[\n
    {…event 0…}\n
    ,{…event 1…}\n
    ],"disclosures":[…],"seal":{…}}\n

A line is decoded typed first, for speed, and is good when encoding the result gives the same bytes; only when that
fails is it taken apart slowly, to say which rule of which check it breaks, as if in order: canonical, then shape.
"""

from __future__ import annotations

import enum
import hashlib
import io
import itertools
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, Protocol, TypeVar

import msgspec

from hearth_records import profile
from hearth_records.errors import FormatError, escape
from hearth_records.model import (
    FORMAT,
    AnyEvent,
    Closing,
    Event,
    ExecutionRecord,
    ExecutionStarted,
    Plan,
    PlanDocument,
    ScalarError,
    are_digests,
    are_timestamps,
    check_digest,
    check_timestamp,
)
from hearth_records.profile import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hearth_records.model import Statement
    from hearth_records.profile import Limits

__all__ = [
    "OPENING",
    "VERSIONS",
    "LineKind",
    "LineSource",
    "Version",
    "decode_closing",
    "decode_document",
    "decode_event",
    "decode_events",
    "decode_plan",
    "decode_record",
    "encode_closing",
    "encode_event",
    "encode_file",
    "encode_statement",
    "open_lines",
    "read_lines",
    "reframe",
]

OPENING: Final = b'{"format":"hearth-record/1","events":[\n'
_LONGEST_OPENING: Final = 1024
"""Bytes of a first line that are looked at for its version."""
MAX_STATEMENT: Final = 4096
"""Bytes of the statement, so that a KMS or an HSM can sign it (FORMAT §5)."""

_LINE_BREAK: Final = ord("\n")
_COMMA: Final = ord(",")
_BRACKET: Final = ord("]")
_AROUND: Final = len(",\n")
"""What stands around an event in its line; a longer line is cut there, and too large without its end."""
_BATCH: Final = 65_536
"""Bytes of events that are decoded in one go."""
_STREAM_CHUNK: Final = 1_048_576
_encode = profile.encode

_T = TypeVar("_T")


# --- versions --------------------------------------------------------------------------------------------------------


class Version:
    """One version of the format: its name, the opening line of its files, and the structs that its lines hold.

    A later version is a module with its own structs and an entry in `VERSIONS`. An event that changed is a struct
    that derives from the one of `model` that it stands for, so that lifecycle, seal and views take it as it is.
    """

    __slots__ = ("closing_members", "decode_closing", "decode_event", "decode_lines", "name", "opening")

    def __init__(self, name: str, events: Any, closing: type[Closing]) -> None:  # noqa: ANN401 - a union of structs
        decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(events)
        self.name = name
        self.opening = b'{"format":"%b","events":[\n' % name.encode()
        self.decode_event: Callable[[bytes], AnyEvent] = decoder.decode
        self.decode_lines: Callable[[bytes], list[AnyEvent]] = decoder.decode_lines
        self.decode_closing: Callable[[bytes], Closing] = msgspec.json.Decoder(closing).decode
        self.closing_members = frozenset(closing.__struct_encode_fields__)


_WRITTEN: Final = Version(FORMAT, AnyEvent, Closing)
"""The version that this release writes."""

VERSIONS: Final[dict[str, Version]] = {FORMAT: _WRITTEN}
"""Every version that this release reads, by its name."""


# --- events ----------------------------------------------------------------------------------------------------------


encode_event: Final[Callable[[Event], bytes]] = profile.encode
"""Return the canonical bytes of an event."""


def decode_event(
    data: bytes, position: int = 0, limits: Limits = DEFAULT_LIMITS, version: Version = _WRITTEN
) -> AnyEvent:
    """Return the event whose canonical bytes are `data`; `position` is its place in the record, from 0.

    Raises:
        FormatError: `check` is "canonical" or "shape", `pointer` is the place in the record document.

    """
    if len(data) > (limits.event if position else limits.first_event):
        _too_large(position, limits)
    try:
        return _decode_lines([data], data + b"\n", version).events[0]
    except _DOUBT:
        _explain(data, version.decode_event, position)


class DecodedEvents(NamedTuple):
    """Events of successive lines, their hashes (FORMAT §4), and whether any of them holds digests of disclosures."""

    events: list[AnyEvent]
    hashes: list[str]
    hold_digests: bool


def decode_events(
    lines: list[bytes], position: int = 0, limits: Limits = DEFAULT_LIMITS, version: Version = _WRITTEN
) -> DecodedEvents:
    """Return the events of several lines, as `decode_event` does one by one, but faster, with the same errors."""
    joined = b"\n".join(lines) + b"\n"
    if len(joined) <= min(limits.event, limits.first_event):
        try:
            return _decode_lines(lines, joined, version)
        except _DOUBT:
            pass  # which line it is, and why, is found out below
    return DecodedEvents(
        [decode_event(line, position + i, limits, version) for i, line in enumerate(lines)],
        _hash_lines(lines),
        hold_digests=True,
    )


_DOUBT: Final = (ValueError, RecursionError, msgspec.MsgspecError, FormatError)


def _decode_lines(lines: list[bytes], joined: bytes, version: Version) -> DecodedEvents:
    """Return the events in `lines` when all is well; raises one of `_DOUBT` when a closer look is needed.

    `joined` has them with their line breaks. Canonical bytes hold none, so that equal bytes, as many as there are
    lines, mean equal lines.
    """
    events = version.decode_lines(joined)
    if len(events) != len(lines) or profile.encode_lines(events) != joined:
        raise ValueError
    if not are_timestamps([event.timestamp for event in events]):
        raise ValueError
    if not are_digests([event.previous_event_hash for event in events if event.previous_event_hash is not None]):
        raise ValueError
    details = profile.encode_lines([event.details_json for event in events])
    hold_digests = b'"_sd"' in details
    profile.check_objects(details, depth=1)
    if hold_digests or b'"..."' in details:
        for event in events:
            check_details(event.details)
    return DecodedEvents(events, _hash_lines(lines), hold_digests)


def _hash_lines(lines: list[bytes]) -> list[str]:
    sha256 = hashlib.sha256
    return [sha256(line).hexdigest() for line in lines]


def _too_large(position: int, limits: Limits) -> NoReturn:
    limit = limits.event if position else limits.first_event
    raise FormatError(
        "an event has more bytes than it may",
        code="too-large",
        seq=position,
        pointer=f"/events/{position}",
        expected=limit,
    )


def check_details(details: object) -> None:
    """Raise `FormatError` unless `details` is an object that keeps the reserved names (FORMAT §1, §6)."""
    if not isinstance(details, dict):
        raise FormatError("details is an object", check="shape", code="type", pointer="/details")
    for name, member in details.items():
        if name == "_sd":
            _check_digest_list(member)
        else:
            _check_reserved(name, member, "/details")


def _check_reserved(name: str, member: object, pointer: str) -> None:
    place = profile.pointer_join(pointer, name)
    if name in profile.RESERVED_NAMES:
        raise FormatError("a reserved name stands in details", check="shape", code="reserved-name", pointer=place)
    _check_names(member, place)


def _check_names(value: object, pointer: str) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            _check_reserved(name, member, pointer)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_names(item, f"{pointer}/{index}")


_is_sd_digest = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]").fullmatch
"""Unpadded base64url of 32 bytes: the last character holds four bits, its two pad bits are zero."""


def _check_digest_list(value: object) -> None:
    good = (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, str) and _is_sd_digest(item) for item in value)
        and all(a < b for a, b in itertools.pairwise(value))
    )
    if not good:
        raise FormatError(
            "_sd is a sorted, non-empty list of base64url SHA-256 digests",
            check="shape",
            code="disclosure-digests",
            pointer="/details/_sd",
        )


def _explain(data: bytes, decode: Callable[[bytes], object], position: int) -> NoReturn:
    """Raise the `FormatError` that says why an event is not good: the untyped rules first, then the typed ones."""
    try:
        _check_shape(data, profile.decode(data), decode)
    except FormatError as error:
        error.pointer = f"/events/{position}{error.pointer or ''}"
        error.seq = position
        raise error from None
    _refuse(f"/events/{position}", position)


def _refuse(pointer: str, seq: int | None = None) -> NoReturn:
    """Raise the error for what both doors call good and was yet refused: a fault of this library, never a pass."""
    raise FormatError(
        "not accepted, for a reason that is not known", check="shape", code="shape", seq=seq, pointer=pointer
    )


def _check_shape(data: bytes, value: profile.JSONValue, decode: Callable[[bytes], object]) -> None:
    """Raise the `FormatError` that says which typed rule canonical bytes break."""
    try:
        struct = decode(data)
    except msgspec.ValidationError as error:
        raise _shape_error(error) from None
    written = profile.decode_lenient(_encode(struct))
    if (missing := profile.first_difference(value, written)) is not None:
        raise FormatError("a member is missing: absent values are null", check="shape", code="missing", pointer=missing)
    if isinstance(struct, Event):
        check_details(value["details"])
        try:
            check_timestamp("timestamp", struct.timestamp)
            check_digest("previous_event_hash", struct.previous_event_hash)
        except ScalarError as error:
            raise FormatError(str(error), check="shape", code=error.code, pointer=f"/{error.member}") from None


def _shape_error(error: msgspec.ValidationError) -> FormatError:
    """Translate what msgspec says: `Expected `int`, got `str` - at `$.plan.steps[0].step_index``."""
    # What stands before the last "at" may be a text of the record, with anything in it.
    message, found, path = str(error).rpartition(" - at `$")
    if not found:
        message, path = path, ""
    pointer = _pointer(path.removesuffix("`"))
    cause = error.__cause__
    if isinstance(cause, ScalarError):
        return FormatError(escape(message), check="shape", code=cause.code, pointer=f"{pointer}/{cause.member}")
    if (
        name := re.match(r"Object (contains unknown|missing required) field `(.*?)`?$", message, re.DOTALL)
    ) is not None:
        pointer = profile.pointer_join(pointer, name[2])
        code, text = (
            ("unknown", "a member is not known")
            if name[1] == "contains unknown"
            else ("missing", "a member is missing")
        )
        return FormatError(text, check="shape", code=code, pointer=pointer)
    code = {"Inv": "value", "Exp": "type"}.get(message[:3], "shape")
    text = escape(message[:1].lower() + message[1:].replace("`", '"'))
    return FormatError(text, check="shape", code=code, pointer=pointer)


def _pointer(path: str) -> str:
    """Translate `.plan.steps[0]` to `/plan/steps/0`; `[...]` (some member of an object) ends it."""
    path = path.partition("[...]")[0]
    return "".join(f"/{part}" for part in re.findall(r"[^.\[\]]+", path))


# --- the closing line ------------------------------------------------------------------------------------------------


def encode_statement(statement: Statement) -> bytes:
    """Return the canonical bytes of a statement: what DSSE calls the body.

    Raises:
        FormatError: it is longer than 4,096 bytes.

    """
    body = profile.encode(statement)
    if len(body) > MAX_STATEMENT:
        raise FormatError(
            f"a statement has at most {MAX_STATEMENT} bytes",
            check="shape",
            code="statement-too-large",
            pointer="/seal/statement",
            actual=len(body),
        )
    return body


def encode_closing(closing: Closing) -> bytes:
    """Return the closing line with its line break."""
    return b"]," + profile.encode(closing)[1:] + b"\n"


def decode_closing(line: bytes, limits: Limits = DEFAULT_LIMITS, version: Version = _WRITTEN) -> Closing:
    """Return what a closing line, without its line break, says.

    Raises:
        FormatError: `check` is "canonical" or "shape", `pointer` is the place in the record document.

    """
    if len(line) > limits.closing:
        raise FormatError(f"the closing line has at most {limits.closing} bytes", code="too-large")
    if not line.startswith(b"],"):
        raise FormatError('the closing line begins with "],"', code="frame")
    data = b"{" + line[2:]
    try:
        closing = version.decode_closing(data)
        if _encode(closing) == data:
            if len(data) > MAX_STATEMENT:
                encode_statement(closing.seal.statement)
            return closing
    except (ValueError, RecursionError, msgspec.MsgspecError):
        pass  # which rule it breaks is found out below
    value = profile.decode(data, depth=-1)
    if value.keys() != version.closing_members:
        raise FormatError("the closing line has the members disclosures and seal", code="frame")
    _check_shape(data, value, version.decode_closing)
    _refuse("")


# --- files -----------------------------------------------------------------------------------------------------------


class LineKind(enum.Enum):
    """What lines of a file hold: events, what closes the record, or a tail that was cut."""

    EVENTS = enum.auto()
    CLOSING = enum.auto()
    TORN = enum.auto()


class LineSource(Protocol):
    """Anything that is read line by line."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line with its line break, at most `size` bytes of it, nothing at the end."""


Lines = tuple[LineKind, list[bytes]]


def read_lines(stream: LineSource, limits: Limits = DEFAULT_LIMITS) -> Iterator[Lines]:
    """Return the lines of a file of the version that this release writes, else as `open_lines`."""
    version, lines = open_lines(stream, limits)
    if version is not _WRITTEN:
        unsupported_version(version.name)
    return lines


def open_lines(stream: LineSource, limits: Limits = DEFAULT_LIMITS) -> tuple[Version, Iterator[Lines]]:
    """Return a file's version, and its lines after the opening line, without comma and line break, in constant memory.

    Events come in batches, the closing line or a torn tail alone. Covers the frame of FORMAT §6 and §7.

    Raises:
        FormatError: `check` is "canonical"; "shape" for a version that is not supported. Also while iterating.

    """
    return _read_opening(stream), _read_rest(stream, limits)


def _read_rest(stream: LineSource, limits: Limits) -> Iterator[Lines]:
    readline, longest = stream.readline, limits.event + _AROUND
    line = readline(limits.first_event + _AROUND)
    batch: list[bytes] = []
    position, size = 0, len(line)
    if line and line[0] != _BRACKET and line[0] != _COMMA and line[-1] == _LINE_BREAK:
        batch.append(line[:-1])
        while (line := readline(longest)) and line[0] == _COMMA and line[-1] == _LINE_BREAK:
            batch.append(line[1:-1])
            size += len(line)
            if size > _BATCH:
                yield LineKind.EVENTS, batch
                position += len(batch)
                batch, size = [], 0
    if batch:
        yield LineKind.EVENTS, batch  # a fault in them comes first
        position += len(batch)
    if line[:1] == b"]":
        yield _read_closing(line, stream, limits, position)
    elif line.endswith(b"\n"):
        raise FormatError(
            "an event's line begins with a comma, but for the first",
            code="frame",
            seq=position,
            pointer=f"/events/{position}",
        )
    elif line:
        if len(line) - line.startswith(b",") > (limits.event if position else limits.first_event):
            _too_large(position, limits)  # whether it ends in a line break or not
        yield LineKind.TORN, [line]


def _read_closing(line: bytes, stream: LineSource, limits: Limits, position: int) -> tuple[LineKind, list[bytes]]:
    parts = [line]
    size = len(line)
    while not parts[-1].endswith(b"\n") and size <= limits.closing and (more := stream.readline(_STREAM_CHUNK)):
        parts.append(more)
        size += len(more)
    line = b"".join(parts)
    data = line.removesuffix(b"\n")
    if len(data) > limits.closing:
        raise FormatError(f"the closing line has at most {limits.closing} bytes", code="too-large")
    if data is line:
        if _is_closing(line, limits):
            raise FormatError("the last line lacks its line break: one byte is missing", code="frame")
        return LineKind.TORN, [line]
    if stream.readline(1):
        raise FormatError("something stands after the closing line", code="frame")
    if not position:
        raise FormatError("a record has at least one event", code="frame")
    return LineKind.CLOSING, [data]


def _is_closing(line: bytes, limits: Limits) -> bool:
    try:
        decode_closing(line, limits)
    except FormatError:
        return False
    return True


_VERSION: Final = "hearth-record/(?:0|[1-9][0-9]*)"
_version = re.compile(rb'\{"format":"(%b)"' % _VERSION.encode())


def _read_opening(stream: LineSource) -> Version:
    line = stream.readline(_LONGEST_OPENING)
    for version in VERSIONS.values():
        if line == version.opening:
            return version
    if not line:
        raise FormatError("the file is empty", code="empty")
    check_version(line)
    if any(version.opening.startswith(line) for version in VERSIONS.values()):
        raise FormatError(
            "the file was cut inside its opening line", code="frame", hint="nothing of its events is there: ask again"
        )
    raise FormatError(f"the file does not begin with the opening line of {FORMAT}", code="frame")


def check_version(data: bytes) -> None:
    """Raise `FormatError` when `data` begins as a record of a version that is not supported (FORMAT §8, `shape`)."""
    if (found := _version.match(data)) is not None and found[1].decode() not in VERSIONS:
        unsupported_version(found[1].decode())


def unsupported_version(version: str) -> NoReturn:
    """Raise the `FormatError` that names a version which this release does not read."""
    raise FormatError(
        "the format version is not supported",
        check="shape",
        code="unsupported-version",
        pointer="/format",
        expected=FORMAT,
        actual=version,
        hint="a later release may read it",
    )


def encode_file(events: Sequence[bytes], closing: Closing) -> bytes:
    """Return the bytes of a record file from the canonical bytes of its events and its closing line."""
    return b"".join((OPENING, b"\n,".join(events), b"\n", encode_closing(closing)))


def reframe(data: bytes) -> bytes:
    """Return a re-formatted record in its frame (FORMAT §6).

    Raises:
        FormatError: it is no JSON object of `format`, `events` and, when it is sealed, `disclosures` and `seal`.

    """
    value = profile.decode_lenient(data, what="record", check="canonical", depth=-2)
    if not isinstance(value, dict):
        raise FormatError("a record is a JSON object", code="frame")
    name = value.get("format")
    version = VERSIONS.get(name) if isinstance(name, str) else None
    if version is None and isinstance(name, str) and re.fullmatch(_VERSION, name):
        unsupported_version(name)
    events = value.get("events")
    closing = {member: value[member] for member in value.keys() - {"format", "events"}}
    good_closing = version is not None and closing.keys() in (set(), version.closing_members)
    if version is None or not isinstance(events, list) or not events or not good_closing:
        raise FormatError(
            f"not a record of {FORMAT}: it has format and events and, when it is sealed, disclosures and seal",
            code="frame",
        )
    lines = b"\n,".join(profile.encode(event) for event in events)
    end = b"]," + profile.encode(closing)[1:] + b"\n" if closing else b""
    return b"".join((version.opening, lines, b"\n", end))


def decode_record(data: bytes, limits: Limits = DEFAULT_LIMITS) -> ExecutionRecord:
    """Return the record in a file's bytes, sealed or not, **without verifying it**: for looking, not for judging.

    Raises:
        FormatError: it is not canonical, not of the right shape, or has no first event.

    """
    events: list[AnyEvent] = []
    version, rest = open_lines(io.BytesIO(data), limits)
    for kind, lines in rest:
        if kind is LineKind.EVENTS:
            events += decode_events(lines, len(events), limits, version).events
    if not events or not isinstance(events[0], ExecutionStarted):
        raise FormatError("a record begins with execution_started", check="shape", code="no-start", seq=0)
    return ExecutionRecord(tuple(events))


# --- documents that people write -------------------------------------------------------------------------------------


def decode_document(data: bytes, kind: type[_T], *, what: str) -> _T:
    """Return the struct in a JSON document that a person wrote: white space and order are free, nothing else is.

    Raises:
        FormatError: `check` is "shape", `pointer` is the place in the document.

    """
    value = profile.decode_lenient(data, what=what)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _shape_error(error) from None


def decode_plan(data: bytes) -> Plan:
    """Return the plan in a plan file's bytes (`hearth-plan/1`), with their SHA-256. Raises `FormatError`."""
    document = decode_document(data, PlanDocument, what="plan")
    return Plan(
        plan_id=document.plan_id,
        sha256=profile.sha256_hex(data),
        steps=document.steps,
        declared_side_effects=document.declared_side_effects,
        rollback_hints=document.rollback_hints,
    )
