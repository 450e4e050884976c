"""Reports, files, limits, and whatever bytes somebody hands over: `verify` beside the independent verifier."""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import json
import os
import random
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verifiers import MANIFEST, NOW, RECORDER, VECTORS, Case, Policies, agree, generator, of_library, of_tool, tool

from hearth_records import timestamp, verify
from hearth_records.canonical import OPENING
from hearth_records.errors import ChainError, FormatError, HearthRecordsError, LifecycleError, SealError, TrustError
from hearth_records.model import format_timestamp
from hearth_records.profile import Limits
from hearth_records.trust import TrustPolicy
from hearth_records.verify import (
    CHECKS,
    EXIT_CODES,
    CheckResult,
    VerificationReport,
    VerifiedRecord,
    WarningFinding,
    combine_exit_codes,
    report_unreadable,
    verify_file,
    verify_record,
    verify_source,
)

if TYPE_CHECKING:
    from pathlib import Path

    from hearth_records.verify import CheckName

MIB = 2**20
CASES = {members["name"]: Case(members["name"], members) for members in MANIFEST["cases"]}
start, started, effect = generator.start, generator.started, generator.effect
completed, finished, sealed = generator.completed, generator.finished, generator.sealed

SMALL = sealed(generator.small())


def report_of(name: str) -> VerificationReport:
    case = CASES[name]
    return verify_record(case.path.read_bytes(), case.library_policy(), now=NOW)


# --- the report ------------------------------------------------------------------------------------------------------


def test_a_report_is_neither_true_nor_false() -> None:
    for data in (SMALL, b""):
        report = verify_record(data, RECORDER.library)
        with pytest.raises(TypeError, match=r"report\.require\(\)"):
            bool(report)
        with pytest.raises(TypeError):
            assert report
        with pytest.raises(TypeError):
            bool(tool.verify_bytes(data, RECORDER.tool, now=None))


@pytest.mark.parametrize(("microsecond", "warned"), [(-1, ["timestamp-before-seal"]), (0, []), (1, [])])
def test_a_timestamp_is_before_the_seal_when_it_is_earlier(
    microsecond: int, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = report_of("valid/timestamp")
    assert report.sealed_at is not None
    time = datetime.fromisoformat(report.sealed_at) + timedelta(microseconds=microsecond)
    # An authority says when it is and not what we wish, so what it said is put in its place.
    found = timestamp.Timestamp(format_timestamp(time), "0" * 64)
    monkeypatch.setattr(timestamp, "verify_response", lambda *_arguments: found)
    report = report_of("valid/timestamp")
    assert report["timestamp"].status == "pass"
    assert [warning.code for warning in report.warnings] == warned


def test_a_report_is_made_by_name_and_cannot_be_changed() -> None:
    kinds: tuple[Any, ...] = (CheckResult, WarningFinding, VerificationReport)
    for kind in kinds:
        values = dict.fromkeys(kind.__struct_fields__)
        made = kind(**values)
        with pytest.raises(TypeError):
            kind(*values.values())
        for name in values:
            with pytest.raises(AttributeError):
                setattr(made, name, 1)


def test_the_present_time_is_a_timestamp() -> None:
    with pytest.raises(ValueError, match="timestamp"):
        verify_record(SMALL, None, now="2026-11-22")
    with pytest.raises(ValueError, match="timestamp"):
        verify_source(io.BytesIO(SMALL), None, now="2026-11-22")


def test_the_execution_is_named_when_a_later_event_cannot_be_read() -> None:
    bad = SMALL.replace(b'"type":"step_completed"', b'"type":"step_complete"')
    report = verify_record(bad, RECORDER.library)
    assert (report["shape"].status, report["shape"].seq, report.execution_id) == ("fail", 3, "exec-1")
    assert (report.chain_head, report.events, report.disclosures) == (None, None, ())


@pytest.mark.parametrize("held", [10, MIB])
def test_the_digest_of_a_file_is_that_of_all_of_it(held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_MAX_HELD", held)  # a longer file is not held to find out more, but read to its end
    path = tmp_path / "r.json"
    for data in (SMALL, SMALL[1:], SMALL + SMALL, b"x" * 5000, b""):
        path.write_bytes(data)
        assert verify_file(path, RECORDER.library).sha256 == hashlib.sha256(data).hexdigest()


def test_a_verified_record_comes_only_out_of_require() -> None:
    with pytest.raises(TypeError):
        VerifiedRecord()
    report = verify_record(SMALL, RECORDER.library)
    verified = report.require()
    assert isinstance(verified, VerifiedRecord)
    assert verified.report is report
    assert verified.sealed.data == SMALL
    assert verified.record.execution_id == "exec-1"
    assert [event.seq for event in verified.record.events] == [0, 1, 2, 3, 4]


ERRORS: list[tuple[str, type[HearthRecordsError]]] = [
    ("invalid/canonical--bom", FormatError),
    ("invalid/shape--step-phase", FormatError),
    ("invalid/shape--version-2", FormatError),
    ("invalid/chain--event-0-edited", ChainError),
    ("invalid/lifecycle--started-twice", LifecycleError),
    ("invalid/disclosures--unreferenced", SealError),
    ("invalid/sealed--journal-running", SealError),
    ("invalid/head--both-names", SealError),
    ("invalid/signature--r-flipped", SealError),
    ("invalid/signature--missing-no-policy", SealError),
    ("invalid/trust--unknown-signer", TrustError),
    ("invalid/signature--no-policy-small", TrustError),
    ("invalid/timestamp--missing", TrustError),
]


@pytest.mark.parametrize(("name", "kind"), ERRORS, ids=[name for name, _ in ERRORS])
def test_require_raises_for_the_check_that_decided(name: str, kind: type[HearthRecordsError]) -> None:
    report = report_of(name)
    decisive = report.decisive
    assert decisive is not None
    assert decisive.check == CASES[name].check
    with pytest.raises(kind) as caught:
        report.require()
    error = caught.value
    assert type(error) is kind
    assert (error.seq, error.pointer) == (decisive.seq, decisive.pointer)
    assert error.code == (decisive.code or decisive.check)


def test_a_report_says_what_it_is_about() -> None:
    report = verify_record(SMALL, RECORDER.library)
    head = hashlib.sha256(SMALL.splitlines()[-2][1:]).hexdigest()
    assert (report.execution_id, report.events, report.chain_head) == ("exec-1", 5, head)
    assert (report.sealed_at, report.reformatted) == (generator.SEALED_AT, False)
    assert (report.verdict, report.exit_code, report.decisive) == ("verified", 0, None)
    assert report.sha256 == hashlib.sha256(SMALL).hexdigest()
    (signer,) = report.signers
    assert (signer.keyid, signer.algorithm) == (generator.RECORDER.keyid, "ed25519")
    assert (signer.name, signer.role, signer.status) == ("recorder", "seal", "good")
    assert tuple(check.check for check in report.checks) == CHECKS
    assert report["chain"].status == "pass"
    assert report["timestamp"].status == "not_run"


def test_what_could_not_be_read_has_no_digest() -> None:
    report = report_unreadable(FileNotFoundError(2, "gone"))
    assert (report.exit_code, report.sha256, report.events, report.chain_head) == (3, None, None, None)
    assert (report["read"].status, report["read"].code) == ("fail", "unreadable")


def test_a_countersigner_stands_in_the_report() -> None:
    report = report_of("valid/countersigner-unknown")
    assert [(signer.role, signer.status, signer.name, signer.algorithm) for signer in report.signers] == [
        ("seal", "good", "recorder", "ed25519"),
        ("countersign", "not_run", None, None),
    ]
    report = report_of("valid/countersigned")
    assert [(signer.role, signer.status, signer.name) for signer in report.signers] == [
        ("seal", "good", "recorder"),
        ("countersign", "good", "witness"),
    ]


def test_warnings_are_counted_and_say_where_first() -> None:
    back = [
        start(timestamp=generator.time(9)),
        started(timestamp=generator.time(8)),
        completed(timestamp=generator.time(7)),
    ]
    report = verify_record(sealed([*back, finished()]), RECORDER.library)
    assert report.exit_code == 0
    assert [(warning.code, warning.count, warning.seq) for warning in report.warnings] == [("time-went-back", 3, 1)]
    result = tool.verify_bytes(sealed([*back, finished()]), RECORDER.tool, now=None)
    assert [(warning["code"], warning["count"], warning["seq"]) for warning in result.warnings] == [
        ("time-went-back", 3, 1)
    ]


def test_exit_codes_of_several_files() -> None:
    assert combine_exit_codes([]) == 2
    assert combine_exit_codes([0, 0]) == 0
    order = (70, 1, 3, 5, 4, 0)
    for first, second in itertools.combinations(order, 2):
        assert combine_exit_codes([second, first, second]) == first
    assert combine_exit_codes(reversed(order)) == 70


# --- without a policy, and the present time ---------------------------------------------------------------------------


def test_without_a_policy_the_best_is_untrusted() -> None:
    outcome = agree(SMALL, Policies(None, None))
    assert (outcome.exit_code, outcome.verdict, outcome.failed) == (4, "untrusted", [])
    not_run = [check for check, status in outcome.statuses.items() if status == "not_run"]
    assert not_run == ["signature", "trust", "timestamp"]


@pytest.mark.parametrize(
    ("now", "trusted"),
    [
        (None, False),
        ("2030-06-01T11:59:59.999999Z", True),
        ("2030-06-01T12:00:00.000000Z", False),
        ("2030-06-01T12:00:00.000001Z", False),
    ],
)
def test_a_policy_expires(now: str | None, *, trusted: bool) -> None:
    document = generator.trust(generator.entry(generator.RECORDER), expires="2030-06-01T12:00:00.000000Z")
    data = json.dumps(document).encode()
    mine = of_library(verify_record(SMALL, TrustPolicy.decode(data), now=now))
    other = of_tool(tool.verify_bytes(SMALL, tool.load_policy(data), now=now))
    for outcome in (mine, other):
        assert outcome.exit_code == (0 if trusted else 4)
        assert trusted or outcome.first[:2] == ("trust", "policy-expired")


def test_a_policy_without_an_end_needs_no_time() -> None:
    assert verify_record(SMALL, RECORDER.library, now=None).exit_code == 0


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_verified_as_its_bytes_are_but_no_record_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "exec-1.record.json"
    for data in (SMALL, SMALL[:-1], SMALL[: len(SMALL) // 2], SMALL.replace(b"host-1", b"host-2"), b"", b"[]"):
        path.write_bytes(data)
        of_bytes, of_file = verify_record(data, RECORDER.library), verify_file(path, RECORDER.library)
        assert of_library(of_bytes) == of_library(of_file)
        assert of_file.sha256 == hashlib.sha256(data).hexdigest()
        assert of_file.signers == of_bytes.signers
        with pytest.raises(HearthRecordsError):
            of_file.require()
    path.write_bytes(SMALL)
    with pytest.raises(SealError) as caught:
        verify_file(path, RECORDER.library).require()
    assert caught.value.code == "no-record"
    assert verify_file(str(path), RECORDER.library).verdict == "verified"
    assert verify_file(os.fsencode(path), RECORDER.library).verdict == "verified"  # type: ignore[arg-type]


def test_a_source_is_verified_as_it_is_read() -> None:
    report = verify_source(_Source(SMALL), RECORDER.library)
    assert (report.exit_code, report.events, report.sha256) == (0, 5, None)


class _Source:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def readline(self, size: int, /) -> bytes:
        line = self.data[:size].partition(b"\n")
        taken = line[0] + line[1]
        self.data = self.data[len(taken) :]
        return taken


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    fifo, loop, dangling = tmp_path / "fifo", tmp_path / "loop", tmp_path / "dangling"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    dangling.symlink_to(tmp_path / "nothing")
    there = socket.socket(socket.AF_UNIX)
    there.bind(str(tmp_path / "socket"))
    with there:
        places: list[str | Path] = [fifo, loop, dangling, tmp_path, tmp_path / "missing", tmp_path / "socket"]
        for place in [*places, "/dev/null", "/dev/zero", str(tmp_path / "fifo" / "below"), tmp_path / ("n" * 300)]:
            report = verify_file(place, RECORDER.library)
            assert (report["read"].status, report["read"].code, report.exit_code) == ("fail", "unreadable", 3)
            assert {check.status for check in report.checks[1:]} == {"not_run"}
            with pytest.raises(FormatError):
                report.require()
            other = of_tool(tool.verify_file(str(place), RECORDER.tool, NOW, allow_reformatted=False))
            assert other.statuses == of_library(report).statuses


def test_a_file_that_fails_while_it_is_read_is_unreadable() -> None:
    place = "/proc/self/mem"  # a regular file, in which nothing lies at the beginning
    report = verify_file(place, RECORDER.library)
    assert (report["read"].status, report["read"].code, report.exit_code) == ("fail", "unreadable", 3)
    assert of_library(report).failed == ["read"]
    assert of_tool(tool.verify_file(place, RECORDER.tool, NOW, allow_reformatted=False)).failed == ["read"]


def test_a_symbolic_link_to_a_record_is_followed(tmp_path: Path) -> None:
    (tmp_path / "record").write_bytes(SMALL)
    (tmp_path / "link").symlink_to(tmp_path / "record")
    assert verify_file(tmp_path / "link", RECORDER.library).exit_code == 0


def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(SMALL)
    path.chmod(0)
    report = verify_file(path, RECORDER.library)
    if os.geteuid() == 0:  # root reads it all the same
        assert report.exit_code == 0
    else:
        assert (report["read"].code, report.exit_code) == ("unreadable", 3)


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_file_may_be_as_large_as_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "record"
    path.write_bytes(SMALL)
    for size, code in ((len(SMALL), None), (len(SMALL) - 1, "too-large")):
        limits = Limits(file=size)
        for report in (
            verify_record(SMALL, RECORDER.library, limits=limits),
            verify_file(path, RECORDER.library, limits=limits),
        ):
            assert report["read"].code == code
            assert report.exit_code == (3 if code else 0)


def of_size(size: int, build: Any) -> bytes:
    """Return the record whose padded event has `size` bytes."""
    lines = generator.linked(build("")), generator.linked(build("x" * 10))
    place = next(n for n, (a, b) in enumerate(zip(*lines, strict=True)) if len(a) != len(b))
    events = build("x" * (size - len(lines[0][place])))
    assert len(generator.linked(events)[place]) == size
    data: bytes = sealed(events)
    return data


def padded_end(pad: str) -> list[Any]:
    return [start(), finished(details={"pad": pad})]


def padded_start(pad: str) -> list[Any]:
    return [start(details={"pad": pad}), finished()]


def padded_middle(pad: str) -> list[Any]:
    return [start(), started(), effect(details={"pad": pad}), completed(), finished()]


@pytest.mark.parametrize(
    ("build", "limit", "place"),
    [(padded_end, MIB, 1), (padded_middle, MIB, 2), (padded_start, 16 * MIB, 0)],
    ids=["last", "middle", "first"],
)
def test_an_event_may_be_as_large_as_its_limit(build: Any, limit: int, place: int) -> None:
    assert agree(of_size(limit, build)).exit_code == 0
    outcome = agree(of_size(limit + 1, build))
    assert (outcome.exit_code, outcome.first) == (3, ("canonical", "too-large", place))
    outcome = agree(of_size(limit + 100_000, build))
    assert (outcome.exit_code, outcome.first) == (3, ("canonical", "too-large", place))


def test_a_large_first_event_is_no_excuse_for_the_second() -> None:
    both = [start(details={"pad": "x" * 2 * MIB}), finished(details={"pad": "x" * 2 * MIB})]
    assert agree(sealed(both)).first == ("canonical", "too-large", 1)


def test_limits_are_arguments() -> None:
    lines = generator.linked(generator.small())
    first, longest = len(lines[0]), max(map(len, lines[1:]))
    closing = len(SMALL.splitlines()[-1])
    good = Limits(first_event=first, event=longest, closing=closing, file=len(SMALL))
    assert verify_record(SMALL, RECORDER.library, limits=good).exit_code == 0
    place = next(n for n, line in enumerate(lines) if n and len(line) == longest)
    for limits, seq in (
        (Limits(first_event=first - 1), 0),
        (Limits(event=longest - 1), place),
        (Limits(closing=closing - 1), None),
    ):
        report = verify_record(SMALL, RECORDER.library, limits=limits)
        assert (report["canonical"].code, report["canonical"].seq, report.exit_code) == ("too-large", seq, 3)


def test_a_torn_tail_may_be_as_large_as_an_event() -> None:
    journal = generator.journal(generator.linked([start()]))
    outcome = agree(journal + b"," + b"x" * MIB)
    assert (outcome.exit_code, outcome.warnings) == (5, ["torn-tail"])
    for more in (1, 2, 3, 4, 1000):
        outcome = agree(journal + b"," + b"x" * (MIB + more))
        assert (outcome.exit_code, outcome.first[:2]) == (3, ("canonical", "too-large"))
    assert agree(journal + b"x" * MIB).exit_code == 5
    assert agree(journal + b"x" * (MIB + 1)).exit_code == 3
    assert agree(journal + b"],x" * MIB).exit_code == 5  # as a closing line, it might have been 64 MiB
    assert agree(OPENING + b"x" * 2 * MIB).exit_code == 5  # as the first event, 16 MiB
    assert agree(OPENING + b"x" * (16 * MIB + 1)).exit_code == 3


@pytest.mark.parametrize("withheld", [False, True])
def test_an_event_keeps_its_limit_with_what_is_disclosed(*, withheld: bool) -> None:
    def record(size: int) -> bytes:
        name = generator.disclosure("pad", "")
        details = generator.holding(generator.digest_of(name), kept=1)
        # what the event would be without digests and with the member, but for the pad itself
        whole = generator.linked([start(), finished(details={"kept": 1, "pad": ""})])[1]
        text = generator.disclosure("pad", "x" * (size - len(whole)))
        details = generator.holding(generator.digest_of(text), kept=1)
        events = [start(), finished(details=details)]
        # the events differ in nothing but their details, which hold digests of one length
        data: bytes = sealed(events, disclosures=[] if withheld else [text])
        return data

    assert agree(record(MIB)).exit_code == 0
    outcome = agree(record(MIB + 1))
    assert (outcome.exit_code, outcome.failed) == ((0, []) if withheld else (1, ["disclosures"]))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.record.json"
    events = [start()]
    for n in range(12_000):
        events += [started(n), effect(n, description="d" * 1200), completed(n)]
    path.write_bytes(sealed([*events, finished()]))
    assert path.stat().st_size > 20 * MIB
    program = """
import sys
from hearth_records.keys import load_public_key
from hearth_records.trust import TrustPolicy
from hearth_records.verify import verify_file
def peak():  # in KiB; not ru_maxrss, which begins with what the parent process had
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
policy = TrustPolicy.from_keys([("recorder", load_public_key(open(sys.argv[1], "rb").read()))])
verify_file(sys.argv[2], policy)
before = peak()
report = verify_file(sys.argv[3], policy)
grown = peak() - before
print(report.exit_code, report.events, grown)
"""
    key, small = VECTORS / "keys" / "recorder.pem", VECTORS / "valid" / "small.json"
    command = [sys.executable, "-c", program, str(key), str(small), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    exit_code, number, kilobytes = map(int, done.stdout.split())
    assert (exit_code, number) == (0, 36_002)
    assert kilobytes < 8 * 1024


# --- as if in order --------------------------------------------------------------------------------------------------


def long_record(bad: dict[int, dict[str, Any]], steps: int = 300, **options: Any) -> bytes:
    """Return a record of several batches (64 KiB each), some of its events edited."""
    events = [start()]
    for n in range(steps):
        events += [started(n), completed(n)]
    events.append(finished())
    for place, members in bad.items():
        events[place] = events[place] | members
    data: bytes = sealed(events, **options)
    assert len(data) > 2 * 64 * 1024
    return data


LATE = 500
WRONG_SHAPE = {"phase": "x"}
WRONG_NUMBER = {"details": {"at": 1.5}}
DIGEST = {"details": generator.holding(generator.digest_of("a"))}


def test_a_long_record_is_verified() -> None:
    assert agree(long_record({})).exit_code == 0


@pytest.mark.parametrize(
    ("bad", "first"),
    [
        ({LATE: WRONG_SHAPE}, ("shape", LATE)),
        ({LATE: WRONG_NUMBER}, ("canonical", LATE)),
        ({3: WRONG_SHAPE, LATE: WRONG_NUMBER}, ("canonical", LATE)),
        ({3: WRONG_NUMBER, LATE: WRONG_SHAPE}, ("canonical", 3)),
        ({3: WRONG_SHAPE, LATE: WRONG_SHAPE}, ("shape", 3)),
        ({3: WRONG_NUMBER, LATE: WRONG_NUMBER}, ("canonical", 3)),
        ({LATE: {"seq": 0}}, ("chain", LATE)),
        ({LATE: {"previous_event_hash": generator.HASH}}, ("chain", LATE)),
        ({3: {"seq": 0}, LATE: WRONG_SHAPE}, ("shape", LATE)),
        ({LATE: {"step_name": "another"}}, ("lifecycle", LATE)),
        ({3: {"step_name": "another"}, LATE: {"seq": 0}}, ("chain", LATE)),
        ({LATE: DIGEST, 3: DIGEST}, ("disclosures", LATE)),
    ],
    ids=range(12),
)
def test_faults_in_a_later_batch_are_reported_in_order(bad: dict[int, dict[str, Any]], first: tuple[str, int]) -> None:
    outcome = agree(long_record(bad))
    check, _code, seq = outcome.first
    assert (check, seq) == first


def test_a_fault_of_the_frame_comes_after_one_before_it() -> None:
    good, bad = long_record({}), long_record({LATE: WRONG_NUMBER})
    for late in (LATE + 1, LATE + 80):
        lines = bad.split(b"\n")
        lines[late + 1] = lines[late + 1].removeprefix(b",")
        outcome = agree(b"\n".join(lines))
        assert (outcome.first[0], outcome.first[2]) == ("canonical", LATE)
    lines = good.split(b"\n")
    lines[LATE + 1] = lines[LATE + 1].removeprefix(b",")
    assert agree(b"\n".join(lines)).first == ("canonical", "frame", LATE)


def test_the_closing_line_is_looked_at_last() -> None:
    wrong = [("/seal/evidence", None)]
    assert agree(long_record({LATE: WRONG_SHAPE}, closing=wrong)).first[2] == LATE
    assert agree(long_record({}, closing=wrong)).first[0::2] == ("shape", None)
    broken = agree(long_record({LATE: WRONG_SHAPE}, raw=[(b'"evidence":[]', b'"evidence":[ ]')]))
    assert broken.first[0::2] == ("canonical", None)


@pytest.mark.parametrize("late", [2, LATE], ids=["near", "far"])
def test_a_broken_link_says_what_should_stand_there(late: int) -> None:
    data = long_record({})
    lines = data.split(b"\n")
    kept = lines[late]
    lines[late] = kept.replace(b'"details":{}', b'"details":{"a":1}')
    assert lines[late] != kept
    report = verify_record(b"\n".join(lines), RECORDER.library)
    with pytest.raises(ChainError) as caught:
        report.require()
    place = late  # line 1 holds event 0, and the link behind the edited event is the one that breaks
    error = caught.value
    assert (error.code, error.seq, error.pointer) == ("link", place, f"/events/{place}/previous_event_hash")
    assert error.expected == hashlib.sha256(lines[late].removeprefix(b",")).hexdigest()
    assert error.actual == hashlib.sha256(kept.removeprefix(b",")).hexdigest()
    assert report["head"].status == report["signature"].status == "pass"


# --- hostile bytes ---------------------------------------------------------------------------------------------------

HOSTILE: dict[str, bytes] = {
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and open": b"[" * 100_000,
    "deep objects and open": b'{"a":' * 100_000,
    "closing only": b"]" * 100_000,
    "many digits": b"9" * 5_000,
    "very many digits": b"-" + b"1" * 1_000_000,
    "many digits after the point": b"0." + b"1" * 100_000,
    "huge exponent": b"1e" + b"9" * 5_000,
    "duplicate": b'{"a":1,"a":1}',
    "duplicate by escape": rb'{"a":1,"\u0061":1}',
    "minus zero": b"-0",
    "past 2^53": b"9007199254740992",
    "lone surrogate": rb'"\ud800"',
    "lone surrogate in a name": rb'{"\udfff":1}',
    "bad UTF-8": b'"\xff"',
    "BOM": b"\xef\xbb\xbf1",
    "NUL": b"\x00",
    "nothing": b"",
    "blank": b" ",
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "text that is not closed": b'"' + b"x" * 100_000,
    "escapes": b'"' + rb"\u0000" * 20_000 + rb"\x",
    "many members": b"{" + b",".join(b'"%d":1' % n for n in range(20_000)) + b"}",
    "long name": b'{"%b":1}' % (b"n" * 200_000),
}
PLACES: dict[str, tuple[bytes, bytes]] = {
    "details": (b'"details":{}', b'"details":%b'),
    "member of details": (b'"details":{}', b'"details":{"a":%b}'),
    "step index": (b'"step_index":0', b'"step_index":%b'),
    "seq": (b'"seq":1', b'"seq":%b'),
    "text": (b'"Step 0"', b"%b"),
    "whole event": (SMALL.splitlines()[2][1:], b"%b"),
    "signatures": (b'"signatures":[', b'"signatures":[%b,'),
    "seal": (b'"seal":{', b'"seal":%b,"a":{'),
    "disclosures": (b'"disclosures":[]', b'"disclosures":%b'),
}


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("place", PLACES, ids=lambda name: name.replace(" ", "-"))
def test_hostile_bytes_are_unreadable_and_no_more(place: str, hostile: str) -> None:
    old, new = PLACES[place]
    assert SMALL.count(old) >= 1
    data = SMALL.replace(old, new.replace(b"%b", HOSTILE[hostile]), 1)
    outcome = agree(data)
    assert outcome.exit_code == 3
    assert outcome.failed in (["canonical"], ["shape"])


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("allow", [False, True])
def test_hostile_files_are_unreadable_and_no_more(hostile: str, *, allow: bool) -> None:
    text = HOSTILE[hostile]
    events = b'{"format":"hearth-record/1","events":[%b]}'
    for data in (
        text,
        text + b"\n",
        events % text,
        OPENING + text + b"\n",
        b"[" + text + b"]",
        b'{"format":%b}' % text,
    ):
        outcome = agree(data, allow_reformatted=allow)
        assert outcome.exit_code == 3
        assert len(outcome.failed) == 1


@settings(max_examples=200)
@given(
    tail=st.binary(max_size=200), head=st.sampled_from([b"", OPENING, SMALL[:800], SMALL[:-40]]), allow=st.booleans()
)
def test_whatever_bytes_there_are_a_report_comes_out(tail: bytes, head: bytes, *, allow: bool) -> None:
    assert agree(head + tail, allow_reformatted=allow).exit_code != 0


WORDS = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"0",
    b"-",
    b".",
    b"e",
    b"null",
    b"true",
    b" ",
    b"\n",
    b"\xff",
    b"\x00",
]


def test_both_verifiers_agree_about_files_with_random_damage() -> None:
    dice = random.Random(20261122)
    files = [SMALL, sealed(generator.full()), (VECTORS / "valid" / "disclosures-all.json").read_bytes()]
    files += [
        (VECTORS / "valid" / "signers-two.json").read_bytes(),
        (VECTORS / "valid" / "countersigned.json").read_bytes(),
    ]
    files += [(VECTORS / "valid" / "evidence-on-seal.json").read_bytes()]
    changed = 0
    for _ in range(1500):
        data = bytearray(dice.choice(files))
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(data))
            what = dice.randrange(5)
            if what == 0:
                data[place] = dice.randrange(256)
            elif what == 1:
                del data[place : place + dice.randint(1, 40)]
            elif what == 2:
                data[place:place] = dice.choice(WORDS)
            elif what == 3:
                other = dice.randrange(len(data))
                data[place:place] = data[other : other + dice.randint(1, 40)]
            else:
                lines = bytes(data).split(b"\n")
                one, two = dice.randrange(len(lines)), dice.randrange(len(lines))
                lines[one], lines[two] = lines[two], lines[one]
                data = bytearray(b"\n".join(lines))
        for policies in (RECORDER, Policies(None, None)):
            outcome = agree(bytes(data), policies, allow_reformatted=dice.random() < 0.2)
            changed += outcome.exit_code != 0
    assert changed > 2500


# --- every member of every object ------------------------------------------------------------------------------------


def places(value: Any, pointer: str = "") -> list[str]:
    """Return the pointer of everything inside a value."""
    found: list[str] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        found += [f"{pointer}/{name}", *places(item, f"{pointer}/{name}")]
    return found


WHOLE = json.loads(sealed(generator.full()))
REPLACEMENTS: list[Any] = [None, True, 0, 1, -1, 2**53 - 1, "", "x", "A" * 64, "a" * 64, [], {}, ["x"], {"x": 1}]
REPLACEMENTS += ["AAAA", "2026-11-22T16:00:30.000000Z", "LOCKDOWN", "other", [None]]


def written(value: Any) -> bytes:
    """Return a record file from its JSON value, its links and its seal as they are."""
    closing = generator.jcs({name: value[name] for name in ("disclosures", "seal")})
    data: bytes = generator.framed([generator.jcs(event) for event in value["events"]], b"]," + closing[1:])
    return data


@pytest.mark.parametrize("part", ["/events/0", *(f"/events/{n}" for n in range(1, 7)), "/seal", "/disclosures"])
def test_both_verifiers_agree_about_every_member(part: str) -> None:
    members = [place for place in places(WHOLE) if place.startswith(part + "/")]
    tried = 0
    for place in members:
        outcome = agree(written(generator.edited(WHOLE, [(place, generator.DROP)])))
        if place.rpartition("/")[2].isdigit() or "required_inputs/" in place:
            assert outcome.exit_code != 0
        else:
            assert outcome.failed == ["shape"], place
        for value in REPLACEMENTS:
            data = generator.edited(WHOLE, [(place, value)])
            if data != WHOLE:
                tried += 1
                assert agree(written(data)).exit_code != 0, (place, value)
    assert tried or part == "/disclosures"


@pytest.mark.parametrize("check", CHECKS)
def test_an_exit_code_for_every_check(check: CheckName) -> None:
    assert EXIT_CODES[check] == tool.CHECKS[check]


# --- what a report says of the place ---------------------------------------------------------------------------------


def test_a_record_that_is_not_sealed_names_its_last_event() -> None:
    journal = b"".join(SMALL.splitlines(keepends=True)[:-1])
    assert verify_record(journal, RECORDER.library)["sealed"].seq == 4
    assert verify_record(OPENING, RECORDER.library)["sealed"].seq is None


@pytest.mark.parametrize(
    ("name", "code"), [("signature--missing", "signature-missing"), ("signature--order", "signature-order")]
)
def test_a_signature_that_is_missing_is_told_from_one_out_of_place(name: str, code: str) -> None:
    for first, second in itertools.permutations((generator.RECORDER, generator.SECOND)):
        check_arrangement_of(first, second, name, code)


def check_arrangement_of(first: Any, second: Any, name: str, code: str) -> None:
    whole = sealed(generator.small(), signers=[first, second])
    line = json.loads(b"{" + whole.splitlines()[-1][2:])
    signatures = line["seal"]["signatures"]
    line["seal"]["signatures"] = signatures[1:] if name == "signature--missing" else signatures[::-1]
    body = b"".join(whole.splitlines(keepends=True)[:-1])
    data = body + b"]," + generator.jcs(line)[1:] + b"\n"
    report = verify_record(data, RECORDER.library)
    assert (report["signature"].code, report["signature"].pointer) == (code, "/seal/signatures")
    assert isinstance(report.error, SealError)
    assert report.error.expected == (first.keyid if code == "signature-missing" else None)


def test_where_seal_and_events_differ_both_are_shown() -> None:
    series = {"id": "nightly", "sequence": 0, "previous": None}
    events = [start(series=series), finished()]
    for member, value, expected, actual in (
        ("series", None, '{"id":"nightly","previous":null,"sequence":0}', "null"),
        ("status", "failed", "completed", "failed"),
    ):
        data = sealed(events, statement=[(f"/predicate/{member}", value)])
        report = verify_record(data, RECORDER.library)
        assert report["head"].code == member
        assert isinstance(report.error, SealError)
        assert (report.error.expected, report.error.actual) == (expected, actual)


def test_who_trusts_no_authority_is_told_so() -> None:
    report = verify_record(SMALL, RECORDER.library, require_timestamp=True)
    assert (report["timestamp"].status, report["timestamp"].code) == ("fail", "timestamp-missing")
    assert report["timestamp"].hint is not None
    assert verify_record(SMALL, None, require_timestamp=True)["timestamp"].hint is not None
    case = CASES["invalid/timestamp--missing"]
    report = verify_record(case.path.read_bytes(), case.library_policy(), now=NOW)
    assert (report["timestamp"].code, report["timestamp"].hint) == ("timestamp-missing", None)


def test_a_report_says_what_is_disclosed_unless_that_does_not_hold() -> None:
    text = generator.disclosure("pin", 1234)
    details = generator.holding(generator.digest_of(text))
    for disclosures, said in (([text], ("pin",)), ([], ())):
        data = sealed([start(), finished(details=details)], disclosures=disclosures)
        report = verify_record(data, RECORDER.library)
        (finding,) = report.disclosures
        assert (finding.seq, finding.disclosed, finding.undisclosed) == (1, said, 1 - len(said))
        longest = max(map(len, generator.linked([start(), finished(details=details)])))
        limits = Limits(event=longest, first_event=longest)  # fewer bytes than the two together
        again = verify_record(data, RECORDER.library, limits=limits)
        assert (again.exit_code, again.disclosures) == (0, report.disclosures)
    stray = generator.disclosure("pin", 4321)
    report = verify_record(sealed([start(), finished(details=details)], disclosures=[stray]), RECORDER.library)
    assert (report["disclosures"].status, report.disclosures) == ("fail", ())
    assert verify_record(b"", RECORDER.library).disclosures == ()


def test_what_a_report_may_say_is_written_once() -> None:
    assert get_args(verify.CheckName) == CHECKS
    assert get_args(verify.Status) == ("pass", "fail", "not_run")
    assert get_args(verify.Verdict) == tuple(verify.VERDICTS[code] for code in (0, 1, 3, 4, 5, 70))
    assert get_args(verify.ExitCode) == (0, 1, 2, 3, 4, 5, 70)


def test_warnings_count_what_they_are_about() -> None:
    for events in (generator.small(), generator.minimal()):
        early = sealed(events, sealed_at="2000-01-01T00:00:00.000000Z")
        (warning,) = verify_record(early, RECORDER.library).warnings
        assert (warning.code, warning.count, warning.seq) == ("sealed-before-end", 1, len(events) - 1)
    strangers = sealed(generator.small(), countersigners=[generator.SECOND, generator.WITNESS])
    (warning,) = verify_record(strangers, RECORDER.library).warnings
    assert (warning.code, warning.count, warning.seq) == ("unknown-countersigner", 2, None)
    both = generator.trust(*map(generator.entry, (generator.RECORDER, generator.SECOND)))
    known = TrustPolicy.decode(json.dumps(both).encode())
    twice = [("/seal/signatures", lambda old: [*old, old[1]])]
    doubled = sealed(generator.small(), countersigners=[generator.SECOND], closing=twice)
    (warning,) = verify_record(doubled, known).warnings
    assert (warning.code, warning.count) == ("countersigner-not-counted", 1)
    journal = b"".join(SMALL.splitlines(keepends=True)[:-1])
    (warning,) = verify_record(journal + b",{...", RECORDER.library).warnings
    assert (warning.code, warning.count) == ("torn-tail", 5)


def test_an_open_record_says_which_event_is_its_last() -> None:
    lines = SMALL.splitlines(keepends=True)
    for events in range(5):
        report = verify_record(b"".join(lines[: events + 1]), RECORDER.library)
        assert report["sealed"].seq == (events - 1 if events else None)


def test_options_of_verifying_are_named() -> None:
    calls: list[tuple[Any, Any]] = [
        (verify_record, SMALL),
        (verify_source, io.BytesIO(SMALL)),
        (verify_file, "x"),
    ]
    for call, source in calls:
        with pytest.raises(TypeError):
            call(source, RECORDER.library, NOW)


def test_a_bad_countersignature_is_not_told_as_one_that_does_not_count() -> None:
    whole = sealed(generator.small(), countersigners=[generator.SECOND])
    *lines, last = whole.splitlines(keepends=True)
    closing = json.loads(b"{" + last[2:])
    closing["seal"]["signatures"][1]["sig"] = closing["seal"]["signatures"][0]["sig"]
    data = b"".join(lines) + b"]," + generator.jcs(closing)[1:] + b"\n"
    entries = [
        generator.entry(generator.RECORDER),
        generator.entry(generator.SECOND, "countersign", not_after=generator.FAR_AHEAD),
    ]
    policy = TrustPolicy.decode(json.dumps(generator.trust(*entries)).encode())
    for record, status, warnings in ((whole, "good", ["countersigner-not-counted"]), (data, "bad", [])):
        report = verify_record(record, policy)
        assert report.signers[1].status == status
        assert [warning.code for warning in report.warnings] == warnings


def test_only_a_file_that_is_held_is_told_to_be_reformatted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(json.dumps(json.loads(SMALL), indent=1).encode() + b"\n\n")  # whole without its last byte, too
    size = path.stat().st_size
    for held, code in ((size - 1, "frame"), (size, "reformatted"), (size + 1, "reformatted")):
        monkeypatch.setattr(verify, "_MAX_HELD", held)
        report = verify_file(path, RECORDER.library)
        assert (report.exit_code, report["canonical"].code) == (3, code)


def test_what_stands_in_its_frame_is_not_reformatted_whatever_else_is_wrong() -> None:
    for allow in (False, True):
        report = verify_record(SMALL, RECORDER.library, limits=Limits(event=100), allow_reformatted=allow)
        assert (report["canonical"].code, report.reformatted, report.warnings) == ("too-large", False, ())


def test_what_a_line_itself_breaks_is_said_rather_than_that_it_was_reformatted() -> None:
    spaced = SMALL.replace(b'{"actor"', b'{ "actor"', 1)
    result = verify_record(spaced, RECORDER.library)["canonical"]
    assert (result.code, result.seq) == ("not-canonical", 0)


def test_what_cannot_be_read_says_what_the_system_says(tmp_path: Path) -> None:
    missing = verify_file(tmp_path / "missing", RECORDER.library)["read"]
    assert missing.reason is not None
    assert os.strerror(errno.ENOENT) in missing.reason
    unnumbered = report_unreadable(OSError("the wire is cut"))["read"]
    assert unnumbered.reason is not None
    assert "the wire is cut" in unnumbered.reason


@pytest.mark.parametrize("kind", ["a-log", "zlog"])
def test_evidence_of_another_type_is_not_looked_at(kind: str) -> None:
    *lines, last = SMALL.splitlines(keepends=True)
    closing = json.loads(b"{" + last[2:])
    closing["seal"]["signatures"][0]["evidence"] = [{"data": "AAAA", "type": kind}]
    data = b"".join(lines) + b"]," + generator.jcs(closing)[1:] + b"\n"
    value = generator.trust(generator.entry(generator.RECORDER), timestamp_authorities=["any"])
    report = verify_record(data, TrustPolicy.decode(json.dumps(value).encode()))
    (piece,) = report.signers[0].evidence
    assert (piece.type, piece.status) == (kind, "not_run")
    assert (report.exit_code, [warning.code for warning in report.warnings]) == (0, ["evidence-not-checked"])
