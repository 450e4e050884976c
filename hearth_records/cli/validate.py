"""`validate-record`: has this file the shape that the JSON Schema says?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hearth_records import schema
from hearth_records.cli.arguments import Parser
from hearth_records.cli.common import CommandError, complain, read_input, run
from hearth_records.errors import FormatError, escape
from hearth_records.verify import combine_exit_codes, unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

_INVALID = 1
_UNREADABLE = 3


def command(arguments: Sequence[str], prog: str = "validate-record") -> int:
    """Validate files; returns 0 when all are valid, 1 when one is not, 3 when one cannot be judged."""
    parser = Parser(prog, "Validate record files against the JSON Schema. Valid is not authentic: see verify-record.")
    parser.add_argument("files", nargs="*", metavar="FILE", help="record files; - is standard input")
    options = parser.parse_args(arguments)
    if not options.files:
        raise CommandError(
            "no file was given", exit_code=combine_exit_codes(()), hint="name the record files; - is standard input"
        )
    code = combine_exit_codes([_validate(prog, path) for path in options.files])
    print("valid is not authentic: only verify-record checks links and signatures")
    return code


def _validate(prog: str, path: str) -> int:
    try:
        findings = schema.validate("record", read_input(path))
    except OSError as error:
        complain(prog, f"{path}: {unreadable(error).reason}")
        return _UNREADABLE
    except FormatError as error:
        complain(prog, f"{path}: {error}", error.hint or "a journal that is not closed yet is no whole document")
        return _UNREADABLE
    for finding in findings:
        print(
            f"{escape(path)}: invalid at {escape(finding.pointer) or 'the top'}: {finding.message} [{finding.keyword}]"
        )
    if findings:
        return _INVALID
    print(f"{escape(path)}: valid")
    return 0


def main() -> int:
    """Run as a program."""
    return run("validate-record", command, sys.argv[1:])
