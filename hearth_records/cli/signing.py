"""The keys that commands sign with."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Final

from hearth_records import files, keys
from hearth_records.cli.common import UNREADABLE, USAGE, CommandError
from hearth_records.errors import SealError, escape

if TYPE_CHECKING:
    import argparse

    from hearth_records.keys import LocalSigner

__all__ = ["add_key_options", "read_signers"]

_MAX_KEY: Final = 1024 * 1024
_MAX_PASSPHRASE_FILE: Final = 4096


def add_key_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the options that name private keys."""
    parser.add_argument(
        "--key", action="append", required=required, metavar="PRIVATE.pem", help="the key to seal with; may be repeated"
    )
    parser.add_argument("--passphrase-file", metavar="FILE", help="take the passphrase from a file's first line")
    parser.add_argument(
        "--allow-example-keys", action="store_true", help="sign with the published example keys, which proves nothing"
    )


def read_signers(options: argparse.Namespace) -> list[LocalSigner]:
    """Return the signers that the options name. Raises `CommandError`."""
    return [_read(path, options.passphrase_file) for path in options.key]


def _read(path: str, passphrase_file: str | None) -> LocalSigner:
    data = files.read_regular(path, _MAX_KEY)
    try:
        try:
            return keys.LocalSigner(keys.load_private_key(data))
        except SealError as error:
            if error.code != "passphrase-needed":
                raise
            return keys.LocalSigner(keys.load_private_key(data, _read_passphrase(path, passphrase_file)))
    except SealError as error:
        raise CommandError(f"{path}: {error}", exit_code=UNREADABLE, hint=error.hint) from None


def _read_passphrase(path: str, passphrase_file: str | None) -> bytes:
    """Return the passphrase of a private key, from a file or from the terminal. Raises `CommandError`."""
    if passphrase_file is not None:
        return files.read_regular(passphrase_file, _MAX_PASSPHRASE_FILE).partition(b"\n")[0]
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(
            f"{path}: encrypted, and there is no terminal to ask for its passphrase",
            exit_code=USAGE,
            hint="give --passphrase-file FILE",
        )
    try:
        return getpass.getpass(f"Passphrase of {escape(path)}: ").encode()
    except (EOFError, UnicodeError):
        raise CommandError("no passphrase was given", exit_code=USAGE) from None
