"""`hearth-records show`: a record as an operator reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hearth_records.cli.arguments import Parser, add_trust_options
from hearth_records.cli.scaffold import read_record
from hearth_records.hestia import Hestia
from hearth_records.rollback import RollbackPlanner

if TYPE_CHECKING:
    from collections.abc import Sequence


def command(arguments: Sequence[str], prog: str) -> int:
    """Print summary, irreversible actions and guidance."""
    parser = Parser(prog, "Show a record as an operator reads it. Nothing is executed.")
    parser.add_argument("file", metavar="FILE", help="a record file; - is standard input")
    add_trust_options(
        parser, "--unverified", "go without a key: whatever is consistent is shown, marked as not verified"
    )
    options = parser.parse_args(arguments)
    record, report = read_record(options)
    operator = Hestia()
    print("VERIFIED" if report.exit_code == 0 else f"NOT VERIFIED: {report.verdict}", end="\n\n")
    print(operator.display_execution_summary(record))
    print(operator.show_irreversible_actions(record))
    if report.disclosures:
        print(operator.show_withholdable_details(report.disclosures))
    print(operator.show_rollback_guidance(RollbackPlanner.plan_rollback(record)), end="")
    return 0
