"""`regenerate-scaffold`: rollback guidance from a record that verifies."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hearth_records import canonical, documents, hestia
from hearth_records.cli.arguments import Parser, add_trust_options
from hearth_records.cli.common import read_policy, refuse, run, verify_input, write_output
from hearth_records.errors import escape
from hearth_records.rollback import RollbackPlanner

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from hearth_records.disclosure import DisclosureFinding
    from hearth_records.model import ExecutionRecord
    from hearth_records.verify import VerificationReport

_CONSISTENT = (0, 4, 5)
"""Exit codes of records that say the same everywhere: with --unverified, that is enough to be shown."""


def command(arguments: Sequence[str], prog: str = "regenerate-scaffold") -> int:
    """Write the scaffold of a record; ends with the code of the verification when that fails."""
    parser = Parser(prog, "Regenerate rollback guidance from a record alone. Nothing is executed.")
    parser.add_argument("file", metavar="FILE", help="a record file; - is standard input")
    add_trust_options(
        parser, "--unverified", "go without a key: whatever is consistent is shown, marked as not verified"
    )
    parser.add_argument("--format", choices=("md", "json", "text"), default="md", help="how to write it (default: md)")
    parser.add_argument("-o", dest="out", metavar="OUT", help="a new file to write to (default: standard output)")
    options = parser.parse_args(arguments)
    record, report = read_record(options)
    document = documents.scaffold_document(RollbackPlanner.plan_rollback(record), report)
    if options.format == "json":
        write_output(documents.encode_document(document).decode("ascii"), options.out)
    else:
        write_output(_text(document, report.disclosures, markdown=options.format == "md"), options.out)
    return 0


def read_record(options: argparse.Namespace) -> tuple[ExecutionRecord, VerificationReport]:
    """Return a record and its report. Raises `CommandError` unless it verifies or, without a policy, is consistent."""
    path, policy = options.file, read_policy(options, "--unverified")
    data, report = verify_input(path, policy, require_timestamp=options.require_timestamp)
    if policy is not None:
        if report.exit_code:
            refuse(path, report)
        return report.require().record, report
    if report.exit_code not in _CONSISTENT or not report.events:
        refuse(path, report)
    return canonical.decode_record(data), report


def _text(document: documents.ScaffoldDocument, findings: Sequence[DisclosureFinding], *, markdown: bool) -> str:
    source = document.made_from
    signers = [
        f"{signer.name} ({signer.keyid})" if signer.name is not None else signer.keyid for signer in source.signers
    ]
    facts = [
        ("made from chain head", source.chain_head),
        ("of a file with sha256", source.file_sha256),
        ("sealed by", ", ".join(signers) or "nobody"),
        ("verdict", source.verdict if source.verdict == "verified" else f"{source.verdict.upper()}: NOT VERIFIED"),
    ]
    if markdown:
        return hestia.scaffold_to_markdown(document.scaffold, facts, findings)
    head = "".join(f"{name}: {escape(value)}\n" for name, value in facts)
    operator = hestia.Hestia()
    details = f"\n{operator.show_withholdable_details(findings)}" if findings else ""
    return f"{head}\n{operator.show_rollback_guidance(document.scaffold)}{details}"


def main() -> int:
    """Run as a program."""
    return run("regenerate-scaffold", command, sys.argv[1:])
