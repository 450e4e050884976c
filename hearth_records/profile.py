"""The untyped door: JSON values to canonical bytes and back (FORMAT §1).

Every value is RFC 8785 (JCS) in a profile that needs no number formatting: integers only, at most 2^53 - 1 in absolute
value; member names of 1 to 128 characters of the Basic Multilingual Plane; Unicode scalar values; at most 16 levels.
Within it, "sorted names, no white space, minimal escapes" is JCS, so that

    {"b": [1, "é"], "a": None}    is    {"a":null,"b":[1,"é"]}

Only this module and `canonical` encode or decode. Whatever goes wrong inside a parser comes out as `FormatError`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import msgspec
from msgspec import Meta

from hearth_records.errors import FormatError, quote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DEFAULT_LIMITS",
    "MAX_DEPTH",
    "MAX_INTEGER",
    "MAX_NAME_LENGTH",
    "RESERVED_NAMES",
    "JSONValue",
    "Limits",
    "check_canonical",
    "check_objects",
    "check_value",
    "decode",
    "decode_any",
    "decode_lenient",
    "encode",
    "encode_lines",
    "first_difference",
    "pointer_join",
    "sha256_hex",
]

JSONValue = Any
"""null, bool, int, str, list or dict of the same; a recursive alias costs more at every use than it finds."""

MAX_INTEGER = 2**53 - 1
MAX_NAME_LENGTH = 128
MAX_DEPTH = 16
RESERVED_NAMES = frozenset({"_sd", "..."})

_MIB = 1024 * 1024
_HIGHEST_BMP = "\uffff"
_BOM = b"\xef\xbb\xbf"
_LONGEST_NUMBER = 32
"""Characters of a number that are looked at: one that is longer is over every limit, and converting it costs time."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes that a reader accepts (FORMAT §1); a size equal to its limit is accepted.

    An event's size is that of its canonical bytes, the closing line's without its line break.
    """

    first_event: int = 16 * _MIB
    event: int = _MIB
    closing: int = 64 * _MIB
    file: int = 1024 * _MIB


DEFAULT_LIMITS = Limits()

_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()
encode_lines: Final = _encoder.encode_lines
"""Write canonical bytes of each value and a line break; as `encode`, but what goes wrong comes out as it is."""

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
_Scalar = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)] | str | bool | None
_Shallow: Any = _Scalar
for _level in range(3):
    _Shallow = _Scalar | list[_Shallow] | dict[_Name, _Shallow]
_shallow_objects: Final = msgspec.json.Decoder(dict[_Name, _Shallow])
"""Decodes what nearly all details are, objects of a few levels, and checks the profile, but for the planes of names."""


def check_objects(lines: bytes, *, depth: int) -> None:
    """Raise `FormatError`, or any error of a parser, unless each line is a canonical object; fast for small ones.

    Each line ends in a line break.
    """
    if lines.isascii():
        try:
            if _encoder.encode_lines(_shallow_objects.decode_lines(lines)) == lines:
                return
        except msgspec.ValidationError:
            pass  # deeper, no object, or outside the profile
    for line in lines.removesuffix(b"\n").split(b"\n"):
        if not isinstance(decode(line, depth=depth), dict):
            raise FormatError("not an object", code="type")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as a digest: 64 lowercase hex digits (FORMAT §2)."""
    return hashlib.sha256(data).hexdigest()


def encode(value: object) -> bytes:
    """Return the canonical bytes of a JSON value or of a struct of `model`.

    The value has to lie within the profile already (`check_value`, or the types of `model`): this only writes.

    Raises:
        FormatError: a text holds a lone surrogate, or the value has no JSON form.

    """
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        raise FormatError("a text holds a lone surrogate", code="lone-surrogate") from None
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise FormatError(f"not a JSON value: {quote(str(error))}", code="not-json") from None


def decode(data: bytes, *, depth: int = 0) -> JSONValue:
    """Return the value of canonical bytes; `depth` levels already lie around it.

    Raises:
        FormatError: `check` is "canonical", `pointer` is relative to the value.

    """
    try:
        value = _decoder.decode(data)
        if _within(value, MAX_DEPTH - depth) and _encoder.encode(value) == data:
            return value
    except (ValueError, RecursionError, msgspec.MsgspecError):
        pass  # which rule it breaks is found out below
    _explain(data, depth)
    return None


def check_canonical(data: bytes) -> None:
    """Raise `FormatError` unless `data` is canonical."""
    decode(data)


def check_value(value: JSONValue, *, depth: int = 0) -> None:
    """Raise `FormatError` unless a value in memory lies within the profile."""
    _check(value, "", depth)


def _within(value: JSONValue, levels: int) -> bool:
    """Whether `value` lies within the profile: the fast half of `_check`, which says why not."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if levels < 1:
        return False
    if isinstance(value, dict):
        for name, member in value.items():
            if not 0 < len(name) <= MAX_NAME_LENGTH or not (name.isascii() or max(name) <= _HIGHEST_BMP):
                return False
            if not _within(member, levels - 1):
                return False
        return True
    return bool(isinstance(value, list) and all(_within(item, levels - 1) for item in value))


class _Members(list[tuple[str, Any]]):
    """An object as the list of its members, so that doubled ones are seen."""


class _Number(str):
    """A number as its text, so that `1.0`, `-0` and 10^5000 are seen as written."""

    __slots__ = ()


class _LongNumber(_Number):
    """A number as the whole of its text, to be converted."""

    __slots__ = ()


class _ExactNumber(_LongNumber):
    """A number that is refused where converting it would change it."""

    __slots__ = ()


def decode_lenient(data: bytes, *, what: str = "document", check: str = "shape", depth: int = 0) -> JSONValue:
    """Return the value of any JSON text that people write: white space and member order are free.

    `depth` levels already lie around it; `check` is the one that an error counts for.

    Raises:
        FormatError: not JSON, a doubled member, or a value outside the profile.

    """
    try:
        tree = _parse(data)
        _check(tree, "", depth)
    except FormatError as error:
        error.check = check
        error.hint = error.hint or f"the {what} is JSON (RFC 8259) in UTF-8 without a byte order mark"
        raise
    return _plain(tree)


def decode_any(data: bytes, *, exact: bool = False) -> JSONValue:
    """Return the value of any JSON text, also of one outside the profile, for a schema to judge.

    With `exact`, numbers are equal in the result only if they are equal in the text.

    Raises:
        FormatError: not JSON, or a doubled member; with `exact`, a number that no int or float is the same as.

    """
    try:
        return _loose(_parse(data, number=_ExactNumber if exact else _LongNumber), "")
    except RecursionError:
        raise FormatError("nested too deep to be read", code="too-deep") from None


def _loose(tree: Any, pointer: str) -> JSONValue:  # noqa: ANN401 - a JSON tree
    if isinstance(tree, _Members):
        result = {}
        for name, member in tree:
            place = pointer_join(pointer, name)
            if name in result:
                raise FormatError(f"member {quote(name)} stands twice", code="duplicate-member", pointer=place)
            result[name] = _loose(member, place)
        return result
    if isinstance(tree, list):
        return [_loose(item, f"{pointer}/{index}") for index, item in enumerate(tree)]
    return _converted(tree, pointer) if isinstance(tree, _Number) else tree


def _converted(text: _Number, pointer: str) -> int | float:
    if text.endswith(("N", "y")):  # NaN and Infinity, which Python's parser takes for numbers
        raise FormatError(f"not JSON: {text}", code="not-json", pointer=pointer)
    if isinstance(text, _ExactNumber) and not _is_exact(text):
        raise FormatError(
            "a number too long, too large or too fine to be kept as it is written",
            code="inexact-number",
            pointer=pointer,
            hint=f"{_LONGEST_NUMBER} characters at most; with a fraction or an exponent, a double keeps it below 2^53",
        )
    if text.removeprefix("-").isdigit():
        return int(text[:_LONGEST_NUMBER])  # what is longer is out of every range, and takes time to convert
    return float(text)


def _is_exact(text: str) -> bool:
    """Whether a number is short, and an integer or the one decimal fraction that its float is written as."""
    if len(text) > _LONGEST_NUMBER:
        return False
    if text.removeprefix("-").isdigit():
        return True
    import decimal  # noqa: PLC0415 - only needed to compare schemas

    value = float(text)
    try:
        return abs(value) <= MAX_INTEGER and decimal.Decimal(text) == decimal.Decimal(repr(value))
    except decimal.InvalidOperation:  # an exponent of more than 18 digits
        return False


def _plain(tree: Any) -> JSONValue:  # noqa: ANN401 - a JSON tree
    if isinstance(tree, _Members):
        return {name: _plain(member) for name, member in tree}
    if isinstance(tree, list):
        return [_plain(item) for item in tree]
    return int(tree) if isinstance(tree, _Number) else tree


def _explain(data: bytes, depth: int) -> NoReturn:
    """Raise the `FormatError` that says why `data` is not canonical, rule by rule."""
    tree = _parse(data)
    _check(tree, "", depth)
    written = _encoder.encode(_plain(tree))
    place = next(
        (i for i, (a, b) in enumerate(zip(data, written, strict=False)) if a != b), min(len(data), len(written))
    )
    raise FormatError(
        f"not canonical from byte {place} on: members sorted, no white space, no needless escape",
        code="not-canonical",
        expected=_excerpt(written, place),
        actual=_excerpt(data, place),
        hint="RFC 8785 bytes are asked for; a record may not be re-formatted",
    )


def _excerpt(data: bytes, place: int) -> str:
    return data[place : place + 24].decode("utf-8", "replace")


def _number(text: str) -> _Number:
    return _Number(text[:_LONGEST_NUMBER])


def _parse(data: bytes, number: Callable[[str], _Number] = _number) -> Any:  # noqa: ANN401 - a JSON tree
    """Parse any JSON text into a tree that keeps what a plain parser hides: doubled members, and numbers as written."""
    import json  # noqa: PLC0415 - only needed to explain what is wrong, and for what people write

    if data.startswith(_BOM):
        raise FormatError("begins with a byte order mark", code="byte-order-mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"byte {error.start} is not UTF-8", code="invalid-utf8") from None
    try:
        return json.loads(
            text,
            object_pairs_hook=_Members,
            parse_int=number,
            parse_float=number,
            parse_constant=number,
        )
    except RecursionError:
        raise FormatError(f"nested deeper than {MAX_DEPTH} levels", code="too-deep") from None
    except ValueError as error:
        place = getattr(error, "pos", 0)
        raise FormatError(f"not JSON from character {place} on: {quote(str(error))}", code="not-json") from None


def _check(value: Any, pointer: str, depth: int) -> None:  # noqa: ANN401 - a JSON tree
    """Raise `FormatError` for the first rule of the profile that `value` breaks."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, _Number):
        _check_number(value, pointer)
    elif isinstance(value, str):
        _check_text(value, pointer)
    elif isinstance(value, int):
        _check_range(value, pointer)
    elif isinstance(value, (list, dict)):
        if depth >= MAX_DEPTH:
            raise FormatError(f"nested deeper than {MAX_DEPTH} levels", code="too-deep", pointer=pointer)
        if isinstance(value, (_Members, dict)):
            _check_members(value if isinstance(value, _Members) else list(value.items()), pointer, depth)
        else:
            for index, item in enumerate(value):
                _check(item, f"{pointer}/{index}", depth + 1)
    else:
        raise FormatError(f"a {type(value).__name__} is not a JSON value", code="not-json", pointer=pointer)


def _check_members(members: list[tuple[Any, Any]], pointer: str, depth: int) -> None:
    seen = set()
    for name, member in members:
        if not isinstance(name, str):
            raise FormatError("a member name is a text", code="not-json", pointer=pointer)
        place = pointer_join(pointer, name)
        if name in seen:
            raise FormatError(f"member {quote(name)} stands twice", code="duplicate-member", pointer=place)
        seen.add(name)
        _check_text(name, place)
        if not 0 < len(name) <= MAX_NAME_LENGTH:
            raise FormatError(
                f"a member name has 1 to {MAX_NAME_LENGTH} characters, not {len(name)}",
                code="member-name",
                pointer=place,
            )
        if max(name) > _HIGHEST_BMP:
            raise FormatError(
                "a member name has only characters of the Basic Multilingual Plane", code="member-name", pointer=place
            )
        _check(member, place, depth + 1)


def _check_text(text: str, pointer: str) -> None:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise FormatError("a text holds a lone surrogate", code="lone-surrogate", pointer=pointer)


def _check_number(text: str, pointer: str) -> None:
    digits = text.removeprefix("-")
    if not digits.isdigit() or text == "-0":
        raise FormatError(
            "numbers are integers without fraction, exponent or minus zero",
            code="not-integer",
            pointer=pointer,
            actual=text,
        )
    if len(digits) >= _LONGEST_NUMBER - 1:
        digits = "9" * (_LONGEST_NUMBER - 1)
    _check_range(int(digits), pointer)


def _check_range(value: int, pointer: str) -> None:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise FormatError("an integer's absolute value is at most 2^53 - 1", code="integer-range", pointer=pointer)


def pointer_join(pointer: str, name: str | int) -> str:
    """Return the RFC 6901 pointer to member or item `name` below `pointer`."""
    return f"{pointer}/{name}" if isinstance(name, int) else f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def first_difference(left: JSONValue, right: JSONValue, pointer: str = "") -> str | None:
    """Return the pointer to the first place where two values differ, or None."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            place = pointer_join(pointer, name)
            if name not in left or name not in right:
                return place
            if (found := first_difference(left[name], right[name], place)) is not None:
                return found
        return None
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            if (found := first_difference(a, b, f"{pointer}/{index}")) is not None:
                return found
        return None
    return None if left == right and type(left) is type(right) else pointer
