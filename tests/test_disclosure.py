from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
import rfc8785
from helpers import GOLDEN_LINES, json_objects, json_texts
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hearth_records.canonical import decode_event, encode_event
from hearth_records.disclosure import DigestIndex, decode_disclosure, digest_of
from hearth_records.errors import SealError
from hearth_records.profile import DEFAULT_LIMITS, Limits

SALT = "_26bc4LT-ac6q2KI6cBW5A"
# the JCS of [salt, name, value], and what base64url and SHA-256 make of it
TEXT = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVBIiwiZmFtaWx5X25hbWUiLCJNw7ZiaXVzIl0"
DIGEST = "fJCVDVU4aJt46EjH5z7n5K2VS_kqN5pNhpfEAASg8_s"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def disclose(name: str, value: Any, salt: str = SALT) -> str:
    return encode(rfc8785.dumps([salt, name, value]))


def salted(number: int) -> str:
    return encode(number.to_bytes(16, "big"))


def refused(text: str) -> str:
    with pytest.raises(SealError) as caught:
        decode_disclosure(text)
    return caught.value.code


# --- one disclosure --------------------------------------------------------------------------------------------------


def test_golden_bytes() -> None:
    assert disclose("family_name", "Möbius") == TEXT
    disclosure = decode_disclosure(TEXT)
    assert (disclosure.salt, disclosure.name, disclosure.value) == (SALT, "family_name", "Möbius")
    assert digest_of(TEXT) == DIGEST
    assert digest_of(TEXT) == encode(hashlib.sha256(TEXT.encode("ascii")).digest())
    assert len(DIGEST) == 43


@pytest.mark.parametrize(
    "value", [None, True, -(2**53) + 1, "x", [], {}, {"a": [1, {"b": None}]}, {"sd": "_sd", "x": "..."}]
)
def test_what_can_be_disclosed(value: Any) -> None:
    for name in ("a", "é", "n" * 128, "hearth_unrecordable"):
        disclosure = decode_disclosure(disclose(name, value))
        assert (disclosure.name, disclosure.value) == (name, value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "é",
            "\ud800",
            "a b",
            TEXT + "=",
            TEXT + "\n",
            " " + TEXT,
            disclose("a", "???").replace("_", "/"),
            TEXT + "AA",
            "+",
            "/",
            "A",
        ),
        *("====", TEXT[:-1] + chr(ord(TEXT[-1]) + 1), TEXT[:30] + "=" + TEXT[30:], TEXT[:30] + "\n" + TEXT[30:]),
    ],
)
def test_a_disclosure_has_one_spelling(text: str) -> None:
    assert refused(text) == "disclosure-base64url"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[",
        f'["{SALT}", "a",1]'.encode(),
        f'["{SALT}","a",1.0]'.encode(),
        f'["{SALT}","a",-0]'.encode(),
        f'["{SALT}","\\u0061",1]'.encode(),
        f'["{SALT}","a","\\ud800"]'.encode(),
        f'["{SALT}","a",{{"b":1,"b":1}}]'.encode(),
        f'["{SALT}","a",9007199254740992]'.encode(),
        f'["{SALT}","a",{"[" * 16 + "]" * 16}]'.encode(),
        b"[" * 100_000,
    ],
    ids=range(12),
)
def test_a_disclosure_is_canonical(data: bytes) -> None:
    assert refused(encode(data)) == "disclosure-canonical"


@pytest.mark.parametrize("value", [None, {}, "x", [], [SALT], [SALT, "a"], [SALT, "a", 1, 2]])
def test_a_disclosure_has_three_parts(value: Any) -> None:
    assert refused(encode(rfc8785.dumps(value))) == "disclosure-parts"


@pytest.mark.parametrize(
    "salt", [None, 5, "", SALT[:-1], SALT + "A", SALT[:-1] + "B", "+" * 21 + "A", encode(b"x" * 15), encode(b"x" * 17)]
)
def test_a_salt_has_128_bits(salt: Any) -> None:
    assert refused(encode(rfc8785.dumps([salt, "a", 1]))) == "disclosure-salt"


@pytest.mark.parametrize("name", [None, 5, [], "", "_sd", "...", "n" * 129, "\U00010000", "a\U0010ffff"])
def test_a_disclosed_name_is_a_member_name(name: Any) -> None:
    assert refused(encode(rfc8785.dumps([SALT, name, 1]))) == "disclosure-name"


@pytest.mark.parametrize("value", [{"_sd": []}, {"a": {"...": 1}}, [0, [{"_sd": 1}]]])
def test_a_disclosed_value_holds_no_reserved_name(value: Any) -> None:
    assert refused(disclose("a", value)) == "disclosure-value"


@given(
    st.text(st.characters(codec=None), max_size=60)
    | st.binary(max_size=60).map(encode)
    | (json_texts | json_objects).map(lambda text: encode(f'["{SALT}","a",{text}]'.encode("utf-8", "surrogatepass")))
)
@settings(max_examples=200)
@example("A" * 100_000)
def test_arbitrary_texts_give_only_seal_errors(text: str) -> None:
    try:
        disclosure = decode_disclosure(text)
    except SealError as error:
        assert error.code.startswith("disclosure-")  # noqa: PT017 - it need not be raised
    else:
        assert disclose(disclosure.name, disclosure.value, disclosure.salt) == text


# --- disclosures and their digests -----------------------------------------------------------------------------------


def index(*details: Any) -> DigestIndex:
    """Return the index of events with these details; position 0 is an execution_started."""
    found = DigestIndex()
    for position, value in enumerate(details):
        line = GOLDEN_LINES[min(position, 1)]
        before, _, after = line.partition(b'"details":')
        rest = after[after.index(b"}") + 1 :]
        line = before + b'"details":' + rfc8785.dumps(value) + rest
        event = decode_event(line, position)
        assert encode_event(event) == line
        found.add(event, position, len(line))
    return found


def holding(*texts: str, **members: Any) -> dict[str, Any]:
    return {"_sd": sorted(map(digest_of, texts)), **members}


def fault(
    found: DigestIndex, *texts: str, limits: Limits = DEFAULT_LIMITS
) -> tuple[str, int | None, str | None] | None:
    try:
        found.check(texts, limits)
    except SealError as error:
        return error.code, error.seq, error.pointer
    return None


A, B, C = sorted(disclose(name, 1, salted(number)) for number, name in enumerate("abc"))


def test_disclosures_belong_to_their_digests() -> None:
    details: list[dict[str, Any]] = [{}, holding(A, B), holding(C, kept=1), {"x": 1}]
    assert fault(index(*details)) is None
    assert fault(index(*details), A, B, C) is None
    assert fault(index(*details), B) is None
    assert fault(index(holding(A, B)), A, B) is None


def test_a_digest_may_be_a_decoy() -> None:
    assert fault(index({"_sd": ["A" * 43, "B" * 42 + "A"]})) is None


def test_disclosures_are_sorted_and_each_stands_once() -> None:
    for texts in ((B, A), (A, A), (A, C, B)):
        assert fault(index(holding(A, B, C)), *texts) == ("disclosure-order", None, "/disclosures")


def test_a_disclosure_without_a_digest_is_none_of_this_record() -> None:
    assert fault(index(holding(A)), A, B) == ("disclosure-unreferenced", None, "/disclosures/1")
    assert fault(index(), A) == ("disclosure-unreferenced", None, "/disclosures/0")


def test_what_is_no_disclosure_is_found() -> None:
    assert fault(index(holding("A" * 40)), "A" * 40) == ("disclosure-canonical", None, "/disclosures/0")


def test_a_digest_stands_in_one_event() -> None:
    found = index({}, holding(A), {}, holding(A, B))
    assert fault(found) == ("disclosure-digest-twice", 3, None)
    assert fault(index(holding(A), holding(A), holding(A)), A) == ("disclosure-digest-twice", 1, None)


def test_a_disclosed_name_is_new_in_its_details() -> None:
    again = disclose("a", 2, salted(9))
    assert fault(index({}, holding(A, a=0)), A) == ("disclosure-name-taken", 1, "/disclosures/0")
    texts = sorted([A, again])
    assert fault(index(holding(*texts)), *texts) == ("disclosure-name-taken", 0, "/disclosures/1")
    assert fault(index(holding(A), holding(again)), *texts) is None


def test_the_depth_holds_after_substitution() -> None:
    deepest, deeper = (disclose("a", json.loads("[" * levels + "]" * levels)) for levels in (14, 15))
    assert fault(index(holding(deepest)), deepest) is None
    assert fault(index({}, holding(deeper)), deeper) == ("disclosure-limit", 1, "/disclosures/0")


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("members", [{}, {"kept": "x"}])
def test_the_size_holds_after_substitution(position: int, members: dict[str, Any]) -> None:
    texts = sorted(disclose(f"name{number}", "é" * 50, salted(number)) for number in range(3))
    found: list[dict[str, Any]] = [{}] * position + [holding(*texts, **members)]
    line = GOLDEN_LINES[position]
    before, _, after = line.partition(b'"details":')
    whole = members | {f"name{number}": "é" * 50 for number in range(3)}
    size = len(before) + len(b'"details":') + len(rfc8785.dumps(whole)) + len(after[after.index(b"}") + 1 :])
    for spare, expected in ((0, None), (-1, ("disclosure-limit", position, "/disclosures/2"))):
        limit = {"first_event" if position == 0 else "event": size + spare}
        assert fault(index(*found), *texts, limits=Limits(**limit)) == expected
