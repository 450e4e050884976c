"""`hearth-records demo`: a real migration, recorded, sealed, verified, and tampered with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hearth_records import demo
from hearth_records.cli.arguments import Parser
from hearth_records.cli.common import INTERNAL, USAGE, CommandError
from hearth_records.errors import escape

if TYPE_CHECKING:
    from collections.abc import Sequence


def command(arguments: Sequence[str], prog: str) -> int:
    """Run the demonstration; ends with 0 when everything came out as it says."""
    parser = Parser(prog, "Migrate a small SQLite database under observation; every artefact stays in DIR.")
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="a new or empty directory (default: a new temporary one)"
    )
    parser.add_argument("--succeed", action="store_true", help="load data without the constraint violation")
    options = parser.parse_args(arguments)
    directory = Path(options.directory) if options.directory else Path(tempfile.mkdtemp(prefix="hearth-demo-"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        empty = not any(directory.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise CommandError(f"{directory}: not a directory", exit_code=USAGE) from None
    if not empty:
        raise CommandError(
            f"{directory}: not empty", exit_code=USAGE, hint="nothing is ever replaced: name a new directory"
        )
    good = demo.run(directory, succeed=options.succeed, say=lambda line: print(escape(line)))
    print(
        f"Everything came out as it says. Artefacts: {escape(str(directory))}"
        if good
        else "NOT everything came out as it says"
    )
    return 0 if good else INTERNAL
