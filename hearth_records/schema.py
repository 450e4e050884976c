"""JSON Schemas (2020-12) from the model, and validation with them.

The structs are the one source: msgspec writes their schemas, `schema_words` says what each member means, and this
module says the rest the way JSON Schema wants it. A schema can say types, members, ranges and patterns; what it cannot
say (canonical bytes, links, lifecycle, signatures) only `verify` checks. Valid is not authentic.

    schemas/hearth-record/1/record.schema.json        $id  urn:hearth-records:schema:record:1
                            step_started.schema.json  $id  urn:hearth-records:schema:step_started:1

Each document stands on its own: every `$ref` is absolute and points into the document that it stands in, and none is
ever fetched. The type of an event decides by `if` and `then` which members it has, not by `oneOf`: all validators then
report what is wrong with *that* event, where after `oneOf` they report that it is none of seven.

This is the only importer of `jsonschema`.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from hearth_records import model, profile
from hearth_records.canonical import VERSIONS
from hearth_records.documents import NOTICE, REPORT_FORMAT, SCAFFOLD_FORMAT, ReportDocument, ScaffoldDocument
from hearth_records.errors import FormatError, quote
from hearth_records.model import EVENT_TYPES, FORMAT, PLAN_FORMAT, AnyEvent, Closing, PlanDocument, Statement
from hearth_records.rollback import REASONS
from hearth_records.schema_words import EXAMPLES, MEANINGS
from hearth_records.trust import POLICY_FORMAT, PolicyDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

__all__ = [
    "ANY_NAME",
    "DIALECT",
    "DOCUMENTS",
    "FORMATS",
    "SCHEMAS",
    "Document",
    "Finding",
    "document_schema",
    "encode_schema",
    "event_root",
    "findings_at",
    "infer_version",
    "meta_findings",
    "record_root",
    "schema_digest",
    "struct_root",
    "subschemas",
    "validate",
]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FORMATS: Final = ("date-time",)
"""The values of `format` that validation checks."""
_ID: Final = "urn:hearth-records:schema:"
_MAX_FINDINGS: Final = 20

JSONSchema = dict[str, Any]


class Root(NamedTuple):
    """What a document is made from: its schema as msgspec says it, the name of its struct, and its definitions."""

    node: JSONSchema
    struct: str
    definitions: dict[str, JSONSchema]


class Document(NamedTuple):
    """A document that has a schema. A later version of one is another entry of `DOCUMENTS`, beside this one."""

    name: str
    """As the commands call it: record, event, plan …"""
    format: str
    """The format version that it belongs to, for example hearth-record/1: also its directory."""
    title: str
    description: str
    root: Callable[[], Root]
    by_people: bool = False
    """Whether members may be left out; everywhere else absent values are null."""

    @property
    def version(self) -> str:
        """The number of its format version."""
        return self.format.rpartition("/")[2]

    @property
    def id(self) -> str:
        """The `$id`, which never changes its meaning."""
        return f"{_ID}{self.name}:{self.version}"

    @property
    def path(self) -> str:
        """The file below `schemas/`."""
        return f"{self.format}/{self.name}.schema.json"


# --- where schemas come from -----------------------------------------------------------------------------------------


def _components(root: Any) -> tuple[JSONSchema, dict[str, JSONSchema]]:  # noqa: ANN401 - a type
    (schema,), definitions = msgspec.json.schema_components((root,), ref_template="{name}")
    return schema, definitions


def struct_root(struct: type[Struct]) -> Root:
    """Return what the schema of one struct is made from."""
    schema, definitions = _components(struct)
    if issubclass(struct, model.Event):
        _open_details(definitions, struct.__name__)
    return Root(definitions[schema["$ref"]], schema["$ref"], definitions)


def event_root(events: Any) -> Root:  # noqa: ANN401 - a union of structs
    """Return what the schema of an event is made from; `events` is the union of all types of a version."""
    union, definitions = _components(events)
    mapping: dict[str, str] = union["discriminator"]["mapping"]
    for struct in mapping.values():
        _open_details(definitions, struct)
    # The type decides which branch speaks, so that an error is about that event and not "none of seven".
    branches = [
        {
            "if": {"type": "object", "properties": {"type": {"const": tag}}, "required": ["type"]},
            "then": {"$ref": struct},
        }
        for tag, struct in mapping.items()
    ]
    root = {
        "title": "Event",
        "description": "One event; its type decides which members it has.",
        "type": "object",
        "properties": {"type": {"enum": list(mapping)}},
        "required": ["type"],
        "allOf": branches,
    }
    return Root(root, "Event", definitions)


def record_root(events: Any, closing: type[Struct], version: str) -> Root:  # noqa: ANN401 - a union of structs
    """Return what the schema of a record file is made from: its types of event, its closing line, its format."""
    event, _name, definitions = event_root(events)
    last, _name, more = struct_root(closing)
    root = {
        "type": "object",
        "properties": {
            "format": {"const": version},
            "events": {"type": "array", "items": {"$ref": "Event"}, "minItems": 1},
            **last["properties"],
        },
        "additionalProperties": False,
    }
    return Root(root, "Record", {**definitions, **more, "Event": event})


def scaffold_root() -> Root:
    """Return what the schema of the scaffold is made from."""
    root = struct_root(ScaffoldDocument)
    _open_details(root.definitions, "WithholdableEntry", "DetailObject")
    return root


def _open_details(definitions: dict[str, JSONSchema], struct: str, kind: str = "Details") -> None:
    """Say what `details` holds, which the types of the struct do not say."""
    definitions[struct]["properties"]["details"] = {"$ref": kind}
    definitions.update(_DETAILS)


DOCUMENTS: Final[dict[str, Document]] = {
    document.id: document
    for document in (
        Document(
            "record",
            FORMAT,
            "Hearth record",
            "A sealed record file, or a journal that was closed. Its bytes are those of FORMAT.md §6.",
            lambda: record_root(AnyEvent, Closing, FORMAT),
        ),
        Document(
            "event",
            FORMAT,
            "Hearth event",
            "One event of a record (FORMAT.md §3); its type decides which members it has.",
            lambda: event_root(AnyEvent),
        ),
        *(
            Document(
                str(struct.__struct_config__.tag),
                FORMAT,
                f"Hearth event {struct.__struct_config__.tag}",
                f"An event of the type {struct.__struct_config__.tag} (FORMAT.md §3).",
                functools.partial(struct_root, struct),
            )
            for struct in EVENT_TYPES
        ),
        Document(
            "statement",
            FORMAT,
            "Hearth seal statement",
            "What a seal signs: an in-toto Statement v1 about one execution (FORMAT.md §5).",
            lambda: struct_root(Statement),
        ),
        Document(
            "plan",
            PLAN_FORMAT,
            "Hearth plan",
            "A plan file: what an execution sets out to do, and hints for undoing it by hand (FORMAT.md §12).",
            lambda: struct_root(PlanDocument),
            by_people=True,
        ),
        Document(
            "trust",
            POLICY_FORMAT,
            "Hearth trust policy",
            "Which keys a reader accepts, and what it demands (FORMAT.md §9).",
            lambda: struct_root(PolicyDocument),
            by_people=True,
        ),
        Document(
            "verification",
            REPORT_FORMAT,
            "Hearth verification report",
            "What verify-record --format json prints (FORMAT.md §11).",
            lambda: struct_root(ReportDocument),
        ),
        Document(
            "scaffold",
            SCAFFOLD_FORMAT,
            "Hearth rollback scaffold",
            "What regenerate-scaffold --format json prints: guidance, never executed (FORMAT.md §10).",
            scaffold_root,
        ),
    )
}
"""Every document of every version that this release reads, by `$id`; of each name, the newest version stands last."""

SCHEMAS: Final = {document.name: document.path for document in DOCUMENTS.values()}
"""The file of each document, by its name, in the newest version."""


def _find(name: str) -> Document:
    """Return a document by its `$id`, or the newest one of that name."""
    if name in DOCUMENTS:
        return DOCUMENTS[name]
    return [document for document in DOCUMENTS.values() if document.name == name][-1]


# --- how they are said -----------------------------------------------------------------------------------------------

ANY_NAME: Final = r"^[\u0000-\uFFFF]*$"
"""Member names are of the Basic Multilingual Plane: line breaks too, at the end as well."""

_NAMES: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": profile.MAX_NAME_LENGTH,
    "pattern": ANY_NAME,
    "not": {"enum": sorted(profile.RESERVED_NAMES)},
}
_DETAILS: Final[dict[str, JSONSchema]] = {
    "Details": {
        "title": "Details",
        "description": "What the caller recorded beside the event. Names have 1 to 128 characters of the Basic "
        "Multilingual Plane, and ... is none.",
        "type": "object",
        "properties": {
            "_sd": {
                "type": "array",
                "items": {
                    "type": "string",
                    "minLength": 43,
                    "maxLength": 43,
                    "pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
                },
                "minItems": 1,
                "uniqueItems": True,
            }
        },
        "propertyNames": {**_NAMES, "not": {"enum": sorted(profile.RESERVED_NAMES - {"_sd"})}},
        "additionalProperties": {"$ref": "DetailValue"},
    },
    "DetailObject": {
        "title": "DetailObject",
        "description": "An object inside details. Names have 1 to 128 characters of the Basic Multilingual Plane; "
        "_sd and ... are none.",
        "type": "object",
        "propertyNames": _NAMES,
        "additionalProperties": {"$ref": "DetailValue"},
    },
    "DetailValue": {
        "title": "DetailValue",
        "description": "Anything inside details: no fractions, integers from -(2^53 - 1) to 2^53 - 1.",
        "anyOf": [
            {"type": "null"},
            {"type": "boolean"},
            {"type": "string"},
            {"type": "integer", "minimum": -profile.MAX_INTEGER, "maximum": profile.MAX_INTEGER},
            {"type": "array", "items": {"$ref": "DetailValue"}},
            {"$ref": "DetailObject"},
        ],
    },
}
_SCALARS: Final[dict[str, JSONSchema]] = {
    name: msgspec.json.schema(scalar)
    for name, scalar in (
        ("Timestamp", model.Timestamp),
        ("Digest", model.Digest),
        ("Identifier", model.Identifier),
        ("Text", model.Text),
        ("NonEmptyText", model.NonEmptyText),
        ("Count", model.Count),
        ("Base64", model.Base64),
        ("MemberName", model.MemberName),
        ("Disclosure", model.DisclosureText),
    )
}
"""The scalars of FORMAT §2, as msgspec says them."""

_MORE: Final[dict[str, JSONSchema]] = {
    "MemberName": {
        "description": "1 to 128 characters of the Basic Multilingual Plane: a name of a member.",
        "pattern": ANY_NAME,
    },
    "Series": {
        "if": {"type": "object", "properties": {"sequence": {"const": 0}}},
        "then": {"type": "object", "properties": {"previous": {"type": "null"}}},
        "else": {"type": "object", "properties": {"previous": {"type": "string"}}},
    },
    "Seal.evidence": {"uniqueItems": True},
    "Signature.evidence": {"uniqueItems": True},
    "SealPredicate.signers": {"uniqueItems": True},
    "Requirement.role": {"enum": ["seal", "countersign"]},
    "ScaffoldDocument.notice": {"const": NOTICE},
    "RollbackScaffold.reason_code": {"enum": list(REASONS)},
    "RollbackScaffold.reason": {"enum": list(REASONS.values())},
}
"""Rules that JSON Schema can say and the type of a struct or a member does not."""

_ORDERS: Final[dict[str, list[str]]] = {
    name: [str(member.value) for member in kind]
    for name, kind in vars(model).items()
    if isinstance(kind, type) and issubclass(kind, enum.Enum)
}
"""The values of each enumeration, in the order in which the model gives them: for states, it has a meaning."""


_KEYS: Final = (
    *("$schema", "$id", "title", "description", "$ref", "const", "enum", "type", "format", "pattern"),
    *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "uniqueItems", "items"),
    *("propertyNames", "properties", "required", "additionalProperties"),
    *("anyOf", "allOf", "not", "if", "then", "else", "default", "examples", "$defs"),
)
"""The keywords that these schemas use, in the order in which they stand."""


def _sorted(node: JSONSchema) -> JSONSchema:
    return {key: node[key] for key in sorted(node, key=_KEYS.index)}


def _spoken(table: dict[str, Any], struct: str, member: str) -> Any:  # noqa: ANN401 - a text, or any JSON
    """Return what a table says about a member of a struct; the struct of a later version has a number at its end."""
    for name in (struct, struct.rstrip("0123456789"), "Event"):
        if f"{name}.{member}" in table:
            return table[f"{name}.{member}"]
    return _NOTHING


_NOTHING: Final = object()


class _Writer:
    """Writes one document: what msgspec says, said the way the project wants it, and only what is referred to."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.root, self.struct, self.definitions = document.root()
        self.written: dict[str, JSONSchema] = {}

    def write(self) -> JSONSchema:
        """Return the whole document."""
        document = self.document
        head = {
            "$schema": DIALECT,
            "$id": document.id,
            "title": document.title,
            "description": document.description,
        }
        body = self._object(self.struct, {**self.root, **_MORE.get(self.struct, {})})
        return _sorted({**body, **head, "$defs": {name: self.written[name] for name in sorted(self.written)}})

    def _reference(self, name: str) -> JSONSchema:
        if name not in self.written:
            self.written[name] = {}  # a definition may refer to itself
            self.written[name] = self._definition(name)
        return {"$ref": f"{self.document.id}#/$defs/{name}"}  # absolute, so that a bundle can be cut apart

    def _definition(self, name: str) -> JSONSchema:
        more = _MORE.get(name, {})
        if name in _SCALARS:
            return _sorted(_anchored({"title": name, **_SCALARS[name], **more, "examples": [EXAMPLES[name]]}))
        node = self._object(name, {**self.definitions[name], **more})
        if name in _ORDERS:
            node["enum"] = _ORDERS[name]
        return {**node, "description": _said(node["description"])}

    def _object(self, name: str, node: JSONSchema) -> JSONSchema:
        members = node.get("properties", {})
        if not members:
            return self._node(node)
        result = self._node({key: value for key, value in node.items() if key != "properties"})
        result["properties"] = {member: self._member(name, member, members[member]) for member in members}
        if result.get("additionalProperties") is False and not self.document.by_people:
            result["required"] = sorted(members)  # absent values are null, never left out
        return _sorted(result)

    def _member(self, struct: str, member: str, node: JSONSchema) -> JSONSchema:
        """Return the schema of a member, whose description says meaning, unit and range."""
        more = _spoken(_MORE, struct, member)
        result = self._node(node if more is _NOTHING else {**node, **more})
        if (meaning := _spoken(_MEANINGS, struct, member)) is not _NOTHING:
            result["description"] = f"{meaning} {self._range(result)}".rstrip()
        if (example := _spoken(EXAMPLES, struct, member)) is not _NOTHING:
            result["examples"] = [example]
        return _sorted(result)

    def _node(self, node: JSONSchema) -> JSONSchema:
        """Return a schema, and those inside of it, as they are said."""
        bare = {key: value for key, value in node.items() if key not in ("description", "default")}
        for name, scalar in _SCALARS.items():
            if bare == {key: value for key, value in scalar.items() if key != "description"}:
                node = {"$ref": name, **({"default": node["default"]} if "default" in node else {})}
        result: JSONSchema = {}
        for key, value in node.items():
            if key == "$ref":
                result |= self._reference(value)
            elif key == "properties":
                result[key] = {name: self._node(member) for name, member in value.items()}
            elif key in ("anyOf", "allOf"):
                result[key] = [self._node(branch) for branch in value]
            elif key in _INSIDE and isinstance(value, dict):
                result[key] = self._node(value)
            elif key != "default" or self.document.by_people:
                result[key] = value
        if isinstance(values := result.get("enum"), list) and len(values) == 1:
            result["const"] = result.pop("enum")[0]
        if isinstance(names := result.get("propertyNames"), dict) and "pattern" not in names:
            result["propertyNames"] = _sorted({**names, "type": "string", "pattern": ANY_NAME})
        return _sorted(_anchored(result))

    def _range(self, node: JSONSchema) -> str:
        """Say in words what values a schema admits."""
        if "anyOf" in node:  # some type, or null; which its meaning says
            return self._range(node["anyOf"][0])
        if "$ref" in node:
            target = self.written[node["$ref"].rpartition("/")[2]]
            return str(target["description"]) if target.get("title") in _SCALARS else _values(target)
        kind = node.get("type")
        if kind == "integer":
            return f"An integer from {node['minimum']} to 2^53 - 1."
        if kind == "array":
            return _items(node.get("minItems", 0), node.get("maxItems"))
        return {"boolean": "true or false.", "null": "Always null."}.get(str(kind), "") or _values(node)


_INSIDE: Final = ("items", "propertyNames", "additionalProperties", "not", "if", "then", "else")
_MEANINGS: Final = {
    f"{struct}.{member}": meaning for struct, members in MEANINGS.items() for member, meaning in members.items()
}


def _values(node: JSONSchema) -> str:
    if "const" in node:
        return f"Always {json.dumps(node['const'], ensure_ascii=False)}."
    return f"One of {', '.join(map(str, node['enum']))}." if "enum" in node else ""


def _said(text: str) -> str:
    """Return the first paragraph of a docstring in the words of JSON."""
    return re.sub(r"\bNone\b", "null", " ".join(text.partition("\n\n")[0].split())).replace("`", "")


def _items(least: int, most: int | None) -> str:
    if least == most:
        return f"{least} item{'s' if least != 1 else ''}."
    if most is None:
        return f"At least {least} item{'s' if least != 1 else ''}." if least else ""
    return f"{least} to {most} items."


def _anchored(node: JSONSchema) -> JSONSchema:
    """Return a schema whose pattern lets no final line break pass: in Python, `$` alone does."""
    pattern = node.get("pattern")
    if (
        not isinstance(pattern, str)
        or not pattern.endswith("$")
        or pattern == ANY_NAME
        or "not" in node
        or pattern.endswith(r"(?!\n)$")
    ):
        return dict(node)
    return {**node, "pattern": pattern[:-1] + r"(?!\n)$"}


@functools.cache
def _written(document: Document) -> JSONSchema:
    return _Writer(document).write()


def document_schema(name: str) -> dict[str, Any]:
    """Return the schema of a document: by its `$id`, or the newest one by its name in `SCHEMAS`."""
    return _written(_find(name))


def encode_schema(name: str) -> bytes:
    """Return the bytes of a schema's file."""
    return json.dumps(document_schema(name), indent=2, ensure_ascii=True).encode() + b"\n"


def schema_digest(name: str) -> str:
    """Return the SHA-256 of a schema's file."""
    return hashlib.sha256(encode_schema(name)).hexdigest()


# --- versions --------------------------------------------------------------------------------------------------------

_is_format = re.compile(r"hearth-[a-z]+/(?:0|[1-9][0-9]*)").fullmatch
_first_member = re.compile(rb'\{"format":"(hearth-record/(?:0|[1-9][0-9]*))"').match
_LONGEST_BEGINNING: Final = 4096


def infer_version(data: bytes) -> str:
    """Return the format version that a document says it is of, for example "hearth-record/1", whether known or not.

    A record file says it first, and nothing else of it is looked at (FORMAT §8): it may be open, or torn. Any other
    document is one JSON object, whole and without doubled members.

    Raises:
        FormatError: it is no JSON and does not begin like a record, or it says nothing about its format.

    """
    if (version := _version_of_record(data)) is not None:
        return version
    value = profile.decode_any(data)
    version = value.get("format") if isinstance(value, dict) else None
    if not isinstance(version, str) or not _is_format(version):
        raise FormatError(
            "nothing says which format this is: there is no member format like hearth-record/1",
            check="shape",
            code="no-format",
            pointer="/format",
        )
    return version


def _version_of_record(data: bytes) -> str | None:
    """Return the version that stands first in a record file; None unless its opening line, whole or torn, follows."""
    if (found := _first_member(data[:_LONGEST_BEGINNING])) is None:
        return None
    name = found[1].decode()
    version = VERSIONS.get(name)  # what follows in a version that is not known, nobody knows
    return name if version is None or version.opening.startswith(data[: len(version.opening)]) else None


def _version_of(name: str, value: Any) -> Document:  # noqa: ANN401 - any JSON
    """Return the document of that name in the version that a value says it is of, else the newest one."""
    version = value.get("format") if isinstance(value, dict) else None
    found = [document for document in DOCUMENTS.values() if document.name == name and document.format == version]
    return found[0] if found else _find(name)


# --- validation ------------------------------------------------------------------------------------------------------


class Finding(Struct, frozen=True, kw_only=True):
    """Something in a document that its schema does not allow: where, and what."""

    pointer: str
    keyword: str
    message: str


@functools.cache
def _validator(document: Document) -> Draft202012Validator:
    return _validator_of(_written(document))


def _validator_of(schema: JSONSchema) -> Draft202012Validator:
    from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415 - costs more than all the rest of a command

    if not FormatChecker.checkers.keys() >= set(FORMATS):
        msg = "jsonschema checks date-time only where rfc3339-validator is installed"
        raise RuntimeError(msg)
    return Draft202012Validator(schema, format_checker=FormatChecker(FORMATS))


def validate(name: str, data: bytes) -> list[Finding]:
    """Return what the schema `name` finds wrong in a JSON document, at most 20 findings; none when it is valid.

    The schema is the one of the version that the document says it is of, or else the newest one of that name.

    Raises:
        FormatError: `data` is not JSON, holds a doubled member, or is nested too deep to be looked at.

    """
    value = profile.decode_any(data)
    try:
        errors = _validator(_version_of(name, value)).iter_errors(value)
        return [_finding(error, value) for error in _first(errors)]
    except RecursionError:
        raise FormatError("nested too deep to be validated", check="canonical", code="too-deep") from None


_MAPS: Final = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE: Final = (
    *("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)


def subschemas(node: JSONSchema) -> Iterator[tuple[str, str, Any]]:
    """Yield the schemas right inside of one: the keyword, the pointer from the outer one, and the schema itself."""
    for keyword, value in node.items():
        if keyword in _MAPS:
            yield from ((keyword, profile.pointer_join(f"/{keyword}", name), child) for name, child in value.items())
        elif keyword in _LISTS:
            yield from ((keyword, f"/{keyword}/{index}", child) for index, child in enumerate(value))
        elif keyword in _SINGLE:
            yield keyword, f"/{keyword}", value


def meta_findings(schema: Any) -> list[Finding]:  # noqa: ANN401 - any JSON
    """Return what the meta-schema of JSON Schema 2020-12 finds wrong in a schema, at most 20 findings."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - as above

    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    try:
        return [_finding(error, None) for error in _first(validator.iter_errors(schema))]
    except RecursionError:
        raise FormatError("nested too deep to be validated", check="canonical", code="too-deep") from None


def findings_at(schema: JSONSchema, node: JSONSchema, value: Any) -> list[Finding]:  # noqa: ANN401 - any JSON
    """Return what a schema inside of a document finds wrong in a value.

    The document's references lead somewhere and in no circle, and its patterns are regular expressions: `schema_check`
    looks at them first.
    """
    try:
        return [_finding(error, None) for error in _first(_validator_of(schema).descend(value, node))]
    except (RecursionError, OverflowError, ValueError):  # infinity, as a multiple or of one
        return [Finding(pointer="", keyword="", message="nested too deep, or a number too large, to be judged")]


def _first(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    return (error for _count, error in zip(range(_MAX_FINDINGS), errors, strict=False))


def _finding(error: ValidationError, value: Any) -> Finding:  # noqa: ANN401 - any JSON
    """Say what is wrong; where a value fits none of several branches, the branch that got farthest tells best."""
    top = error
    while error.context:
        error = max(error.context, key=lambda each: (len(each.absolute_path), each.validator != "type"))
    pointer = ""
    for part in error.absolute_path:
        pointer = profile.pointer_join(pointer, part)
    message = error.message
    if error is not top and error.validator == "type":  # one branch's type says nothing about the others
        message = f"{error.instance!r} is of no type that may stand here"
    about = _event_type(value, list(error.absolute_path))
    return Finding(pointer=pointer, keyword=str(error.validator), message=quote(about + message)[1:-1])


def _event_type(value: Any, path: Sequence[str | int]) -> str:  # noqa: ANN401 - any JSON
    """Return which type of event an error inside of a record is about, for its message."""
    if path[:1] != ["events"] or not path[1:]:
        return ""
    event = value["events"][path[1]]
    kind = event.get("type") if isinstance(event, dict) else None
    return f"{kind}: " if isinstance(kind, str) and f"{_ID}{kind}:1" in DOCUMENTS else ""
