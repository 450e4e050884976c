"""The parser of the commands that have time: `argparse`, with errors in the form that all commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from hearth_records.cli.common import USAGE, CommandError, parse_version, read_policy
from hearth_records.profile import MAX_INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hearth_records.trust import TrustPolicy

__all__ = ["Parser", "add_min_version", "add_policy_options", "add_trust_options", "parse_index", "read_free_policy"]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in the form that all commands share."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def parse_args(self, arguments: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        """Return what `arguments` say. The word after an option is its value, whatever it looks like: `--error "-1"`.

        Raises:
            CommandError: they are no command line of this command.

        """
        taking = {name for action in self._actions if action.nargs is None for name in action.option_strings}
        return super().parse_args(list(_joined(iter(arguments), taking)))

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:  # noqa: ANN401 - whatever `type` gives
        """Return an option's value; up to Python 3.12 `argparse` takes none where the value is `--`."""
        if action.option_strings and action.nargs is None:
            value = self._get_value(action, *arg_strings)
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        """Raise `CommandError` for a wrong command line."""
        raise CommandError(message, exit_code=USAGE, hint=f"{self.prog} --help")


def _joined(words: Iterator[str], taking: set[str]) -> Iterator[str]:
    """Yield `--option=VALUE` for an option and its value in two words, and all other words as they are."""
    for word in words:
        if word == "--":
            yield word
            yield from words
        elif word.startswith("--") and word in taking and (value := next(words, None)) is not None:
            yield f"{word}={value}"
        else:
            yield word


def parse_index(text: str) -> int:
    """Return an index, from 0. Raises `ArgumentTypeError`."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_INTEGER))):
        raise argparse.ArgumentTypeError("not an index")
    return int(text)


def add_min_version(parser: argparse.ArgumentParser) -> None:
    """Add the option that refuses an older policy."""
    parser.add_argument(
        "--min-policy-version", metavar="N", type=_version, help="refuse a trust policy whose version is lower"
    )


def _version(text: str) -> int:
    if (version := parse_version(text)) is None:
        raise argparse.ArgumentTypeError("not a version, an integer from 1 on")
    return version


def add_trust_options(parser: argparse.ArgumentParser, without: str, help_without: str) -> None:
    """Add the ways to say whose signature is accepted; `without` is the option to go without."""
    add_policy_options(parser, without, help_without).add_argument(
        "--key", metavar="PUBLIC.pem", action="append", help="a public key that may seal; may be repeated"
    )
    parser.add_argument(
        "--allow-example-keys", action="store_true", help="accept the published example keys, which prove nothing"
    )


def add_policy_options(parser: argparse.ArgumentParser, without: str, help_without: str) -> argparse._ArgumentGroup:
    """Add the ways of a command whose `--key` is a private key, which it signs with. Returns their group."""
    group = parser.add_argument_group("whose signature is accepted (one of these is needed)")
    group.add_argument("--trust", metavar="FILE", help="a trust policy (hearth-trust/1)")
    group.add_argument(without, action="store_true", dest="without_trust", help=help_without)
    add_min_version(parser)
    parser.add_argument(
        "--accept-rotation",
        metavar="FILE",
        action="append",
        help="accept the new key of a rotation (keys rotate), if the old one is accepted; may be repeated, in order",
    )
    parser.add_argument(
        "--require-timestamp",
        action="store_true",
        help="demand a trusted timestamp on each signer's signature, also where the policy does not",
    )
    return group


def read_free_policy(options: argparse.Namespace) -> TrustPolicy | None:
    """Return the policy of a command on which `--trust` is free and `--key`, if it has one, signs; or None."""
    trust = {"key": None, "without_trust": options.trust is None}
    return read_policy(argparse.Namespace(**{**vars(options), **trust}), "no policy")
