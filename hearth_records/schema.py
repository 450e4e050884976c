"""JSON Schemas (2020-12) from the model, and validation with them.

The structs are the one source: msgspec writes their schemas, and this module adds what JSON Schema wants said its own
way. A schema can say types, members, ranges and patterns; what it cannot say (canonical bytes, links, lifecycle,
signatures) only `verify` checks. Valid is not authentic.

This is the only importer of `jsonschema`. No reference is ever fetched: each document stands on its own.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from hearth_records import profile
from hearth_records.documents import ReportDocument, ScaffoldDocument
from hearth_records.errors import FormatError, quote
from hearth_records.model import FORMAT, AnyEvent, Closing, PlanDocument
from hearth_records.trust import PolicyDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

__all__ = ["SCHEMAS", "Finding", "document_schema", "encode_schema", "validate"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ID: Final = "urn:hearth-records:schema:"
_MAX_FINDINGS: Final = 20

SCHEMAS: Final = {
    "record": "hearth-record/1/record.schema.json",
    "event": "hearth-record/1/event.schema.json",
    "plan": "hearth-plan/1/plan.schema.json",
    "trust": "hearth-trust/1/trust.schema.json",
    "verification": "hearth-verification/1/verification.schema.json",
    "scaffold": "hearth-scaffold/1/scaffold.schema.json",
}
"""The documents that have a schema, and the file of each under `schemas/`."""

_TITLES: Final = {
    "record": (
        "Hearth record",
        "A sealed record file, or a journal that was closed. Its bytes are those of FORMAT.md §6.",
    ),
    "event": ("Hearth event", "One event of a record (FORMAT.md §3)."),
    "plan": ("Hearth plan", "A plan file: what an execution sets out to do, and hints for undoing it by hand."),
    "trust": ("Hearth trust policy", "Which keys a reader accepts, and what it demands (FORMAT.md §9)."),
    "verification": ("Hearth verification report", "What verify-record --format json prints (FORMAT.md §8)."),
    "scaffold": (
        "Hearth rollback scaffold",
        "What regenerate-scaffold --format json prints: guidance, never executed.",
    ),
}
_ROOTS: Final[dict[str, Any]] = {
    "plan": PlanDocument,
    "trust": PolicyDocument,
    "verification": ReportDocument,
    "scaffold": ScaffoldDocument,
}
_WRITTEN_BY_PEOPLE: Final = frozenset({"plan", "trust"})
"""Documents in which members may be left out; everywhere else absent values are null."""


class Finding(Struct, frozen=True, kw_only=True):
    """Something in a document that its schema does not allow: where, and what."""

    pointer: str
    keyword: str
    message: str


# --- schemas ---------------------------------------------------------------------------------------------------------


@functools.cache
def document_schema(name: str) -> dict[str, Any]:
    """Return the schema of a document by its name in `SCHEMAS`."""
    title, description = _TITLES[name]
    head = {"$schema": _DIALECT, "$id": f"{_ID}{name}:1", "title": title, "description": description}
    definitions: dict[str, Any]
    if name in ("record", "event"):
        root, definitions = _record_schema() if name == "record" else _event_schema()
    else:
        (root,), definitions = _components(_ROOTS[name])
        root = definitions.pop(root["$ref"].rpartition("/")[2]) | {}
    definitions = {key: definitions[key] for key in sorted(definitions)}
    body = {key: value for key, value in root.items() if key not in ("title", "description")}
    schema = _finish({**head, **body, "$defs": definitions}, f"{_ID}{name}:1", complete=name not in _WRITTEN_BY_PEOPLE)
    assert isinstance(schema, dict)  # noqa: S101 - it went in as one
    return schema


def _components(*roots: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:  # noqa: ANN401 - types
    schemas, definitions = msgspec.json.schema_components(roots, ref_template="#/$defs/{name}")
    return list(schemas), definitions


def _event_schema() -> tuple[dict[str, Any], dict[str, Any]]:
    (union,), definitions = _components(AnyEvent)
    mapping: dict[str, str] = union["discriminator"]["mapping"]
    definitions.update(_DETAILS)
    for reference in mapping.values():
        definitions[reference.rpartition("/")[2]]["properties"]["details"] = {"$ref": "#/$defs/Details"}
    # The type decides which branch speaks, so that an error names that event's type and not "matches none of seven".
    branches = [
        {
            "if": {"type": "object", "properties": {"type": {"const": tag}}, "required": ["type"]},
            "then": {"$ref": reference},
        }
        for tag, reference in mapping.items()
    ]
    root = {
        "description": "One event; its type decides which members it has.",
        "type": "object",
        "properties": {"type": {"enum": list(mapping)}},
        "required": ["type"],
        "allOf": branches,
    }
    return root, definitions


def _record_schema() -> tuple[dict[str, Any], dict[str, Any]]:
    event, definitions = _event_schema()
    (closing,), more = _components(Closing)
    definitions |= more
    definitions["Event"] = event
    members = definitions.pop(closing["$ref"].rpartition("/")[2])["properties"]
    root = {
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "events": {
                "description": "The events in order; the members seq and previous_event_hash link them.",
                "type": "array",
                "items": {"$ref": "#/$defs/Event"},
                "minItems": 1,
            },
            **members,
        },
        "required": ["format", "events", *members],
        "additionalProperties": False,
    }
    return root, definitions


_BMP: Final = r"^[\u0000-\uFFFF]*$"
"""Member names are of the Basic Multilingual Plane: line breaks too, at the end as well."""

_NAMES: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": profile.MAX_NAME_LENGTH,
    "pattern": _BMP,
    "not": {"enum": sorted(profile.RESERVED_NAMES)},
}
_DETAILS: Final[dict[str, Any]] = {
    "Details": {
        "title": "Details",
        "description": "What the caller recorded beside the event. _sd: digests of members that are disclosed apart.",
        "type": "object",
        "properties": {
            "_sd": {
                "description": "Sorted SHA-256 digests of disclosures, unpadded base64url (FORMAT.md §6, RFC 9901).",
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
        "additionalProperties": {"$ref": "#/$defs/DetailValue"},
    },
    "DetailObject": {
        "title": "DetailObject",
        "description": "An object inside details; names of 1 to 128 characters of the Basic Multilingual Plane.",
        "type": "object",
        "propertyNames": _NAMES,
        "additionalProperties": {"$ref": "#/$defs/DetailValue"},
    },
    "DetailValue": {
        "title": "DetailValue",
        "description": "Anything inside details: no fractions, integers of at most 2^53 - 1 in absolute value.",
        "anyOf": [
            {"type": "null"},
            {"type": "boolean"},
            {"type": "string"},
            {"type": "integer", "minimum": -profile.MAX_INTEGER, "maximum": profile.MAX_INTEGER},
            {"type": "array", "items": {"$ref": "#/$defs/DetailValue"}},
            {"$ref": "#/$defs/DetailObject"},
        ],
    },
}


def _finish(node: Any, base: str, *, complete: bool) -> Any:  # noqa: ANN401 - a JSON tree
    """Return a schema the way the project wants it said, see the comments."""
    if isinstance(node, list):
        return [_finish(item, base, complete=complete) for item in node]
    if not isinstance(node, dict):
        return node
    result = {
        key: value if key in ("const", "enum") else _finish(value, base, complete=complete)
        for key, value in node.items()
        if not (key == "default" and complete)
    }
    if isinstance(pattern := result.get("pattern"), str) and pattern.endswith("$") and pattern != _BMP:
        result["pattern"] = pattern[:-1] + r"(?!\n)$"  # in Python, $ alone lets a final line break pass
    if isinstance(reference := result.get("$ref"), str) and reference.startswith("#"):
        result["$ref"] = base + reference  # absolute, so that a bundle can be cut apart
    if isinstance(values := result.get("enum"), list) and len(values) == 1:
        result["const"] = result.pop("enum")[0]
    if isinstance(names := result.get("propertyNames"), dict):
        names.setdefault("type", "string")
        names.setdefault("pattern", _BMP)
    if (
        complete
        and isinstance(members := result.get("properties"), dict)
        and result.get("additionalProperties") is False
    ):
        result["required"] = sorted(members)  # absent values are null, never left out
    return result


def encode_schema(name: str) -> bytes:
    """Return the bytes of a schema's file."""
    return json.dumps(document_schema(name), indent=2, ensure_ascii=True).encode() + b"\n"


# --- validation ------------------------------------------------------------------------------------------------------


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415 - costs more than all the rest of a command

    if "date-time" not in FormatChecker.checkers:
        msg = "jsonschema checks date-time only where rfc3339-validator is installed"
        raise RuntimeError(msg)
    checker = FormatChecker(["date-time"])
    return Draft202012Validator(document_schema(name), format_checker=checker)


def validate(name: str, data: bytes) -> list[Finding]:
    """Return what the schema `name` finds wrong in a JSON document, at most 20 findings; none when it is valid.

    Raises:
        FormatError: `data` is not JSON, holds a doubled member, or is nested too deep to be looked at.

    """
    document = profile.decode_any(data)
    try:
        return [_finding(error) for error in _first(_validator(name).iter_errors(document))]
    except RecursionError:
        raise FormatError("nested too deep to be validated", check="canonical", code="too-deep") from None


def _first(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    return (error for _count, error in zip(range(_MAX_FINDINGS), errors, strict=False))


def _finding(error: ValidationError) -> Finding:
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
    return Finding(pointer=pointer, keyword=str(error.validator), message=quote(message)[1:-1])
