"""`hearth-records keys`: the public half of a key, wherever it lives; passing a key's place on (FORMAT §9)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

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
from hearth_records.cli.signing import KEY, add_secret_options, read_signer
from hearth_records.cli.trust import fingerprint, parse_time
from hearth_records.errors import SealError, escape
from hearth_records.rotation import make_rotation

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from hearth_records.keys import Signer

__all__ = ["command"]


def command(arguments: Sequence[str], prog: str) -> int:
    """Run a call."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        calls = "\n".join(f"  {known:<6}  {text}" for known, (text, _run) in CALLS.items())
        print(f"usage: {prog} CALL …\n\nThe keys that sign.\n\n{calls}\n\n{prog} CALL --help says more")
        return 0
    if name not in CALLS:
        raise CommandError(
            f"no such call: {name}" if name else "no call was given", exit_code=USAGE, hint=f"one of {', '.join(CALLS)}"
        )
    _text, run = CALLS[name]
    return run(rest, f"{prog} {name}")


def _public(arguments: Sequence[str], prog: str) -> int:
    parser = Parser(prog, "Write the public half of a key, as trust add and verify-record take it; nothing is signed.")
    parser.add_argument("key", metavar=KEY, help="a private key's file, or a URI as --key takes it")
    parser.add_argument("-o", dest="out", metavar="PUBLIC.pem", help="a new file for it")
    add_secret_options(parser)
    options = parser.parse_args(arguments)
    if options.out is not None and os.path.lexists(options.out):
        raise exists_already(options.out)
    signer = read_signer(options.key, options)
    if options.out is not None:
        write_file(options.out, keys.public_key_to_pem(signer.public_key))
        print(f"public key   {escape(options.out)}")
    keyid = keys.keyid_of(signer.public_key)
    print(f"key id       {keyid}")
    print(f"fingerprint  {fingerprint(keyid)}")
    print(f"algorithm    {signer.algorithm}")
    return 0


def _rotate(arguments: Sequence[str], prog: str) -> int:
    parser = Parser(prog, "Write the statement by which a key passes its place on to a new one; both sign it.")
    parser.add_argument("--key", required=True, metavar=KEY, help="the key that has the place: a file or a URI")
    new = parser.add_mutually_exclusive_group(required=True)
    new.add_argument("--new", metavar="NEW.pem", help="make the new key: its file; NEW.pub.pem stands beside it")
    new.add_argument("--to", metavar=KEY, help="take this key as the new one: a file or a URI")
    parser.add_argument("-o", dest="out", required=True, metavar="ROTATION", help="a new file for the statement")
    parser.add_argument("--at", type=parse_time, metavar="T", help="from when on the new key counts (default: now)")
    add_secret_options(parser)
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
    old = read_signer(options.key, options)
    if made:
        encrypted = options.encrypt or options.new_passphrase_file
        passphrase = new_passphrase(options.new_passphrase_file) if encrypted else None
        signer: Signer = write_pair(options.new, options.algorithm, passphrase)
    else:
        signer = read_signer(options.to, options)
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


def _write(old: Signer, new: Signer, options: argparse.Namespace) -> None:
    try:
        data = make_rotation(old, new, at=options.at or present_time(), allow_example_keys=options.allow_example_keys)
    except SealError as error:
        raise CommandError(str(error), exit_code=UNREADABLE, hint=error.hint) from None
    write_file(options.out, data)


CALLS: Final[dict[str, tuple[str, Callable[[Sequence[str], str], int]]]] = {
    "public": ("write the public half of a key, wherever it lives", _public),
    "rotate": ("pass a key's place on to a new one", _rotate),
}
