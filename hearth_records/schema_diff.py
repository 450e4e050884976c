"""What changed between two JSON Schemas, and for whom the change is compatible.

Each change makes the set of valid documents narrower, wider, both, or leaves it alone:

    narrower   whatever is valid by the new schema is valid by the old one
    wider      whatever is valid by the old schema is valid by the new one

so that two schemas are

    compatible for readers   nothing got wider: who reads by the old schema can read all that is written by the new one
    compatible for writers   nothing got narrower: what is written by the old schema is still valid by the new one
    breaking                 neither

A schema is the conjunction of its keywords, so keywords are compared one by one; what depends on others is compared
together with them (members and `additionalProperties`, items, bounds). A union whose branches are told apart by a
constant member is compared branch by branch, whether it is written with `oneOf` or with `if` and `then`.

What cannot be judged says so and counts as both. So the answer errs on one side only: what is called compatible is.
Documents that are equal, in the sense of JSON Schema, differ in nothing, whatever they hold. In others these cannot be
judged:

    two patterns or formats, a condition or a branch of `oneOf` that changed
    `unevaluatedProperties` and `unevaluatedItems`, unless all that they stand beside and refer to is unchanged
    a keyword that is not known here, unless all that it holds and refers to is unchanged
    a reference that leads out of the document, to something that is no schema, by an anchor, or in a circle
    `$dynamicRef`, a schema with its own `$id` inside of the document, and a `$schema` that is not 2020-12
    `default`, when it is added, removed or changed: valid is the same as before, but what an absent member means is not
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import unquote

from msgspec import Struct

from hearth_records.profile import pointer_join
from hearth_records.schema import DIALECT, subschemas

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Change", "Comparison", "compare_schemas"]

Effect = Literal["none", "narrower", "wider", "both", "unknown"]
Verdict = Literal["compatible", "compatible-for-readers", "compatible-for-writers", "breaking"]
Schema = dict[str, Any]


class Change(Struct, frozen=True, kw_only=True):
    """One change: where in the schema, in which keyword, what it does to the set of valid documents, in words."""

    pointer: str
    keyword: str
    effect: Effect
    message: str


class Comparison(Struct, frozen=True, kw_only=True):
    """All changes, and what they come to."""

    changes: tuple[Change, ...]

    @property
    def for_readers(self) -> bool:
        """Whether who reads by the old schema can read all that is written by the new one."""
        return all(change.effect in ("none", "narrower") for change in self.changes)

    @property
    def for_writers(self) -> bool:
        """Whether all that is written by the old schema is valid by the new one."""
        return all(change.effect in ("none", "wider") for change in self.changes)

    @property
    def verdict(self) -> Verdict:
        """One word for it."""
        if self.for_readers:
            return "compatible" if self.for_writers else "compatible-for-readers"
        return "compatible-for-writers" if self.for_writers else "breaking"


def compare_schemas(old: Any, new: Any) -> Comparison:  # noqa: ANN401 - any JSON
    """Return what changed from one schema to another; both have to be valid by the meta-schema of 2020-12.

    A float counts for the value that it has: read documents with `decode_any(…, exact=True)`.

    Raises:
        RecursionError: they are nested too deep.

    """
    run = _Run(old, new)
    if _identity(old) != _identity(new):
        run.compare_documents(old, new)
    return Comparison(changes=tuple(run.changes))


# --- values and types ------------------------------------------------------------------------------------------------

_TYPES: Final = frozenset({"null", "boolean", "object", "array", "string", "integer", "fraction"})
_ANNOTATIONS: Final = frozenset(
    {
        *("title", "description", "$comment", "examples", "deprecated", "readOnly", "writeOnly"),
        *("$schema", "$id", "contentEncoding", "contentMediaType", "contentSchema"),
    }
)
_IGNORED: Final = frozenset({"$defs", "definitions", "$anchor", "$vocabulary"})
_DYNAMIC: Final = ("$dynamicRef", "$recursiveRef")
"""References whose target depends on the way that led to them."""


def _identity(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return a text that two JSON values share exactly when JSON Schema takes them for equal: 1.0 is 1, true is not."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return f"[{','.join(map(_identity, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_identity(value[name])}" for name in sorted(value)) + "}"
    return json.dumps(value)


def _type_of(value: Any) -> str:  # noqa: ANN401 - any JSON
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return "integer" if value.is_integer() else "fraction"


def _declared(node: Schema) -> frozenset[str]:
    kinds = node.get("type", _TYPES)
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    return frozenset(kinds | {"integer", "fraction"} if "number" in kinds else kinds)


def _values(node: Schema) -> list[Any] | None:
    """Return the values that a schema names, those of its types, or None when it names none."""
    values: list[Any] | None = node.get("enum")
    if "const" in node:
        constant = _identity(node["const"])
        if values is not None and constant not in map(_identity, values):
            return []
        values = [node["const"]]
    return None if values is None else [value for value in values if _type_of(value) in _declared(node)]


def _types(node: Schema) -> frozenset[str]:
    values = _values(node)
    return _declared(node) if values is None else frozenset(map(_type_of, values))


def _is_false(node: Any) -> bool:  # noqa: ANN401 - a schema
    return node is False or (isinstance(node, dict) and (node.get("not") is True or node.get("not") == {}))


def _references(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield all references in a value, also what only looks like one."""
    for name, member in value.items() if isinstance(value, dict) else ():
        if name in ("$ref", *_DYNAMIC) and isinstance(member, str):
            yield member
    if isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _references(member)


def _show(value: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(value)


# --- documents and their references ----------------------------------------------------------------------------------

_ANYTHING: Final[Schema] = {}
_NOTHING: Final[Schema] = {"not": {}}
_LONGEST_CHAIN: Final = 100


class _Resolved(NamedTuple):
    """A schema without `$ref`, its place, and the `default` that it or a reference to it has, with its place too."""

    node: Schema
    pointer: str
    default: tuple[str, str] | None


class _Document:
    """A document: its schemas by the pointers to them, and where its references lead."""

    def __init__(self, root: Any) -> None:  # noqa: ANN401 - any JSON
        self.id = root.get("$id", "") if isinstance(root, dict) else ""
        self.schemas: dict[str, Any] = {}
        self.rewritten: dict[int, Schema] = {}  # by the id of the original: one schema is always one object
        left = [("", root)]
        while left:
            pointer, node = left.pop()
            self.schemas[pointer] = node
            if isinstance(node, dict):
                left += [(pointer + inside, child) for _keyword, inside, child in subschemas(node)]

    def unjudged(self) -> Iterator[tuple[str, str, str]]:
        """Yield what changes the meaning of schemas elsewhere: pointer, keyword, and why it cannot be judged."""
        for pointer, node in self.schemas.items():
            if not isinstance(node, dict):
                continue
            if node.get("$schema", DIALECT) != DIALECT:
                yield pointer, "$schema", "only schemas of JSON Schema 2020-12 are compared"
            if pointer and "$id" in node:
                yield pointer, "$id", "a document inside of the document is not compared"
            for keyword in _DYNAMIC:
                if keyword in node:
                    yield pointer, keyword, "a reference that depends on the way to it is not followed"

    def target(self, reference: str) -> str | None:
        """Return the pointer to the schema that a reference leads to; None when it leads to none in the document."""
        base, _mark, fragment = reference.partition("#")
        try:
            pointer = unquote(fragment, errors="strict")
        except UnicodeDecodeError:
            return None
        return pointer if base in ("", self.id) and pointer in self.schemas else None

    def resolve(self, node: Any, pointer: str) -> _Resolved | None:  # noqa: ANN401 - a schema
        """Follow the references of a schema that is nothing else; None when there is no end of them inside."""
        default = None
        for _step in range(_LONGEST_CHAIN):
            if isinstance(node, bool):
                return _Resolved(_ANYTHING if node else _NOTHING, pointer, default)
            if default is None and "default" in node:
                default = (_identity(node["default"]), pointer)
            if "$ref" not in node:
                return _Resolved(node, pointer, default)
            if node.keys() - _ANNOTATIONS - _IGNORED - {"$ref", "default"}:
                return _Resolved(self._rewrite(node), pointer, default)
            place = self.target(node["$ref"])
            if place is None:
                return None
            node, pointer = self.schemas[place], place
        return None

    def _rewrite(self, node: Schema) -> Schema:
        """Return a schema with its reference as one more rule of `allOf`, which means the same."""
        if id(node) not in self.rewritten:
            rest = {
                key: value for key, value in node.items() if key not in _ANNOTATIONS | _IGNORED | {"$ref", "default"}
            }
            self.rewritten[id(node)] = rest | {"allOf": [*node.get("allOf", ()), {"$ref": node["$ref"]}]}
        return self.rewritten[id(node)]


# --- unions whose branches a member tells apart ----------------------------------------------------------------------


class _Union(NamedTuple):
    """A schema as `rest`, and an object that is valid by the one of `branches` for the value of its member `tag`."""

    tag: str
    branches: dict[str, Any]
    rest: Schema


def _conditional_union(node: Schema) -> _Union | None:
    """Read `allOf` of `if` (the tag is …) and `then`, on an object with an enumeration of all tags, as a union."""
    if node.get("type") != "object":  # whatever is no object is valid then
        return None
    branches: dict[str, Any] = {}
    tags = set()
    for part in node.get("allOf", ()):
        condition = part.get("if") if isinstance(part, dict) and part.keys() == {"if", "then"} else None
        if not isinstance(condition, dict) or not condition.keys() <= {"type", "properties", "required"}:
            return None
        members = condition.get("properties", {})
        if (
            condition.get("type", "object") != "object"
            or len(members) != 1
            or condition.get("required") != list(members)
        ):
            return None
        ((tag, test),) = members.items()
        if not isinstance(test, dict) or test.keys() != {"const"} or _identity(test["const"]) in branches:
            return None
        tags.add(tag)
        branches[_identity(test["const"])] = part["then"]
    if len(tags) != 1 or "additionalProperties" in node or "patternProperties" in node:
        return None
    (tag,) = tags
    member = node.get("properties", {}).get(tag)
    is_plain = isinstance(member, dict) and member.keys() <= _ANNOTATIONS | {"type", "enum", "const"}
    values = _values(member) if is_plain else None
    if tag not in node.get("required", ()) or values is None or set(map(_identity, values)) != set(branches):
        return None
    rest = {key: value for key, value in node.items() if key not in ("allOf", "type")}
    rest["properties"] = {name: value for name, value in node["properties"].items() if name != tag}
    rest["required"] = [name for name in node["required"] if name != tag]
    return _Union(tag, branches, rest)


def _constants(node: Schema) -> dict[str, str]:
    """Return the members that a schema demands and that have one value, with that value."""
    found = {}
    for name, member in node.get("properties", {}).items():
        values = _values(member) if isinstance(member, dict) and "$ref" not in member else None
        if name in node.get("required", ()) and values is not None and len(values) == 1:
            found[name] = _identity(values[0])
    return found if node.get("type") == "object" else {}


# --- the comparison --------------------------------------------------------------------------------------------------

_BOUNDS: Final[tuple[tuple[str, str, int], ...]] = (
    ("minLength", "string", 1),
    ("maxLength", "string", -1),
    ("minItems", "array", 1),
    ("maxItems", "array", -1),
    ("minProperties", "object", 1),
    ("maxProperties", "object", -1),
)
"""Bounds of lengths, the type that they are about, and whether a higher one is narrower."""

_UNEVALUATED: Final = ("unevaluatedProperties", "unevaluatedItems")
"""Keywords that depend on all that the schema applies to the same value."""

_KNOWN: Final = frozenset(
    {
        *("type", "enum", "const", "pattern", "format", "uniqueItems", "multipleOf", "default", "$ref"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", *(name for name, *_rest in _BOUNDS)),
        *("properties", "additionalProperties", "patternProperties", "propertyNames", "required"),
        *("items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "if", "then", "else"),
        *(*_UNEVALUATED, *_DYNAMIC),
    }
)


class _Run:
    """One comparison of two documents.

    The `sense` of a pair of schemas is 1 where what is narrower makes the whole narrower, -1 where it makes the whole
    wider (inside of `not`), and 0 where it can do either, so that only no change can be judged (a condition).
    """

    def __init__(self, old: Any, new: Any) -> None:  # noqa: ANN401 - any JSON
        self.old = _Document(old)
        self.new = _Document(new)
        self.changes: dict[Change, None] = {}  # in the order in which they were found, each once
        self.seen: set[tuple[int, int, int]] = set()

    # -- what is found ------------------------------------------------------------------------------------------------

    def record(self, pointer: str, keyword: str, message: str, *, narrows: bool, widens: bool, sense: int = 1) -> None:
        """Keep a change."""
        if sense == 0 and (narrows or widens):
            self.doubt(pointer, keyword, f"{message}, where a change cannot be judged")
            return
        if sense < 0:
            narrows, widens = widens, narrows
        effects: dict[tuple[bool, bool], Effect] = {
            (False, False): "none",
            (True, False): "narrower",
            (False, True): "wider",
            (True, True): "both",
        }
        self._keep(pointer, keyword, effects[narrows, widens], message)

    def doubt(self, pointer: str, keyword: str, message: str) -> None:
        """Keep a change that cannot be judged."""
        self._keep(pointer, keyword, "unknown", message)

    def _keep(self, pointer: str, keyword: str, effect: Effect, message: str) -> None:
        self.changes[Change(pointer=pointer, keyword=keyword, effect=effect, message=message)] = None

    def unchanged(self, old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
        """Whether two values are equal, and so are all schemas that they refer to."""
        followed: set[str] = set()
        left = [(old, new)]
        while left:
            before, after = left.pop()
            if _identity(before) != _identity(after):
                return False
            for reference in set(_references(before)) - followed:
                followed.add(reference)
                places = self.old.target(reference), self.new.target(reference)
                if places[0] is None or places[1] is None:
                    return False
                left.append((self.old.schemas[places[0]], self.new.schemas[places[1]]))
        return True

    # -- one pair -----------------------------------------------------------------------------------------------------

    def compare_documents(self, old: Any, new: Any) -> None:  # noqa: ANN401 - any JSON
        """Compare two documents that are not equal."""
        for document in (self.old, self.new):
            for pointer, keyword, message in document.unjudged():
                self.doubt(pointer_join(pointer, keyword), keyword, message)
        self.compare(old, new, "", sense=1)

    def compare(self, old: Any, new: Any, pointer: str, *, sense: int) -> None:  # noqa: ANN401 - schemas
        """Compare two schemas for the same value."""
        self._annotations(old, new, pointer)
        before, after = self.old.resolve(old, pointer), self.new.resolve(new, pointer)
        if before is None or after is None:
            self.doubt(pointer, "$ref", "a reference leads to no schema of the document, or in a circle")
            return
        if isinstance(old, dict) and isinstance(new, dict):
            self._default(before, after)
        pair = (id(before.node), id(after.node), sense)
        if pair in self.seen:
            return
        self.seen.add(pair)
        if before.node is not old or after.node is not new:
            self._annotations(before.node, after.node, after.pointer)
        was_false, is_false = _is_false(before.node), _is_false(after.node)
        if was_false != is_false:
            text = "nothing is valid here any more" if is_false else "something is valid here now"
            self.record(after.pointer, "not", text, narrows=is_false, widens=was_false, sense=sense)
        elif not is_false:
            self._parts(before.node, after.node, after.pointer, sense)

    def _annotations(self, old: Any, new: Any, pointer: str) -> None:  # noqa: ANN401 - schemas
        if not isinstance(old, dict) or not isinstance(new, dict):
            return
        for key in sorted(_ANNOTATIONS & (old.keys() | new.keys())):
            if _identity(old.get(key)) != _identity(new.get(key)):
                self.record(pointer_join(pointer, key), key, "says it in other words", narrows=False, widens=False)

    def _default(self, before: _Resolved, after: _Resolved) -> None:
        """Compare what an absent member means, which is no matter of validity."""
        was, now = before.default, after.default
        if (was and was[0]) != (now and now[0]):
            place = (now or was or ("", ""))[1]
            text = f"was {was[0] if was else 'not said'} and is {now[0] if now else 'not said'}"
            self.doubt(pointer_join(place, "default"), "default", f"what an absent member means {text}")

    def _parts(self, old: Schema, new: Schema, pointer: str, sense: int) -> None:
        for key in _UNEVALUATED:
            if (key in old or key in new) and not self.unchanged(old, new):
                self.doubt(pointer_join(pointer, key), key, "what is evaluated elsewhere changed")
        before, after = self._union(self.old, old), self._union(self.new, new)
        if before is not None and after is not None and before.tag == after.tag:
            self._branches(before, after, pointer, sense)
            old, new = before.rest, after.rest
        keyword = _Keyword(self, old, new, pointer, sense)
        keyword.values()
        keyword.scalars()
        if keyword.both("object"):
            keyword.objects()
        if keyword.both("array"):
            keyword.arrays()
        keyword.combinations()
        keyword.others()

    def _union(self, document: _Document, node: Schema) -> _Union | None:
        if (union := _conditional_union(node)) is not None:
            return union
        for key in ("oneOf", "anyOf"):
            if key not in node:
                continue
            branches = [document.resolve(branch, "") for branch in node[key]]
            constants = [_constants(branch.node) if branch is not None else {} for branch in branches]
            rest = {name: value for name, value in node.items() if name != key}
            for tag in sorted(set.intersection(*(set(found) for found in constants))):
                named = {found[tag]: branch for found, branch in zip(constants, node[key], strict=True)}
                if len(named) == len(branches):
                    return _Union(tag, named, rest)
        return None

    def _branches(self, old: _Union, new: _Union, pointer: str, sense: int) -> None:
        for value in sorted(old.branches.keys() | new.branches.keys()):
            what = f"the branch for {old.tag} {value}"
            if value not in new.branches:
                self.record(pointer, "union", f"{what} was removed", narrows=True, widens=False, sense=sense)
            elif value not in old.branches:
                self.record(pointer, "union", f"{what} was added", narrows=False, widens=True, sense=sense)
            else:
                self.compare(old.branches[value], new.branches[value], f"{pointer}/{old.tag}={value}", sense=sense)


class _Keyword:
    """The keywords of one pair of schemas, group by group."""

    def __init__(self, run: _Run, old: Schema, new: Schema, pointer: str, sense: int) -> None:
        self.run = run
        self.old = old
        self.new = new
        self.pointer = pointer
        self.sense = sense
        self.old_types = _types(old)
        self.new_types = _types(new)

    def both(self, kind: str) -> bool:
        """Whether values of a type are valid by both; else no keyword about that type changes more than `type` does."""
        return kind in self.old_types & self.new_types

    def record(self, keyword: str, message: str, *, narrows: bool, widens: bool) -> None:
        """Keep a change of a keyword."""
        place = pointer_join(self.pointer, keyword)
        self.run.record(place, keyword, message, narrows=narrows, widens=widens, sense=self.sense)

    def doubt(self, keyword: str, message: str) -> None:
        """Keep a change of a keyword that cannot be judged."""
        self.run.doubt(pointer_join(self.pointer, keyword), keyword, message)

    def compare(self, old: Any, new: Any, *path: str | int, sense: int = 1) -> None:  # noqa: ANN401 - schemas
        """Compare two schemas inside of these; `sense` is that of their place."""
        pointer = self.pointer
        for part in path:
            pointer = pointer_join(pointer, part)
        self.run.compare(old, new, pointer, sense=self.sense * sense)

    # -- types and values ---------------------------------------------------------------------------------------------

    def values(self) -> None:
        """`type`, `enum` and `const`."""
        old, new = _values(self.old), _values(self.new)
        if self.old_types != self.new_types and (old is None or new is None):
            names = [", ".join(sorted(kinds)) or "none" for kinds in (self.old_types, self.new_types)]
            self.record(
                "type",
                f"types were {names[0]} and are {names[1]}",
                narrows=not self.old_types <= self.new_types,
                widens=not self.new_types <= self.old_types,
            )
        key = "const" if "const" in (self.new if new is not None else self.old) else "enum"
        if old is None and new is not None:
            self.record(key, "only some values are left", narrows=True, widens=False)
        elif old is not None and new is None:
            self.record(key, "other values are admitted too", narrows=False, widens=True)
        elif old is not None and new is not None:
            before, after = set(map(_identity, old)), set(map(_identity, new))
            for value in sorted(before - after):
                self.record(key, f"the value {value} was removed", narrows=True, widens=False)
            for value in sorted(after - before):
                self.record(key, f"the value {value} was added", narrows=False, widens=True)

    # -- keywords with a plain value ----------------------------------------------------------------------------------

    def scalars(self) -> None:
        """Bounds, lengths, patterns, formats."""
        for name, sign in (("inimum", 1), ("aximum", -1)):
            self._bound(f"m{name}", f"exclusiveM{name}", sign)
        for keyword, kind, sign in _BOUNDS:
            absent = 0 if sign > 0 else None  # no least length is one of 0
            if self.both(kind) and self.old.get(keyword, absent) != self.new.get(keyword, absent):
                self._length(keyword, kind, sign)
        for keyword in ("pattern", "format"):
            old, new = self.old.get(keyword), self.new.get(keyword)
            if old == new or (
                keyword == "pattern" and not self.both("string")
            ):  # formats of other types may be made up
                continue
            if old is not None and new is not None:
                self.doubt(keyword, f"two {keyword}s cannot be compared: {_show(old)} and {_show(new)}")
            else:
                text = f"{_show(new)} was added" if old is None else f"{_show(old)} was removed"
                self.record(keyword, text, narrows=old is None, widens=new is None)
        old, new = self.old.get("uniqueItems", False), self.new.get("uniqueItems", False)
        if old != new and self.both("array"):
            self.record("uniqueItems", "items have to differ" if new else "items may be equal", narrows=new, widens=old)
        old, new = self.old.get("multipleOf"), self.new.get("multipleOf")
        if old != new and (self.both("integer") or self.both("fraction")):
            whole = isinstance(old, int) and isinstance(new, int)
            self.record(
                "multipleOf",
                f"was {_show(old)} and is {_show(new)}",
                narrows=new is not None and not (whole and old % new == 0),
                widens=old is not None and not (whole and new % old == 0),
            )

    def _bound(self, inclusive: str, exclusive: str, sign: int) -> None:
        """Compare a lower or, with the sign -1, an upper bound of numbers."""
        if not (self.both("integer") or self.both("fraction")):
            return
        old, new = (
            max(
                ((sign * node[key], key == exclusive, node[key]) for key in (inclusive, exclusive) if key in node),
                default=None,
            )
            for node in (self.old, self.new)
        )
        if (old and old[:2]) == (new and new[:2]):
            return
        key = exclusive if (new or old or ("", False))[1] else inclusive
        self.record(
            key,
            f"was {_show(old[2]) if old else 'none'} and is {_show(new[2]) if new else 'none'}",
            narrows=new is not None and (old is None or new[:2] > old[:2]) and not self._named(self.old, new, sign),
            widens=old is not None and (new is None or old[:2] > new[:2]) and not self._named(self.new, old, sign),
        )

    def _named(self, node: Schema, bound: tuple[float, bool, float], sign: int) -> bool:
        """Whether a schema names its values, and all numbers among them keep a bound."""
        least, is_exclusive, _shown = bound
        values = _values(node)
        return values is not None and all(
            sign * value > least or (sign * value == least and not is_exclusive)
            for value in values
            if _type_of(value) in ("integer", "fraction")
        )

    def _length(self, keyword: str, kind: str, sign: int) -> None:
        """Compare a bound of lengths; `sign` is -1 where a lower one is narrower."""

        def is_kept(node: Schema, limit: int) -> bool:
            values = _values(node)
            return values is not None and all(
                sign * len(value) >= sign * limit for value in values if _type_of(value) == kind
            )

        old, new = self.old.get(keyword), self.new.get(keyword)
        narrows = new is not None and (old is None or sign * new > sign * old) and not is_kept(self.old, new)
        widens = old is not None and (new is None or sign * old > sign * new) and not is_kept(self.new, old)
        self.record(keyword, f"was {_show(old)} and is {_show(new)}", narrows=narrows, widens=widens)

    # -- objects ------------------------------------------------------------------------------------------------------

    def objects(self) -> None:
        """`properties`, `additionalProperties` and `patternProperties` together; `required`; `propertyNames`."""
        before, after = set(self.old.get("required", ())), set(self.new.get("required", ()))
        for name in sorted(after - before):
            self.record("required", f"{_show(name)} has to be there", narrows=True, widens=False)
        for name in sorted(before - after):
            self.record("required", f"{_show(name)} may be left out", narrows=False, widens=True)
        self.compare(self.old.get("propertyNames", True), self.new.get("propertyNames", True), "propertyNames")
        old, new = self.old.get("properties", {}), self.new.get("properties", {})
        others = self.old.get("additionalProperties", True), self.new.get("additionalProperties", True)
        patterns = self.old.get("patternProperties", {}), self.new.get("patternProperties", {})
        if any(patterns) and (patterns[0].keys() != patterns[1].keys() or old.keys() != new.keys()):
            self.doubt("patternProperties", "what patterns of names cover is not compared")
            return
        for pattern in sorted(patterns[0]):
            self.compare(patterns[0][pattern], patterns[1][pattern], "patternProperties", pattern)
        for name in sorted(old.keys() | new.keys()):
            self._member(name, old.get(name, others[0]), new.get(name, others[1]), name in old, name in new)
        self.compare(*others, "additionalProperties")

    def _member(self, name: str, old: Any, new: Any, was: bool, is_now: bool) -> None:  # noqa: ANN401, FBT001 - a pair
        if not was and _is_false(old) and not _is_false(new):
            self.record("properties", f"the member {_show(name)} was added", narrows=False, widens=True)
        elif not is_now and _is_false(new) and not _is_false(old):
            self.record("properties", f"the member {_show(name)} was removed", narrows=True, widens=False)
        else:
            self.compare(old, new, "properties", name)

    # -- arrays -------------------------------------------------------------------------------------------------------

    def arrays(self) -> None:
        """`prefixItems` and `items` together."""
        first, second = self.old.get("prefixItems", []), self.new.get("prefixItems", [])
        others = self.old.get("items", True), self.new.get("items", True)
        for index in range(max(len(first), len(second))):
            old = first[index] if index < len(first) else others[0]
            new = second[index] if index < len(second) else others[1]
            self.compare(old, new, "prefixItems", index)
        self.compare(*others, "items")

    # -- schemas about the same value ---------------------------------------------------------------------------------

    def combinations(self) -> None:
        """`anyOf`, `oneOf`, `allOf`, `not`, and conditions."""
        self._any_of()
        self._one_of()
        pairs, removed, added = _paired(self.old.get("allOf", []), self.new.get("allOf", []))
        for old, new, index in pairs:
            self.compare(old, new, "allOf", index)
        for index in removed:
            self.record("allOf", f"rule {index} was removed", narrows=False, widens=True)
        for index in added:
            self.record("allOf", f"rule {index} was added", narrows=True, widens=False)
        if "not" in self.old and "not" in self.new:
            self.compare(self.old["not"], self.new["not"], "not", sense=-1)
        elif "not" in self.old or "not" in self.new:
            self.record("not", "what is refused changed", narrows="not" in self.new, widens="not" in self.old)
        self._condition()

    def _any_of(self) -> None:
        old, new = self.old.get("anyOf"), self.new.get("anyOf")
        if old is None or new is None:
            if old != new:
                text = "alternatives are asked for" if old is None else "no alternative is asked for any more"
                self.record("anyOf", text, narrows=old is None, widens=new is None)
            return
        pairs, removed, added = _paired(old, new)
        for before, after, index in pairs:
            self.compare(before, after, "anyOf", index)
        for index in removed:
            self.record("anyOf", f"the alternative {_label(old[index])} was removed", narrows=True, widens=False)
        for index in added:
            self.record("anyOf", f"the alternative {_label(new[index])} was added", narrows=False, widens=True)

    def _one_of(self) -> None:
        """Compare what has to be valid by exactly one: without a member that tells apart, only what is the same."""
        old, new = self.old.get("oneOf"), self.new.get("oneOf")
        if old is None and new is None:
            return
        if old is None or new is None:
            self.record("oneOf", "what has to fit exactly one changed", narrows=old is None, widens=new is None)
        elif len(old) != len(new):
            self.doubt("oneOf", "branches that nothing tells apart cannot be compared")
        else:
            for index, (before, after) in enumerate(zip(old, new, strict=True)):
                self.compare(before, after, "oneOf", index, sense=0)

    def _condition(self) -> None:
        old, new = "if" in self.old, "if" in self.new
        if old and new:
            self.compare(self.old["if"], self.new["if"], "if", sense=0)
            for key in ("then", "else"):
                self.compare(self.old.get(key, True), self.new.get(key, True), key)
        elif old or new:
            self.record(
                "if", "a rule with a condition " + ("was added" if new else "was removed"), narrows=new, widens=old
            )

    # -- the rest -----------------------------------------------------------------------------------------------------

    def others(self) -> None:
        """Keywords that are not compared, known to JSON Schema or not: they are unchanged, or cannot be judged."""
        unknown = (self.old.keys() | self.new.keys()) - _KNOWN - _ANNOTATIONS - _IGNORED
        for key in sorted(unknown):
            is_kept = key in self.old and key in self.new
            if not is_kept or not self.run.unchanged(self.old[key], self.new[key]):
                self.doubt(key, "this keyword is not compared")


# --- helpers ---------------------------------------------------------------------------------------------------------


def _label(node: Any) -> str:  # noqa: ANN401 - a schema
    """Return what a branch is called: the definition that it refers to, its type, or its text."""
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        return str(node["$ref"].rpartition("/")[2])
    if isinstance(node, dict) and "if" in node:
        return f"if {_identity(node['if'])}"
    if isinstance(node, dict) and "type" in node and "const" not in node and "enum" not in node:
        return f"of type {_identity(node['type'])}"
    return _identity(node)


def _paired(old: list[Any], new: list[Any]) -> tuple[list[tuple[Any, Any, int]], list[int], list[int]]:
    """Return which branches belong together, with the index of the new one, and which stand alone, by their index."""
    pairs, removed = [], []
    left = dict(enumerate(new))
    for index, branch in enumerate(old):
        found = next((other for other, node in left.items() if _label(node) == _label(branch)), None)
        if found is None:
            removed.append(index)
        else:
            pairs.append((branch, left.pop(found), found))
    if len(removed) == len(left) == 1:
        ((other, node),) = left.items()
        return [*pairs, (old[removed[0]], node, other)], [], []
    return pairs, removed, list(left)


def summary(changes: Iterable[Change]) -> str:
    """Return how many changes there are of each effect, in words."""
    counted: dict[str, int] = {}
    for change in changes:
        counted[change.effect] = counted.get(change.effect, 0) + 1
    return ", ".join(f"{count} {effect}" for effect, count in sorted(counted.items())) or "no change"
