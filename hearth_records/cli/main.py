"""`hearth-records`: finds the command by its name."""

from __future__ import annotations

import importlib
import keyword
import sys
from typing import TYPE_CHECKING

from hearth_records._version import __version__
from hearth_records.cli.common import USAGE, CommandError, run

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "countersign": "add a signature to a sealed record",
    "demo": "run a real migration, record, seal, verify and tamper with it",
    "export": "a record in a form that others check: DSSE, Sigstore bundle, SSHSIG, evidence",
    "import": "a DSSE envelope and its events, back to a record",
    "keygen": "make a key pair",
    "keys": "the public half of a key; pass a key's place on: keys public, keys rotate",
    "record": "record an execution from a shell, one call at a time",
    "recover": "say what is left of a journal, and close it",
    "scaffold": "regenerate rollback guidance from a record (regenerate-scaffold)",
    "schema": "the JSON Schemas",
    "show": "show a record as an operator reads it",
    "timestamp": "by when a signature existed: timestamp request, timestamp attach (RFC 3161)",
    "trust": "trust policies: init, set, add, revoke, retire, show, check",
    "validate": "validate a record against the JSON Schema (validate-record)",
    "verify": "verify a record offline (verify-record)",
    "withhold": "withhold members of details, in a new file",
}


def _usage() -> str:
    lines = [
        "usage: hearth-records COMMAND …",
        "",
        "Flight recorder: records are verified offline, guidance is never executed.",
        "",
    ]
    lines += [f"  {name:<11} {text}" for name, text in COMMANDS.items()]
    return "\n".join([*lines, "", "hearth-records COMMAND --help says more", ""])


def command(arguments: Sequence[str]) -> int:
    """Run the command that the first argument names."""
    name = arguments[0] if arguments else ""
    if name in ("-h", "--help"):
        print(_usage(), end="")
        return 0
    if name == "--version":
        print(f"hearth-records {__version__}")
        return 0
    if name not in COMMANDS:
        raise CommandError(
            f"no such command: {name}" if name else "no command was given",
            exit_code=USAGE,
            hint=f"one of {', '.join(COMMANDS)}",
        )
    file = f"{name}_" if keyword.iskeyword(name) else name  # import_.py: a module cannot have the name of a keyword
    module = importlib.import_module(f"hearth_records.cli.{file}")
    code: int = module.command(arguments[1:], f"hearth-records {name}")
    return code


def main() -> int:
    """Run as a program."""
    arguments = sys.argv[1:]
    prog = "hearth-records" if not arguments or arguments[0] not in COMMANDS else f"hearth-records {arguments[0]}"
    return run(prog, command, arguments)
