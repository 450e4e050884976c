"""JSON texts by the classes of the JSON test suites: what both doors make of each.

    y_   JSON by RFC 8259: the canonical door takes the one spelling of a value of the profile
    n_   not JSON: no door takes it
    i_   left to the parser: nothing is taken that another parser may read in another way

Each text stands under the code with which the canonical door, `decode`, refuses it. `decode_lenient`, for documents
that people write, says the same, but that it takes what is only not canonical.
"""

from __future__ import annotations

import json

import pytest
from helpers import refusal

from hearth_records.profile import decode, decode_lenient

OK = None

TEXTS: dict[str, dict[str | None, tuple[bytes, ...]]] = {
    "y_array": {
        OK: (
            b"[]",
            b"[1]",
            b"[[]]",
            b'[""]',
            b'[null,1,"1",{}]',
            b"[1,null,null,null,2]",
        ),
        "not-canonical": (
            b"[[]   ]",
            b"[1\n]",
            b" [1]",
            b"[2] ",
        ),
    },
    "y_number": {
        OK: (
            b"0",
            b"123",
            b"-1",
            b"-123",
        ),
        "not-canonical": (b"[ 4]",),
        "not-integer": (
            b"-0",
            b"-0.0",
            b"0e+1",
            b"0e1",
            b"20e1",
            b"1E22",
            b"1E-2",
            b"1E+2",
            b"123e45",
            b"123.456e78",
            b"3.25",
            b"1.0",
            b"-0.000000000000000000000000000000000000000000000000000000000000000000000000000001",
        ),
    },
    "y_object": {
        OK: (
            b"{}",
            b'{"key":"text"}',
            b'{"a":"b","c":"d"}',
            b'{"a":[]}',
            b'{"a\\u0000b":42}',
            b'{"title":"\xd0\x9f\xd0\xbe\xd0\xbb"}',
        ),
        "not-canonical": (
            b'{"c":"d","a":"b"}',
            b'{\n"a":"b"\n}',
            b'{"title":"\\u041f\\u043e\\u043b"}',
        ),
        "duplicate-member": (
            b'{"a":"b","a":"c"}',
            b'{"a":"b","a":"b"}',
        ),
        "member-name": (b'{"":0}',),
    },
    "y_string": {
        OK: (
            b'"key"',
            b'" "',
            b'""',
            b'"\x7f"',
            b'"\\"\\\\/\\b\\f\\n\\r\\t"',
            b'"\\u0012"',
            b'"a/*b*/c/*d//e"',
            b'"\xe2\x82\xac\xf0\x9d\x84\x9e"',
            b'"\xe2\x80\xa8\xe2\x80\xa9"',
            b'"\xef\xbf\xbf\xf4\x8f\xbf\xbf"',
        ),
        "not-canonical": (
            b'"\\/"',
            b'"\\u0060\\u012a\\u12AB"',
            b'"\\ud83d\\ude39\\ud83d\\udc8d"',
            b'"\\uDBFF\\uDFFE"',
            b'"\\u200B\\u2064\\uFDD0\\uFFFE"',
            b'"\\u0022\\u005C"',
            b'"new\\u000Aline"',
            b'"\\u007F"',
        ),
    },
    "y_structure": {
        OK: (
            b"null",
            b"true",
            b"false",
            b"42",
            b'"string"',
        ),
        "not-canonical": (
            b'["a"]\n',
            b"\t[] ",
        ),
    },
    "n_array": {
        "not-json": (
            b"[1 true]",
            b'["": 1]',
            b'[""],',
            b"[,1]",
            b"[1,,2]",
            b'["x",,]',
            b'["x"]]',
            b'["",]',
            b'["x"',
            b"[x",
            b"[3[4]]",
            b"[1:2]",
            b"[,]",
            b"[-]",
            b"[   , 1]",
            b"[1,",
            b"[1,\n1\n,1",
            b"[*]",
            b'["a\x0b"\\f]',
            b"[\n4\n,1,",
            b"[",
            b"[{}",
            b'["a",\n4',
        ),
        "invalid-utf8": (
            b"[a\xe5]",
            b"[\xff]",
        ),
    },
    "n_incomplete": {
        "not-json": (
            b"nul",
            b"tru",
            b"fals",
            b"[nul]",
            b"[tru]",
            b"[fals]",
            b"t",
            b"n",
        ),
    },
    "n_number": {
        "not-json": (
            b"++1234",
            b"+1",
            b"+Inf",
            b"-01",
            b".-1",
            b".2e-3",
            b"012",
            b"-012",
            b"00",
            b"- 1",
            b"2.e3",
            b"2.e+3",
            b"-2.",
            b"1.",
            b"0.e1",
            b"1eE2",
            b"0e",
            b"0E+",
            b"1.0e",
            b"1.0e-",
            b"-foo",
            b"-",
            b"--1",
            b"1+2",
            b"0x1",
            b"0x42",
            b"1 000.0",
            b"Inf",
            b"nan",
            b"1ea",
            b"1_000",
            b"123.456a",
            b"1.2a-3",
            b"1.8011670033376514H-308",
            b"0.1.2",
            b"-1x",
            b"1\x00",
            b"\xef\xbc\x91",
            b"[-2.]",
            b"[1e]",
            b"[1a]",
            b"0e+-1",
            b"9.e+",
            b"\xd9\xa1",
        ),
        "not-integer": (
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"[NaN]",
        ),
        "invalid-utf8": (
            b"[123\xe5]",
            b"[1e1\xe5]",
            b"[0\xe5]",
            b"[1e\xe5]",
        ),
    },
    "n_object": {
        "not-json": (
            b'["x", yes]',
            b'{[: "x"}',
            b'{"x", null}',
            b'{"x"::"b"}',
            b'{"a":"a" 123}',
            b"{key: 'value'}",
            b'{"a" b}',
            b'{:"b"}',
            b'{"a"',
            b'{"a":',
            b"{1:1}",
            b"{null:null}",
            b'{"id":0,,,,,}',
            b"{'a':0}",
            b'{"id":0,}',
            b'{"a":"b"}/**/',
            b'{"a":"b"}#',
            b'{"a":"b",,"c":"d"}',
            b'{a: "b"}',
            b'{"a":"a',
            b'{ "foo" : "bar", "a" }',
            b"{",
            b'{"a":"b"}//',
            b'{"a":"b"}{',
            b'{"a":/*comment*/"b"}',
            b'{"a":"b",',
            b'{"a":1]',
        ),
        "invalid-utf8": (b'{"\xb9":"0",}',),
    },
    "n_string": {
        "not-json": (
            b'"\\uD800\\',
            b'"\\uD800\\u"',
            b'"\\uD800\\u1"',
            b'"\\x00"',
            b'"\\\\\\"',
            b'"\\\t"',
            b'"\\\xf0\x9f\x8c\x80"',
            b'"\\"',
            b'"\\u00A"',
            b'"\\uD834\\uDd"',
            b'"\\a"',
            b'"\\uqqqq"',
            b'"\\uD800\\uD800\\x"',
            b'\\u0020"key"',
            b'"\\n',
            b'"',
            b"['single quote']",
            b"abc",
            b'"a\x00a"',
            b'"new\nline"',
            b'"\t"',
            b'"\\UA66D"',
            b'"\x1f"',
            b'"\\',
            b'"x',
            b'"\\u"',
        ),
        "invalid-utf8": (
            b'"\\\xe5"',
            b'"\\u\xe5"',
            b'"\xe5"',
        ),
    },
    "n_structure": {
        "not-json": (
            b"",
            b" ",
            b"<.>",
            b"[<null>]",
            b"[1]x",
            b"[1]]",
            b"2@",
            b"{}}",
            b'{"":',
            b'{"a":"b"}#{}',
            b"aTrue",
            b"True",
            b"[True]",
            b"TRUE",
            b"[][]",
            b"]",
            b"[1",
            b"[ false, nul",
            b"*",
            b"&",
            b'[\\u000A""]',
            b'{"a":/*x*/1}',
            b"[,",
            b"{,",
            b'["a',
            b'["a"',
            b"{'a'",
            b"{]",
            b"[}",
            b"//",
            b'["key]',
            b"a\xc3\xa5",
            b"\xc3\xa5",
            b"\xe2\x81\xa0",
            b"[\x0c]",
            b"\x0b1",
            b"\xc2\xa01",
            b"1,2",
        ),
        "byte-order-mark": (
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbf{}",
        ),
        "invalid-utf8": (
            b"\xef\xbb{}",
            b"\xe5",
            b"[\xe5",
        ),
        "too-deep": (
            b"[" * 100_000,
            b'[{"":' * 50_000,
        ),
    },
    "i_number": {
        "not-integer": (
            b"123.456e-789",
            b"0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999969999999006",
            b"-1e+9999",
            b"1.5e+9999",
            b"-123123e100000",
            b"123e-10000000",
        ),
        "integer-range": (
            b"-900719925474099100000000000000",
            b"100000000000000000000",
            b"-90071992547409910000000000000000",
            b"9007199254740992",
        ),
        OK: (b"9007199254740991",),
    },
    "i_object": {
        "lone-surrogate": (b'{"\\uDFAA":0}',),
        "member-name": (b'{"\xf0\x9f\x98\x80":0}',),
    },
    "i_string": {
        "lone-surrogate": (
            b'"\\uDADA"',
            b'"\\uD888\\u1234"',
            b'"\\uD800\\n"',
            b'"\\uDd1ea"',
            b'"\\uD800\\uD800\\n"',
            b'"\\ud800"',
            b'"\\ud800abc"',
            b'"\\uDd1e\\uD834"',
            b'"\\uDFAA"',
        ),
        "invalid-utf8": (
            b'"\xe6\x97\xa5\xd1\x88\xfa"',
            b'"\xed\xa0\x80"',
            b'"\xff"',
            b'"\x81"',
            b'"\xf4\xbf\xbf\xbf"',
            b'"\xe0\xff"',
            b'"\xc0\xaf"',
            b'"\xfc\x83\xbf\xbf\xbf\xbf"',
            b'"\xfc\x80\x80\x80\x80\x80"',
            b'\xff\xfe[\x00"\x00\xe9\x00"\x00]\x00',
            b'["\xe9"]',
        ),
        "not-json": (
            b'[\x00"\x00e\x00"\x00]\x00',
            b'\x00[\x00"\x00e\x00"\x00]',
        ),
    },
    "i_structure": {
        OK: (b"[" * 16 + b"]" * 16,),
        "too-deep": (
            b"[" * 17 + b"]" * 17,
            b"[" * 500 + b"]" * 500,
        ),
        "byte-order-mark": (b"\xef\xbb\xbf{}",),
    },
}


def is_json(data: bytes) -> bool:
    try:
        json.loads(data.decode(), parse_constant=int)  # NaN and Infinity are none
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.parametrize("kind", TEXTS)
def test_both_doors(kind: str) -> None:
    for code, texts in TEXTS[kind].items():
        for data in texts:
            assert (data, refusal(decode, data)) == (data, code)
            assert (data, refusal(decode_lenient, data)) == (data, OK if code == "not-canonical" else code)


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if not kind.startswith("i_")])
def test_each_text_stands_in_its_class(kind: str) -> None:
    for data in (data for texts in TEXTS[kind].values() for data in texts):
        assert (data, is_json(data)) == (data, kind.startswith("y_"))
