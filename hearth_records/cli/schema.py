"""`hearth-records schema`: the JSON Schemas, from the model."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from hearth_records import files, schema
from hearth_records.cli.arguments import Parser
from hearth_records.errors import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIFFERS = 1
_MAX_SCHEMA = 16 * 1024 * 1024


def command(arguments: Sequence[str], prog: str) -> int:
    """List, show or export the schemas; `export --check` ends with 1 when a file differs from the model."""
    parser = Parser(prog, "The JSON Schemas (2020-12) of the documents.")
    actions = parser.add_subparsers(dest="action", required=True, parser_class=_Sub)
    actions.add_parser("list", help="list the schemas")
    show = actions.add_parser("show", help="print one schema")
    show.add_argument("name", choices=tuple(schema.SCHEMAS))
    export = actions.add_parser("export", help="write all schemas below a directory")
    export.add_argument("-o", dest="directory", metavar="DIR", required=True, help="the directory, for example schemas")
    export.add_argument("--check", action="store_true", help="write nothing; end with 1 when a file differs")
    options = parser.parse_args(arguments)
    if options.action == "list":
        for name, path in schema.SCHEMAS.items():
            print(f"{name:<14} {schema.document_schema(name)['$id']:<42} {path}")
        return 0
    if options.action == "show":
        sys.stdout.buffer.write(schema.encode_schema(options.name))
        return 0
    return _export(options.directory, check=options.check)


class _Sub(Parser):
    def __init__(self, prog: str, **_ignored: object) -> None:
        super().__init__(prog, "")


def _export(directory: str, *, check: bool) -> int:
    stale = False
    for name, relative in schema.SCHEMAS.items():
        path, data = os.path.join(directory, relative), schema.encode_schema(name)  # noqa: PTH118 - a path to print
        if _read(path) == data:
            continue
        stale = True
        print(f"{escape(path)}: {'differs from the model' if check else 'written'}")
        if not check:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - as above
            if os.path.lexists(path):
                os.unlink(path)  # noqa: PTH108 - generated, and named on the command line
            files.write_new(path, data)
    return _DIFFERS if check and stale else 0


def _read(path: str) -> bytes | None:
    try:
        return files.read_regular(path, _MAX_SCHEMA)
    except FileNotFoundError:
        return None
