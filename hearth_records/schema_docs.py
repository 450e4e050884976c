"""Schemas for people and for programs: reference documentation in Markdown, types in TypeScript.

Both are made from a schema alone, so they say what it says. Examples are put together from those of the members: they
show shapes, and each is valid by the schema, but their digests, keys and signatures belong to nothing.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["example_of", "to_markdown", "to_typescript"]

Schema = dict[str, Any]
_WIDTH: Final = 110
_is_name = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*").fullmatch


def _target(schema: Schema, node: Schema) -> tuple[str, Schema]:
    """Return the definition that a reference leads to, and its name."""
    name = node["$ref"].rpartition("/")[2]
    return name, schema["$defs"][name]


def _branches(node: Schema) -> list[Schema]:
    """Return the branches of a union that a member decides (`if` and `then`), or nothing."""
    parts = node.get("allOf", [])
    return [part["then"] for part in parts] if all("then" in part for part in parts) else []


# --- examples --------------------------------------------------------------------------------------------------------


def example_of(schema: Schema, node: Schema) -> Any:  # noqa: ANN401 - any JSON
    """Return a value that is valid where `node` stands in a document."""
    for key in ("examples", "enum"):
        if key in node:
            return node[key][0]
    if "const" in node:
        return node["const"]
    if "$ref" in node:
        return example_of(schema, _target(schema, node)[1])
    if alternatives := node.get("anyOf") or _branches(node):
        return example_of(schema, alternatives[0])
    kind = node.get("type")
    if kind == "object":
        return {name: example_of(schema, member) for name, member in node.get("properties", {}).items()}
    if kind == "array":
        items = node["items"]
        target = _target(schema, items)[1] if "$ref" in items else items
        some = [example_of(schema, branch) for branch in _branches(target)] or [example_of(schema, items)]
        return some * max(1, node.get("minItems", 0) // len(some))
    return {"boolean": False, "integer": node.get("minimum", 0), "null": None}.get(str(kind), "…")


# --- Markdown --------------------------------------------------------------------------------------------------------


def to_markdown(schema: Schema, *, path: str, digest: str) -> str:
    """Return the reference documentation of a document: its members, its definitions, examples."""
    lines = [
        f"# {schema['title']}",
        "",
        schema["description"],
        "",
        f"Schema `{schema['$id']}`, file `{path}`, SHA-256 `{digest}`. Generated from it; do not edit.",
        "",
        "Valid is not authentic: a schema sees no canonical bytes, no links, no order of events and no signature.",
        "Examples show shapes: their digests, keys and signatures belong to nothing.",
        "",
        *_section(schema, schema),
        "## Definitions",
        "",
        *(f"- [{name}](#{name.lower()})" for name in schema["$defs"]),
        "",
    ]
    for name, node in schema["$defs"].items():
        lines += [f"## {name}", "", node["description"], "", *_section(schema, node)]
    return "\n".join(lines).rstrip() + "\n"


def _section(schema: Schema, node: Schema) -> Iterator[str]:
    """Yield what a document or definition consists of, and an example."""
    if branches := _branches(node):
        yield from (f"- {_kind(schema, branch)}" for branch in branches)
        yield ""
    elif members := node.get("properties"):
        yield from ("| member | type | meaning |", "| --- | --- | --- |")
        for name, member in members.items():
            meaning = member.get("description", "")
            if name not in node.get("required", []):
                meaning += (
                    f" May be left out: {json.dumps(member['default'])}." if "default" in member else " Optional."
                )
            yield f"| `{name}` | {_cell(_kind(schema, member))} | {_cell(meaning)} |"
        if isinstance(others := node.get("additionalProperties"), dict):
            yield f"| any other | {_cell(_kind(schema, others))} | |"
        yield ""
    elif "enum" in node:
        yield from (f"- `{value}`" for value in node["enum"])
        yield ""
    elif "anyOf" in node:
        yield from (f"- {_kind(schema, branch)}" for branch in node["anyOf"])
        yield ""
    else:
        yield from _scalar(schema, node)
    if not branches and "enum" not in node:
        example = json.dumps(example_of(schema, node), indent=2, ensure_ascii=False)
        yield from (f"```json {node['title']}", example, "```", "")


def _scalar(schema: Schema, node: Schema) -> Iterator[str]:
    yield from (f"- {rule}" for rule in _rules(node))
    if "not" in node:
        yield f"- not: {' and '.join(_rules(node['not']))}"
    if isinstance(node.get("additionalProperties"), dict):
        yield f"- members: {_kind(schema, node['additionalProperties'])}"
    yield ""


def _rules(node: Schema) -> Iterator[str]:
    """Yield what a schema asks of a text or a number."""
    yield from (f"{key} `{node[key]}`" for key in ("type", "format", "pattern") if key in node)
    for what, least, most in (("characters", "minLength", "maxLength"), ("values", "minimum", "maximum")):
        if bounds := _bounds(node.get(least), node.get(most)):
            yield f"{what}: {bounds}"


def _bounds(least: int | None, most: int | None) -> str:
    if least is None:
        return "" if most is None else f"at most {most}"
    if most is None:
        return f"at least {least}"
    return str(least) if least == most else f"from {least} to {most}"


def _kind(schema: Schema, node: Schema) -> str:
    """Return the type of a value, in words, with links to definitions."""
    if "$ref" in node:
        name = _target(schema, node)[0]
        return f"[{name}](#{name.lower()})"
    if "const" in node:
        return f"`{json.dumps(node['const'], ensure_ascii=False)}`"
    if "enum" in node:
        return ", ".join(f"`{json.dumps(value)}`" for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(_kind(schema, branch) for branch in node["anyOf"])
    if node.get("type") == "array":
        return f"list of {_kind(schema, node['items'])}"
    if isinstance(node.get("additionalProperties"), dict):
        return f"object of {_kind(schema, node['additionalProperties'])}"
    return str(node.get("type", "anything"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# --- TypeScript ------------------------------------------------------------------------------------------------------


def to_typescript(schema: Schema) -> str:
    """Return the types of a document as a module: one for the document, one for each definition."""
    root = "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", schema["title"]))
    parts = [
        f"// Types of {schema['$id']}. Generated from the schema; do not edit.",
        "// Integers are at most 2^53 - 1 in absolute value: number holds them exactly.\n",
        _declaration(schema, root, schema),
        *(_declaration(schema, name, node) for name, node in schema["$defs"].items()),
    ]
    return "\n".join(parts)


def _declaration(schema: Schema, name: str, node: Schema) -> str:
    comment = _comment(node["description"], "")
    if "properties" not in node or _branches(node):
        return f"{comment}export type {name} = {_type(schema, node)};\n"
    return f"{comment}export interface {name} {_members(schema, node)}\n"


def _members(schema: Schema, node: Schema) -> str:
    lines = ["{"]
    for name, member in node["properties"].items():
        lines.append(_comment(member.get("description", ""), "  ").rstrip("\n"))
        mark = "" if name in node.get("required", []) else "?"
        lines.append(f"  {name if _is_name(name) else json.dumps(name)}{mark}: {_type(schema, member)};")
    if isinstance(others := node.get("additionalProperties"), dict):
        lines.append(f"  [name: string]: {_type(schema, others)} | undefined;")
    return "\n".join([*filter(None, lines), "}"])


def _comment(text: str, indent: str) -> str:
    if not text:
        return ""
    safe = text.replace("*/", "*\\/")
    if len(safe) + len(indent) + len("/**  */") <= _WIDTH:
        return f"{indent}/** {safe} */\n"
    lines = textwrap.wrap(safe, _WIDTH - len(indent) - len(" * "), break_long_words=False, break_on_hyphens=False)
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}\n" for line in lines), f"{indent} */\n"])


def _type(schema: Schema, node: Schema) -> str:
    """Return the type of a value as TypeScript writes it."""
    if "$ref" in node:
        return _target(schema, node)[0]
    if "const" in node:
        return json.dumps(node["const"])
    if "enum" in node:
        return " | ".join(json.dumps(value) for value in node["enum"])
    if alternatives := node.get("anyOf") or _branches(node):
        return " | ".join(_type(schema, branch) for branch in alternatives)
    kind = node.get("type")
    if kind == "array":
        item = _type(schema, node["items"])
        if node.get("minItems") == node.get("maxItems") == 1:
            return f"[{item}]"
        return f"({item})[]" if "|" in item else f"{item}[]"
    if kind == "object" and isinstance(node.get("additionalProperties"), dict):
        return f"{{ [name: string]: {_type(schema, node['additionalProperties'])} }}"
    return {"integer": "number", "string": "string", "boolean": "boolean", "null": "null"}.get(str(kind), "unknown")
