"""The committed schemas in four validators: `jsonschema`, `jsonschema-rs`, `check-jsonschema` and Ajv in strict mode.

All four have to say the same of every file in the corpus of vectors, of every policy in it, and of thousands of
documents with one fault. What the schema says of a vector follows from its manifest: where the shape is good it is
valid, where the shape is bad it is not, but for the rules in `BEYOND`; and what is wrong with its bytes alone, no
schema can see.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest
from helpers import needs_node_package
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from verifiers import MANIFEST, VECTORS, Case

from hearth_records.canonical import OPENING
from hearth_records.profile import encode
from hearth_records.schema import SCHEMAS, document_schema
from hearth_records.schema_docs import example_of
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TESTS: Final = Path(__file__).parent
COMMITTED: Final = TESTS.parent / "schemas"
Value = Any
Verdicts = list[bool | None]
"""Valid, invalid, or None for what a validator cannot read at all."""

CASES: Final = [Case(members["name"], members) for members in MANIFEST["cases"]]
RECORDS: Final = [case for case in CASES if case.checks is not None and case.kind == "file" and not case.padding]


def schema_path(name: str) -> Path:
    return COMMITTED / SCHEMAS[name]


def load(path: Path) -> Value:
    return json.loads(path.read_bytes())


# --- four validators -------------------------------------------------------------------------------------------------


def parse(data: bytes) -> Value:
    """Return the value of a JSON text in UTF-8, as Python reads it. Raises `ValueError`, `RecursionError`."""
    return json.loads(data.decode("utf-8"))


def with_python(is_valid: Callable[[Value], bool], texts: Sequence[bytes]) -> Verdicts:
    found: Verdicts = []
    for text in texts:
        try:
            found.append(is_valid(parse(text)))
        except (ValueError, RecursionError):
            found.append(None)
    return found


def ask_jsonschema(name: str, texts: Sequence[bytes]) -> Verdicts:
    validator = Draft202012Validator(load(schema_path(name)), format_checker=FormatChecker(["date-time"]))
    return with_python(validator.is_valid, texts)


def ask_jsonschema_rs(name: str, texts: Sequence[bytes]) -> Verdicts:
    validator = jsonschema_rs.Draft202012Validator(load(schema_path(name)), validate_formats=True)
    return with_python(validator.is_valid, texts)


def run_ajv(name: str, texts: Sequence[bytes], files: Sequence[Path] = ()) -> list[Any]:
    job = {
        "schema": str(schema_path(name)),
        "files": [str(path) for path in files],
        "values": [text.decode() for text in texts],
    }
    command = [needs_node_package("ajv"), str(TESTS / "ajv.mjs")]
    done = subprocess.run(command, input=json.dumps(job).encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    results: list[Any] = json.loads(done.stdout)
    return results


def verdicts_of(results: list[Any]) -> Verdicts:
    return [None if result is None else bool(result["valid"]) for result in results]


def run_check_jsonschema(name: str, files: Sequence[Path]) -> tuple[int, bytes]:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--schemafile", str(schema_path(name)), "--output-format", "json", "--verbose"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, check=False)
    return done.returncode, done.stdout


def ask_check_jsonschema(name: str, files: Sequence[Path]) -> Verdicts:
    """Ask for several files at once. It ends in a traceback, about all of them, when it cannot even decode one."""
    code, output = run_check_jsonschema(name, files)
    report = json.loads(output)
    assert report["status"] == ("fail" if code else "ok")
    unread = {error["filename"] for error in report["parse_errors"]}
    invalid = {error["filename"] for error in report["errors"]}
    return [None if str(path) in unread else str(path) not in invalid for path in files]


def agree(name: str, files: Sequence[Path]) -> Verdicts:
    """Return what the four validators say of files, each of which is one JSON text; they have to say the same."""
    texts = [path.read_bytes() for path in files]
    first = ask_jsonschema(name, texts)
    others = {
        "jsonschema-rs": ask_jsonschema_rs(name, texts),
        "check-jsonschema": ask_check_jsonschema(name, files),
        "Ajv": verdicts_of(run_ajv(name, [], files)),
    }
    for validator, found in others.items():
        different = [path.name for path, one, other in zip(files, first, found, strict=True) if one is not other]
        assert different == [], validator
    return first


# --- the corpus ------------------------------------------------------------------------------------------------------


def is_document(data: bytes) -> bool:
    """Whether bytes are one JSON text in UTF-8, of Unicode scalar values, that a parser takes as a whole."""
    try:
        json.dumps(parse(data), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return "NaN" not in (text := data.decode()) and "Infinity" not in text


BEYOND: Final = {
    "invalid/shape--details-sd-not-sorted": "ascending order of _sd",
    "invalid/shape--statement-4097": "the size of the statement",
    "invalid/shape--statement-signers-twice-other-algorithm": "distinct key ids among signers",
}
"""Vectors of a bad shape that the schema takes for valid, and the line of FORMAT §13 that says so."""


def whole(value: Value) -> Value:
    """Return a value in which 1.0 is 1, as JSON Schema has it."""
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def in_canonical_bytes(value: Value) -> bytes | None:
    """Return a record document as its file has to be, or None when it lacks the members of one, or is no JSON."""
    if not isinstance(value, dict) or value.keys() != {"format", "events", "disclosures", "seal"}:
        return None
    if value["format"] != "hearth-record/1" or not isinstance(value["events"], list) or not value["events"]:
        return None
    if "Infinity" in json.dumps(value):  # 1e400 is no number to anybody
        return None
    events = b"\n,".join(encode(whole(event)) for event in value["events"])
    closing = encode(whole({name: value[name] for name in ("disclosures", "seal")}))
    return OPENING + events + b"\n]," + closing[1:] + b"\n"


def is_valid(case: Case) -> bool | None:
    """Whether a vector has to be valid by the schema; None where the verifier gives no answer, because of the depth."""
    if case.checks["sealed"] == "fail":  # what is there of a closing line is none
        return False
    if case.checks["canonical"] != "fail":
        return bool(case.checks["shape"] == "pass") or case.name in BEYOND
    data = in_canonical_bytes(parse(case.path.read_bytes()))  # what is wrong with the bytes alone is gone then
    if data is None:
        return False
    report = verify_record(data, None)
    return None if report["canonical"].code == "too-deep" else report["shape"].status == "pass"


DOCUMENTS: Final = [case for case in RECORDS if is_document(case.path.read_bytes())]


def test_four_validators_say_the_same_of_every_vector() -> None:
    found = agree("record", [case.path for case in DOCUMENTS])
    judged = {case.name: (is_valid(case), valid) for case, valid in zip(DOCUMENTS, found, strict=True)}
    assert {name: pair for name, pair in judged.items() if pair[0] not in (None, pair[1])} == {}
    assert {expected for expected, _valid in judged.values()} == {True, False, None}


def test_what_is_no_document_is_valid_to_nobody() -> None:
    """Bytes that are no JSON text, or not in UTF-8: each validator reads them in its own way, or not at all."""
    others = [case for case in RECORDS if case not in DOCUMENTS]
    assert others
    assert all(case.exit_code for case in others)
    texts = [case.path.read_bytes() for case in others]
    lone = [bool(b"\\ud" in text.lower()) for text in texts]  # a lone surrogate, which some take for a character
    ajv = verdicts_of(run_ajv("record", [], [case.path for case in others]))
    for case, is_lone, *found in zip(
        others, lone, ask_jsonschema("record", texts), ask_jsonschema_rs("record", texts), ajv, strict=True
    ):
        assert is_lone or True not in found, case.name


def test_check_jsonschema_calls_nothing_valid_that_is_no_document(tmp_path: Path) -> None:
    texts = [b"", b"{", b"{} {}", b"\xff", b"[" * 100_000, b"9" * 5000, b"nul", b'"\xed\xa0\x80"']
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.json"
        path.write_bytes(text)
        code, output = run_check_jsonschema("record", [path])
        assert code
        assert not output or json.loads(output)["status"] == "fail"


def test_what_is_wrong_with_the_bytes_alone_no_schema_sees() -> None:
    blind = {case.name for case in DOCUMENTS if case.checks["canonical"] == "fail" and is_valid(case)}
    for name in ("white-space", "not-sorted", "fraction-zero", "escaped-solidus", "duplicate", "number-exponent"):
        assert any(name in case for case in blind)


def test_four_validators_say_the_same_of_every_policy() -> None:
    policies = sorted((VECTORS / "policies").rglob("*.json"))
    documents = [path for path in policies if is_document(path.read_bytes())]
    found = dict(zip(documents, agree("trust", documents), strict=True))
    assert all(valid for path, valid in found.items() if path.parent.name == "policies")
    assert {valid for path, valid in found.items() if path.parent.name == "refused"} == {True, False}


# --- documents with one fault ----------------------------------------------------------------------------------------

Path_ = tuple[str | int, ...]
WRONG: Final[list[Value]] = [None, True, 0, -1, 1.5, 2**53, "", "x\n", [], {}, ["x", "x"], {"a\n": 1}]


def places(value: Value, base: Path_ = ()) -> Iterator[Path_]:
    yield base
    children: list[tuple[str | int, Value]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        yield from places(child, (*base, key))


def changed(value: Value) -> Iterator[Value]:
    """Yield copies of a value in which one place is missing, doubled, or something else; or a member is added."""
    for place in places(value):
        for action in ("remove", "add", *WRONG):
            document: list[Value] = [copy.deepcopy(value)]
            parent, key = document, 0
            for part in place:
                parent, key = parent[key], part  # type: ignore[assignment]
            node = parent[key]
            if action == "remove":
                if not place:
                    continue
                del parent[key]
            elif action == "add":
                if isinstance(node, dict):
                    node["zz"] = 1
                elif isinstance(node, list) and node:
                    node.append(node[0])
                elif isinstance(node, str):
                    parent[key] = f"{node}\n"
                else:
                    continue
            else:
                parent[key] = action
            yield document[0]


def faulty(name: str, most: int) -> list[bytes]:
    """Return the example of a document, and documents that nearly are it: always the same ones."""
    schema = document_schema(name)
    example = example_of(schema, schema)
    found = [json.dumps(value).encode() for value in changed(example)]
    some = random.Random(name).sample(found, min(most, len(found)))
    return [json.dumps(example).encode(), *some]


@pytest.mark.parametrize("name", SCHEMAS)
def test_validators_say_the_same_of_documents_with_a_fault(name: str) -> None:
    texts = faulty(name, 800 if name == "record" else 250)
    first = ask_jsonschema(name, texts)
    for found in (ask_jsonschema_rs(name, texts), verdicts_of(run_ajv(name, texts))):
        assert [text for text, one, other in zip(texts, first, found, strict=True) if one is not other] == []
    assert first[0] is True
    assert first.count(False) > len(texts) // 2


@pytest.mark.parametrize("name", ["record", "event", "plan", "verification", "scaffold", "statement"])
def test_check_jsonschema_says_so_too(name: str, tmp_path: Path) -> None:
    texts = faulty(name, 40)
    files = [tmp_path / f"{number:03}.json" for number in range(len(texts))]
    for path, text in zip(files, texts, strict=True):
        path.write_bytes(text)
    assert ask_check_jsonschema(name, files) == ask_jsonschema(name, texts)


@pytest.mark.parametrize("size", [64 * 1024, 3 * 1024 * 1024])
def test_long_evidence_and_disclosures_are_no_trouble(size: int) -> None:
    """Some engines for regular expressions give up after a million steps, and then say that nothing matches."""
    schema = document_schema("record")
    value = example_of(schema, schema)
    value["seal"]["evidence"] = [{"data": "AAAA" * (size // 4), "type": "x"}]
    value["disclosures"] = ["A" * size]
    good = json.dumps(value).encode()
    bad = []
    for pointer, text in itertools.product((0, 1), ("A" * size + "\n", "A" * (size - 1) + "*")):
        wrong = copy.deepcopy(value)
        if pointer:
            wrong["disclosures"] = [text]
        else:
            wrong["seal"]["evidence"][0]["data"] = text
        bad.append(json.dumps(wrong).encode())
    texts, expected = [good, *bad], [True, False, False, False, False]
    assert ask_jsonschema("record", texts) == expected
    assert ask_jsonschema_rs("record", texts) == expected
    assert verdicts_of(run_ajv("record", texts)) == expected


# --- what they say about an event ------------------------------------------------------------------------------------


def test_an_error_in_an_event_is_about_that_type_of_event_everywhere(tmp_path: Path) -> None:
    schema = load(schema_path("record"))
    value = example_of(schema, schema)
    index = next(index for index, event in enumerate(value["events"]) if event["type"] == "step_completed")
    del value["events"][index]["step_name"]
    text = json.dumps(value).encode()
    (error,) = Draft202012Validator(schema).iter_errors(value)
    assert (list(error.absolute_path), error.validator, error.schema["title"]) == (
        ["events", index],
        "required",
        "StepCompleted",
    )
    assert best_match([error]) is error
    (other,) = jsonschema_rs.Draft202012Validator(schema).iter_errors(value)
    assert list(other.instance_path) == ["events", index]
    assert "StepCompleted" in other.schema_path
    path = tmp_path / "record.json"
    path.write_bytes(text)
    (reported,) = json.loads(run_check_jsonschema("record", [path])[1])["errors"]
    assert (reported["path"], reported["has_sub_errors"]) == (f"$.events[{index}]", False)
    assert "step_name" in reported["message"]
    (result,) = run_ajv("record", [text])
    assert result["errors"][0] == {"pointer": f"/events/{index}", "keyword": "required", "title": "StepCompleted"}
