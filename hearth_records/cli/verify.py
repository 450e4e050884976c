"""`verify-record`: is this record whole, unaltered, and sealed by somebody whom the reader trusts?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hearth_records.cli.common import (
    USAGE,
    CommandError,
    Palette,
    parse_version,
    present_time,
    read_input,
    read_policy,
    run,
)
from hearth_records.errors import escape
from hearth_records.verify import combine_exit_codes, report_unreadable, verify_file, verify_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hearth_records.trust import EvidenceFinding, TrustPolicy
    from hearth_records.verify import VerificationReport

_MEANS = {
    0: (
        "every check that was asked for holds; authentic is not true: it says which keys sealed what, "
        "not that the execution was right"
    ),
    1: "altered, or wrong: do not rely on it",
    3: "this file cannot be judged",
    4: "consistent in itself, but not proven as demanded: who sealed it, or when",
    5: "not sealed: what is there is checked, and more may be missing",
    70: "the verifier failed; nothing is proven",
}


_MAX_DETAILS = 20
"""Events whose disclosures are told of one by one."""

_USAGE = """\
usage: {prog} (--trust FILE | --key PUBLIC.pem … | --no-trust) [options] FILE …

Verify execution records offline.

  FILE                  record files; - is standard input
  --trust FILE          accept whom this trust policy names (hearth-trust/1)
  --key PUBLIC.pem      accept this public key; may be repeated
  --no-trust            check only what needs no key; ends with 4, never 0
  --min-policy-version N
                        refuse a trust policy whose version is lower
  --accept-rotation FILE
                        accept the new key of a rotation, if the old one is accepted; may be repeated, in order
  --require-timestamp   demand a trusted timestamp on each signer's signature
  --format text|json    how to report (default: text)
  --allow-reformatted   rewrite a re-formatted file to its frame first, and say so
  --allow-example-keys  accept the published example keys, which prove nothing
  -h, --help            show this and end

exit codes: 0 verified, 1 altered, 2 usage, 3 cannot be judged, 4 not trusted, 5 incomplete, 70 internal error
"""


class Options:
    """What the command line says. Parsed by hand: `argparse` alone would cost a tenth of the whole run."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.trust: str | None = None
        self.key: list[str] | None = None
        self.min_policy_version: int | None = None
        self.accept_rotation: list[str] | None = None
        self.without_trust = False
        self.require_timestamp = False
        self.format = "text"
        self.allow_reformatted = False
        self.allow_example_keys = False
        self.help = False

    @classmethod
    def parse(cls, arguments: Sequence[str], prog: str) -> Options:
        """Return what `arguments` say. Raises `CommandError` for what is not an option, or lacks its value."""
        options = cls()
        words = iter(arguments)
        for word in words:
            if word == "--":
                options.files += words
            elif word == "-" or not word.startswith("-"):
                options.files.append(word)
            elif not options._take(word, words):
                raise CommandError(
                    f"no such option, or its value is missing or wrong: {word}", exit_code=USAGE, hint=f"{prog} --help"
                )
        return options

    def _take(self, word: str, words: Iterator[str]) -> bool:
        name, has_value, value = word.partition("=")
        if not has_value and name in _FLAGS:
            setattr(self, _FLAGS[name], True)
            return True
        if name not in ("--trust", "--key", "--format", "--min-policy-version", "--accept-rotation"):
            return False
        found = value if has_value else next(words, None)
        if found is None:
            return False
        if name == "--key":
            self.key = [*(self.key or ()), found]
        elif name == "--accept-rotation":
            self.accept_rotation = [*(self.accept_rotation or ()), found]
        elif name == "--trust" and self.trust is None:
            self.trust = found
        elif name == "--min-policy-version" and self.min_policy_version is None and parse_version(found):
            self.min_policy_version = parse_version(found)
        elif name == "--format" and found in ("text", "json"):
            self.format = found
        else:
            return False
        return True


_FLAGS = {
    "--no-trust": "without_trust",
    "--require-timestamp": "require_timestamp",
    "--allow-reformatted": "allow_reformatted",
    "--allow-example-keys": "allow_example_keys",
    "--help": "help",
    "-h": "help",
}


def command(arguments: Sequence[str], prog: str = "verify-record") -> int:
    """Verify files; returns the exit code of FORMAT §8."""
    options = Options.parse(arguments, prog)
    if options.help:
        print(_USAGE.format(prog=prog), end="")
        return 0
    policy = read_policy(options, "--no-trust")
    if not options.files:
        raise CommandError(
            "no file was given", exit_code=combine_exit_codes(()), hint="name the record files; - is standard input"
        )
    reports = [(path, _verify(path, policy, options)) for path in options.files]
    if options.format == "json":
        from hearth_records import documents  # noqa: PLC0415 - start-up time

        entries = [documents.file_entry(path, report) for path, report in reports]
        sys.stdout.buffer.write(documents.encode_document(documents.report_document(entries)))
    else:
        palette = Palette()
        print("\n".join(_text(path, report, palette) for path, report in reports), end="")
    return combine_exit_codes(report.exit_code for _path, report in reports)


def _verify(path: str, policy: TrustPolicy | None, options: Options) -> VerificationReport:
    if path == "-":
        try:
            data = read_input(path)
        except OSError as error:
            return report_unreadable(error)
        return verify_record(
            data,
            policy,
            now=present_time(),
            allow_reformatted=options.allow_reformatted,
            require_timestamp=options.require_timestamp,
        )
    return verify_file(
        path,
        policy,
        now=present_time(),
        allow_reformatted=options.allow_reformatted,
        require_timestamp=options.require_timestamp,
    )


def _text(path: str, report: VerificationReport, palette: Palette) -> str:
    """Return the report on one file: a line a check, what is known of the record, the verdict last."""
    lines = [escape(path)]
    for result in report.checks:
        asked = result.check != "timestamp" or report.timestamp_demanded
        status = result.status.replace("_", " ")
        mark = palette(status, {"pass": True, "fail": False}.get(result.status)) + " " * (8 - len(status))
        note = (
            escape(result.reason) if result.reason else "" if asked or result.status != "not_run" else "not asked for"
        )
        lines.append(f"  {result.check:<12} {mark} {note}".rstrip())
        if result.hint:
            lines.append(f"  {'':<12} hint: {escape(result.hint)}")
    facts = [
        ("file", f"sha256 {report.sha256}" if report.sha256 else None),
        ("execution", escape(report.execution_id) if report.execution_id else None),
        ("events", f"{report.events}, chain head {report.chain_head}" if report.events else None),
        ("sealed at", f"{report.sealed_at}, by the sealer's word{_by_when(report)}" if report.sealed_at else None),
    ]
    lines += [f"  {name:<12} {value}" for name, value in facts if value]
    for finding in report.signers:
        name = f'"{escape(finding.name)}"' if finding.name is not None else "a key that is not known"
        state = {"good": "good", "bad": "BAD", "not_run": "not checked"}[finding.status]
        lines.append(f"  {finding.role:<12} {state}: {name}, {escape(finding.algorithm or 'unknown')} {finding.keyid}")
        lines += [_evidence(item) for item in finding.evidence]
    lines += [_evidence(item) for item in report.evidence]
    lines += _disclosed(report)
    for warning in report.warnings:
        place = "" if warning.seq is None else f", first at event {warning.seq}"
        lines.append(f"  {'warning':<12} {warning.code}: {escape(warning.reason)} ({warning.count}{place})")
    code = report.exit_code
    lines.append(f"  {'verdict':<12} {palette(report.verdict.upper(), code == 0)}: {_MEANS[code]}")
    return "\n".join(lines) + "\n"


def _disclosed(report: VerificationReport) -> Iterator[str]:
    """Yield a line an event with digests, for so many events: what is disclosed, and what is not."""
    for finding in report.disclosures[:_MAX_DETAILS]:
        said = []
        if finding.disclosed:
            said.append("disclosed " + ", ".join([f'"{escape(name)}"' for name in finding.disclosed]))
        if finding.undisclosed:
            said.append(finding.undisclosed_in_words)
        yield f"  {'details':<12} event {finding.seq}: {'; '.join(said)}"
    if (more := len(report.disclosures) - _MAX_DETAILS) > 0:
        yield f"  {'details':<12} {more} more events; --format json names them all"


def _by_when(report: VerificationReport) -> str:
    """Return what timestamps add to the sealer's word: by when every signer had signed."""
    times = [finding.time for finding in report.signers if finding.role == "seal"]
    known = [time for time in times if time is not None]
    if not known or len(known) < len(times):
        return " only"
    return f"; by {max(known)} at the latest, by that of timestamp authorities"


def _evidence(item: EvidenceFinding) -> str:
    if item.status == "good":
        text = f"good: existed by {item.time}, by the word of the authority {item.authority}"
    else:
        text = "not checked" if item.status == "not_run" else f"BAD, as if absent: {escape(item.reason or '')}"
    return f"  {escape(item.type):<12} {text}"


def main() -> int:
    """Run as a program."""
    return run("verify-record", command, sys.argv[1:])
