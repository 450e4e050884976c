"""The parser of the commands that have time: `argparse`, with errors in the form that all commands share."""

from __future__ import annotations

import argparse
from typing import NoReturn

from hearth_records.cli.common import USAGE, CommandError

__all__ = ["Parser", "add_trust_options"]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in the form that all commands share."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise `CommandError` for a wrong command line."""
        raise CommandError(message, exit_code=USAGE, hint=f"{self.prog} --help")


def add_trust_options(parser: argparse.ArgumentParser, without: str, help_without: str) -> None:
    """Add the ways to say whose signature is accepted; `without` is the option to go without."""
    group = parser.add_argument_group("whose signature is accepted (one of these is needed)")
    group.add_argument("--trust", metavar="FILE", help="a trust policy (hearth-trust/1)")
    group.add_argument(
        "--key", metavar="PUBLIC.pem", action="append", help="a public key that may seal; may be repeated"
    )
    group.add_argument(without, action="store_true", dest="without_trust", help=help_without)
    parser.add_argument(
        "--allow-example-keys", action="store_true", help="accept the published example keys, which prove nothing"
    )
