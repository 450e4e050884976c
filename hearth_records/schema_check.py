r"""Lints a schema: is it one of JSON Schema 2020-12, and does it keep to the rules of this project?

meta         the meta-schema of JSON Schema 2020-12 allows it
dialect      `$schema` is 2020-12, and stands at the top alone
id           `$id` is like urn:hearth-records:schema:record:1, and stands at the top alone
described    the document, each definition and each member says what it is
reference    each `$ref` is absolute and points to something in the same document; no other kind of reference
circular     following references, one never comes back to the same schema for the same value
unused       each definition is referred to
regex        a pattern is a regular expression in Python, without what only Python has or reads differently
anchored     a pattern begins with ^ and ends with (?!\n)$, so that in Python too no final line break passes, and has no
             alternatives but in groups; $ alone is enough where the pattern takes as many characters as minLength and
             maxLength say, or `not` refuses line breaks; inside of `not` it is free
format       there is no format but date-time, the one that validation checks
closed       an object says what becomes of members that it does not list
bounded      an integer has a minimum and a maximum
const        an enumeration has more than one value
default      a member that may be left out says what that means
example      an example is valid where it stands; looked at once references and patterns are good

Names of `patternProperties` are patterns too. Nothing is ever fetched.
"""

from __future__ import annotations

import re
import warnings
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from hearth_records.profile import pointer_join
from hearth_records.schema import ANY_NAME, DIALECT, FORMATS, Finding, findings_at, meta_findings, subschemas

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_schema"]

_is_id = re.compile(r"urn:hearth-records:schema:[a-z]+(?:_[a-z]+)*:[1-9][0-9]*").fullmatch
_SAME_VALUE: Final = frozenset({"anyOf", "oneOf", "allOf", "not", "if", "then", "else", "dependentSchemas"})
"""What says something about the value itself, not about what is in it."""
_PARTS: Final = frozenset({"allOf", "not", "if", "then", "else", "propertyNames", "contains"})
"""Where a schema says only something more about a value that another one describes."""
_BRANCHES: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
"""Where a schema is a part if the one around it is."""
_FOREIGN: Final = ("$dynamicRef", "$dynamicAnchor", "$anchor", "$recursiveRef")
_UNSOUND: Final = frozenset({"dialect", "id", "reference", "circular", "regex"})
"""Rules without which no value can be judged by the schema."""


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
    found = [*_check_head(schema), *_check_references(schema, places), *_check_circles(schema, places)]
    for place in places:
        found += [*_check_place(place), *_check_patterns(place)]
    if _UNSOUND.isdisjoint(item.keyword for item in found):
        for place in places:
            found += _check_examples(schema, place)
    return sorted(found, key=lambda item: item.pointer)


def _found(pointer: str, rule: str, message: str) -> Finding:
    return Finding(pointer=pointer, keyword=rule, message=message)


def _walk(place: _Place) -> Iterator[_Place]:
    yield place
    for keyword, pointer, child in _children(place):
        is_part = keyword in _PARTS or (place.is_part and keyword in _BRANCHES)
        yield from _walk(_Place(pointer, child, is_part, is_refused=place.is_refused or keyword == "not"))


def _children(place: _Place) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the schemas right inside of another one that are objects: by which keyword, where, and the schema."""
    for keyword, inside, child in subschemas(place.node):
        if isinstance(child, dict):
            yield keyword, place.pointer + inside, child


def _check_head(schema: dict[str, Any]) -> Iterator[Finding]:
    if schema.get("$schema") != DIALECT:
        yield _found("/$schema", "dialect", f"$schema is {DIALECT}")
    if not _is_id(str(schema.get("$id"))):
        yield _found("/$id", "id", "$id is like urn:hearth-records:schema:record:1")
    if not schema.get("title") or not schema.get("description"):
        yield _found("", "described", "a document has a title and a description")


def _check_references(schema: dict[str, Any], places: list[_Place]) -> Iterator[Finding]:
    known = {place.pointer for place in places}
    used = set()
    for place in places:
        for key, rule in (("$id", "id"), ("$schema", "dialect")):
            if place.pointer and key in place.node:
                yield _found(f"{place.pointer}/{key}", rule, f"only the document itself has {key}")
        for key in _FOREIGN:
            if key in place.node:
                yield _found(pointer_join(place.pointer, key), "reference", "there is no reference but $ref")
        reference = place.node.get("$ref")
        if reference is None:
            continue
        target = _target(schema, reference)
        if target not in known:
            text = "does not point into this document" if target is None else "points to nothing"
            yield _found(f"{place.pointer}/$ref", "reference", f"{reference} {text}")
        used.add(target)
    for name in schema.get("$defs", {}):
        if (pointer := pointer_join("/$defs", name)) not in used:
            yield _found(pointer, "unused", "nothing refers to it")


def _target(schema: dict[str, Any], reference: str) -> str | None:
    """Return the pointer to what a reference into its own document leads to; None for another reference."""
    base, mark, fragment = reference.partition("#")
    return unquote(fragment) if mark and base == schema.get("$id") else None


def _check_circles(schema: dict[str, Any], places: list[_Place]) -> Iterator[Finding]:
    """Find a way of references that ends where it began without going into the value: it would never end."""
    ways = {
        place.pointer: {pointer for key, pointer, _child in _children(place) if key in _SAME_VALUE} for place in places
    }
    targets = {place.pointer: _target(schema, place.node["$ref"]) for place in places if "$ref" in place.node}
    for pointer, target in targets.items():
        if target in ways:
            ways[pointer].add(target)
    try:
        TopologicalSorter(ways).prepare()
    except CycleError as error:
        circle = set(error.args[1])
        first = next(pointer for pointer, target in targets.items() if {pointer, target} <= circle)
        yield _found(f"{first}/$ref", "circular", "the reference leads back to itself, for the same value")


def _check_place(place: _Place) -> Iterator[Finding]:
    pointer, node, is_part, _is_refused = place
    if node.get("format", FORMATS[0]) not in FORMATS:
        yield _found(f"{pointer}/format", "format", f"there is no format but {', '.join(FORMATS)}")
    if "integer" in _types(node) and not is_part and not {"minimum", "maximum"} <= node.keys():
        yield _found(pointer, "bounded", "an integer has a minimum and a maximum")
    if len(node.get("enum", [1, 2])) < 2:  # noqa: PLR2004 - one is a constant
        yield _found(f"{pointer}/enum", "const", "an enumeration of one value is a const")
    if not is_part:
        yield from _check_object(pointer, node)
    if pointer.count("/") == 2 and pointer.startswith("/$defs/") and not node.get("description"):  # noqa: PLR2004
        yield _found(pointer, "described", "a definition has a description")


def _types(node: dict[str, Any]) -> list[str]:
    types = node.get("type", [])
    return [types] if isinstance(types, str) else types


def _check_examples(schema: dict[str, Any], place: _Place) -> Iterator[Finding]:
    for index, example in enumerate(place.node.get("examples", [])):
        for finding in findings_at(schema, place.node, example):
            yield _found(f"{place.pointer}/examples/{index}{finding.pointer}", "example", finding.message)


# --- patterns --------------------------------------------------------------------------------------------------------

_token = re.compile(
    r"""\\[^AZ]                        # an escape, but for the anchors that only Python has
      | \[(?!\^?\])(?:\\.|[^\]\\])*\]  # a class; after [ or [^ Python alone takes ] for a character of it
      | \((?!\?(?!<?[=!]|:))           # a group that captures, does not, or looks around: no name, comment, flag
      | [^\\\[(]""",
    re.DOTALL | re.VERBOSE,
).match


def _check_patterns(place: _Place) -> Iterator[Finding]:
    names = pointer_join(place.pointer, "patternProperties")
    patterns: list[tuple[str, str, dict[str, Any]]]
    patterns = [(pointer_join(names, name), name, {}) for name in place.node.get("patternProperties", {})]
    if "pattern" in place.node:
        patterns.append((f"{place.pointer}/pattern", place.node["pattern"], place.node))
    for pointer, pattern, node in patterns:
        if (wrong := _regex_error(pattern)) is not None:
            yield _found(pointer, "regex", wrong)
        elif not place.is_refused and not _is_anchored(pattern, node):
            text = "a pattern begins with ^ and ends with (?!\\n)$, and only groups have alternatives"
            yield _found(pointer, "anchored", text)


def _regex_error(pattern: str) -> str | None:
    """Return why a pattern is no regular expression, or not the same one to Python and to others."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns of what may change its meaning
            re.compile(pattern)
    except (re.error, Warning, ArithmeticError, ValueError, RecursionError) as error:
        return f"not a regular expression: {error}"
    rest = pattern[len("".join(_tokens(pattern))) :]
    return f"others than Python read this differently, or not at all: {rest}" if rest else None


def _tokens(pattern: str) -> list[str]:
    """Return a pattern cut into escapes, classes and single characters, up to what only Python knows."""
    tokens: list[str] = []
    place = 0
    while (found := _token(pattern, place)) is not None:
        tokens.append(found[0])
        place = found.end()
    return tokens


def _is_anchored(pattern: str, node: dict[str, Any]) -> bool:
    if pattern == ANY_NAME:  # line breaks are characters of names
        return True
    tokens = _tokens(pattern)
    refuses_breaks = node.get("not") == {"pattern": r"\n"}
    end = ["$"] if refuses_breaks or _is_of_one_length(pattern, node) else ["(", "?", "!", r"\n", ")", "$"]
    return tokens[:1] == ["^"] and tokens[-len(end) :] == end and not _has_alternatives(tokens)


def _has_alternatives(tokens: list[str]) -> bool:
    """Whether a pattern as a whole has alternatives: its first ^ and last $ belong to one of them each."""
    depth = 0
    for word in tokens:
        depth += (word == "(") - (word == ")")
        if word == "|" and not depth:
            return True
    return False


def _is_of_one_length(pattern: str, node: dict[str, Any]) -> bool:
    """Whether a pattern takes exactly as many characters as a text may have, so that none is left for a line break."""
    length = node.get("maxLength")
    if length is None or node.get("minLength") != length:
        return False
    try:
        re.compile(rf"(?<={pattern}|[\s\S]{{{int(length)}}})")  # a look-behind has to be of one length
    except (re.error, ArithmeticError):
        return False
    return True


# --- objects ---------------------------------------------------------------------------------------------------------


def _check_object(pointer: str, node: dict[str, Any]) -> Iterator[Finding]:
    members = node.get("properties", {})
    if members and not {"additionalProperties", "unevaluatedProperties", "allOf"} & node.keys():
        yield _found(pointer, "closed", "additionalProperties says what becomes of members that are not listed")
    if "object" in _types(node) and not {"properties", "additionalProperties"} & node.keys():
        yield _found(pointer, "closed", "an object lists its members, or says what they are")
    required = node.get("required", [])
    for name, member in members.items():
        place = pointer_join(f"{pointer}/properties", name)
        if not isinstance(member, dict) or not member.get("description"):
            yield _found(place, "described", "a member has a description")
        elif name not in required and "default" not in member and node.get("additionalProperties") is False:
            yield _found(place, "default", "a member that may be left out has a default")
