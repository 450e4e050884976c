r"""Lints a schema: is it one of JSON Schema 2020-12, and does it keep to the rules of this project?

meta         the meta-schema of JSON Schema 2020-12 allows it
dialect      `$schema` is 2020-12
id           `$id` is like urn:hearth-records:schema:record:1, and stands at the top alone
described    the document, each definition and each member says what it is
reference    each `$ref` is absolute and points to something in the same document; no other kind of reference
unused       each definition is referred to
anchored     a pattern begins with ^ and ends with (?!\n)$, so that in Python too no final line break passes; $ alone
             is enough where all lengths are the same or `not` refuses line breaks; inside of `not` it is free
closed       an object says what becomes of members that it does not list
bounded      an integer has a minimum and a maximum
const        an enumeration has more than one value
default      a member that may be left out says what that means
example      an example is valid where it stands
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hearth_records.profile import pointer_join
from hearth_records.schema import ANY_NAME, DIALECT, Finding, findings_at, meta_findings, subschemas

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_schema"]

_is_id = re.compile(r"urn:hearth-records:schema:[a-z]+(?:_[a-z]+)*:[1-9][0-9]*").fullmatch
_PARTS: Final = frozenset({"allOf", "not", "if", "then", "else", "propertyNames", "contains"})
"""Where a schema says only something more about a value that another one describes."""
_BRANCHES: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
"""Where a schema is a part if the one around it is."""
_FOREIGN: Final = ("$dynamicRef", "$dynamicAnchor", "$anchor", "$recursiveRef")


class _Place(NamedTuple):
    """A schema inside of a document: where it stands, and whether it is a part of another one, or inside of `not`."""

    pointer: str
    node: dict[str, Any]
    is_part: bool
    is_refused: bool


def check_schema(schema: Any) -> list[Finding]:  # noqa: ANN401 - any JSON
    """Return what is wrong with a schema; nothing when all is well. Raises `FormatError` for one nested too deep."""
    if wrong := [_found(item.pointer, "meta", item.message) for item in meta_findings(schema)]:
        return wrong
    if not isinstance(schema, dict):
        return [_found("", "id", "a document is an object with an $id")]
    places = list(_walk(_Place("", schema, is_part=False, is_refused=False)))
    found = [*_check_head(schema), *_check_references(schema, places)]
    for place in places:
        found += _check_place(schema, place)
    return sorted(found, key=lambda item: item.pointer)


def _found(pointer: str, rule: str, message: str) -> Finding:
    return Finding(pointer=pointer, keyword=rule, message=message)


def _walk(place: _Place) -> Iterator[_Place]:
    yield place
    for keyword, inside, child in subschemas(place.node):
        if isinstance(child, dict):
            is_part = keyword in _PARTS or (place.is_part and keyword in _BRANCHES)
            is_refused = place.is_refused or keyword == "not"
            yield from _walk(_Place(place.pointer + inside, child, is_part, is_refused))


def _check_head(schema: dict[str, Any]) -> Iterator[Finding]:
    if schema.get("$schema") != DIALECT:
        yield _found("/$schema", "dialect", f"$schema is {DIALECT}")
    if not _is_id(str(schema.get("$id"))):
        yield _found("/$id", "id", "$id is like urn:hearth-records:schema:record:1")
    if not schema.get("title") or not schema.get("description"):
        yield _found("", "described", "a document has a title and a description")


def _check_references(schema: dict[str, Any], places: list[_Place]) -> Iterator[Finding]:
    known = {place.pointer for place in places}
    base, used = f"{schema.get('$id')}#", set()
    for place in places:
        if place.pointer and "$id" in place.node:
            yield _found(f"{place.pointer}/$id", "id", "only the document itself has an $id")
        for key in _FOREIGN:
            if key in place.node:
                yield _found(pointer_join(place.pointer, key), "reference", "there is no reference but $ref")
        reference = place.node.get("$ref")
        if reference is None:
            continue
        target = reference.removeprefix(base)
        if target == reference or target not in known:
            text = "does not point into this document" if target == reference else "points to nothing"
            yield _found(f"{place.pointer}/$ref", "reference", f"{reference} {text}")
        used.add(target)
    for name in schema.get("$defs", {}):
        if (pointer := pointer_join("/$defs", name)) not in used:
            yield _found(pointer, "unused", "nothing refers to it")


def _check_place(schema: dict[str, Any], place: _Place) -> Iterator[Finding]:
    pointer, node, is_part, is_refused = place
    pattern = node.get("pattern")
    if pattern is not None and not is_refused and not _is_anchored(pattern, node):
        yield _found(f"{pointer}/pattern", "anchored", "a pattern begins with ^ and ends with (?!\\n)$")
    if node.get("type") == "integer" and not is_part and not {"minimum", "maximum"} <= node.keys():
        yield _found(pointer, "bounded", "an integer has a minimum and a maximum")
    if len(node.get("enum", [1, 2])) < 2:  # noqa: PLR2004 - one is a constant
        yield _found(f"{pointer}/enum", "const", "an enumeration of one value is a const")
    if not is_part:
        yield from _check_object(pointer, node)
    for index, example in enumerate(node.get("examples", [])):
        for finding in findings_at(schema, node, example):
            yield _found(f"{pointer}/examples/{index}{finding.pointer}", "example", finding.message)
    if pointer.count("/") == 2 and pointer.startswith("/$defs/") and not node.get("description"):  # noqa: PLR2004
        yield _found(pointer, "described", "a definition has a description")


def _is_anchored(pattern: str, node: dict[str, Any]) -> bool:
    if pattern == ANY_NAME:  # line breaks are characters of names
        return True
    refused = node.get("not")
    without_breaks = isinstance(refused, dict) and refused.get("pattern") == r"\n"
    of_one_length = "maxLength" in node and node.get("minLength") == node["maxLength"]
    end = "$" if without_breaks or of_one_length else r"(?!\n)$"
    return pattern.startswith("^") and pattern.endswith(end)


def _check_object(pointer: str, node: dict[str, Any]) -> Iterator[Finding]:
    members = node.get("properties", {})
    if members and not {"additionalProperties", "unevaluatedProperties", "allOf"} & node.keys():
        yield _found(pointer, "closed", "additionalProperties says what becomes of members that are not listed")
    if node.get("type") == "object" and not {"properties", "additionalProperties"} & node.keys():
        yield _found(pointer, "closed", "an object lists its members, or says what they are")
    required = node.get("required", [])
    for name, member in members.items():
        place = pointer_join(f"{pointer}/properties", name)
        if not isinstance(member, dict) or not member.get("description"):
            yield _found(place, "described", "a member has a description")
        elif name not in required and "default" not in member and node.get("additionalProperties") is False:
            yield _found(place, "default", "a member that may be left out has a default")
