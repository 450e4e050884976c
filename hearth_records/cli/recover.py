"""`hearth-records recover`: what is left of a journal, and closing it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from hearth_records.cli.arguments import Parser
from hearth_records.cli.common import UNREADABLE, USAGE, CommandError
from hearth_records.cli.signing import add_key_options, read_signers
from hearth_records.errors import escape
from hearth_records.recovery import inspect, recover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.recovery import DisclosuresLeft, Findings

__all__ = ["command", "print_path", "show"]

INCOMPLETE: Final = 5


def command(arguments: Sequence[str], prog: str) -> int:
    """Say what is left of a journal (0 published, 3 damaged, 5 else), or close it."""
    parser = Parser(prog, "Say what is left of a journal. With --close, close it as incomplete, seal and publish it.")
    parser.add_argument("journal", metavar="JOURNAL", help="the path of the journal")
    parser.add_argument("--close", action="store_true", help="close, seal and publish it; needs --reason and --key")
    parser.add_argument("--reason", help="what to record as the reason")
    add_key_options(parser, required=False)
    options = parser.parse_args(arguments)
    if not options.close:
        if options.reason is not None or options.key:
            raise CommandError("--reason and --key go with --close", exit_code=USAGE)
        found = inspect(options.journal)
        show(found)
        return 0 if found.state == "published" else INCOMPLETE
    if options.reason is None or not options.key:
        raise CommandError("--close needs --reason TEXT and --key KEY", exit_code=USAGE)
    signers = read_signers(options)
    print_path(recover(options.journal, *signers, reason=options.reason, allow_example_keys=options.allow_example_keys))
    return 0


def show(found: Findings) -> None:
    """Print what is left of a journal. Raises `CommandError` when it is damaged."""
    meaning = {
        "recording": "somebody writes it now",
        "open": "nobody writes it, and it is not closed",
        "closed": "closed, and not published yet",
        "published": f"published as {escape(found.record)}",
    }[found.state]
    print(f"{escape(found.journal)}: {found.state}: {meaning}")
    if found.damage is not None:
        raise CommandError(
            f"{found.journal}: damaged: {found.damage}",
            exit_code=UNREADABLE,
            hint="this is not what a crash leaves; keep the file, and find out who changed it",
        )
    if found.state != "published" or found.events:
        print(f"  whole events  {found.events}{', the last one ends the execution' if found.finished else ''}")
        print(f"  torn tail     {found.torn_bytes} bytes")
        _show_disclosures(found.disclosures)


def _show_disclosures(left: DisclosuresLeft | None) -> None:
    """Print what lies in the disclosures file, unless that is nothing."""
    if left is None:
        print("  disclosures   there are some, and only their owner can read them")
    elif left.referred or left.dropped:
        print(f"  disclosures   {left.referred}")
    if left is not None and left.dropped:
        print(f"  left out      {left.dropped} disclosures of events that were never acknowledged")


def print_path(path: str) -> None:
    """Print a path for `$(…)`: byte for byte, but on a terminal escaped, as `ls` does it."""
    if sys.stdout.isatty():
        print(escape(path))
    else:
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")
