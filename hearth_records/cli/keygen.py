"""`hearth-records keygen`: a new key pair."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING

from hearth_records import keys
from hearth_records.cli.arguments import Parser
from hearth_records.cli.common import USAGE, CommandError, exists_already, read_file, write_file
from hearth_records.errors import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRIVATE = 0o600
_MAX_PASSPHRASE = 1023
"""Bytes of a passphrase that OpenSSL takes."""
_MAX_PASSPHRASE_FILE = 4096


def command(arguments: Sequence[str], prog: str) -> int:
    """Write a private key (PKCS#8 PEM, 0600) and its public half beside it, never over a file; print the key id."""
    parser = Parser(prog, "Make a key pair: PRIVATE.pem (0600) and, beside it, PRIVATE.pub.pem.")
    parser.add_argument("private", metavar="PRIVATE.pem", help="the private key's new file")
    parser.add_argument("--algorithm", choices=keys.ALGORITHMS, default=keys.ED25519, help=f"default: {keys.ED25519}")
    parser.add_argument("--encrypt", action="store_true", help="ask for a passphrase")
    parser.add_argument("--passphrase-file", metavar="FILE", help="take the passphrase from a file's first line")
    options = parser.parse_args(arguments)
    private = options.private
    for path in (private, public_path(private)):
        if os.path.lexists(path):
            raise exists_already(path)
    passphrase = new_passphrase(options.passphrase_file) if options.encrypt or options.passphrase_file else None
    signer = write_pair(private, options.algorithm, passphrase)
    print(f"private key  {escape(private)}")
    print(f"public key   {escape(public_path(private))}")
    print(f"key id       {signer.keyid}")
    return 0


def public_path(private: str) -> str:
    """Return the name of the public half beside a private key's file."""
    return f"{private.removesuffix('.pem')}.pub.pem"


def write_pair(private: str, algorithm: str, passphrase: bytes | None) -> keys.LocalSigner:
    """Make a key, write both halves, never over a file, or none, and return its signer."""
    key = keys.generate_private_key(algorithm)
    signer = keys.LocalSigner(key)
    write_file(private, keys.private_key_to_pem(key, passphrase), mode=_PRIVATE)
    try:
        write_file(public_path(private), keys.public_key_to_pem(signer.public_key))
    except BaseException:
        os.unlink(private)  # noqa: PTH108 - half a key pair is none
        raise
    return signer


def new_passphrase(path: str | None) -> bytes:
    """Return the passphrase for a new key, from a file's first line or twice from the terminal."""
    if path is not None:
        text = read_file(path, bytes, _MAX_PASSPHRASE_FILE).partition(b"\n")[0]
    elif sys.stdin is not None and sys.stdin.isatty():
        text = _ask("Passphrase: ")
        if _ask("Again: ") != text:
            raise CommandError("the two passphrases differ", exit_code=USAGE)
    else:
        raise CommandError(
            "there is no terminal to ask for a passphrase", exit_code=USAGE, hint="give --passphrase-file FILE"
        )
    if not text:
        raise CommandError("the passphrase is empty", exit_code=USAGE)
    if len(text) > _MAX_PASSPHRASE:
        raise CommandError(f"the passphrase is longer than {_MAX_PASSPHRASE} bytes", exit_code=USAGE)
    return text


def _ask(prompt: str) -> bytes:
    try:
        return getpass.getpass(prompt).encode()
    except (EOFError, UnicodeError):
        raise CommandError("no passphrase was given", exit_code=USAGE) from None
