"""`hearth-records withhold`: a copy of a sealed record without some of what it discloses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hearth_records import withholding
from hearth_records.cli.arguments import Parser, add_min_version, parse_index, read_free_policy
from hearth_records.cli.common import (
    USAGE,
    CommandError,
    exists_already,
    refuse,
    verify_input,
    write_file,
)
from hearth_records.errors import SealError, escape

if TYPE_CHECKING:
    from collections.abc import Sequence


def command(arguments: Sequence[str], prog: str) -> int:
    """Write the copy; ends with the code of the verification when the record does not hold."""
    parser = Parser(
        prog,
        "Write a copy of a sealed record in which members of details are withheld. The seal stays good. Several are "
        "named one after the other: --event N --member NAME --event N --member NAME.",
    )
    parser.add_argument("file", metavar="FILE", help="a sealed record; - is standard input")
    parser.add_argument(
        "--event", action="append", required=True, type=parse_index, metavar="N", help="the event's position, from 0"
    )
    parser.add_argument(
        "--member", action="append", required=True, metavar="NAME", help="the name of a member that it discloses"
    )
    parser.add_argument("-o", dest="out", metavar="OUT", required=True, help="the new file")
    parser.add_argument("--trust", metavar="FILE", help="a trust policy: the seal has to be good by it first")
    add_min_version(parser)
    parser.add_argument("--accept-rotation", metavar="FILE", action="append", help="with --trust: as of verify-record")
    parser.add_argument(
        "--allow-example-keys", action="store_true", help="with --trust: accept the published example keys"
    )
    options = parser.parse_args(arguments)
    if len(options.event) != len(options.member):
        raise CommandError("each --event has its --member", exit_code=USAGE, hint=f"{prog} --help")
    if os.path.lexists(options.out):
        raise exists_already(options.out)
    policy = read_free_policy(options)
    data, report = verify_input(options.file, policy)
    if report.error is not None:
        refuse(options.file, report)
    members = list(zip(options.event, options.member, strict=True))
    try:
        result = withholding.withhold(data, members, report=report)
    except SealError as error:
        raise CommandError(f"{options.file}: {error}", exit_code=USAGE, hint=error.hint) from None
    write_file(options.out, result)
    print(f"withheld in {escape(options.out)}")
    for seq, name in members:
        print(f"  event {seq}: {escape(name)}")
    if policy is None:
        print("The signatures were not checked: no --trust was given.")
    return 0
