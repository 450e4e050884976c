from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import itertools
import json
import math
import pathlib
import types
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from helpers import profile_values
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth_records import profile
from hearth_records.canonical import check_details
from hearth_records.errors import RecordingError
from hearth_records.profile import MAX_INTEGER, sha256_hex
from hearth_records.recordable import cut_details, to_details, to_text, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator


def recorded(value: object) -> Any:
    """Return what is recorded for a value; it always is canonical, within the profile, and keeps the reserved names."""
    data = to_details(value)
    details = profile.decode(data, depth=1)
    check_details(details)
    assert "_sd" not in details
    return details


def inside(value: object) -> Any:
    """Return what is recorded for a member."""
    details = recorded({"a": value})
    assert list(details) == ["a"]
    return details["a"]


def mark(name: str) -> dict[str, str]:
    return {"hearth_unrecordable": name}


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 7
    BOTH = ("a", 1)
    NOTHING = float("nan")


class Level(enum.IntEnum):
    LOW = 1


class Flags(enum.IntFlag):
    A = 1
    B = 2


class Snake(enum.Enum):
    TAIL = 1


Snake.TAIL._value_ = Snake.TAIL  # type: ignore[assignment]


@dataclasses.dataclass
class Point:
    x: int
    y: object


@dataclasses.dataclass(slots=True)
class Unset:
    x: int = dataclasses.field(init=False)


class Struct(msgspec.Struct):
    x: int
    y: object


class Pair(NamedTuple):
    x: int
    y: object


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError


class Number(int):
    pass


class Day(dt.date):
    pass


class Moment(dt.datetime):
    def isoformat(self, *_args: object, **_more: object) -> str:
        return "soon"


class Noon(dt.time):
    pass


class Span(dt.timedelta):
    pass


class Ident(uuid.UUID):
    pass


UTC = dt.UTC
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))
A_UUID = "12345678-1234-5678-1234-567812345678"

# --- what has a JSON form --------------------------------------------------------------------------------------------

TAKEN: list[tuple[object, Any]] = [
    ("text", "text"),
    ("é\U0001f600\x00\x1b", "é\U0001f600\x00\x1b"),
    (Text("text"), "text"),
    (True, True),
    (None, None),
    (0, 0),
    (MAX_INTEGER, MAX_INTEGER),
    (-MAX_INTEGER, -MAX_INTEGER),
    (MAX_INTEGER + 1, "9007199254740992"),
    (-(2**70), "-1180591620717411303424"),
    (Number(5), 5),
    (Number(2**60), str(2**60)),
    (1.5, "1.5"),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (0.1, "0.1"),
    (1e16, "10000000000000000"),
    (1e-7, "0.0000001"),
    (-2.5e-3, "-0.0025"),
    (decimal.Decimal("1.50"), "1.50"),
    (decimal.Decimal("1E+1000000"), "1E+1000000"),
    (decimal.Decimal("-0"), "-0"),
    (dt.datetime(2026, 11, 22, 16, 3, 5, 120, tzinfo=UTC), "2026-11-22T16:03:05.000120Z"),
    (dt.datetime(2026, 11, 22, 16, 3, 5, tzinfo=EAST), "2026-11-22T16:03:05+05:30"),
    (dt.datetime(2026, 11, 22, 16, 3, 5), "2026-11-22T16:03:05"),  # noqa: DTZ001 - a naive time is what is tried
    (Moment(2026, 11, 22, 16, 3, 5, tzinfo=UTC), "2026-11-22T16:03:05Z"),
    (dt.date(2026, 11, 22), "2026-11-22"),
    (Day(2026, 11, 22), "2026-11-22"),
    (dt.time(16, 3), "16:03:00"),
    (Noon(16, 3), "16:03:00"),
    (dt.timedelta(days=1, seconds=2), "P1DT2S"),
    (Span(days=1, seconds=2), "P1DT2S"),
    (uuid.UUID(A_UUID), A_UUID),
    (Ident(A_UUID), A_UUID),
    (Colour.RED, "red"),
    (Colour.NUMBER, 7),
    (Colour.BOTH, ["a", 1]),
    (Level.LOW, 1),
    (Flags.A | Flags.B, 3),
    (pathlib.PurePosixPath("/tmp/x"), "/tmp/x"),
    (pathlib.PureWindowsPath("C:\\x"), "C:\\x"),
    ([], []),
    ((1, [2.5]), [1, ["2.5"]]),
    (Pair(1, 2.5), [1, "2.5"]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    ({}, {}),
    ({1: "a", "b": 2}, {"1": "a", "b": 2}),
    ({Colour.RED: 1, dt.date(2026, 1, 2): 2, Text("t"): 3}, {"red": 1, "2026-01-02": 2, "t": 3}),
    ({2**60: 1, uuid.UUID(A_UUID): 2, pathlib.PurePosixPath("p"): 3}, {str(2**60): 1, A_UUID: 2, "p": 3}),
    (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (collections.defaultdict(int, a=1), {"a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (collections.UserDict({"a": 1}), {"a": 1}),
    (Point(1, Point(2, None)), {"x": 1, "y": {"x": 2, "y": None}}),
    (Struct(1, 2.5), {"x": 1, "y": "2.5"}),
]


@pytest.mark.parametrize(("value", "expected"), TAKEN, ids=range(len(TAKEN)))
def test_what_is_taken_as_its_json_text(value: object, expected: Any) -> None:
    assert inside(value) == expected
    assert type(inside(value)) is type(expected)
    assert json.loads(to_details({"a": value}, "raise")) == {"a": expected}


@pytest.mark.parametrize("value", [None, {}])
def test_no_details_are_an_empty_object(value: object) -> None:
    assert to_details(value) == b"{}"
    assert to_details(value, "raise") == b"{}"


@pytest.mark.parametrize(
    "value", [Point(1, 2), Struct(1, 2), collections.OrderedDict(x=1, y=2), types.MappingProxyType({"x": 1, "y": 2})]
)
def test_details_may_be_anything_with_members(value: object) -> None:
    assert recorded(value) == {"x": 1, "y": 2}


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), min_size=1, max_size=128), profile_values
    )
)
@settings(max_examples=200)
def test_what_lies_within_the_profile_is_recorded_as_it_is(details: dict[str, Any]) -> None:
    for name in profile.RESERVED_NAMES:
        details.pop(name, None)
    if not _holds_reserved(details):
        data = to_details(details, redact=None)
        assert profile.decode(data, depth=1) == details
        assert to_details(details, "raise", None) == data


def _holds_reserved(value: Any) -> bool:
    if isinstance(value, dict):
        return not profile.RESERVED_NAMES.isdisjoint(value) or any(map(_holds_reserved, value.values()))
    return isinstance(value, list) and any(map(_holds_reserved, value))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_fractions_are_decimal_strings_that_give_the_number_back(value: float) -> None:
    text = inside(value)
    assert float(text) == value
    assert "e" not in text.lower()


def test_what_was_passed_is_copied() -> None:
    inner = [1]
    details = {"a": inner, "b": "x"}
    data = to_details(details)
    inner.append(2)
    details["b"] = "y"
    assert data == b'{"a":[1],"b":"x"}'


# --- what has none ---------------------------------------------------------------------------------------------------


class Hostile:
    """Raises at every turn."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise RuntimeError

    __len__ = __iter__ = __eq__ = __bool__  # type: ignore[assignment]

    def __hash__(self) -> int:
        return 1


class Pretender:
    """Says that it is of another class."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self.kind


class Hidden(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Nameless(metaclass=Hidden):
    pass


class BadDict(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError


class Endless(dict[str, Any]):
    def items(self) -> Any:
        return ((str(number), number) for number in itertools.count())


class EndlessList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return itertools.count()


class OddDict(dict[str, Any]):
    def items(self) -> Any:
        return [1, 2]


class BadPath(pathlib.PurePosixPath):
    def __fspath__(self) -> str:
        raise RuntimeError


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"/tmp"


class Surrogates(decimal.Decimal):
    def __str__(self) -> str:
        return "\ud800"


class Liar(decimal.Decimal):
    def is_finite(self) -> bool:
        return True


class NoZone(dt.tzinfo):
    def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:
        raise RuntimeError

    dst = utcoffset

    def tzname(self, _when: dt.datetime | None) -> str:
        raise RuntimeError


MARKED: list[tuple[object, str]] = [
    (float("nan"), "float"),
    (math.inf, "float"),
    (-math.inf, "float"),
    (decimal.Decimal("NaN"), "Decimal"),
    (decimal.Decimal("sNaN"), "Decimal"),
    (decimal.Decimal("-Infinity"), "Decimal"),
    (Liar("NaN"), "Liar"),
    (Colour.NOTHING, "float"),
    (b"bytes", "bytes"),
    (bytearray(b"x"), "bytearray"),
    (memoryview(b"x"), "memoryview"),
    (1j, "complex"),
    (object(), "object"),
    (object, "type"),
    (Point, "type"),
    (len, "builtin_function_or_method"),
    (range(3), "range"),
    ((number for number in range(3)), "generator"),
    (ValueError("x"), "ValueError"),
    (collections.deque([1]), "deque"),
    ("\ud800", "str"),
    ("a\udfff", "str"),
    (Text("\ud800"), "str"),
    (10**5000, "int"),
    (Number(10**5000), "int"),
    (pathlib.PurePosixPath("/\udc80"), "str"),
    (BytesPath(), "bytes"),
    (BadPath("x"), "BadPath"),
    (Hostile(), "Hostile"),
    (Nameless(), "Nameless"),
    (Nameless, "Hidden"),
    (BadDict(a=1), "BadDict"),
    (OddDict(a=1), "OddDict"),
    (Unset(), "Unset"),
    (dt.datetime(2026, 11, 22, tzinfo=NoZone()), "datetime"),
    *(
        (Pretender(kind), "Pretender")
        for kind in (str, int, float, dict, list, set, bool, decimal.Decimal, dt.datetime)
    ),
    *((Pretender(kind), "Pretender") for kind in (enum.Enum, uuid.UUID, pathlib.PurePath, Point, Struct, type(None))),
]


@pytest.mark.parametrize("choice", range(len(MARKED)))
def test_what_cannot_be_recorded_is_marked_in_its_place(choice: int) -> None:
    value, name = MARKED[choice]  # pytest itself looks closely at what it is given
    assert recorded({"before": 1, "a": [0, value], "after": 2}) == {"before": 1, "a": [0, mark(name)], "after": 2}
    assert inside(value) == mark(name)
    assert recorded(value) == mark(name)
    for details, pointer in (({"a": value}, "/a"), ({"a": {"b": [0, value]}}, "/a/b/1"), (value, "")):
        with pytest.raises(RecordingError) as caught:
            to_details(details, "raise")
        assert (caught.value.code, caught.value.pointer, caught.value.actual) == ("unrecordable", pointer, name)


def test_a_decimal_that_lies_about_its_text_is_its_own() -> None:
    assert inside(Surrogates("1.5")) == "1.5"


@pytest.mark.parametrize("value", [[1, 2], "text", 5, (("a", 1),), {"a"}, 1.5])
def test_details_that_have_no_members_are_marked(value: object) -> None:
    assert recorded(value) == mark(type(value).__name__)
    with pytest.raises(RecordingError) as caught:
        to_details(value, "raise")
    assert (caught.value.code, caught.value.pointer) == ("unrecordable", "")


BAD_KEYS: list[Any] = [
    *("", "n" * 129, "_sd", "...", "\U00010000", "\ud800", Text("_sd"), b"a", None, True, False, 1.5, (1, 2)),
    *(frozenset(), Colour.BOTH, Colour.NOTHING, decimal.Decimal(1), object(), Hostile(), Nameless(), 10**5000),
]


@pytest.mark.parametrize("choice", range(len(BAD_KEYS)))
def test_a_name_that_cannot_be_one_is_marked(choice: int) -> None:
    key = BAD_KEYS[choice]
    assert recorded({"a": 1, key: 2, "b": 3}) == {"a": 1, "b": 3} | mark("member name")
    assert inside({key: 2, "b": 3}) == {"b": 3} | mark("member name")
    with pytest.raises(RecordingError) as caught:
        to_details({"x": {key: 2}}, "raise")
    assert (caught.value.code, caught.value.pointer, caught.value.actual) == ("unrecordable", "/x", "member name")


def test_two_keys_of_one_name_are_marked() -> None:
    assert recorded({"1": "a", 1: "b"}) == {"1": "a"} | mark("member name")


def test_the_path_inside_details_is_a_json_pointer() -> None:
    with pytest.raises(RecordingError) as caught:
        to_details({"~/": [{"b": b""}]}, "raise")
    assert caught.value.pointer == "/~0~1/0/b"


# --- depth, cycles, size ---------------------------------------------------------------------------------------------


def nested(levels: int, innermost: object = 1) -> Any:
    value: Any = innermost
    for _ in range(levels):
        value = [value]
    return value


def test_as_many_levels_as_the_format_has_are_recorded() -> None:
    assert inside(nested(14)) == nested(14)
    assert inside(nested(13, {"a": 1})) == nested(13, {"a": 1})


@pytest.mark.parametrize("levels", [15, 16, 50, 10_000])
def test_what_lies_deeper_is_marked_where_a_level_is_left(levels: int) -> None:
    assert inside(nested(levels)) == nested(13, mark("list"))
    with pytest.raises(RecordingError) as caught:
        to_details({"a": nested(levels)}, "raise")
    assert caught.value.pointer == "/a" + "/0" * 14


def test_what_has_no_level_left_for_its_mark_is_marked_with_what_holds_it() -> None:
    assert inside(nested(13, b"x")) == nested(13, mark("bytes"))
    assert inside(nested(14, b"x")) == nested(13, mark("list"))
    assert inside(nested(13, [1, 2, b"x"])) == nested(13, mark("list"))


def test_a_cycle_ends() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert inside(loop) == [1, mark("list")]
    itself: dict[str, Any] = {"n": 1}
    itself["me"] = itself
    assert recorded(itself) == {"n": 1, "me": mark("dict")}
    point = Point(1, None)
    point.y = {"back": point}
    assert inside(point) == {"x": 1, "y": {"back": mark("Point")}}
    with pytest.raises(RecordingError) as caught:
        to_details(itself, "raise")
    assert caught.value.pointer == "/me"


def test_what_stands_twice_without_a_cycle_is_recorded_twice() -> None:
    shared = [1]
    assert recorded({"a": shared, "b": [shared, shared]}) == {"a": [1], "b": [[1], [1]]}


def test_an_enumeration_of_itself_ends() -> None:
    assert inside(Snake.TAIL) == mark("Snake")


def test_a_billion_laughs_are_cut_short() -> None:
    laughs: Any = "ha"
    for _ in range(14):
        laughs = [laughs] * 10
    assert recorded({"a": laughs, "b": 1}) == mark("dict")
    with pytest.raises(RecordingError) as caught:
        to_details({"a": laughs}, "raise")
    assert (caught.value.code, caught.value.pointer) == ("unrecordable", "")


def test_much_text_is_cut_short() -> None:
    assert recorded({"a": ["x" * 2**20] * 300}) == mark("dict")


@pytest.mark.parametrize("value", [Endless(), EndlessList()])
def test_what_has_no_end_is_cut_short(value: object) -> None:
    assert recorded({"a": value}) == mark("dict")


def test_cut_details() -> None:
    assert cut_details(b"{}") == (
        b'{"hearth_cut":{"bytes":2,"sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}}'
    )


# --- anything at all -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class At:
    """Stands for a value above, because Hypothesis looks closely at what it draws."""

    place: int


def resolve(value: object) -> object:
    if isinstance(value, At):
        return [*MARKED, *TAKEN][value.place][0]
    if type(value) in {list, tuple}:
        return type(value)(map(resolve, value))  # type: ignore[call-arg, call-overload]
    if type(value) is dict:
        return {key: resolve(member) for key, member in value.items()}
    return type(value)(value.x, resolve(value.y)) if isinstance(value, (Point, Struct)) else value


leaves = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary(),
    st.decimals() | st.fractions() | st.datetimes() | st.dates() | st.times() | st.timedeltas() | st.uuids(),
    st.complex_numbers(),
    st.sampled_from(range(len(MARKED) + len(TAKEN))).map(At),
    st.sampled_from([2**53, -(2**53), decimal.Decimal("1E+1000000"), Endless, "_sd", "..."]),
)
keys = (
    st.text(st.characters(codec=None), max_size=130) | st.integers() | st.none() | st.floats() | st.dates() | st.uuids()
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(keys | st.sampled_from(["_sd", "...", "hearth_unrecordable"]), inner, max_size=3),
        st.builds(Point, st.integers(), inner),
        st.builds(Struct, st.integers(), inner),
        inner.map(lambda value: nested(20, value)),
    ),
    max_leaves=8,
)


@given(values)
@settings(max_examples=400)
def test_arbitrary_objects_are_always_recorded(value: object) -> None:
    value = resolve(value)
    recorded(value)
    recorded({"a": value})
    try:
        data = to_details({"a": value}, "raise")
    except RecordingError as error:
        assert error.pointer is not None  # noqa: PT017 - it need not be raised
        assert error.pointer == "" or error.pointer.startswith("/a")  # noqa: PT017 - as above
    else:
        assert data == to_details({"a": value})


# --- texts -----------------------------------------------------------------------------------------------------------


class Answers:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __str__(self) -> str:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


TEXTS: list[tuple[object, str]] = [
    ("", ""),
    ("as it is \x1b\x00\u202e", "as it is \x1b\x00\u202e"),
    (None, ""),
    (5, "5"),
    (True, "True"),
    (ValueError("why"), "why"),
    (Colour.RED, "red"),
    (pathlib.PurePosixPath("/x"), "/x"),
    ("a\ud800b", "a\\ud800b"),
    ("\udc80", "\\udc80"),
    (Answers("\udc80"), "\\udc80"),
    (Answers(Text("fine")), "fine"),
    (Answers(5), "[hearth_unrecordable: Answers]"),
    (Answers(RuntimeError()), "[hearth_unrecordable: Answers]"),
    (Hostile(), "[hearth_unrecordable: Hostile]"),
    (10**5000, "[hearth_unrecordable: int]"),
]


@pytest.mark.parametrize("choice", range(len(TEXTS)))
def test_texts(choice: int) -> None:
    value, text = TEXTS[choice]
    assert to_text(value) == text
    assert type(to_text(value)) is str
    assert to_text(value, empty="nothing") == (text or "nothing")


@pytest.mark.parametrize("char", ["x", "é", "\U0001f600"])
def test_a_text_that_is_too_long_is_cut_and_says_so(char: str) -> None:
    assert to_text(char * 65_536) == char * 65_536
    for length in (65_537, 100_000, 1_000_000):
        text = char * length
        cut = to_text(text)
        suffix = f"…[cut: {length} code points, sha256 {sha256_hex(text.encode())}]"
        assert len(cut) == 65_536
        assert cut == char * (65_536 - len(suffix)) + suffix


def test_a_long_text_with_surrogates_is_cut_after_they_are_escaped() -> None:
    cut = to_text("\ud800" * 20_000)
    assert len(cut) == 65_536
    assert "cut: 120000 code points" in cut
    assert to_text("\ud800" * 10_000) == "\\ud800" * 10_000


@given(st.text(st.characters(codec=None)) | leaves)
def test_every_text_can_be_written(value: object) -> None:
    text = to_text(value)
    assert profile.decode(profile.encode(text)) == text
    assert len(text) <= 65_536


def test_type_names() -> None:
    assert type_name(Nameless()) == "Nameless"
    odd = type("odd", (), {})
    odd.__qualname__ = "a\ud800" + "b" * 200
    assert type_name(odd()) == ("a\\ud800" + "b" * 200)[:128]
