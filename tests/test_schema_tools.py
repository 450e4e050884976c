"""The schema commands: the linter, the comparison, documentation and types, and which version a file is of."""

from __future__ import annotations

import copy
import errno
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest
from helpers import needs_program
from hypothesis import given, settings
from hypothesis import strategies as st
from verifiers import VECTORS

from hearth_records import files, schema_docs
from hearth_records.cli import schema as command
from hearth_records.cli.common import run
from hearth_records.errors import FormatError
from hearth_records.schema import (
    DIALECT,
    DOCUMENTS,
    SCHEMAS,
    document_schema,
    encode_schema,
    findings_at,
    infer_version,
    subschemas,
)
from hearth_records.schema_check import check_schema
from hearth_records.schema_diff import compare_schemas
from hearth_records.schema_words import EXAMPLES, MEANINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records.schema_diff import Comparison

TESTS: Final = Path(__file__).parent
Value = Any


def call(*arguments: str) -> int:
    return run("schema", lambda words: command.command(words, "schema"), arguments)


# --- the linter ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_keep_to_the_rules(name: str) -> None:
    assert check_schema(document_schema(name)) == []


def edit(pointer: str, value: Value) -> Callable[[Value], None]:
    """Return an edit that sets, or with `...` removes, what stands at a pointer."""

    def apply(document: Value) -> None:
        *parents, last = pointer.split("/")[1:]
        for name in parents:
            document = document[int(name) if isinstance(document, list) else name]
        if value is ...:
            del document[last]
        else:
            document[last] = value

    return apply


COUNT: Final = "/$defs/Count"
STEP: Final = "/$defs/StepFailed"
FAULTS: Final[list[tuple[str, Callable[[Value], None], str]]] = [
    ("meta", edit(f"{COUNT}/minimum", "0"), f"{COUNT}/minimum"),
    ("meta", edit(f"{STEP}/required", "type"), f"{STEP}/required"),
    ("dialect", edit("/$schema", "http://json-schema.org/draft-07/schema#"), "/$schema"),
    ("dialect", edit("/$schema", ...), "/$schema"),
    ("id", edit(f"{STEP}/$id", "urn:x"), f"{STEP}/$id"),
    ("described", edit("/title", ...), ""),
    ("described", edit(f"{STEP}/description", ...), STEP),
    ("described", edit(f"{STEP}/properties/seq/description", ...), f"{STEP}/properties/seq"),
    ("described", edit(f"{STEP}/properties/seq", {}), f"{STEP}/properties/seq"),
    ("reference", edit(f"{STEP}/properties/seq/$ref", "#/$defs/Count"), f"{STEP}/properties/seq/$ref"),
    ("reference", edit(f"{STEP}/properties/seq/$ref", "urn:x#/$defs/Count"), f"{STEP}/properties/seq/$ref"),
    (
        "reference",
        edit(f"{STEP}/properties/seq/$ref", "urn:hearth-records:schema:record:1#/$defs/None"),
        f"{STEP}/properties/seq/$ref",
    ),
    ("reference", edit(f"{STEP}/$anchor", "step"), f"{STEP}/$anchor"),
    ("unused", edit("/$defs/More", {"description": "more", "type": "string"}), "/$defs/More"),
    ("anchored", edit("/$defs/Digest/pattern", "^[0-9a-f]{64}$"), ""),
    ("anchored", edit("/$defs/Digest/pattern", "^[0-9a-f]+$"), "/$defs/Digest/pattern"),
    ("anchored", edit("/$defs/Identifier/pattern", "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"), "/$defs/Identifier/pattern"),
    ("anchored", edit("/$defs/Identifier/pattern", "[a-z0-9-]+(?!\\n)$"), "/$defs/Identifier/pattern"),
    ("anchored", edit("/$defs/Base64/not", ...), "/$defs/Base64/pattern"),
    ("closed", edit(f"{STEP}/additionalProperties", ...), STEP),
    ("closed", edit("/$defs/More", {"description": "more", "type": "object"}), "/$defs/More"),
    ("bounded", edit(f"{COUNT}/maximum", ...), COUNT),
    ("const", edit("/$defs/StepPhase/enum", ["plan"]), "/$defs/StepPhase/enum"),
    ("default", edit(f"{STEP}/required", []), f"{STEP}/properties/seq"),
    ("dialect", edit(f"{COUNT}/$schema", "http://json-schema.org/draft-04/schema#"), f"{COUNT}/$schema"),
    ("format", edit(f"{COUNT}/format", "date"), f"{COUNT}/format"),
    ("example", edit(f"{COUNT}/examples", [0, -1]), f"{COUNT}/examples/1"),
    ("example", edit("/$defs/Timestamp/examples", ["today"]), "/$defs/Timestamp/examples/0"),
]


@pytest.mark.parametrize(("rule", "change", "pointer"), FAULTS)
def test_the_linter_names_rule_and_place(rule: str, change: Callable[[Value], None], pointer: str) -> None:
    schema = copy.deepcopy(document_schema("record"))
    change(schema)
    found = {(finding.keyword, finding.pointer) for finding in check_schema(schema)}
    assert (rule, pointer) in found if pointer or rule == "described" else rule not in {name for name, _place in found}


HEAD: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:hearth-records:schema:x:1",
    "title": "X",
    "description": "An x.",
}
ROOT: Final = "urn:hearth-records:schema:x:1#"


def definitions(**nodes: Value) -> Value:
    return {name: {"description": name, **node} for name, node in nodes.items()}


def judged(schema: Value) -> list[tuple[str, str]]:
    return [(finding.keyword, finding.pointer) for finding in check_schema({**HEAD, **schema})]


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"pattern": "(", "examples": ["x"]}, [("regex", "/pattern")]),
        ({"pattern": r"\p{L}", "examples": ["x"]}, [("regex", "/pattern")]),
        ({"pattern": "^a{99999999999}(?!\\n)$"}, [("regex", "/pattern")]),
        ({"patternProperties": {"(/": True}, "examples": [{"a": 1}]}, [("regex", "/patternProperties/(~1")]),
        ({"$ref": ROOT, "examples": [1]}, [("circular", "/$ref")]),
        ({"$ref": ROOT}, [("circular", "/$ref")]),
        (
            {
                "$ref": f"{ROOT}/$defs/A",
                "$defs": definitions(
                    A={"allOf": [{"$ref": f"{ROOT}/$defs/B"}]}, B={"not": {"$ref": f"{ROOT}/$defs/A"}, "examples": [1]}
                ),
            },
            [("circular", "/$defs/A/allOf/0/$ref")],
        ),
        ({"$ref": "http://[x", "examples": [1]}, [("reference", "/$ref")]),
        ({"$ref": f"{ROOT}/title", "examples": [1]}, [("reference", "/$ref")]),
        ({"$ref": "#", "examples": [1]}, [("reference", "/$ref")]),
        ({"items": {"$id": "http://["}, "examples": [[1]]}, [("id", "/items/$id")]),
        ({"contentSchema": {"$id": "http://["}, "examples": [[1]]}, [("id", "/contentSchema/$id")]),
        ({"definitions": {"a": {"$id": "http://["}}, "examples": [[1]]}, [("id", "/definitions/a/$id")]),
        ({"items": {"$anchor": "a"}, "examples": [[1]]}, [("reference", "/items/$anchor")]),
        ({"multipleOf": 0.5, "examples": [float("inf")]}, [("example", "/examples/0")]),
        ({"multipleOf": float("inf"), "examples": [float("inf")]}, [("example", "/examples/0")]),
        ({"format": "date-time", "examples": ["nonsense"]}, [("example", "/examples/0")]),
        ({"type": ["integer", "null"]}, [("bounded", "")]),
        ({"type": ["integer", "null"], "minimum": 0, "maximum": 1}, []),
        ({"type": ["object", "null"]}, [("closed", "")]),
    ],
)
def test_what_cannot_be_judged_by_is_found_and_named(schema: Value, found: list[tuple[str, str]]) -> None:
    assert judged(schema) == found


def test_a_reference_into_the_value_is_no_circle() -> None:
    tree = {"items": {"$ref": ROOT}, "propertyNames": {"$ref": ROOT}, "examples": [[[], [[]]]]}
    assert judged({"type": "array", **tree}) == []
    name = {"$defs": definitions(**{"a%b c": {"type": "null"}}), "examples": [[None]]}
    assert judged({"items": {"$ref": f"{ROOT}/$defs/a%25b%20c"}, **name}) == []


def test_a_long_way_of_references_is_judged_or_said_to_be_too_long() -> None:
    way = {f"d{n}": {"$ref": f"{ROOT}/$defs/d{n + 1}"} for n in range(2000)}
    schema = {"$ref": f"{ROOT}/$defs/d0", "$defs": definitions(**way, d2000={"type": "null"}), "examples": [None]}
    assert judged(schema) == [("example", "/examples/0")]


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        (r"^a(?!\n)$", None),
        (r"^(?:a|[|)]\||(b|c))(?!\n)$", None),
        (r"^\\(?!\n)$", None),
        (r"^((?!\n)$", "regex"),
        (r"^a|b(?!\n)$", "anchored"),
        (r"^(?:a)|^(?:b)(?!\n)$", "anchored"),
        (r"^a\$", "anchored"),
        (r"^a(?!\n)\$", "anchored"),
        (r"\^a(?!\n)$", "anchored"),
        (r"^*a(?!\n)$", "regex"),
        (r"^{0,1}a(?!\n)$", "regex"),
        ("^a$", "anchored"),
        (r"^a\Z", "regex"),
        (r"^[^](]|b(?!\n)$", "regex"),
        (r"^(?#()|b(?!\n)$", "regex"),
        (r"^(?P<a>a)(?!\n)$", "regex"),
        (r"^[[a]b(?!\n)$", "regex"),
    ],
)
def test_an_anchor_is_one_for_the_whole_pattern(pattern: str, rule: str | None) -> None:
    found = [] if rule is None else [rule]
    assert [name for name, _pointer in judged({"pattern": pattern})] == found
    names = judged({"patternProperties": {pattern: True}})
    assert [name for name, _pointer in names] == found


@pytest.mark.parametrize(
    ("pattern", "lengths", "rules"),
    [
        ("^[0-9]{2}(?:a|b)$", (3, 3), []),
        ("^[0-9]{2}(?:a|b)$", (3, 3.0), []),
        ("^[0-9]{2}$", (3, 3), ["anchored"]),
        ("^[0-9]*$", (3, 3), ["anchored"]),
        ("^[0-9]{2}$", (2, 3), ["anchored"]),
        (r"^a\$", (2, 2), ["anchored"]),
        ("^a$", (1, 10**20), ["anchored"]),
        ("^a$", (10**20, 10**20), ["anchored"]),
    ],
)
def test_a_dollar_is_enough_where_no_character_is_left_for_a_line_break(
    pattern: str, lengths: tuple[int, float], rules: list[str]
) -> None:
    node = {"pattern": pattern, "minLength": lengths[0], "maxLength": lengths[1]}
    assert [name for name, _pointer in judged(node)] == rules


def test_line_breaks_are_refused_by_a_rule_of_its_own_or_not_at_all() -> None:
    assert judged({"pattern": "^a+$", "not": {"pattern": r"\n"}}) == []
    assert judged({"pattern": "^a+$", "not": {"pattern": r"\n", "minLength": 9}}) == [("anchored", "/pattern")]


@pytest.mark.parametrize("schema", [True, {}, {"type": "object"}])
def test_what_is_hardly_a_schema_is_found_wanting(schema: Value) -> None:
    assert check_schema(schema)


def test_the_command_that_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, none = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "none.json"
    good.write_bytes(encode_schema("plan"))
    bad.write_bytes(encode_schema("plan").replace(b'"minimum": 0,', b""))
    none.write_bytes(b"{")
    assert call("check", str(good)) == 0
    assert call("check", str(good), str(bad)) == 1
    assert "[bounded]" in capsys.readouterr().out
    assert call("check", str(good), str(none)) == 3
    assert call("check", str(tmp_path / "missing.json")) == 3
    assert call("check") == 2


# --- the comparison --------------------------------------------------------------------------------------------------


def closed(*required: str, **members: Value) -> Value:
    return {"type": "object", "properties": members, "required": list(required), "additionalProperties": False}


def tagged(*tags: str, keyword: str = "oneOf", **more: Value) -> Value:
    return {keyword: [closed("type", type={"const": tag}, a={"type": "string"}, **more) for tag in tags]}


def conditional(*tags: str, kind: str = "object", **branches: Value) -> Value:
    return {
        "type": "object",
        "properties": {"type": {"enum": list(tags)}},
        "required": ["type"],
        "allOf": [
            {
                "if": {"type": kind, "properties": {"type": {"const": tag}}, "required": ["type"]},
                "then": branches.get(tag, closed("type", type={"const": tag})),
            }
            for tag in tags
        ],
    }


def without(schema: Value, keyword: str) -> Value:
    return {key: value for key, value in schema.items() if key != keyword}


def defined(
    name: str,
    schema: Value,
    *,
    by: str = "",
    at: str = "$defs",
    others: Value = None,
    **beside: Value,
) -> Value:
    """Return a schema that refers to a definition."""
    return {"$ref": f"#/{at}/{by or name}", at: {name: schema} | (others or {})} | beside


def by_way_of(**beside: Value) -> Value:
    return {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/b"} | beside, "b": {"default": 0}}}


def of_names(schema: Value) -> Value:
    return {"patternProperties": {"^a": schema}}


def dynamic(schema: Value) -> Value:
    return {"items": {"$dynamicRef": "#x"}, "$defs": {"a": {"$dynamicAnchor": "x"} | schema}}


def with_reference(pointer: str, **beside: Value) -> Value:
    """Return a schema that refers to what is no schema, and would be no valid one."""
    return {"items": {"$ref": f"#{pointer}"}, "x": {"properties": []}, "$defs": {"a": {"const": {"type": 5}}}} | beside


TEXT: Final = {"type": "string"}
SOME: Final[Value] = {"properties": {"a": True}}
MORE: Final[Value] = {"properties": {"a": True, "b": True}}
SEALED: Final[Value] = {"unevaluatedProperties": False}
UNKNOWN: Final[Value] = {"x-a": {"$ref": "#/$defs/a"}, "$defs": {"a": TEXT}}
WITH_TYPED_BRANCH: Final = without(conditional("a", "b", b={"type": "object"}), "type")
NUMBER: Final = {"type": "integer", "minimum": 0, "maximum": 9}
READERS, WRITERS, BOTH, BREAKING = "compatible-for-readers", "compatible-for-writers", "compatible", "breaking"
PAIRS: Final[list[tuple[str, Value, Value, str]]] = [
    ("nothing", closed("a", a=TEXT), closed("a", a=TEXT), BOTH),
    ("words", TEXT | {"description": "a"}, TEXT | {"description": "b", "examples": ["c"]}, BOTH),
    ("an optional member was added", closed(), closed(a=TEXT), WRITERS),
    ("a required member was added", closed(), closed("a", a=TEXT), BREAKING),
    ("a member was removed", closed(a=TEXT), closed(), READERS),
    ("a required member was removed", closed("a", a=TEXT), closed(), BREAKING),
    ("a member became required", closed(a=TEXT), closed("a", a=TEXT), READERS),
    ("a member became optional", closed("a", a=TEXT), closed(a=TEXT), WRITERS),
    ("a type was added", TEXT, {"type": ["string", "null"]}, WRITERS),
    ("a type was removed", {"type": ["string", "null"]}, TEXT, READERS),
    ("another type", TEXT, {"type": "integer"}, BREAKING),
    ("fractions too", {"type": "integer"}, {"type": "number"}, WRITERS),
    ("a value was added", {"enum": ["a"]}, {"enum": ["a", "b"]}, WRITERS),
    ("a value was removed", {"enum": ["a", "b"]}, {"const": "a"}, READERS),
    ("another value", {"const": "a"}, {"const": "b"}, BREAKING),
    ("only some values", TEXT, {"enum": ["a", "b"]}, READERS),
    ("1.0 is 1", {"enum": [1, 2]}, {"enum": [2.0, 1.0]}, BOTH),
    ("true is not 1", {"enum": [1, 2]}, {"enum": [True, 2]}, BREAKING),
    ("another pattern", TEXT | {"pattern": "^a"}, TEXT | {"pattern": "^b"}, BREAKING),
    ("a pattern was added", TEXT, TEXT | {"pattern": "^b"}, READERS),
    ("a pattern was removed", TEXT | {"pattern": "^b"}, TEXT, WRITERS),
    ("another format", TEXT | {"format": "date"}, TEXT | {"format": "time"}, BREAKING),
    ("longer texts", TEXT | {"maxLength": 5}, TEXT | {"maxLength": 6}, WRITERS),
    ("shorter texts", TEXT | {"maxLength": 6}, TEXT | {"maxLength": 5}, READERS),
    ("longer and shorter", TEXT | {"minLength": 1, "maxLength": 6}, TEXT | {"minLength": 0, "maxLength": 5}, BREAKING),
    ("a least length of 0", TEXT, TEXT | {"minLength": 0}, BOTH),
    ("a length of another type", {"type": "integer"}, {"type": "integer", "maxLength": 3}, BOTH),
    ("a range grew", NUMBER, NUMBER | {"maximum": 10}, WRITERS),
    ("a range shrank", NUMBER, NUMBER | {"minimum": 1}, READERS),
    ("a range moved", NUMBER, NUMBER | {"minimum": 1, "maximum": 10}, BREAKING),
    ("a bound is excluded", NUMBER, {"type": "integer", "exclusiveMinimum": 0, "maximum": 9}, READERS),
    ("values keep the range", NUMBER, {"enum": [1, 2]}, READERS),
    ("values leave the range", NUMBER, {"enum": [1, 20]}, BREAKING),
    ("multiples", {"type": "integer", "multipleOf": 2}, {"type": "integer", "multipleOf": 4}, READERS),
    ("items", {"type": "array", "items": TEXT}, {"type": "array", "items": TEXT | {"maxLength": 3}}, READERS),
    ("items differ", {"type": "array"}, {"type": "array", "uniqueItems": True}, READERS),
    ("more items", {"type": "array", "maxItems": 3}, {"type": "array", "maxItems": 4}, WRITERS),
    ("a first item", {"type": "array"}, {"type": "array", "prefixItems": [TEXT]}, READERS),
    ("it was closed", closed() | {"additionalProperties": True}, closed(), READERS),
    ("it was opened", closed(), closed() | {"additionalProperties": True}, WRITERS),
    (
        "others have a type",
        closed() | {"additionalProperties": True},
        closed() | {"additionalProperties": TEXT},
        READERS,
    ),
    ("a known one has a type", {"type": "object"}, {"type": "object", "properties": {"a": TEXT}}, READERS),
    ("names", {"type": "object"}, {"type": "object", "propertyNames": {"maxLength": 3}}, READERS),
    ("a branch was added", tagged("a"), tagged("a", "b"), WRITERS),
    ("a branch was removed", tagged("a", "b"), tagged("a"), READERS),
    ("a branch was replaced", tagged("a", "b"), tagged("a", "c"), BREAKING),
    ("branches in another order", tagged("a", "b"), tagged("b", "a"), BOTH),
    ("any of tagged branches", tagged("a", "b", keyword="anyOf"), tagged("a", keyword="anyOf"), READERS),
    ("a conditional branch was added", conditional("a"), conditional("a", "b"), WRITERS),
    ("a conditional branch was removed", conditional("a", "b"), conditional("b"), READERS),
    ("in a branch", conditional("a"), conditional("a", a=closed("type", type={"const": "a"}, b=TEXT)), WRITERS),
    ("an alternative was added", {"anyOf": [TEXT]}, {"anyOf": [TEXT, {"type": "null"}]}, WRITERS),
    ("an alternative was removed", {"anyOf": [TEXT, {"type": "null"}]}, {"anyOf": [TEXT]}, READERS),
    ("alternatives", {}, {"anyOf": [TEXT]}, READERS),
    ("a rule was added", {"allOf": [TEXT]}, {"allOf": [TEXT, {"maxLength": 3}]}, READERS),
    ("a rule was removed", {"allOf": [TEXT, {"maxLength": 3}]}, {"allOf": [TEXT]}, WRITERS),
    ("less is refused", {"not": {"enum": ["a", "b"]}}, {"not": {"enum": ["a"]}}, WRITERS),
    ("more is refused", {"not": {"enum": ["a"]}}, {"not": {"enum": ["a", "b"]}}, READERS),
    ("a condition changed", {"if": {"const": 1}, "then": TEXT}, {"if": {"const": 2}, "then": TEXT}, BREAKING),
    ("a consequence", {"if": {"const": 1}, "then": {}}, {"if": {"const": 1}, "then": TEXT}, READERS),
    ("a condition was added", {}, {"if": {"const": 1}, "then": TEXT}, READERS),
    ("branches that overlap", {"oneOf": [TEXT, {"maxLength": 3}]}, {"oneOf": [TEXT, {"maxLength": 4}]}, BREAKING),
    ("an unknown keyword", {"x-limit": 1}, {"x-limit": 2}, BREAKING),
    ("the same unknown keyword", {"x-limit": 1}, {"x-limit": 1}, BOTH),
    ("what is contained", {"contains": TEXT}, {"contains": {"type": "null"}}, BREAKING),
    ("patterns of names", {"patternProperties": {"^a": TEXT}}, {"patternProperties": {"^b": TEXT}}, BREAKING),
    ("another default", closed(a=TEXT | {"default": "x"}), closed(a=TEXT | {"default": "y"}), BREAKING),
    ("nothing is valid", {}, False, READERS),
    ("anything is valid", False, True, WRITERS),
    ("a reference that leads out", {"$ref": "urn:x"}, {"$ref": "urn:x", "title": "x"}, BREAKING),
    ("a reference in a circle", {"$ref": "#"}, {"$ref": "#", "title": "x"}, BREAKING),
    ("equal documents", {"$ref": "urn:x", "const": 1}, {"const": 1.0, "$ref": "urn:x"}, BOTH),
    ("a default was added", closed(a=TEXT), closed(a=TEXT | {"default": "x"}), BREAKING),
    ("the same default elsewhere", defined("a", TEXT, default=1), defined("a", TEXT | {"default": 1}), BOTH),
    ("another default on the way", by_way_of(default=1), by_way_of(default=2), BREAKING),
    ("a member with a default", closed(), closed(a=TEXT | {"default": "x"}), WRITERS),
    ("a union of no objects too", conditional("a"), without(conditional("a"), "type"), WRITERS),
    ("more tags, but not of objects", without(conditional("a"), "type"), WITH_TYPED_BRANCH, BREAKING),
    ("one of, then conditions", tagged("a"), without(conditional("a", a=tagged("a")["oneOf"][0]), "type"), BREAKING),
    ("one of, then conditions on objects", tagged("a"), conditional("a", a=tagged("a")["oneOf"][0]), BOTH),
    ("conditions that are never met", conditional("a", "b"), conditional("a", "b", kind="array"), BREAKING),
    ("unevaluated in a union", tagged("a") | SEALED, tagged("a", more=TEXT) | SEALED, BREAKING),
    ("unevaluated in conditions", conditional("a") | SEALED, conditional("a", a={}) | SEALED, BREAKING),
    ("unevaluated beside a reference", defined("a", SOME, **SEALED), defined("a", MORE, **SEALED), BREAKING),
    (
        "unevaluated items",
        defined("a", {"prefixItems": [True]}, unevaluatedItems=False),
        defined("a", {"prefixItems": [True, True]}, unevaluatedItems=False),
        BREAKING,
    ),
    (
        "unevaluated in a condition",
        {"$defs": {"a": SOME}, "if": {"$ref": "#/$defs/a"} | SEALED, "then": False},
        {"$defs": {"a": MORE}, "if": {"$ref": "#/$defs/a"} | SEALED, "then": False},
        BREAKING,
    ),
    ("unevaluated, and others change", closed(a={}, b=SOME | SEALED), closed(a=TEXT, b=SOME | SEALED), READERS),
    ("a pattern of names: 1 and true", of_names({"const": 1}), of_names({"const": True}), BREAKING),
    ("a pattern of names: 1 and 1.0", of_names({"const": 1}), of_names({"const": 1.0, "title": "1"}), BOTH),
    ("a pattern of names: less", of_names(NUMBER), of_names(NUMBER | {"maximum": 8}), READERS),
    ("a dynamic reference", dynamic(TEXT), dynamic({"type": ["string", "null"]}), BREAKING),
    (
        "a document inside",
        {"$defs": {"a": TEXT}, "items": {"$id": "urn:y", "$ref": "#/$defs/a", "$defs": {"a": TEXT}}},
        {"$defs": {"a": TEXT}, "items": {"$id": "urn:y", "$ref": "#/$defs/a", "$defs": {"a": NUMBER}}},
        BREAKING,
    ),
    ("an encoded reference", defined("a b", TEXT, by="a%20b"), defined("a b", {}, by="a%20b"), WRITERS),
    (
        "an encoded reference is decoded once",
        defined("a b", TEXT, by="a%20b", others={"a%20b": TEXT}),
        defined("a b", {}, by="a%20b", others={"a%20b": TEXT}),
        WRITERS,
    ),
    ("an encoded reference to no text", defined("a", TEXT, by="%ff"), defined("a", {}, by="%ff"), BREAKING),
    ("a reference to no place of schemas", with_reference("/x"), with_reference("/x", title="a"), BREAKING),
    (
        "a reference into a constant",
        with_reference("/$defs/a/const"),
        with_reference("/$defs/a/const", title="a"),
        BREAKING,
    ),
    ("definitions by their old name", defined("a", TEXT, at="definitions"), {"type": "string"}, BOTH),
    ("another dialect", {"$schema": DIALECT}, {"$schema": "http://json-schema.org/draft-07/schema#"}, BREAKING),
    ("the dialect is said", {}, {"$schema": DIALECT}, BOTH),
    ("what an unknown keyword refers to", UNKNOWN, UNKNOWN | {"$defs": {"a": NUMBER}}, BREAKING),
    ("an unknown keyword refers to the same", *[UNKNOWN | {"type": kind} for kind in ("integer", "number")], WRITERS),
    ("a format of numbers", {"type": "integer", "format": "a"}, {"type": "integer", "format": "b"}, BREAKING),
    ("a branch of one of, in words", {"oneOf": [TEXT]}, {"oneOf": [TEXT | {"title": "a"}]}, BOTH),
]


@pytest.mark.parametrize(("old", "new", "verdict"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_a_change_is_judged(old: Value, new: Value, verdict: str) -> None:
    assert compare_schemas(old, new).verdict == verdict
    turned = {READERS: WRITERS, WRITERS: READERS}.get(verdict, verdict)
    assert compare_schemas(new, old).verdict == turned


def test_a_change_of_a_definition_is_found_through_references() -> None:
    def schema(most: int) -> Value:
        return {
            "$id": "urn:x",
            "type": "array",
            "items": {"$ref": "urn:x#/$defs/Tree"},
            "$defs": {
                "Tree": closed(
                    children={"type": "array", "items": {"$ref": "#/$defs/Tree"}}, name={"$ref": "#/$defs/N"}
                ),
                "N": TEXT | {"maxLength": most},
            },
        }

    (change,) = compare_schemas(schema(3), schema(4)).changes
    assert (change.pointer, change.effect) == ("/$defs/N/maxLength", "wider")
    assert compare_schemas(schema(3), schema(3)).changes == ()


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
@pytest.mark.parametrize("beside", [{}, {"minProperties": 0}])
def test_a_schema_that_refers_to_itself_is_compared(keyword: str, beside: Value) -> None:
    def tree(title: str, kind: str = "object") -> Value:
        next_one = {"$ref": "#/$defs/tree", "title": title} | beside
        branches = [{"type": "null"}, {"type": kind, "properties": {"next": next_one}}]
        return {"$ref": "#/$defs/tree", "$defs": {"tree": {keyword: branches}}}

    comparison = compare_schemas(tree("a"), tree("b"))
    assert (comparison.verdict, {change.effect for change in comparison.changes}) == (BOTH, {"none"})
    assert compare_schemas(tree("a"), tree("a", "array")).verdict == BREAKING


def test_without_a_type_an_event_may_be_anything() -> None:
    new = copy.deepcopy(document_schema("record"))
    del new["$defs"]["Event"]["type"]
    assert compare_schemas(document_schema("record"), new).verdict == WRITERS
    assert compare_schemas(new, document_schema("record")).verdict == READERS


@pytest.mark.parametrize("key", DOCUMENTS)
def test_a_schema_is_compatible_with_itself(key: str) -> None:
    assert compare_schemas(document_schema(key), copy.deepcopy(document_schema(key))).changes == ()


def test_an_event_type_more_is_compatible_for_writers() -> None:
    new = copy.deepcopy(document_schema("record"))
    event = new["$defs"]["Event"]
    event["properties"]["type"]["enum"].append("note_added")
    branch = copy.deepcopy(event["allOf"][0])
    branch["if"]["properties"]["type"]["const"] = "note_added"
    event["allOf"].append(branch)
    comparison = compare_schemas(document_schema("record"), new)
    assert comparison.verdict == WRITERS
    assert [change.effect for change in comparison.changes] == ["wider"]


NAMES: Final = ["a", "b", "c"]
LEAVES: Final = [None, True, False, 0, 1, 2, 3, 1.5, "", "a", "aa", "b", "aaa"]
POOL: Final[list[Value]] = [
    *LEAVES,
    *([], [0], [1, 1], ["a"], ["a", 1], [[]], [None, "a", 2], ["aa", "aa", "aa"]),
    *({}, {"a": 0}, {"a": "a"}, {"a": "b", "b": 1}, {"b": None}, {"c": "aa"}, {"a": {"a": 1}}, {"a": [], "c": 3}),
    *(
        {"a": "a", "b": "a", "c": "a"},
        {"a": {"b": "aa"}, "b": {}},
        {"a": {"a": {"a": 0}}},
        {"d": 1},
        {"a": 1, "d": "a"},
    ),
    *({"type": "a"}, {"type": "aa", "a": "a"}, {"type": "a", "b": 1}, {"type": "b"}, [{"type": "a"}, {"a": True}]),
]
small = st.integers(0, 3)
keywords: Final = {
    "type": st.sampled_from(["string", "integer", "number", "object", "array", "null", ["string", "null"]]),
    "enum": st.lists(st.sampled_from(LEAVES), min_size=1, max_size=3, unique_by=json.dumps),
    "const": st.sampled_from(LEAVES),
    "minLength": small,
    "maxLength": small,
    "minimum": small,
    "maximum": small,
    "exclusiveMinimum": small,
    "exclusiveMaximum": small,
    "multipleOf": st.integers(1, 3),
    "minItems": small,
    "maxItems": small,
    "uniqueItems": st.booleans(),
    "minProperties": small,
    "pattern": st.sampled_from(["^a", "a$", "b"]),
    "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
}


def applicators(inner: st.SearchStrategy[Value]) -> dict[str, st.SearchStrategy[Value]]:
    some = st.lists(inner, min_size=1, max_size=2)
    single = ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else")
    return {
        "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        "dependentSchemas": st.dictionaries(st.sampled_from(NAMES), inner, max_size=1),
        **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), some),
        **dict.fromkeys((*single, "unevaluatedProperties", "unevaluatedItems"), inner),
    }


def objects(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    table: dict[str, st.SearchStrategy[Value]] = {**keywords, **applicators(inner)}
    chosen = st.lists(st.sampled_from(sorted(table)), max_size=3, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: table[name] for name in names}))


REFERENCES: Final[list[Value]] = [
    *({"$ref": "#/$defs/d"}, {"$ref": "#/$defs/d"} | SEALED, {"$ref": "#/$defs/d", "unevaluatedItems": False}),
    *({"$ref": "#/$defs/d%20e"}, {"$dynamicRef": "#x"}, {"$id": "urn:y", "$ref": "#/$defs/d", "$defs": {"d": TEXT}}),
]
OPEN_UNIONS: Final[list[Value]] = [tagged("a", "aa"), conditional("a"), without(conditional("a", "aa"), "type")]
UNIONS: Final[list[Value]] = [*OPEN_UNIONS, *(union | SEALED for union in OPEN_UNIONS)]
ROOTS: Final[list[Value]] = [
    *(*REFERENCES[:-1], *UNIONS, {"items": REFERENCES[-1]}),
    *({"if": REFERENCES[1], "then": False}, of_names({"const": 1}), {"x-a": REFERENCES[0], "items": REFERENCES[1]}),
]
leaves: Final = st.booleans() | st.sampled_from([*REFERENCES, *UNIONS, TEXT, NUMBER, SOME, MORE, {"const": True}])
schemas = st.recursive(leaves, objects, max_leaves=6)
mutations: Final[dict[str, st.SearchStrategy[Value]]] = {
    **keywords,
    **applicators(leaves),
    "$ref": st.sampled_from(["#/$defs/d", "#/$defs/d%20e", "#/$defs/x"]),
    "$id": st.just("urn:y"),
}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Value, Value]:
    """Two schemas that are nearly the same."""
    small_ones = objects(st.booleans())
    definitions = {
        "d": draw(st.sampled_from([SOME, MORE, {"prefixItems": [True]}]) | small_ones),
        "d e": draw(small_ones),
        "x": {"$dynamicAnchor": "x", **draw(small_ones)},
    }
    old = copy.deepcopy({**draw(st.sampled_from(ROOTS) | objects(schemas)), "$defs": definitions})
    new = copy.deepcopy(old)
    for _change in range(draw(st.integers(1, 2))):
        node = draw(st.sampled_from([node for node in walk(new) if isinstance(node, dict)]))
        kept = sorted(node.keys() & mutations.keys())  # so that what is there changes as often as what is not
        name = draw(st.sampled_from(kept or ["type"]) | st.sampled_from(sorted(mutations)))
        if name in node and draw(st.booleans()):
            del node[name]
        else:
            node[name] = copy.deepcopy(draw(mutations[name]))
    return old, new


def walk(node: Value) -> list[Value]:
    """Return the schemas in a schema, with itself."""
    inside = subschemas(node) if isinstance(node, dict) else ()
    return [node, *(found for _keyword, _pointer, child in inside for found in walk(child))]


def valid(schema: Value) -> list[bool]:
    validator = jsonschema_rs.Draft202012Validator(schema)
    return [validator.is_valid(value) for value in POOL]


@settings(max_examples=400)
@given(pairs())
def test_what_is_called_compatible_is(pair: tuple[Value, Value]) -> None:
    old, new = pair
    try:
        before, after = valid(old), valid(new)
    except (ValueError, RecursionError):  # a reference in a circle, or to nothing
        return
    comparison: Comparison = compare_schemas(old, new)
    if comparison.for_readers:
        assert all(was for was, now in zip(before, after, strict=True) if now)
    if comparison.for_writers:
        assert all(now for was, now in zip(before, after, strict=True) if was)


def test_the_command_that_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def file(name: str, schema: Value) -> str:
        (tmp_path / name).write_text(json.dumps(schema))
        return str(tmp_path / name)

    old, more, other = file("old", closed()), file("more", closed(**{"\x1b\x7f": TEXT})), file("other", TEXT)
    assert call("diff", old, old) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("compatible:")
    assert call("diff", old, more) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1].startswith("compatible-for-writers:")
    assert text.replace("\n", "").isprintable()
    assert call("diff", "--format", "json", old, other) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["format"], report["verdict"]) == ("hearth-schema-diff/1", "breaking")
    assert (report["for_readers"], report["for_writers"]) == (False, False)
    assert {change["effect"] for change in report["changes"]} >= {"both"}
    assert call("diff", "--format", "json", old, more) == 0
    assert capsys.readouterr().out.replace("\n", "").isprintable()
    assert call("diff", old, file("none", {"type": "text"})) == 3
    for name, schema in (
        ("place", {"$ref": "#/components/x", "components": {"x": {"properties": []}}}),
        ("constant", {"$ref": "#/$defs/x/const", "$defs": {"x": {"const": {"type": 5}}}}),
    ):
        assert call("diff", file(name, schema), file("titled", schema | {"title": "a"})) == 1
    assert call("diff", old, str(tmp_path / "missing")) == 3
    assert call("diff", old) == 2


@pytest.mark.parametrize(
    ("number", "code"),
    [
        *(("9" * 31, 0), ("-" + "9" * 31, 0), ("9" * 33, 3), ("9" * 5000, 3), ("9007199254740991.0", 0)),
        *(("9007199254740993.0", 3), ("1e400", 3), ("0.1", 0), ("0.10", 0), ("1e-7", 0), ("-0.0", 0)),
        *(("0.1000000000000000055", 3), ("1e-400", 3), ("1e-99999999999999999999", 3), ("1.00000000000000000001", 3)),
    ],
)
def test_numbers_that_are_not_kept_as_they_are_written_are_refused(
    number: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "schema"
    path.write_text(f'{{"properties":{{"a":{{"const":{number}}}}}}}')
    assert call("diff", str(path), str(path)) == code
    assert ("/properties/a/const" in capsys.readouterr().err) == (code == 3)


# --- documentation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_examples_are_valid(name: str) -> None:
    schema = document_schema(name)
    for node in (schema, *schema["$defs"].values()):
        assert findings_at(schema, node, schema_docs.example_of(schema, node)) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_documentation_says_what_the_schema_says(name: str) -> None:
    schema = document_schema(name)
    text = schema_docs.to_markdown(schema, path=SCHEMAS[name], digest="0" * 64)
    headings = {line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")}
    assert {link.lower() for link in re.findall(r"\]\(#([^)]*)\)", text)} <= headings
    flat = text.replace("\\|", "|")
    for title, node in [(None, schema), *schema["$defs"].items()]:
        assert title is None or f"## {title}\n" in text
        assert node["description"] in text
        for member, value in node.get("properties", {}).items() if "allOf" not in node else ():
            assert f"`{member}`" in text
            assert value["description"] in flat
    for title, example in re.findall(r"^```json (.*)\n((?:.*\n)*?)```$", text, re.MULTILINE):
        node = schema["$defs"].get(title, schema)
        assert findings_at(schema, node, json.loads(example)) == []


def section_of(name: str) -> list[str]:
    text = schema_docs.to_markdown(document_schema("record"), path=SCHEMAS["record"], digest="0" * 64)
    return text.partition(f"## {name}\n")[2].partition("```json")[0].splitlines()


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("Text", ["- type `string`", "- characters: at most 65536"]),
        ("NonEmptyText", ["- type `string`", "- characters: from 1 to 65536"]),
        ("Count", ["- type `integer`", f"- values: from 0 to {2**53 - 1}"]),
        ("Digest", ["- type `string`", "- pattern `^[0-9a-f]{64}(?!\\n)$`", "- characters: 64"]),
        ("Disclosure", ["- type `string`", "- characters: at least 1", "- not: pattern `[^A-Za-z0-9_-]`"]),
    ],
)
def test_the_documentation_says_the_rules_of_a_scalar(name: str, rules: list[str]) -> None:
    assert [line for line in section_of(name) if line.startswith("- ")] == rules


def test_the_documentation_says_what_is_refused() -> None:
    assert "- not: pattern `\\n`" in section_of("Base64")


def test_every_word_is_about_a_member_that_there_is() -> None:
    members: dict[str, set[str]] = {"Event": {"type"}, "Record": set(document_schema("record")["properties"])}
    for key in DOCUMENTS:
        schema = document_schema(key)
        for name, node in schema["$defs"].items():
            members.setdefault(name, set()).update(node.get("properties", {}))
    roots = {"PlanDocument": "plan", "PolicyDocument": "trust", "ReportDocument": "verification"}
    for struct, name in {**roots, "ScaffoldDocument": "scaffold", "Statement": "statement"}.items():
        members[struct] = set(document_schema(name)["properties"])
    members["Event"] |= {"seq", "timestamp", "previous_event_hash", "details"}
    for struct, words in MEANINGS.items():
        assert set(words) <= members[struct]
    for name in EXAMPLES:
        struct, _dot, member = name.partition(".")
        assert not member or member in members[struct]


# --- types -----------------------------------------------------------------------------------------------------------

CONSUMER: Final = """\
import type { DetailValue, Event, HearthRecord } from "./hearth-record/1/record";
import type { HearthPlan } from "./hearth-plan/1/plan";
import type { HearthTrustPolicy } from "./hearth-trust/1/trust";
import type { HearthVerificationReport } from "./hearth-verification/1/verification";
import type { HearthRollbackScaffold } from "./hearth-scaffold/1/scaffold";

export const records: HearthRecord[] = [RECORDS];
export const plan: HearthPlan = { format: "hearth-plan/1", plan_id: "p", steps: [] };

export function why(event: Event): string {
  switch (event.type) {
    case "execution_started": return event.plan.plan_id;
    case "step_started": return event.step_name;
    case "step_completed": { const nothing: null = event.error_message; return String(nothing); }
    case "step_failed": return event.error_message;
    case "side_effect_observed": return event.reversible === null ? "unknown" : event.description;
    case "security_observed": return event.security_snapshot.security_state;
    case "execution_finished": return event.recovery?.torn_sha256 ?? event.status;
    default: { const never: never = event; return never; }
  }
}
export const details: DetailValue | undefined = records[0]!.events[0]!.details["anything"];
export function policy(of: HearthTrustPolicy): number { return of.require[0]!.count; }
export function code(of: HearthVerificationReport): 0 | 1 | 2 | 3 | 4 | 5 | 70 { return of.exit_code; }
export function hint(of: HearthRollbackScaffold): string { return of.scaffold.hints[0]!.hint.description; }

// @ts-expect-error a member is missing
export const missing: HearthPlan = { format: "hearth-plan/1", plan_id: "p" };
// @ts-expect-error a member is unknown
export const unknown: HearthPlan = { format: "hearth-plan/1", plan_id: "p", steps: [], more: 1 };
// @ts-expect-error not a type of event
export const type: Event["type"] = "step_done";
// @ts-expect-error null is not admitted here
export const name: HearthRecord["seal"]["statement"]["predicate"]["execution_id"] = null;
// @ts-expect-error one of several values
export const state: HearthRecord["seal"]["statement"]["predicate"]["status"] = "started";
"""


def test_the_types_are_checked_by_the_compiler(tmp_path: Path) -> None:
    node = needs_program("node")
    compiler = TESTS / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.is_file():
        needs_program("tsc (npm install in tests/)")
    assert call("export", "--format", "typescript", "-o", str(tmp_path)) == 0
    files = sorted((VECTORS / "valid").glob("*.json"))[::40]
    records = ",\n".join(path.read_text("utf-8") for path in files)
    (tmp_path / "consumer.ts").write_text(CONSUMER.replace("RECORDS", records), "utf-8")
    options = [
        "--noEmit",
        "--strict",
        "--noUncheckedIndexedAccess",
        "--exactOptionalPropertyTypes",
        "--target",
        "es2022",
    ]
    sources = [str(path) for path in tmp_path.rglob("*.ts")]
    assert len(sources) == len(SCHEMAS) + 1
    done = subprocess.run([node, str(compiler), *options, *sources], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# --- exporting and versions ------------------------------------------------------------------------------------------


def test_the_bundle_is_the_one_file_for_a_record(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert call("export", "--bundle") == 0
    assert capsysbinary.readouterr().out == encode_schema("record")
    for form, suffix in (("json", "schema.json"), ("markdown", "md"), ("typescript", "d.ts")):
        assert call("export", "--bundle", "--format", form, "-o", str(tmp_path / form)) == 0
        assert call("export", "--bundle", "--format", form, "-o", str(tmp_path / form), "--check") == 0
        files = [path for path in (tmp_path / form).rglob("*") if path.is_file()]
        assert [str(path.relative_to(tmp_path / form)) for path in files] == [f"hearth-record/1/record.{suffix}"]
    assert call("export", "--bundle", "--check") == 0
    assert call("export", "--bundle", "--check", "--format", "markdown") == 2


def test_without_a_directory_what_came_with_the_release_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("export", "--check") == 0
    for directory in ("a/hearth_records/cli", "b/hearth_records/cli", "b/hearth_records/schemas"):
        (tmp_path / directory).mkdir(parents=True)
    shutil.copytree(Path(__file__).resolve().parent.parent / "schemas", tmp_path / "a" / "schemas")
    for place, code in (("a", 0), ("b", 1)):
        monkeypatch.setattr(command, "__file__", str(tmp_path / place / "hearth_records" / "cli" / "schema.py"))
        assert call("export", "--check") == code
    (tmp_path / "a" / "schemas" / "hearth-record" / "1" / "event.schema.json").write_bytes(b"{}")
    monkeypatch.setattr(command, "__file__", str(tmp_path / "a" / "hearth_records" / "cli" / "schema.py"))
    assert call("export", "--check") == 1


@pytest.mark.parametrize("form", ["markdown", "typescript"])
def test_other_forms_are_written_beside_each_other(form: str, tmp_path: Path) -> None:
    assert call("export", "--format", form, "-o", str(tmp_path)) == 0
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(SCHEMAS)
    assert call("export", "--format", form, "-o", str(tmp_path), "--check") == 0
    next(tmp_path.rglob("record.*")).write_bytes(b"")
    assert call("export", "--format", form, "-o", str(tmp_path), "--check") == 1


def files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def test_an_export_that_cannot_be_whole_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("export", "-o", "") == 2
    assert call("export", "--check", "-o", "") == 2
    event = "hearth-record/1/step_failed.schema.json"
    for name in ("directory", "link", "fifo"):
        (tmp_path / name / event).parent.mkdir(parents=True)
    (tmp_path / "directory" / event).mkdir()
    (tmp_path / "link" / event).symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo" / event)
    for name in ("directory", "link", "fifo"):
        assert call("export", "-o", name) == 3
    (tmp_path / "file").write_bytes(b"")
    assert call("export", "-o", "file") == 3
    assert call("export", "-o", "file/below", "--format", "markdown") == 3
    assert call("export", "-o", "/proc/x") == 3
    assert capsys.readouterr().out == ""
    assert files_below(tmp_path) == {f"link/{event}", f"fifo/{event}", "file"}


def test_an_export_that_fails_later_says_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = files.write_new

    def full(path: str, data: bytes) -> None:
        if path.endswith("event.schema.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        whole(path, data)

    monkeypatch.setattr(files, "write_new", full)
    assert call("export", "-o", str(tmp_path)) == 3
    path = tmp_path / SCHEMAS["record"]
    assert capsys.readouterr().out == f"{path}: written\n"
    assert files_below(tmp_path) == {SCHEMAS["record"]}
    assert path.read_bytes() == encode_schema("record")
    monkeypatch.undo()
    assert call("export", "-o", str(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{tmp_path / 'SHA256SUMS'}: written"


def test_an_export_replaces_a_file_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    assert call("export", "--bundle", "-o", str(tmp_path)) == 0
    path = tmp_path / SCHEMAS["record"]
    path.write_bytes(b"{}")
    path.chmod(0o640)
    before = path.stat().st_ino
    assert call("export", "--bundle", "-o", str(tmp_path)) == 0
    assert path.read_bytes() == encode_schema("record")
    assert (path.stat().st_mode & 0o777, path.stat().st_ino != before) == (0o640, True)


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b'{"format":"hearth-record/1","events":[\n', "hearth-record/1"),
        (b'{"format":"hearth-record/1","ev', "hearth-record/1"),
        (b'{"format":"hearth-record/1"', "hearth-record/1"),
        (b'{"format":"hearth-record/9","more":', "hearth-record/9"),
        (b'{"format":"hearth-record/23","events":[\n{"torn', "hearth-record/23"),
        (b' {\n "format" : "hearth-plan/1", "steps": []}', "hearth-plan/1"),
        (b'{"exit_code":0,"format":"hearth-verification/1"}', "hearth-verification/1"),
        (b'{"a":1,"format":"hearth-record/7"}', "hearth-record/7"),
    ],
)
def test_the_version_of_a_file_is_inferred(data: bytes, version: str) -> None:
    assert infer_version(data) == version


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-json"),
        (b"{}", "no-format"),
        (b"[]", "no-format"),
        (b'{"format":1}', "no-format"),
        (b'{"format":"hearth-record/01"}', "no-format"),
        (b'{"format":"hearth-record/1\\n"}', "no-format"),
        (b'{"events":[', "not-json"),
        (b'{"format":"hearth-record/1', "not-json"),
        (b'{"format":"hearth-record/1"x', "not-json"),
        (b'{"format":"hearth-plan/1","st', "not-json"),
        (b'\x0b{"format":"hearth-record/1"}', "not-json"),
        (b'{"format":\x0c"hearth-record/1"}', "not-json"),
        (b'{"format":"hearth-record/1","format":"hearth-trust/1"}', "duplicate-member"),
    ],
)
def test_what_says_nothing_about_its_format_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        infer_version(data)
    assert caught.value.code == code


def test_the_command_that_infers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file"
    for data, code, version in (
        (b'{"format":"hearth-record/1","events":[\n', 0, "hearth-record/1\n"),
        (b'{"format":"hearth-record/2","events":[\n', 3, "hearth-record/2\n"),
        (b"nothing", 3, ""),
    ):
        path.write_bytes(data)
        assert (call("infer-version", str(path)), capsys.readouterr().out) == (code, version)


# --- where documents come from ---------------------------------------------------------------------------------------

READING: Final = [["check", "F"], ["diff", "F", "F"], ["infer-version", "F"]]


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_what_cannot_be_read_or_is_doubled_ends_with_3(words: list[str], tmp_path: Path) -> None:
    fifo, doubled, empty = tmp_path / "fifo", tmp_path / "doubled", tmp_path / "empty"
    os.mkfifo(fifo)
    doubled.write_bytes(b'{"$id":"urn:a","$id":"urn:a"}')
    empty.write_bytes(b"")
    for path in (tmp_path, fifo, doubled, empty, tmp_path / "missing", empty / "below"):
        assert call(*(word.replace("F", str(path)) for word in words)) == 3
    assert call(*(word.replace("F", "") for word in words)) == 2


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "plan"
    path.write_bytes(encode_schema("plan"))
    for words in (["check", "-"], ["diff", "-", str(path)], ["diff", str(path), "-"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(encode_schema("plan"))))
        assert call(*words) == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"format":"hearth-plan/1"}')))
    assert call("infer-version", "-") == 0
    for words in (["check", "-", "-"], ["diff", "-", "-"]):
        assert call(*words) == 2
    monkeypatch.setattr("sys.stdin", None)
    assert call("infer-version", "-") == 3
