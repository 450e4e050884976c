"""From whatever a caller passes to what can be recorded (FORMAT §3, *What cannot be recorded as it is*).

Recording must not break the execution that it records, so nothing here raises unless the caller asked for it:

    1.5                                   "1.5"
    datetime, UUID, Enum, Path, Decimal   their JSON text
    float("nan"), an object               {"hearth_unrecordable":"float"}, {"hearth_unrecordable":"Thing"}
    {"_sd": 1, "a": 2}                    {"a":2,"hearth_unrecordable":"member name"}
    more than the event can hold          {"hearth_cut":{"bytes":N,"sha256":H}}
    a text that is too long               its beginning and "…[cut: N code points, sha256 H]"
    Withholdable, not at the top          {"hearth_unrecordable":"Withholdable"}

What was passed is copied: nothing of the caller's is kept. A `Withholdable` is taken for what it holds only where that
can be withheld, as a member of `details` itself (FORMAT §6); anywhere else it is marked, and what it holds is dropped.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import itertools
import math
import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, final, overload

import msgspec

from hearth_records import profile
from hearth_records.errors import FormatError, RecordingError
from hearth_records.model import MAX_TEXT
from hearth_records.redaction import MASK, is_secret_name, mask_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hearth_records.redaction import Redact

__all__ = [
    "OnUnrecordable",
    "Withholdable",
    "WithholdableDetails",
    "cut_details",
    "mark_withholdable",
    "redacted",
    "to_details",
    "to_text",
    "type_name",
    "with_texts",
]

OnUnrecordable = Literal["mark", "raise"]

UNRECORDABLE: Final = "hearth_unrecordable"
CUT: Final = "hearth_cut"

_DETAILS_DEPTH: Final = 2
"""The event is level 1, `details` level 2 (FORMAT §1)."""
_MAX_NODES: Final = 1_000_000
_MAX_CHARACTERS: Final = 256 * 1024 * 1024
_AS_TEXT: Final = (dt.datetime, dt.date, dt.time, dt.timedelta, uuid.UUID)


@final
class Withholdable:
    """The value of a member of `details` that can be withheld later: its event holds no more than a salted digest.

    Example:
        observer.record_step_completed(0, "Pay", {"amount": 12, "iban": Withholdable("DE02 1203 0000 0000 2020 51")})

    """

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value: Any = value

    def __init_subclass__(cls) -> None:
        """Refuse: an object that is something else besides would be recorded as that, in clear."""
        msg = "Withholdable has no subclasses"
        raise TypeError(msg)

    def __repr__(self) -> str:
        """Return a text without the value, which is for nobody's log."""
        return "Withholdable(…)"


class WithholdableDetails(NamedTuple):
    """Details in two parts, values of the profile: what stands in clear, and what can be withheld."""

    plain: dict[str, Any]
    withholdable: dict[str, Any]


@overload
def to_details(value: object, on_unrecordable: OnUnrecordable = "mark", redact: Redact | None = mask_secrets) -> bytes:
    pass


@overload
def to_details(
    value: object, on_unrecordable: OnUnrecordable, redact: Redact | None, *, split: Literal[True]
) -> bytes | WithholdableDetails:
    pass


def to_details(
    value: object,
    on_unrecordable: OnUnrecordable = "mark",
    redact: Redact | None = mask_secrets,
    *,
    split: bool = False,
) -> bytes | WithholdableDetails:
    """Return the canonical bytes of what a caller passed as `details`, after `redact` was asked for each member.

    With `split`, details with `Withholdable` members come back in their two parts; without it, those are marked.

    Raises:
        RecordingError: only with `on_unrecordable="raise"`; `pointer` is the path inside details.

    """
    if value is None or (type(value) is dict and not value):
        return b"{}"
    if type(value) is dict and (data := _encode_simple(value.copy(), redact)) is not None:  # a thread may change it
        return data
    walk = _Walk(strict=on_unrecordable == "raise", redact=redact, split=split)
    try:
        plain = walk.convert(value, _DETAILS_DEPTH, "")
        if walk.found_withholdable and isinstance(plain, dict):
            return _split(plain)
        return profile.encode(plain if isinstance(plain, dict) else walk.mark(value, _DETAILS_DEPTH, ""))
    except _TooMuchError:
        return profile.encode(walk.mark(value, _DETAILS_DEPTH, ""))


def _split(members: dict[str, Any]) -> WithholdableDetails:
    parts = WithholdableDetails({}, {})
    for name, member in members.items():
        if type(member) is Withholdable:
            parts.withholdable[name] = member.value
        else:
            parts.plain[name] = member
    return parts


def mark_withholdable(details: WithholdableDetails) -> bytes:
    """Return the canonical bytes of details whose withholdable members cannot be withheld: each is marked."""
    mark = {UNRECORDABLE: Withholdable.__name__}
    return profile.encode({**details.plain, **dict.fromkeys(details.withholdable, mark)})


_SIMPLE: Final = frozenset({str, int, bool, type(None)})


def _encode_simple(value: dict[Any, Any], redact: Redact | None) -> bytes | None:
    """Return the bytes of the details that are most common, texts and integers by name, or None for all others."""
    if redact is not None and redact is not mask_secrets:
        return None
    for name, member in value.items():
        if type(name) is not str or type(member) not in _SIMPLE or name in profile.RESERVED_NAMES:
            return None
        if not name.isascii() or not 0 < len(name) <= profile.MAX_NAME_LENGTH:
            return None
        if type(member) is int and not -profile.MAX_INTEGER <= member <= profile.MAX_INTEGER:
            return None
        if redact is not None and is_secret_name(name):
            return None
    try:
        return profile.encode(value)
    except FormatError:  # a lone surrogate
        return None


def redacted(name: str, value: Any, redact: Redact | None) -> Any:  # noqa: ANN401 - anything
    """Return what to record in the place of a member. A redaction that fails masks: better too little than a secret."""
    if redact is None:
        return value
    if type(value) is Withholdable:
        if type(value.value) is Withholdable:
            return value  # which is marked
        value = redacted(name, value.value, redact)
        return value if type(value) is Withholdable else Withholdable(value)
    try:
        return redact(name, value)
    except Exception:  # noqa: BLE001 - whatever the caller's function does, the execution goes on
        return MASK


def cut_details(details: bytes) -> bytes:
    """Return what stands in the place of details that their event cannot hold."""
    return profile.encode({CUT: {"bytes": len(details), "sha256": profile.sha256_hex(details)}})


def to_text(value: object, *, empty: str = "") -> str:
    r"""Return a text of the format: what is no text becomes one, `empty` stands for nothing, what is too long is cut.

    Lone surrogates, which UTF-8 cannot hold, become `\udc80`.
    """
    if type(value) is not str:
        try:
            value = value.value if isinstance(value, enum.Enum) else value
            value = "" if value is None else str(value)
            value = str.__str__(value)
        except Exception:  # noqa: BLE001 - whatever the object does, the execution goes on
            value = f"[{UNRECORDABLE}: {type_name(value)}]"
    if not value:
        return empty
    if not value.isascii():
        value = value.encode("utf-8", "backslashreplace").decode()
    if len(value) <= MAX_TEXT:
        return value
    suffix = f"…[cut: {len(value)} code points, sha256 {profile.sha256_hex(value.encode())}]"
    return value[: MAX_TEXT - len(suffix)] + suffix


_Part = TypeVar("_Part")


def with_texts(part: _Part) -> _Part:
    """Return a struct of `model` with each text that it holds as `to_text` has it. What is no struct stays as it is."""
    if not isinstance(part, msgspec.Struct):
        return part
    members = {name: getattr(part, name) for name in part.__struct_fields__}
    return msgspec.structs.replace(
        part, **{name: to_text(value) if type(value) is str else with_texts(value) for name, value in members.items()}
    )


_qualname: Final = vars(type)["__qualname__"].__get__


def type_name(value: object) -> str:
    """Return the qualified name of the type of `value`, whatever that type does."""
    name: str = _qualname(type(value))  # past a metaclass that hides it
    return name.encode("utf-8", "backslashreplace").decode()[: profile.MAX_NAME_LENGTH]


def _as_base(value: Any) -> Any:  # noqa: ANN401 - one of `_AS_TEXT`
    """Return a time of a subclass, of which `msgspec` knows nothing, as one of its base."""
    if type(value) not in _AS_TEXT:
        bases: tuple[Any, ...] = (dt.datetime, dt.date, dt.time)
        for base in bases:
            if isinstance(value, base):
                return base.fromisoformat(base.isoformat(value))
        if isinstance(value, dt.timedelta):
            return dt.timedelta(value.days, value.seconds, value.microseconds)
    return value


class _TooDeepError(Exception):
    """There is no level left, not even for a marker: the container around takes it."""


def _take(items: Iterable[Any]) -> list[Any]:
    """Return the items, of an iterator without an end only more than are taken."""
    return list(itertools.islice(items, _MAX_NODES + 1))


class _TooMuchError(Exception):
    """More nodes or characters than anybody waits for."""


class _Walk:
    """One walk through a caller's value. `_path` holds the containers around, so that a cycle ends.

    With `split`, a member of the outermost object may be a `Withholdable` and comes back as one, of a converted value.
    """

    found_withholdable = False

    def __init__(self, *, strict: bool, redact: Redact | None = None, split: bool = False) -> None:
        self._strict = strict
        self._split = split
        self._redact = redact
        self._path: set[int] = set()
        self._nodes = 0
        self._characters = 0

    def convert(self, value: Any, depth: int, pointer: str) -> Any:  # noqa: ANN401 - anything in, JSON out
        """Return `value` as a value of the profile."""
        kind = type(value)
        if kind is str:
            return self._text(value, depth, pointer)
        if kind is bool or value is None:
            return value
        if kind is int:
            return value if -profile.MAX_INTEGER <= value <= profile.MAX_INTEGER else self._wide(value, depth, pointer)
        self._count(1)
        try:
            return self._convert_other(value, depth, pointer)
        except (_TooDeepError, _TooMuchError, RecordingError):
            raise
        except Exception:  # noqa: BLE001 - a hostile or broken object is an object that cannot be recorded
            return self.mark(value, depth, pointer)

    def mark(self, value: object, depth: int, pointer: str, what: str | None = None) -> dict[str, str]:
        """Return the marker that stands in the place of `value`."""
        if self._strict:
            raise RecordingError(
                "details holds what cannot be recorded",
                code="unrecordable",
                pointer=pointer,
                actual=what or type_name(value),
            )
        if depth > profile.MAX_DEPTH:
            raise _TooDeepError
        return {UNRECORDABLE: what or type_name(value)}

    def _count(self, nodes: int, characters: int = 0) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > _MAX_NODES or self._characters > _MAX_CHARACTERS:
            raise _TooMuchError

    def _text(self, value: str, depth: int, pointer: str) -> Any:  # noqa: ANN401 - a text or a marker
        self._count(1, len(value))
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return self.mark(value, depth, pointer)
        return value

    def _wide(self, value: int, depth: int, pointer: str) -> Any:  # noqa: ANN401 - a text or a marker
        try:
            return str(value)
        except ValueError:  # more digits than Python converts
            return self.mark(value, depth, pointer)

    def _convert_other(self, value: Any, depth: int, pointer: str) -> Any:  # noqa: ANN401 - as `convert`
        if isinstance(value, enum.Enum):
            return self.convert(value.value, depth, pointer)
        if isinstance(value, str):
            return self._text(str.__str__(value), depth, pointer)
        if isinstance(value, int):
            return self.convert(int(value), depth, pointer)
        if isinstance(value, float):
            return self._fraction(value, depth, pointer)
        if isinstance(value, decimal.Decimal):
            finite = decimal.Decimal.is_finite(value)
            return decimal.Decimal.__str__(value) if finite else self.mark(value, depth, pointer)
        if isinstance(value, _AS_TEXT):
            return self._text(msgspec.to_builtins(_as_base(value)), depth, pointer)
        if isinstance(value, os.PathLike):
            return self.convert(os.fspath(value), depth, pointer)
        return self._container(value, depth, pointer)

    def _fraction(self, value: float, depth: int, pointer: str) -> Any:  # noqa: ANN401 - a text or a marker
        if not math.isfinite(value):
            return self.mark(value, depth, pointer)
        return format(decimal.Decimal(float.__repr__(value)), "f")

    def _container(self, value: Any, depth: int, pointer: str) -> Any:  # noqa: ANN401 - as `convert`
        if depth > profile.MAX_DEPTH or id(value) in self._path:
            return self.mark(value, depth, pointer)
        self._path.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._members(_take(value.items()), depth, pointer)
            if isinstance(value, (list, tuple)):
                return self._items(_take(value), depth, pointer)
            if isinstance(value, (set, frozenset)):
                return sorted(self._items(_take(value), depth, pointer), key=profile.encode)
            if hasattr(type(value), "__dataclass_fields__"):
                import dataclasses  # noqa: PLC0415 - start-up time: it brings half of the interpreter's own tools

                fields = dataclasses.fields(value)
                return self._members([(field.name, getattr(value, field.name)) for field in fields], depth, pointer)
            if isinstance(value, msgspec.Struct):
                names = value.__struct_fields__
                return self._members([(name, getattr(value, name)) for name in names], depth, pointer)
            if type(value) is Withholdable and self._split and depth == _DETAILS_DEPTH + 1:
                return self._withholdable(value, depth, pointer)
        except _TooDeepError:
            if depth > profile.MAX_DEPTH:
                raise
        finally:
            self._path.discard(id(value))
        return self.mark(value, depth, pointer)

    def _withholdable(self, value: Withholdable, depth: int, pointer: str) -> Withholdable:
        self._split = False  # nothing inside can be withheld by itself
        try:
            return Withholdable(self.convert(value.value, depth, pointer))
        finally:
            self._split = self.found_withholdable = True

    def _items(self, items: list[Any], depth: int, pointer: str) -> list[Any]:
        self._count(len(items))
        return [self.convert(item, depth + 1, f"{pointer}/{index}") for index, item in enumerate(items)]

    def _members(self, members: list[tuple[Any, Any]], depth: int, pointer: str) -> dict[str, Any]:
        self._count(len(members))
        result: dict[str, Any] = {}
        for key, member in members:
            name = self._name(key)
            if name is None or name in result:
                result.update(self.mark(key, depth, pointer, "member name"))
            else:
                member = redacted(name, member, self._redact)  # noqa: PLW2901 - nothing else may see what it was
                result[name] = self.convert(member, depth + 1, profile.pointer_join(pointer, name))
        return result

    def _name(self, key: object) -> str | None:
        """Return the member name for a key, or None when it has none."""
        try:
            name = key if type(key) is str else self._key_text(key)
        except Exception:  # noqa: BLE001 - as in `convert`
            return None
        if name is None or not 0 < len(name) <= profile.MAX_NAME_LENGTH or name in profile.RESERVED_NAMES:
            return None
        return (
            name
            if name.isascii() or all(char <= "\uffff" and not "\ud800" <= char <= "\udfff" for char in name)
            else None
        )

    def _key_text(self, key: object) -> str | None:
        if isinstance(key, (str, int, enum.Enum, *_AS_TEXT, os.PathLike)) and not isinstance(key, bool):
            text = _Walk(strict=False).convert(key, _DETAILS_DEPTH, "")
            return str(text) if isinstance(text, (str, int)) else None
        return None
