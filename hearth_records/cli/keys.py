"""`hearth-records keys rotate`: a key passes its place on to a new one (FORMAT §9)."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from hearth_records import keys
from hearth_records.cli.arguments import Parser
from hearth_records.cli.common import (
    UNREADABLE,
    USAGE,
    CommandError,
    exists_already,
    present_time,
    write_file,
)
from hearth_records.cli.keygen import new_passphrase, public_path, write_pair
from hearth_records.cli.signing import read_signers
from hearth_records.cli.trust import fingerprint, parse_time
from hearth_records.errors import SealError, escape
from hearth_records.rotation import make_rotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.keys import Signer

__all__ = ["command"]


def command(arguments: Sequence[str], prog: str) -> int:
    """Run the one call that there is."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        print(
            f"usage: {prog} rotate …\n\n  rotate  pass a key's place on to a new one\n\n{prog} rotate --help says more"
        )
        return 0
    if name != "rotate":
        raise CommandError(
            f"no such call: {name}" if name else "no call was given", exit_code=USAGE, hint="the one call is: rotate"
        )
    return _rotate(rest, f"{prog} rotate")


def _rotate(arguments: Sequence[str], prog: str) -> int:
    parser = Parser(prog, "Write the statement by which a key passes its place on to a new one; both sign it.")
    parser.add_argument("--key", required=True, metavar="OLD.pem", help="the private key that has the place")
    new = parser.add_mutually_exclusive_group(required=True)
    new.add_argument("--new", metavar="NEW.pem", help="make the new key: its file; NEW.pub.pem stands beside it")
    new.add_argument("--to", metavar="NEW.pem", help="take this private key as the new one")
    parser.add_argument("-o", dest="out", required=True, metavar="ROTATION", help="a new file for the statement")
    parser.add_argument("--at", type=parse_time, metavar="T", help="from when on the new key counts (default: now)")
    parser.add_argument("--passphrase-file", metavar="FILE", help="the passphrase of an encrypted --key or --to")
    parser.add_argument(
        "--algorithm", choices=keys.ALGORITHMS, default=keys.ED25519, help=f"of --new (default: {keys.ED25519})"
    )
    parser.add_argument("--encrypt", action="store_true", help="ask for a passphrase for --new")
    parser.add_argument("--new-passphrase-file", metavar="FILE", help="take the passphrase for --new from a file")
    parser.add_argument(
        "--allow-example-keys", action="store_true", help="take the published example keys, which proves nothing"
    )
    options = parser.parse_args(arguments)
    made = options.new is not None
    for path in (options.out, *((options.new, public_path(options.new)) if made else ())):
        if os.path.lexists(path):
            raise exists_already(path)
    old = _read_signer(options.key, options)
    if made:
        encrypted = options.encrypt or options.new_passphrase_file
        passphrase = new_passphrase(options.new_passphrase_file) if encrypted else None
        signer: Signer = write_pair(options.new, options.algorithm, passphrase)
    else:
        signer = _read_signer(options.to, options)
    try:
        _write(old, signer, options)
    except BaseException:
        for path in (options.new, public_path(options.new)) if made else ():
            os.unlink(path)  # noqa: PTH108 - nobody knows this key
        raise
    if made:
        print(f"private key  {escape(options.new)}")
        print(f"public key   {escape(public_path(options.new))}")
    keyid = keys.keyid_of(signer.public_key)
    print(f"rotation     {escape(options.out)}")
    print(f"old key id   {keys.keyid_of(old.public_key)}")
    print(f"new key id   {keyid}")
    print(f"fingerprint  {fingerprint(keyid)}")
    return 0


def _read_signer(name: str, options: argparse.Namespace) -> Signer:
    (signer,) = read_signers(argparse.Namespace(**{**vars(options), "key": [name]}))
    return signer


def _write(old: Signer, new: Signer, options: argparse.Namespace) -> None:
    try:
        data = make_rotation(old, new, at=options.at or present_time(), allow_example_keys=options.allow_example_keys)
    except SealError as error:
        raise CommandError(str(error), exit_code=UNREADABLE, hint=error.hint) from None
    write_file(options.out, data)
