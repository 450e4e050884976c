"""`hearth-records keygen`: a new key pair."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING

from hearth_records import files, keys
from hearth_records.cli.common import UNREADABLE, USAGE, CommandError, Parser
from hearth_records.errors import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRIVATE = 0o600
_MAX_PASSPHRASE = 1024


def command(arguments: Sequence[str], prog: str) -> int:
    """Write a private key (PKCS#8 PEM, 0600) and its public half beside it, never over a file; print the key id."""
    parser = Parser(prog, "Make a key pair: PRIVATE.pem (0600) and, beside it, PRIVATE.pub.pem.")
    parser.add_argument("private", metavar="PRIVATE.pem", help="the private key's new file")
    parser.add_argument("--algorithm", choices=keys.ALGORITHMS, default=keys.ED25519, help=f"default: {keys.ED25519}")
    parser.add_argument("--encrypt", action="store_true", help="ask for a passphrase")
    parser.add_argument("--passphrase-file", metavar="FILE", help="take the passphrase from a file's first line")
    options = parser.parse_args(arguments)
    private, public = options.private, f"{options.private.removesuffix('.pem')}.pub.pem"
    for path in (private, public):
        if os.path.lexists(path):
            raise CommandError(f"{path}: exists already", exit_code=USAGE, hint="nothing is ever replaced: name another file")
    passphrase = _passphrase(options.passphrase_file) if options.encrypt or options.passphrase_file else None
    key = keys.generate_private_key(options.algorithm)
    spki = keys.LocalSigner(key).public_key
    files.write_new(private, keys.private_key_to_pem(key, passphrase), mode=_PRIVATE)
    try:
        files.write_new(public, keys.public_key_to_pem(spki))
    except BaseException:
        os.unlink(private)  # noqa: PTH108 - half a key pair is none
        raise
    print(f"private key  {escape(private)}")
    print(f"public key   {escape(public)}")
    print(f"key id       {keys.keyid_of(spki)}")
    return 0


def _passphrase(path: str | None) -> bytes:
    if path is not None:
        text = files.read_regular(path, _MAX_PASSPHRASE).partition(b"\n")[0]
    elif sys.stdin.isatty():
        text = getpass.getpass("Passphrase: ").encode()
        if getpass.getpass("Again: ").encode() != text:
            raise CommandError("the two passphrases differ", exit_code=USAGE)
    else:
        raise CommandError(
            "there is no terminal to ask for a passphrase", exit_code=USAGE, hint="give --passphrase-file FILE"
        )
    if not text:
        raise CommandError("the passphrase is empty", exit_code=UNREADABLE)
    return text
