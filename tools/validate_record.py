#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["jsonschema>=4.23", "rfc3339-validator>=0.1.4"]
# ///
"""Validate hearth-record/1 files against the published JSON Schema, with nothing of the package.

    validate_record.py FILE...      - is standard input

The schema is ../schemas/hearth-record/1/record.schema.json, from where this file lies. It says
types, members, ranges and patterns, and that each date-time is one. It cannot say what only
verify_record.py checks: canonical bytes, links, the order of events, signatures. So a valid
record is not an authentic one, and the last line of the output says that.

Each fault is a line on standard output, with the JSON pointer (RFC 6901) to where it is and the
keyword of the schema that it offends, at most 20 a file.

     0   every file is valid
     1   a file is invalid
     2   wrong usage
     3   a file cannot be judged: unreadable, over 1 GiB, not JSON, a member that stands twice
    70   this program cannot work: `jsonschema`, its check of date-time, or the schema is missing

Several files: the first of 70, 1, 3 that occurs. No reference is ever fetched: the schema stands
alone, and one that it does not hold ends the program. What came out of a file, or is its name, is
escaped before it is printed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import stat
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jsonschema.exceptions import ValidationError

PROG = "validate_record.py"
SCHEMA = Path(__file__).resolve().parent.parent / "schemas/hearth-record/1/record.schema.json"
SCHEMA_ID = "urn:hearth-records:schema:record:1"
MAX_FILE = 2**30  # bytes
MAX_FINDINGS = 20
MAX_SHOWN = 200  # characters of a value in a message
LONGEST_INTEGER = 32  # digits that are looked at: more are out of every range
INVALID, USAGE, UNREADABLE, INTERNAL, INTERRUPTED = 1, 2, 3, 70, 130

_BLANK_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


class CannotJudge(Exception):  # noqa: N818 - an answer, not a fault of the program
    """A file that is not even JSON of one meaning (exit 3)."""


class CannotWork(Exception):  # noqa: N818 - as above
    """Something that this program needs is missing (exit 70)."""


class Validator(Protocol):
    """What is used of a `jsonschema` validator."""

    def iter_errors(self, instance: object) -> Iterable[ValidationError]:
        """Yield what is wrong."""


def escape(text: str) -> str:
    r"""Make text safe for a terminal: what is not printable, or not visible, becomes \x1b, \u202e."""
    return "".join(
        char if char.isprintable() and not _BLANK_LETTERS.match(char) else char.encode("unicode_escape").decode()
        for char in text
    )


def shorten(text: str) -> str:
    """Cut text to what fits a message."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def to_pointer(path: Iterable[str | int]) -> str:
    """Return the JSON pointer of a path; the whole document's is empty."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


# ---- Reading ------------------------------------------------------------------------------


def read_file(name: str) -> bytes:
    """Read a regular file, or what `-` stands for; wait for nothing else, a FIFO for one."""
    try:
        descriptor = os.dup(0) if name == "-" else os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as stream:
            if name != "-" and not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise CannotJudge("it is not a regular file")
            chunks, left = [], MAX_FILE + 1
            while left and (chunk := stream.read(min(left, 2**20))):
                chunks.append(chunk)
                left -= len(chunk)
    except OSError as error:
        raise CannotJudge(error.strerror or "it cannot be read") from None
    if not left:
        raise CannotJudge(f"it is over {MAX_FILE} bytes")
    return b"".join(chunks)


def decode(data: bytes) -> object:
    """Return the value of JSON in which no member stands twice, also when spelled with an escape."""
    doubled: list[tuple[dict[str, Any], str]] = []

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for name, item in pairs:
            if name in value:
                doubled.append((value, name))
            value[name] = item
        return value

    try:
        value: object = json.loads(
            data.decode(), object_pairs_hook=to_object, parse_int=_integer, parse_constant=_refuse_constant
        )
        if doubled:
            places = (_path_to(value, place, name) for place, name in doubled)
            raise CannotJudge(f"a member stands twice, at {to_pointer(next(filter(None, places), ()))}")
    except UnicodeDecodeError as error:
        raise CannotJudge(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise CannotJudge("it is nested too deep to be read") from None
    except json.JSONDecodeError as error:
        raise CannotJudge(f"it is not JSON: {error.msg}, at character {error.pos}") from None
    return value


def _integer(digits: str) -> int:
    return int(digits[:LONGEST_INTEGER])


def _refuse_constant(spelling: str) -> NoReturn:
    raise CannotJudge(f"it is not JSON: {spelling}")


def _path_to(tree: object, place: dict[str, Any], name: str) -> tuple[str | int, ...] | None:
    """Return the path to a member of one very object, None where that was itself replaced by a double."""
    if tree is place:
        return (name,)
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, item in items:
        if (below := _path_to(item, place, name)) is not None:
            return (key, *below)
    return None


# ---- Judging ------------------------------------------------------------------------------


def load_validator() -> Validator:
    """Return the validator of the schema beside this file; raise `CannotWork` rather than check less."""
    try:
        from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415 - its absence is an answer
        from referencing import Registry  # noqa: PLC0415 - what jsonschema itself resolves references with
    except ImportError as error:
        raise CannotWork(f"the package {error.name} is not installed") from None
    checker = FormatChecker()
    real, unreal = "2024-02-29T00:00:00.000000Z", "2026-02-29T00:00:00.000000Z"
    if not checker.conforms(real, "date-time") or checker.conforms(unreal, "date-time"):
        raise CannotWork("date-time is not checked: the package rfc3339-validator is not installed")
    try:
        schema = json.loads(SCHEMA.read_bytes())
    except (OSError, ValueError):
        schema = None
    if not isinstance(schema, dict) or schema.get("$id") != SCHEMA_ID:
        raise CannotWork(f"the schema {SCHEMA_ID} is not at {SCHEMA}")
    registry: Registry[Any] = Registry()  # an empty one, which fetches nothing
    validator: Validator = Draft202012Validator(schema, registry=registry, format_checker=checker)
    return validator


def find_faults(validator: Validator, document: object) -> list[str]:
    """Return a line for each fault of a document, none when it is valid."""
    try:
        return [describe(error) for error in islice(validator.iter_errors(document), MAX_FINDINGS)]
    except RecursionError:
        raise CannotJudge("it is nested too deep to be validated") from None


def describe(error: ValidationError) -> str:
    """Say where a fault is, what it is, and which keyword of the schema it offends.

    Where a value fits none of several branches, the branch that got farthest tells best.
    """
    top = error
    while error.context:
        error = max(error.context, key=lambda each: (len(each.absolute_path), each.validator != "type"))
    message = error.message
    if error is not top and error.validator == "type":  # one branch's type says nothing about the others
        message = f"{error.instance!r} is of no type that may stand here"
    place = to_pointer(error.absolute_path) or "the top"
    return f"invalid at {shorten(place)}: {shorten(message)} [{error.validator}]"


def validate_file(name: str, validator: Validator) -> int:
    """Validate one file, print what was found, and return its exit code."""
    try:
        faults = find_faults(validator, decode(read_file(name)))
    except CannotJudge as error:
        complain(f"{name}: {error}", "a journal that is not closed yet is no whole document")
        return UNREADABLE
    for line in faults or ["valid"]:
        print(escape(f"{name}: {line}"))
    return INVALID if faults else 0


# ---- The command line ---------------------------------------------------------------------


def complain(message: str, hint: str) -> None:
    """Print an error and a hint."""
    print(f"{PROG}: error: {escape(message)}", file=sys.stderr)
    print(f"hint: {escape(hint)}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """The arguments; what is wrong with them is exit 2, in the form of all errors here."""

    def error(self, message: str, hint: str = "--help lists the arguments") -> NoReturn:
        """Complain and leave."""
        complain(message, hint)
        raise SystemExit(USAGE)


def run(argv: Sequence[str] | None) -> int:
    """Do what the command line says, and return the exit code."""
    parser = Parser(prog=PROG, allow_abbrev=False)
    parser.description = "Validate hearth-record/1 files against the JSON Schema. Valid is not authentic."
    parser.epilog = "exit codes: 0 valid, 1 invalid, 2 usage, 3 cannot be judged, 70 cannot work"
    parser.add_argument("files", metavar="FILE", nargs="*", help="a record; - is standard input")
    files: list[str] = parser.parse_args(argv).files
    if not files:
        parser.error("there is no file to validate", "name a record, or - for standard input")
    validator = load_validator()
    codes = {validate_file(name, validator) for name in files}
    print("valid is not authentic: only verify_record.py checks links and signatures")
    sys.stdout.flush()
    return next((code for code in (INVALID, UNREADABLE) if code in codes), 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(argv)
    except CannotWork as error:
        complain(str(error), "nothing was validated; `pip install jsonschema rfc3339-validator` in a checkout will do")
    except KeyboardInterrupt:
        complain("interrupted", "nothing was decided")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort
        if isinstance(error, OSError):  # the answer cannot be written: do not try again
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        complain(f"internal error: {type(error).__name__}", "nothing was decided")
    return INTERNAL


if __name__ == "__main__":
    sys.exit(main())
