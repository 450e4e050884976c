"""The keys that commands sign with: named by URI, unlocked by a file or on the terminal."""

from __future__ import annotations

import functools
import getpass
import os
import sys
from typing import TYPE_CHECKING, Final

from hearth_records import files, signers
from hearth_records.cli.common import UNREADABLE, USAGE, CommandError
from hearth_records.errors import SealError, escape

if TYPE_CHECKING:
    import argparse

    from hearth_records.keys import Signer
    from hearth_records.signers import Asked

__all__ = ["KEY", "add_key_options", "add_secret_options", "read_signer", "read_signers"]

KEY: Final = "KEY"
"""What help calls a key: a path or a URI."""
_MAX_PASSPHRASE_FILE: Final = 4096
_USAGE_CODES: Final = ("signer-scheme", "signer-uri")
_PROMPTS: Final = {"passphrase": "Passphrase of", "pin": "PIN of", "token": "Token for"}


def add_key_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the options that name the keys to sign with."""
    parser.add_argument(
        "--key",
        "--signer",
        action="append",
        required=required,
        metavar=KEY,
        help="the key to sign with: a private key's file, or file:…, ssh-agent:…, pkcs11:…, transit:…; may be "
        "repeated, and then all of them sign",
    )
    add_secret_options(parser)
    parser.add_argument(
        "--allow-example-keys", action="store_true", help="sign with the published example keys, which proves nothing"
    )


def add_secret_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that unlock keys. Without them the terminal is asked."""
    for what, of in (
        ("passphrase", "an encrypted file"),
        ("pin", "a token (pkcs11:)"),
        ("token", "a server (transit:)"),
    ):
        parser.add_argument(f"--{what}-file", metavar="FILE", help=f"take the {what} of {of} from a file's first line")


def read_signers(options: argparse.Namespace) -> list[Signer]:
    """Return the signers that the options name. Raises `CommandError`."""
    return [read_signer(name, options) for name in options.key]


def read_signer(name: str, options: argparse.Namespace) -> Signer:
    """Return the signer of a path or a URI. Raises `CommandError`."""
    try:
        return signers.open_signer(name, functools.partial(_ask, options))
    except SealError as error:
        # What was not understood is not shown, and neither is a query: a secret may stand there.
        unknown = error.code in _USAGE_CODES
        shown = f"{name.partition(':')[0]}:…" if unknown else name.partition("?")[0]
        code = USAGE if unknown else UNREADABLE
        raise CommandError(f"{shown}: {error}", exit_code=code, hint=error.hint) from None


def _ask(options: argparse.Namespace, what: Asked, name: str) -> bytes | None:
    """Return a secret from the file that the options name, else from the terminal. Raises `CommandError`.

    SSH_AUTH_SOCK is read here alone: whoever named an agent's key means the agent of this session.
    """
    if what == "socket":
        return os.environb.get(b"SSH_AUTH_SOCK")
    path = getattr(options, f"{what}_file")
    if path is not None:
        # A passphrase is worth nothing without its file, which nobody else can read; a PIN or a token is the key.
        if what == "passphrase":
            return files.read_regular(path, _MAX_PASSPHRASE_FILE).partition(b"\n")[0]
        from hearth_records.signers.uri import read_secret  # noqa: PLC0415 - start-up time

        return read_secret(path)
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(
            f"{name}: there is no terminal to ask for its {what}", exit_code=USAGE, hint=f"give --{what}-file FILE"
        )
    try:
        return getpass.getpass(f"{_PROMPTS[what]} {escape(name)}: ").encode()
    except (EOFError, UnicodeError):
        raise CommandError(f"no {what} was given", exit_code=USAGE) from None
