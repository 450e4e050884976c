"""`hearth-records countersign`: add a signature to a sealed record, in its place or in a new file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hearth_records import countersignature, keys
from hearth_records.cli.arguments import Parser, add_min_version, read_free_policy
from hearth_records.cli.common import (
    UNREADABLE,
    USAGE,
    CommandError,
    check_output,
    refuse,
    verify_input,
    write_changed,
)
from hearth_records.cli.signing import add_key_options, read_signers
from hearth_records.errors import SealError, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE_CODES = ("duplicate-signer", "signers", "countersignatures")


def command(arguments: Sequence[str], prog: str) -> int:
    """Countersign a record; ends with the code of the verification when the record does not hold."""
    parser = Parser(prog, "Countersign a sealed record. The seal and the events stay as they are.")
    parser.add_argument("file", metavar="FILE", help="a sealed record; - is standard input")
    add_key_options(parser)
    parser.add_argument(
        "--role", choices=("countersign",), default="countersign", help="what the signature is (default: countersign)"
    )
    parser.add_argument("-o", dest="out", metavar="OUT", help="a new file to write to (default: FILE is replaced)")
    parser.add_argument(
        "--trust",
        metavar="FILE",
        help="a trust policy: the seal has to be good by it first; countersignatures and timestamps may be missing yet",
    )
    add_min_version(parser)
    parser.add_argument("--accept-rotation", metavar="FILE", action="append", help="with --trust: as of verify-record")
    options = parser.parse_args(arguments)
    check_output(options.file, options.out)
    policy = read_free_policy(options)
    data, report = verify_input(options.file, policy)
    if countersignature.blocking_check(report) is not None:
        refuse(options.file, report)
    signers = read_signers(options)
    try:
        result = countersignature.countersign(
            data, *signers, report=report, allow_example_keys=options.allow_example_keys
        )
    except SealError as error:
        code = USAGE if error.code in _USAGE_CODES else UNREADABLE
        raise CommandError(f"{options.file}: {error}", exit_code=code, hint=error.hint) from None
    written = write_changed(options.file, data, result, options.out)
    print(f"countersigned {escape(written)}")
    for signer in signers:
        print(f"  by {keys.keyid_of(signer.public_key)}")
    if policy is None:
        print("The signers' own signatures were not checked: no --trust was given.")
    return 0
