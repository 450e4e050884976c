from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth_records import errors
from hearth_records.errors import FormatError, HearthRecordsError, escape, quote

KINDS = [getattr(errors, name) for name in errors.__all__ if name != "escape"]


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_one_base_and_each_has_its_code(kind: type[HearthRecordsError]) -> None:
    error = kind("reason")
    assert isinstance(error, HearthRecordsError)
    assert error.code == kind.default_code
    assert kind("reason", code="other").code == "other"


def test_codes_are_distinct_and_kebab_case() -> None:
    codes = [kind.default_code for kind in KINDS]
    assert len(set(codes)) == len(codes) == 10
    assert all(code.replace("-", "").isalpha() and code.islower() for code in codes)


def test_an_error_carries_what_a_program_needs() -> None:
    error = FormatError("reason", check="shape", code="c", hint="h", seq=3, pointer="/a", expected="x", actual=5)
    assert (error.reason, error.check, error.code, error.hint) == ("reason", "shape", "c", "h")
    assert (error.seq, error.pointer, error.expected, error.actual) == (3, "/a", "x", 5)
    plain = HearthRecordsError("reason")
    assert (plain.hint, plain.seq, plain.pointer, plain.expected, plain.actual) == (None,) * 5
    assert FormatError("reason").check == "canonical"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "r"),
        ({"seq": 0}, "r (at event 0)"),
        ({"seq": 2, "pointer": "/events/2/seq"}, "r (at /events/2/seq)"),
        ({"pointer": ""}, "r (at the top)"),
        ({"expected": 1, "actual": "b"}, 'r (expected "1", found "b")'),
        ({"pointer": "/\x1b[31m", "actual": "\u202e"}, 'r (at /\\x1b[31m, found "\\u202e")'),
    ],
)
def test_the_message_is_built_from_the_fields_and_escaped(arguments: dict[str, str | int], text: str) -> None:
    assert str(HearthRecordsError("r", **arguments)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("Migrate, étape ①", "Migrate, étape ①"),
        ("DROP TABLE \"t\\2\"; -- 'x'", "DROP TABLE \"t\\2\"; -- 'x'"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b]0;evil\x07", "\\x1b]0;evil\\x07"),
        ("\x9b31m\x7f\x00", "\\x9b31m\\x7f\\x00"),
        ("\u202eabc\u2066\u200e", "\\u202eabc\\u2066\\u200e"),
        ("\u200b\u200d\u2060\ufeff\u00ad", "\\u200b\\u200d\\u2060\\ufeff\\xad"),
        ("\u2028\u2029\u00a0\u3000", "\\u2028\\u2029\\xa0\\u3000"),
        ("\ud800\ue000\U000e0041\U0010ffff", "\\ud800\\ue000\\U000e0041\\U0010ffff"),
        ("\u115f\u1160\u2800\u3164\uffa0", "\\u115f\\u1160\\u2800\\u3164\\uffa0"),
        ("\u034f\u17b4\u180b\u180e\u180f", "\\u034f\\u17b4\\u180b\\u180e\\u180f"),
        ("!\ufe00\ufe0f\U000e0100\U000e01ef", "!\\ufe00\\ufe0f\\U000e0100\\U000e01ef"),
        ("é\\ ①\x1b\ufe10", "é\\ ①\\x1b\ufe10"),
        ("", ""),
    ],
)
def test_escape_shows_what_a_terminal_would_act_on_or_hide(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@given(st.text(st.characters(codec=None)))
def test_escaped_text_holds_nothing_that_a_terminal_acts_on(text: str) -> None:
    shown = escape(text)
    assert {unicodedata.category(char) for char in shown} <= {
        *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No"),
        *("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs"),
    }
    assert escape(shown) == shown
    assert " ".join(shown.split(" ")) == shown
    assert not any(char.isspace() and char != " " for char in shown)


def test_quote_cuts_and_escapes() -> None:
    assert quote("a\x1b") == '"a\\x1b"'
    assert quote(5) == '"5"'
    assert quote("x" * 200) == f'"{"x" * 200}"'
    assert quote("x" * 201) == f'"{"x" * 200}…"'
