"""Each check of the verifier is switched off in turn, and a vector of the corpus then comes out wrong.

Who switches a check off by mistake has to be told. Off means that what a check looks at is not looked at, or that what
it finds is not taken notice of, and that all the rest is as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import test_vectors
from verifiers import MANIFEST, NOW, Case, of_library

from hearth_records import canonical, keys, model, trust, verify
from hearth_records.chain import ChainState
from hearth_records.disclosure import DigestIndex
from hearth_records.profile import Limits, sha256_hex
from hearth_records.verify import CHECKS, verify_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest import MonkeyPatch  # noqa: PT013 - a type

    from hearth_records.errors import HearthRecordsError
    from hearth_records.verify import CheckName, VerificationReport

CASES = {members["name"]: Case(members["name"], members) for members in MANIFEST["cases"] if not members["padding"]}
PADDED = {members["name"]: Case(members["name"], members) for members in MANIFEST["cases"] if members["padding"]}
RECORDS = [case for case in CASES.values() if case.checks is not None]
VALID = [case for case in RECORDS if case.exit_code == 0]


def report_of(case: Case) -> VerificationReport:
    return verify_file(case.path, case.library_policy(), now=NOW, allow_reformatted=case.allow_reformatted)


DOUBT = (msgspec.MsgspecError, RecursionError, ValueError)


def nothing(*_args: object, **_kwargs: object) -> None:
    """Look at nothing."""


def passing(check: CheckName) -> Callable[[MonkeyPatch], None]:
    """Return what lets a check find what it may, and reports it as passed."""

    def switch_off(patch: MonkeyPatch) -> None:
        fail, report = verify._Run.fail, verify._Run.report  # noqa: SLF001 - where every finding goes

        def no_fail(self: Any, failed: CheckName, error: HearthRecordsError) -> None:
            if failed != check:
                fail(self, failed, error)

        def no_failure(self: Any, *args: Any) -> VerificationReport:
            self.errors.pop(check, None)
            self.passed.add(check)
            return report(self, *args)

        patch.setattr(verify._Run, "fail", no_fail)  # noqa: SLF001 - as above
        patch.setattr(verify._Run, "report", no_failure)  # noqa: SLF001 - as above

    return switch_off


def no_canonical(patch: MonkeyPatch) -> None:
    """Take any JSON of the right shape in a line, whatever its bytes."""
    event, events, closing = canonical.decode_event, canonical.decode_events, canonical.decode_closing
    any_event: msgspec.json.Decoder[model.AnyEvent] = msgspec.json.Decoder(model.AnyEvent)
    any_closing = msgspec.json.Decoder(model.Closing)

    def decode_event(data: bytes, *args: Any) -> model.AnyEvent:
        try:
            return any_event.decode(data)
        except DOUBT:
            return event(data, *args)

    def decode_events(lines: list[bytes], *args: Any) -> canonical.DecodedEvents:
        try:
            decoded = [any_event.decode(line) for line in lines]
            return canonical.DecodedEvents(decoded, [sha256_hex(line) for line in lines], hold_digests=True)
        except DOUBT:
            return events(lines, *args)

    def decode_closing(line: bytes, *args: Any) -> model.Closing:
        try:
            return any_closing.decode(b"{" + line[2:])
        except DOUBT:
            return closing(line, *args)

    for function in (decode_event, decode_events, decode_closing):
        patch.setattr(canonical, function.__name__, function)


def no_shape(patch: MonkeyPatch) -> None:
    """Take any scalar, and reserved names; the members themselves are what the structs have."""
    for name in ("check_timestamp", "check_digest", "check_details"):
        patch.setattr(canonical, name, nothing)
    for name in ("are_timestamps", "are_digests"):
        patch.setattr(canonical, name, lambda _texts: True)
    for name in ("check_timestamp", "check_digest", "check_identifier"):
        patch.setattr(model, name, nothing)


def no_signature(patch: MonkeyPatch) -> None:
    """Take any bytes for a signature, in any arrangement."""
    patch.setattr(verify, "check_arrangement", nothing)
    patch.setattr(keys.PublicKey, "verify", lambda *_args: True)


SWITCHES: dict[CheckName, Callable[[MonkeyPatch], None]] = {
    "read": passing("read"),
    "canonical": no_canonical,
    "shape": no_shape,
    "chain": lambda patch: patch.setattr(ChainState, "finish", nothing),
    "lifecycle": passing("lifecycle"),
    "disclosures": lambda patch: patch.setattr(DigestIndex, "check", nothing),
    "sealed": passing("sealed"),
    "head": lambda patch: patch.setattr(verify._Run, "_check_head", nothing),  # noqa: SLF001 - the check itself
    "signature": no_signature,
    "trust": lambda patch: patch.setattr(trust.TrustPolicy, "check_seal", nothing),
    "timestamp": lambda patch: patch.setattr(verify._Run, "_check_timestamps", nothing),  # noqa: SLF001 - as above
}
WITNESSES: dict[CheckName, tuple[int, tuple[str, ...]]] = {
    "read": (4, ("directory", "missing")),
    "canonical": (
        0,
        ("inputs-duplicate", "inputs-not-sorted", "event-space-before", "closing-escape", "closing-space"),
    ),
    "shape": (0, ("timestamp-february-29", "timestamp-hour-24", "timestamp-month-13", "timestamp-leap-second")),
    "chain": (0, ("event-0-edited", "event-spliced", "link-edited", "previous-null", "seq-from-1", "seq-gap")),
    "lifecycle": (
        0,
        ("complete-twice", "completed-after-failure", "effect-of-no-step", "escalated-completed", "finished-twice"),
    ),
    "disclosures": (0, ("duplicate", "name-taken", "not-sorted", "salt-21", "unreferenced", "value-depth-17")),
    "sealed": (4, ("journal-finished", "journal-running", "opening-only", "torn-closing", "torn-event")),
    "head": (0, ("predicate-chain-length", "predicate-series", "predicate-status", "subject-0-name", "tail-replaced")),
    "signature": (
        0,
        ("missing", "one-byte", "order", "other-key", "s-plus-l", "second-bad", "signer-stripped", "twice"),
    ),
    "trust": (0, ("compromised", "expired", "required-two", "role-countersign", "superseded", "unknown-before-window")),
    "timestamp": (0, ("missing", "untrusted")),
}
"""What some vectors end with when the check is off. Without `read` or `sealed` the later checks do not run, and what
did not run is never passed: there it takes a second fault."""


def test_as_it_is_the_corpus_comes_out_right() -> None:
    # As `test_vectors` says it case by case. In one test it takes a second, which is what a mutant has.
    for case in CASES.values():
        if case.checks is None:
            test_vectors.test_both_refuse_a_policy(case)
        else:
            test_vectors.test_the_library_says_of_the_file_what_the_manifest_says(case)
        if case.kind == "file" and case.checks is not None:
            test_vectors.test_the_library_says_of_the_bytes_what_the_manifest_says(case)


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_check_vectors_come_out_wrong(check: CheckName, monkeypatch: MonkeyPatch) -> None:
    code, names = WITNESSES[check]
    witnesses = [CASES[f"invalid/{check}--{name}"] for name in names]
    for case in witnesses:
        report = report_of(case)
        assert (report.exit_code, case.check) == (case.exit_code, check)
    SWITCHES[check](monkeypatch)
    for case in witnesses:
        report = report_of(case)
        assert (report.exit_code, case.name) == (code, case.name)
        assert report[check].status == "pass"


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_that_is_off_refuses_nothing_more(check: CheckName, monkeypatch: MonkeyPatch) -> None:
    SWITCHES[check](monkeypatch)
    for case in VALID:
        if not case.allow_reformatted:  # whether it was is asked only when `canonical` fails
            outcome = of_library(report_of(case))
            assert (outcome.verdict, outcome.statuses, case.name) == ("verified", case.checks, case.name)


@pytest.mark.parametrize("check", ["read", "sealed"])
def test_what_did_not_run_is_the_second_line(check: CheckName, monkeypatch: MonkeyPatch) -> None:
    code, names = WITNESSES[check]
    SWITCHES[check](monkeypatch)
    monkeypatch.setattr(verify.VerificationReport, "exit_code", property(first_failure))
    for name in names:
        assert report_of(CASES[f"invalid/{check}--{name}"]).exit_code == 0 != code


def first_failure(report: VerificationReport) -> int:
    """Return the exit code of a verifier that takes what did not run as passed."""
    return next((verify.EXIT_CODES[each.check] for each in report.checks if each.status == "fail"), 0)


def test_every_check_can_be_switched_off() -> None:
    assert tuple(SWITCHES) == tuple(WITNESSES) == CHECKS


@pytest.mark.parametrize(
    ("limits", "witness"),
    [
        (Limits(first_event=16 * 2**20 - 1), "valid/size-event-0"),
        (Limits(first_event=16 * 2**20 - 1), "valid/size-disclosed-event-0"),
        (Limits(first_event=16 * 2**20 - 1), "invalid/sealed--size-torn-event-0"),
        (Limits(first_event=16 * 2**20 + 1), "invalid/canonical--size-event-0"),
        (Limits(first_event=16 * 2**20 + 1), "invalid/disclosures--size-event-0"),
        (Limits(first_event=16 * 2**20 + 1), "invalid/canonical--size-torn-event-0"),
        (Limits(event=2**20 - 1), "valid/size-event"),
        (Limits(event=2**20 - 1), "valid/size-disclosed-event"),
        (Limits(event=2**20 - 1), "invalid/sealed--size-torn-event"),
        (Limits(event=2**20 + 1), "invalid/canonical--size-event"),
        (Limits(event=2**20 + 1), "invalid/disclosures--size-event"),
        (Limits(event=2**20 + 1), "invalid/canonical--size-torn-event"),
        (Limits(closing=64 * 2**20 - 1), "valid/size-closing"),
        (Limits(closing=64 * 2**20 - 1), "invalid/sealed--size-torn-closing"),
        (Limits(closing=64 * 2**20 + 1), "invalid/canonical--size-closing"),
        (Limits(closing=64 * 2**20 + 1), "invalid/canonical--size-torn-closing"),
    ],
)
def test_with_a_limit_off_by_one_a_vector_comes_out_wrong(limits: Limits, witness: str) -> None:
    # One byte is enough: what is accepted by a larger limit is by no limit, too, and what a smaller one refuses
    # every smaller one refuses. The limit of a file is left out: reading 1 GiB takes too long.
    case = PADDED[witness]
    with case.on_disk() as path:
        report = verify_file(path, case.library_policy(), now=NOW, limits=limits)
    assert report.exit_code != case.exit_code
