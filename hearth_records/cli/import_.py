"""`hearth-records import`: a DSSE envelope, and the events that it is about, back to a sealed record (FORMAT §15)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hearth_records.cli.arguments import Parser, add_trust_options
from hearth_records.cli.common import exists_already, present_time, read_file, read_policy, refuse, write_file
from hearth_records.errors import escape
from hearth_records.export.dsse import read_envelope, restore
from hearth_records.profile import DEFAULT_LIMITS
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Sequence

_WITHOUT = "--unverified"


def command(arguments: Sequence[str], prog: str) -> int:
    """Write the sealed record, if it verifies; else ends with the code of the verification."""
    parser = Parser(prog, "Put the seal in a DSSE envelope and the events that it is about together to a record.")
    parser.add_argument("envelope", metavar="ENVELOPE", help="a DSSE envelope (export --to dsse)")
    parser.add_argument(
        "--events",
        required=True,
        metavar="FILE",
        help="where the events stand: a journal, or a record, from which disclosures and evidence are taken too",
    )
    parser.add_argument("-o", dest="out", required=True, metavar="OUT", help="the new record file")
    add_trust_options(parser, _WITHOUT, "go without a key: the seal has to fit the events, no signature is checked")
    options = parser.parse_args(arguments)
    if os.path.lexists(options.out):
        raise exists_already(options.out)
    policy = read_policy(options, _WITHOUT)
    envelope = read_file(options.envelope, read_envelope)
    data = read_file(options.events, lambda source: restore(envelope, source), DEFAULT_LIMITS.file)
    report = verify_record(data, policy, now=present_time(), require_timestamp=options.require_timestamp)
    if report.sealed_record is None or (report.exit_code and (policy is not None or options.require_timestamp)):
        refuse(options.envelope, report)
    write_file(options.out, data)
    print(f"imported {report.execution_id} to {escape(options.out)}")
    if policy is None:
        print(f"NOT VERIFIED: no signature was checked, because of {_WITHOUT}.")
    return 0
