from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from helpers import json_objects, json_texts, profile_values
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hearth_records import profile
from hearth_records.errors import FormatError
from hearth_records.profile import DEFAULT_LIMITS, Limits, check_canonical, check_objects, check_value, decode

MAX = 2**53 - 1

# --- golden bytes ----------------------------------------------------------------------------------------------------

GOLDEN: list[tuple[Any, bytes]] = [
    (None, b"null"),
    (True, b"true"),
    (0, b"0"),
    (-MAX, b"-9007199254740991"),
    (MAX, b"9007199254740991"),
    ("", b'""'),
    ("é€😀", b'"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"'),
    ('"\\/', b'"\\"\\\\/"'),
    ("\b\t\n\f\r\x00\x1b\x1f\x7f", b'"\\b\\t\\n\\f\\r\\u0000\\u001b\\u001f\x7f"'),
    ("\u2028\u2029\ufeff", b'"\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf"'),
    ({"b": [1, "é"], "a": None}, b'{"a":null,"b":[1,"\xc3\xa9"]}'),
    # the names of RFC 8785 §3.2.3, but the one outside the Basic Multilingual Plane
    (
        {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\u0080": 5, "\u00f6": 6},
        b'{"\\r":2,"1":4,"\xc2\x80":5,"\xc3\xb6":6,"\xe2\x82\xac":1,"\xef\xac\xb3":3}',
    ),
    ([], b"[]"),
    ({}, b"{}"),
]


@pytest.mark.parametrize(("value", "data"), GOLDEN)
def test_golden_bytes(value: Any, data: bytes) -> None:
    assert profile.encode(value) == data
    assert rfc8785.dumps(value) == data
    decoded = decode(data)
    assert decoded == value
    assert type(decoded) is type(value)
    check_canonical(data)
    check_value(value)


@given(profile_values)
@settings(max_examples=300)
def test_the_canonical_form_is_rfc_8785(value: Any) -> None:
    data = profile.encode(value)
    assert data == rfc8785.dumps(value)
    assert decode(data) == value
    check_value(value)


# --- what is refused, and as what ------------------------------------------------------------------------------------

REFUSED: list[tuple[bytes, str, str | None]] = [
    (b"", "not-json", None),
    (b"nul", "not-json", None),
    (b"1 2", "not-json", None),
    (b'{"a":1', "not-json", None),
    (b'"\t"', "not-json", None),
    (b"'a'", "not-json", None),
    (b"\xef\xbb\xbf1", "byte-order-mark", None),
    (b"\xff", "invalid-utf8", None),
    (b'"\xed\xa0\x80"', "invalid-utf8", None),
    (b'"\xc0\xaf"', "invalid-utf8", None),
    (b'"\\ud800"', "lone-surrogate", ""),
    (b'{"a":["\\udc00x"]}', "lone-surrogate", "/a/0"),
    (b'{"\\ud800":1}', "lone-surrogate", "/\ud800"),
    (b"1.0", "not-integer", ""),
    (b"[1e3]", "not-integer", "/0"),
    (b"-0", "not-integer", ""),
    (b"1e400", "not-integer", ""),
    (b"NaN", "not-integer", ""),
    (b"-Infinity", "not-integer", ""),
    (b"9007199254740992", "integer-range", ""),
    (b"-9007199254740992", "integer-range", ""),
    (b"18446744073709551616", "integer-range", ""),
    (b"[" + b"9" * 5000 + b"]", "integer-range", "/0"),
    (b"-" + b"9" * 5000, "integer-range", ""),
    (b"0." + b"0" * 5000, "not-integer", ""),
    (b'{"a":1,"a":1}', "duplicate-member", "/a"),
    (b'{"a":1,"\\u0061":2}', "duplicate-member", "/a"),
    (b'{"x":{"~/":1,"~/":1}}', "duplicate-member", "/x/~0~1"),
    (b'{"":1}', "member-name", "/"),
    (b'{"' + b"n" * 129 + b'":1}', "member-name", "/" + "n" * 129),
    (b'{"' + b"\xc3\xa9" * 129 + b'":1}', "member-name", "/" + "\u00e9" * 129),
    (b'{"\xf0\x90\x80\x80":1}', "member-name", "/\U00010000"),
    (b"[" * 17 + b"]" * 17, "too-deep", "/0" * 16),
    (b'{"a":' * 17 + b"1" + b"}" * 17, "too-deep", "/a" * 16),
    (b"[" * 100_000, "too-deep", None),
    (b"[" * 100_000 + b"]" * 100_000, "too-deep", None),
    (b'{"a":' * 100_000, "too-deep", None),
    (b" 1", "not-canonical", None),
    (b"1\n", "not-canonical", None),
    (b'{"a": 1}', "not-canonical", None),
    (b'{"b":1,"a":2}', "not-canonical", None),
    (b'"\\u0061"', "not-canonical", None),
    (b'"\\u001F"', "not-canonical", None),
    (b'"\\/"', "not-canonical", None),
    (b'"\\u000a"', "not-canonical", None),
    (b'"\\ud83d\\ude00"', "not-canonical", None),
]


@pytest.mark.parametrize(("data", "code", "pointer"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_canonical_is_refused(data: bytes, code: str, pointer: str | None) -> None:
    with pytest.raises(FormatError) as caught:
        decode(data)
    assert (caught.value.check, caught.value.code, caught.value.pointer) == ("canonical", code, pointer)
    with pytest.raises(FormatError):
        check_canonical(data)


def test_limits_of_names_and_levels_are_inclusive() -> None:
    for name in ("n" * 128, "é" * 128, "\uffff"):
        data = profile.encode({name: 1})
        assert decode(data) == {name: 1}
    deepest: Any = json.loads("[" * 16 + "]" * 16)
    assert decode(b"[" * 16 + b"]" * 16) == deepest
    check_value(deepest)


@pytest.mark.parametrize("depth", [0, 1, 2, 15, 16, -1, -2])
def test_levels_around_a_value_count(depth: int) -> None:
    levels = 16 - depth
    good = b"[" * levels + b"]" * levels or b"1"
    decode(good, depth=depth)
    check_value(json.loads(good), depth=depth)
    bad = b"[" + good.replace(b"1", b"") + b"]"
    for refuse in (lambda: decode(bad, depth=depth), lambda: check_value(json.loads(bad), depth=depth)):
        with pytest.raises(FormatError) as caught:
            refuse()
        assert caught.value.code == "too-deep"


def test_the_place_of_the_first_difference_is_said_in_bytes() -> None:
    with pytest.raises(FormatError) as caught:
        decode(b'{"a":1, "b":2}')
    assert (caught.value.expected, caught.value.actual) == ('"b":2}', ' "b":2}')
    with pytest.raises(FormatError) as caught:
        decode(b"[1]\n")
    assert (caught.value.expected, caught.value.actual) == ("", "\n")


# --- the untyped door against an oracle ------------------------------------------------------------------------------


class Refused(Exception):  # noqa: N818 - it is an answer
    pass


def _refuse(*_args: object) -> None:
    raise Refused


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(members)) != len(members):
        raise Refused
    for name, _ in members:
        if not 1 <= len(name) <= 128 or any(char > "\uffff" for char in name):
            raise Refused
    return dict(members)


def _integer(text: str) -> int:
    if text == "-0" or len(text) > 17 or abs(int(text)) > MAX:
        raise Refused
    return int(text)


def _levels(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_levels, value.values()), default=0)
    return 1 + max(map(_levels, value), default=0) if isinstance(value, list) else 0


def oracle(data: bytes, depth: int = 0) -> bool:
    """Whether `data` is canonical (FORMAT §1), written for this test alone with `json` and `rfc8785`."""
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_object, parse_int=_integer, parse_float=_refuse, parse_constant=_refuse
        )
        return _levels(value) + depth <= 16 and rfc8785.dumps(value) == data
    except (Refused, ValueError, rfc8785.CanonicalizationError):
        return False


def accepts(data: bytes, depth: int = 0) -> bool:
    try:
        decode(data, depth=depth)
    except FormatError:
        return False
    return True


def accepts_objects(lines: bytes, depth: int) -> bool:
    try:
        check_objects(lines, depth=depth)
    except (FormatError, ValueError):
        return False
    return True


@given(json_texts, st.sampled_from([-2, -1, 0, 1, 2]))
@settings(max_examples=400)
@example('{"a":1}', 0)
def test_the_door_accepts_exactly_what_the_oracle_does(text: str, depth: int) -> None:
    data = text.encode("utf-8", "surrogatepass")
    assert accepts(data, depth) == oracle(data, depth)


@given(st.lists(json_objects | json_texts, min_size=1, max_size=3))
@settings(max_examples=200)
@example(['{"a":1}', "{}"])
@example(["{}", "[]"])
@example(["", "{}"])
@example(["{}\n"])
@example(["{}\r"])
@example(["é", "{}\r"])
@example(['{"a":{"a":{"a":{"a":{"a":1}}}}}', "{}"])
def test_the_fast_path_accepts_exactly_the_objects_of_the_slow_one(texts: list[str]) -> None:
    lines = "".join(f"{text}\n" for text in texts).encode("utf-8", "surrogatepass")
    split = lines[:-1].split(b"\n")
    assert accepts_objects(lines, 1) == all(oracle(line, 1) and line.startswith(b"{") for line in split)


def test_an_object_is_asked_for() -> None:
    with pytest.raises(FormatError) as caught:
        check_objects(b"[]\n", depth=1)
    assert caught.value.code == "type"


@given(st.binary(max_size=64))
@settings(max_examples=500)
def test_arbitrary_bytes_give_only_format_errors(data: bytes) -> None:
    assert accepts(data) == oracle(data)


# --- values in memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        (1.0, "not-json", ""),
        ([float("nan")], "not-json", "/0"),
        ((1,), "not-json", ""),
        ({"a": b"x"}, "not-json", "/a"),
        ({"a": {1: 2}}, "not-json", "/a"),
        ({1, 2}, "not-json", ""),
        ("\ud800", "lone-surrogate", ""),
        ([2**53], "integer-range", "/0"),
        (-(2**53), "integer-range", ""),
        ({"": 1}, "member-name", "/"),
        ({"\U00010000": 1}, "member-name", "/\U00010000"),
    ],
)
def test_check_value(value: Any, code: str, pointer: str) -> None:
    with pytest.raises(FormatError) as caught:
        check_value(value)
    assert (caught.value.code, caught.value.pointer) == (code, pointer)


def test_a_value_that_holds_itself_is_too_deep() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(FormatError) as caught:
        check_value(value)
    assert caught.value.code == "too-deep"


@pytest.mark.parametrize(("value", "code"), [("\ud800", "lone-surrogate"), ({"a": object()}, "not-json")])
def test_what_cannot_be_written_is_a_format_error(value: Any, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        profile.encode(value)
    assert caught.value.code == code


def test_a_cycle_cannot_be_written() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(FormatError) as caught:
        profile.encode(value)
    assert caught.value.code == "not-json"


# --- what people write -----------------------------------------------------------------------------------------------


def test_white_space_order_and_escapes_are_free_in_what_people_write() -> None:
    assert profile.decode_lenient(b' {"b" : [1, "\\u00e9", null, true, -5],\r\n"a":{}} \t') == {
        "b": [1, "é", None, True, -5],
        "a": {},
    }


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-json"),
        (b"\xef\xbb\xbf{}", "byte-order-mark"),
        (b'{"a":1,"\\u0061":1}', "duplicate-member"),
        (b"1.5", "not-integer"),
        (b"9007199254740992", "integer-range"),
        (b"[" * 17 + b"]" * 17, "too-deep"),
        (b"[" * 100_000, "too-deep"),
        (b'"\\ud800"', "lone-surrogate"),
        (b"// x", "not-json"),
    ],
)
def test_the_profile_holds_for_what_people_write(data: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        profile.decode_lenient(data, check="shape")
    assert (caught.value.check, caught.value.code) == ("shape", code)
    assert caught.value.hint
    with pytest.raises(FormatError) as caught:
        profile.decode_lenient(data, check="canonical")
    assert caught.value.check == "canonical"


# --- small things ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pointer"), [("a", "/x/a"), (3, "/x/3"), ("", "/x/"), ("~/", "/x/~0~1"), ("~1", "/x/~01")]
)
def test_pointers_are_rfc_6901(name: str | int, pointer: str) -> None:
    assert profile.pointer_join("/x", name) == pointer


@pytest.mark.parametrize(
    ("left", "right", "pointer"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, None),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "/a/1/b"),
        ({"a": 1}, {"a": 1, "b": 2}, "/b"),
        ({"a": 1}, {}, "/a"),
        ([1], [1, 2], ""),
        (1, True, ""),
        (0, None, ""),
        ({}, [], ""),
    ],
)
def test_first_difference(left: Any, right: Any, pointer: str | None) -> None:
    assert profile.first_difference(left, right) == pointer


def test_sha256_is_64_lowercase_hex_digits() -> None:
    assert profile.sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_limits_are_those_of_the_format() -> None:
    assert Limits(first_event=16 * 2**20, event=2**20, closing=64 * 2**20, file=2**30) == DEFAULT_LIMITS == Limits()
    assert (profile.MAX_DEPTH, profile.MAX_NAME_LENGTH, profile.MAX_INTEGER) == (16, 128, 2**53 - 1)
    assert sorted(profile.RESERVED_NAMES) == ["...", "_sd"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"9007199254740991.00000000000000e9", 9007199254740991e9),
        (b"1" + b"0" * 40 + b"e-40", 1.0),
        (b"1." + b"0" * 40 + b"e400", float("inf")),
        (b"-1.5E2", -150.0),
    ],
)
def test_a_number_for_a_schema_is_the_whole_of_its_text(text: bytes, value: float) -> None:
    assert profile.decode_any(b'{"a":%b}' % text) == {"a": value}


def test_an_integer_beyond_every_range_stays_beyond_it() -> None:
    assert profile.decode_any(b"-" + b"9" * 5000) < -(10**30)
