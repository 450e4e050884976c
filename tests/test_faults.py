"""Real faults, under which nothing that was acknowledged is lost and no fault is reported as success.

Every child runs `programs/recorder.py`; strace does the killing and failing, `mount` and `setrlimit` make what is full.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import TickingClock, lacks_privilege, needs_program, observe, policy_for, run_standard, signer
from recorder import (
    EVENTS,
    EXECUTION_ID,
    RECORDING,
    WITHHOLDING,
    Note,
    Outcome,
    Recorder,
    check_what_is_left,
    expected_lines,
    inject,
    record_in_memory,
    sweep,
    system_calls,
)

from hearth_records.canonical import OPENING, decode_record, encode_event
from hearth_records.errors import JournalError
from hearth_records.journal import Journal, journal_path, record_path
from hearth_records.kernel import HearthKernel
from hearth_records.observer import ExecutionObserver
from hearth_records.profile import sha256_hex
from hearth_records.recovery import inspect, recover
from hearth_records.verify import verify_file, verify_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from recorder import Operation

CONTENDER = Path(__file__).parent / "programs" / "contender.py"
LINES = expected_lines()
CLOSED = record_in_memory().seal(signer()).data
TORN = CLOSED[: CLOSED.index(b"step_completed")]
"""Three whole events, and a torn one."""

HELD = record_in_memory(WITHHOLDING).seal(signer()).data
"""The same with disclosures."""
HELD_TORN = HELD[: HELD.index(b"step_completed")]
HELD_LINES = [f"{text}\n".encode() for text in json.loads(HELD)["disclosures"]]

STEPWISE: tuple[Operation, ...] = (("create", "step"), *RECORDING[1:])
RECOVERY: tuple[Operation, ...] = (("recover",),)
NOT_OF_FILES = {"getpid", "uname", "getrandom", "mmap", "mremap", "munmap", "brk", "madvise", "futex", "exit_group"}
"""Calls that say nothing about a file, and do not fail for want of a disk."""


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as program:
        yield program


class Scene:
    """A fresh directory for each child, with what has to lie in it."""

    def __init__(
        self,
        root: Path,
        recorder: Recorder,
        operations: Sequence[Operation],
        left: bytes | None,
        disclosures: bytes = b"",
    ) -> None:
        self.directory = root
        self._root = root
        self._number = 0
        self._recorder = recorder
        self.operations = operations
        self.left = left
        self.disclosures = disclosures
        self.already = 3 if left is not None else 0
        self.calls = system_calls(recorder, self.prepare(), operations)
        record = Path(record_path(journal_path(self.directory, EXECUTION_ID))).read_bytes()
        self.expected = [encode_event(event) for event in decode_record(record).events]
        if left in (TORN, HELD_TORN):
            del self.expected[3:]  # the event of the recovery is not one of the recording

    def prepare(self) -> Path:
        self._number += 1
        self.directory = self._root / str(self._number)
        self.directory.mkdir()
        if self.left is not None:
            Path(journal_path(self.directory, EXECUTION_ID)).write_bytes(self.left)
        if self.disclosures:
            path = self.directory / f"{EXECUTION_ID}.disclosures"
            path.touch(mode=0o600)
            path.write_bytes(self.disclosures)
        return self.directory

    def run(self, what: str) -> Callable[[str, int], Outcome]:
        return lambda call, when: self._recorder.run(self.prepare(), self.operations, trace=inject(call, what, when))


SCENES: dict[str, tuple[Any, ...]] = {
    "recording": (RECORDING, None),
    "recording, sync by step": (STEPWISE, None),
    "going on": ([("open",), ("resume",), *RECORDING[4:]], CLOSED[: len(OPENING) + sum(map(len, LINES[:3])) + 5]),
    "recovering a torn journal": (RECOVERY, TORN),
    "recovering a closed journal": (RECOVERY, CLOSED),
    "recovering a closed journal without its line break": (RECOVERY, CLOSED[:-1]),
    "recording what can be withheld": (WITHHOLDING, None),
    "going on with what can be withheld": (
        [("open",), ("resume",), *WITHHOLDING[4:]],
        HELD[: HELD.index(b',{"details":{},"error_message":null')],
        b"".join(HELD_LINES) + b"Wy",
    ),
    "recovering a torn journal with disclosures": (RECOVERY, HELD_TORN, b"".join(HELD_LINES) + b"Wy"),
    "recovering a closed journal with disclosures": (RECOVERY, HELD, b"".join(HELD_LINES)),
}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest, tmp_path: Path, recorder: Recorder) -> Scene:
    return Scene(tmp_path, recorder, *SCENES[request.param])


def test_the_scenes_are_what_they_are_called(tmp_path: Path) -> None:
    for number, (_operations, left, *disclosures) in enumerate(SCENES.values()):
        if left is not None:
            directory = tmp_path / str(number)
            directory.mkdir()
            path = Path(journal_path(directory, EXECUTION_ID))
            path.write_bytes(left)
            assert inspect(path).events in (3, EVENTS)
            assert (inspect(path).torn_bytes > 0) is (left in (TORN, HELD_TORN))
            if disclosures:
                path.with_suffix(".disclosures").write_bytes(disclosures[0])
                left_over = inspect(path).disclosures
                assert left_over is not None
                assert left_over.referred in (3, 4)
                assert left_over.dropped == (2 if left != HELD else 0)  # the last one's event is not there, one is torn


def check_torn_tail(scene: Scene) -> None:
    """Check that the torn tail of a scene was set aside exactly, and is told of in the record."""
    if scene.left not in (TORN, HELD_TORN):
        return
    tail = scene.left[scene.left.rindex(b"\n") + 1 :]
    assert (scene.directory / f"{EXECUTION_ID}.torn").read_bytes() == tail
    record = decode_record((scene.directory / f"{EXECUTION_ID}.record.json").read_bytes())
    assert record.finished is not None
    assert record.finished.recovery is not None
    assert record.finished.recovery.torn_bytes == len(tail)
    assert record.finished.recovery.torn_sha256 == sha256_hex(tail)
    assert record.finished.details == ({"hearth_disclosures_dropped": 2} if scene.disclosures else {})


# --- killed at every system call --------------------------------------------------------------------------------


def test_killed_at_any_system_call_no_acknowledged_event_is_lost(scene: Scene) -> None:
    calls = scene.calls if not scene.already else [call for call in scene.calls if call not in NOT_OF_FILES]
    kept = set()
    for name, outcome in sweep(scene.run("signal=SIGKILL"), calls):
        assert outcome.killed, name
        least = scene.already + outcome.acknowledged()
        kept.add(check_what_is_left(scene.directory, outcome, scene.expected, least=least))
        check_torn_tail(scene)
    assert kept == set(range(scene.already, len(scene.expected) + 1)) or scene.operations == RECOVERY


def test_killed_at_any_system_call_at_most_one_event_is_there_that_was_not_acknowledged(
    tmp_path: Path, recorder: Recorder
) -> None:
    scene = Scene(tmp_path, recorder, RECORDING, None)
    for name, outcome in sweep(scene.run("signal=SIGKILL"), ["write", "fdatasync", "fsync"]):
        acknowledged = outcome.acknowledged()
        kept = check_what_is_left(scene.directory, outcome, LINES)
        assert kept in (acknowledged, acknowledged + 1), name


# --- every system call fails --------------------------------------------------------------------------------------


def check_told(name: str, outcome: Outcome) -> None:
    """Check that the first failure is a `JournalError`, and that nothing succeeds after it."""
    assert outcome.status == 0, name
    failed = next((place for place, note in enumerate(outcome.notes) if note.outcome != "ok"), None)
    if failed is None:
        # What may fail without a consequence: closing what is durable, and looking whether a name is free that is never
        # replaced anyway.
        assert name.partition(" ")[0] in {"close", "newfstatat", "ioctl", "lseek"}, name
        return
    first = outcome.notes[failed]
    assert (first.outcome, first.code) == ("JournalError", "io"), name
    for note in outcome.notes[failed + 1 :]:
        # No journal and no observer came out of a failed `create` and `observe`: the child has nothing to call then.
        assert note.outcome == "JournalError" or first.name in {"create", "observe", "open", "resume"}, (name, note)
        assert note.outcome != "ok", (name, note)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_any_system_call_that_fails_is_told_and_loses_nothing(scene: Scene, error: str) -> None:
    calls = [call for call in scene.calls if call not in NOT_OF_FILES]
    if error == "ENOSPC":
        calls = [call for call in calls if call in {"write", "fsync", "fdatasync", "link", "openat"}]
    assert {"write", "fsync", "link"} & set(calls)
    for name, outcome in sweep(scene.run(f"error={error}"), calls):
        check_told(name, outcome)
        check_what_is_left(scene.directory, outcome, scene.expected, least=scene.already + outcome.acknowledged())
        check_torn_tail(scene)


def test_a_lock_that_the_file_system_does_not_know_leaves_no_file(tmp_path: Path, recorder: Recorder) -> None:
    outcome = recorder.run(tmp_path, [("create",)], trace=inject("flock", "error=ENOLCK", 1))
    assert outcome.notes == [Note("create", "JournalError", "io", "None")]
    assert list(tmp_path.iterdir()) == []


# --- a signal handler raises --------------------------------------------------------------------------------------


def test_a_handler_that_raises_at_any_system_call_leaves_one_chain(tmp_path: Path, recorder: Recorder) -> None:
    scene = Scene(tmp_path, recorder, RECORDING, None)
    seen: set[str] = set()
    for name, outcome in sweep(scene.run("signal=SIGUSR1"), scene.calls):
        assert outcome.status == 0, name
        seen.update(note.outcome for note in outcome.notes)
        done = [note for note in outcome.notes if note.outcome == "ok"]
        path = journal_path(scene.directory, EXECUTION_ID)
        if not any(note.name == "observe" for note in done):
            continue
        if outcome.outcome_of("seal") != "ok":
            assert inspect(path).damage is None
            recover(path, signer(), reason="interrupted", clock=TickingClock())
        record = verify_record(Path(record_path(path)).read_bytes(), policy_for(signer())).require().record
        types = [event.type for event in record.events]
        kinds = {"record_side_effect": "side_effect_observed"}
        own = [kinds.get(note.name, note.name.removeprefix("record_")) for note in done if "record_" in note.name]
        assert [kind for kind in types if kind in own] == own, name  # each exactly once, in their order
    assert seen == {"ok", "Interrupted", "JournalError", "RecordingError", "SealError", "AssertionError"}


# --- no room --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operations", [RECORDING, STEPWISE])
def test_a_file_that_may_not_grow_any_more_keeps_what_was_acknowledged(
    tmp_path: Path, recorder: Recorder, operations: Sequence[Operation]
) -> None:
    scene = Scene(tmp_path, recorder, operations, None)
    lengths = {*range(0, len(CLOSED), 149), len(OPENING), len(CLOSED) - 1}
    ends = [index + 1 for index, byte in enumerate(CLOSED) if byte == ord("\n")]
    for size in sorted(lengths.union(ends, (end + 1 for end in ends), (end - 1 for end in ends))):
        directory = scene.prepare()
        outcome = recorder.run(directory, [("limit", "RLIMIT_FSIZE", size), *operations])
        check_what_is_left(directory, outcome, LINES)
        assert (outcome.outcome_of("seal") == "ok") is (size >= len(CLOSED)), size
        if size < len(CLOSED):
            check_told("write", Outcome(outcome.status, outcome.notes[1:], 1, []))


def test_no_descriptor_is_left(tmp_path: Path, recorder: Recorder) -> None:
    scene = Scene(tmp_path, recorder, RECORDING, None)
    for place in range(len(RECORDING) + 1):
        directory = scene.prepare()
        outcome = recorder.run(directory, [*RECORDING[:place], ("use_up_descriptors",), *RECORDING[place:]])
        failed = [note for note in outcome.notes if note.outcome != "ok"]
        if place == 0:
            assert (failed[0].name, failed[0].outcome, failed[0].code) == ("create", "JournalError", "io")
            assert list(directory.iterdir()) == []
        elif place < len(RECORDING):  # what is open goes on; publishing has to open the directory
            assert failed == [Note("seal", "JournalError", "io", "None")]
        else:
            assert failed == []
        check_what_is_left(directory, outcome, LINES)


@contextlib.contextmanager
def mounted(directory: Path, *arguments: str) -> Iterator[Path]:
    """Mount something on a new directory; a kernel that forbids it skips the test."""
    place = directory / "mounted"
    place.mkdir()
    mount(*arguments, str(place))
    try:
        yield place
    finally:
        subprocess.run([needs_program("umount"), str(place)], check=True)


def mount(*arguments: str) -> None:
    done = subprocess.run([needs_program("mount"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        lacks_privilege(f"mount ({done.stderr.strip()})")


@pytest.mark.parametrize("sync", ["event", "step"])
def test_a_full_disk_keeps_what_was_acknowledged(tmp_path: Path, sync: Any) -> None:
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=64k,nr_inodes=5", "none") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(16 * 1024))
        written = Journal.create(disk, EXECUTION_ID, sync=sync)
        observer = observe(EXECUTION_ID, journal=written)
        acknowledged = 1
        with contextlib.suppress(JournalError):
            while acknowledged < 1000:
                details = {"x": "y" * 700}
                observer.record_side_effect("network", f"row {acknowledged}", reversible=True, details=details)
                acknowledged += 1
        assert 30 < acknowledged < 70
        for call in (
            lambda: observer.mark_failed("full"),
            lambda: observer.seal(signer()),
            observer.record_security_observed,
        ):
            with pytest.raises(JournalError) as caught:
                call()
            assert caught.value.code == "poisoned"
        written.close()
        before = Path(written.path).read_bytes()
        with pytest.raises(JournalError) as caught:
            recover(written.path, signer(), reason="full")  # there is no room for it either
        assert caught.value.code == "io"
        assert Path(written.path).read_bytes()[: before.rindex(b"\n") + 1] == before[: before.rindex(b"\n") + 1]
        ballast.unlink()
        path = recover(written.path, signer(), reason="there is room again")
        record = verify_record(Path(path).read_bytes(), policy_for(signer())).require().record
        effects = [effect.description for effect in record.side_effects_report.observed]
        assert effects == [f"row {number}" for number in range(1, acknowledged)]


def test_a_file_system_without_an_inode_left_refuses_and_loses_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=64k,nr_inodes=2", "none") as disk:
        written = Journal.create(disk, EXECUTION_ID)
        with pytest.raises(JournalError) as caught:
            Journal.create(disk, "exec-2")
        assert caught.value.code == "io"
        observer = run_standard(observe(EXECUTION_ID, journal=written))
        with pytest.raises(JournalError) as caught:
            observer.seal(signer())  # a second name takes an inode on this file system
        assert caught.value.code == "io"
        written.close()
        assert [path.name for path in disk.iterdir()] == [f"{EXECUTION_ID}.journal"]
        assert inspect(written.path).state == "closed"
        mount("-o", "remount,nr_inodes=10", str(disk))
        path = recover(written.path, signer(), reason="x")
        assert Path(path).read_bytes() == run_standard(observe(EXECUTION_ID)).seal(signer()).data


# --- read-only --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def unchangeable(directory: Path) -> Iterator[None]:
    """Let no name appear in a directory or vanish from it; root does not care about modes, but about this attribute."""
    if os.geteuid():
        directory.chmod(0o555)
    else:
        done = subprocess.run([needs_program("chattr"), "+i", directory], capture_output=True, text=True, check=False)
        if done.returncode:
            lacks_privilege(f"chattr +i ({done.stderr.strip()})")
    try:
        yield
    finally:
        if os.geteuid():
            directory.chmod(0o755)
        else:
            subprocess.run([needs_program("chattr"), "-i", directory], check=True)


def test_a_directory_that_may_not_be_changed(tmp_path: Path) -> None:
    with unchangeable(tmp_path), pytest.raises(JournalError) as caught:
        Journal.create(tmp_path, EXECUTION_ID)
    assert caught.value.code == "io"
    assert list(tmp_path.iterdir()) == []
    written = Journal.create(tmp_path, EXECUTION_ID)
    observer = observe(EXECUTION_ID, journal=written)
    with unchangeable(tmp_path):
        run_standard(observer)  # the file itself may grow
        with pytest.raises(JournalError) as caught:
            observer.seal(signer())
        assert caught.value.code == "io"
        written.close()
        assert inspect(written.path).state == "closed"
        with pytest.raises(JournalError) as caught:
            recover(written.path, signer(), reason="x")
        assert caught.value.code == "io"
    recover(written.path, signer(), reason="x")
    assert Path(record_path(written.path)).read_bytes() == run_standard(observe(EXECUTION_ID)).seal(signer()).data


def test_a_torn_journal_where_nothing_may_be_written(tmp_path: Path) -> None:
    path = Path(journal_path(tmp_path, EXECUTION_ID))
    path.write_bytes(TORN)
    with unchangeable(tmp_path), pytest.raises(JournalError) as caught:
        recover(path, signer(), reason="x")
    assert caught.value.code == "io"
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {path.name: TORN}


def test_a_read_only_file_system(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / f"{EXECUTION_ID}.journal").write_bytes(TORN)
    with mounted(tmp_path, "--bind", str(source)) as place:
        mount("-o", "remount,bind,ro", str(place))
        with pytest.raises(JournalError) as caught:
            Journal.create(place, "exec-2")
        assert caught.value.code == "io"
        path = journal_path(place, EXECUTION_ID)
        assert inspect(path).events == 3  # looking needs no more than reading
        with pytest.raises(JournalError) as caught:
            recover(path, signer(), reason="x")
        assert caught.value.code == "io"
    assert (source / f"{EXECUTION_ID}.journal").read_bytes() == TORN


# --- the lock, where device numbers are not what stat says ----------------------------------------------------------


def test_the_holder_is_named_on_an_overlay_as_well(tmp_path: Path) -> None:
    layers = [tmp_path / name for name in ("lower", "upper", "work")]
    for layer in layers:
        layer.mkdir()
    options = ",".join(f"{key}={layer}" for key, layer in zip(("lowerdir", "upperdir", "workdir"), layers, strict=True))
    with (
        mounted(tmp_path, "-t", "overlay", "-o", options, "none") as place,
        Journal.create(place, EXECUTION_ID) as held,
    ):
        with pytest.raises(JournalError) as caught:
            Journal.open(held.path)
        assert (caught.value.code, caught.value.actual) == ("locked", os.getpid())


# --- several at once --------------------------------------------------------------------------------------------------


def test_several_processes_write_one_journal_in_turn(tmp_path: Path) -> None:
    """Each opens, resumes, records one event and closes, as a script's short processes do; who comes second is told."""
    with Journal.create(tmp_path, EXECUTION_ID) as written:
        observe(EXECUTION_ID, journal=written)
    path = written.path
    programs = [
        subprocess.Popen([sys.executable, CONTENDER, path, name, "30"], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    looked = 0
    while any(program.poll() is None for program in programs):
        found = inspect(path)  # looking meanwhile finds whole events, or one that is being written
        assert found.damage is None
        assert found.events >= looked
        looked = found.events
    results = [json.loads(program.communicate()[0]) for program in programs]
    assert [program.returncode for program in programs] == [0, 0]
    assert {code for result in results for code in result["refused"]} <= {"locked"}
    with Journal.open(path) as opened:
        observer = ExecutionObserver.resume(opened, HearthKernel())
        observer.mark_completed("Success")
        sealed = observer.seal(signer())
    contexts = [event["context"] for event in _observed(sealed.data)]
    for result in results:
        own = [context for context in contexts if context.startswith(result["name"])]
        assert own == [f"{result['name']}{number}" for number in range(30)]
    assert len(contexts) == 60


def _observed(data: bytes) -> list[dict[str, Any]]:
    return [event["security_snapshot"] for event in json.loads(data)["events"] if event["type"] == "security_observed"]


def test_one_of_several_processes_makes_the_journal(tmp_path: Path, recorder: Recorder) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    running = recorder.begin(tmp_path, [("create",), ("meet", str(fifo)), *RECORDING[1:]])
    fifo.read_bytes()
    with pytest.raises(JournalError) as caught:
        Journal.create(tmp_path, EXECUTION_ID)
    assert caught.value.code == "exists"
    assert running.end().outcome_of("seal") == "ok"
    with pytest.raises(JournalError) as caught:
        Journal.create(tmp_path, EXECUTION_ID)
    assert caught.value.code == "exists"


# --- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=365)])
def test_a_clock_that_is_set_changes_no_verdict(tmp_path: Path, jump: timedelta) -> None:
    clock = TickingClock()
    written = Journal.create(tmp_path, EXECUTION_ID)
    observer = observe(EXECUTION_ID, journal=written, clock=clock)
    observer.record_step_started(0, "Deploy")
    clock.now += jump
    observer.record_step_completed(0, "Deploy")
    written.close()
    clock.now -= 2 * jump
    with Journal.open(written.path) as opened:
        resumed = ExecutionObserver.resume(opened, HearthKernel(), clock=clock)
        resumed.record_side_effect("network", "sent", reversible=False, step_index=0)
    clock.now += 3 * jump
    path = recover(written.path, signer(), reason="gone", clock=clock)
    report = verify_file(path, policy_for(signer()))
    assert report.exit_code == 0
    warnings = {warning.code: warning.count for warning in report.warnings}
    assert warnings["time-went-back"] == (2 if jump < timedelta() else 1)


def test_a_clock_that_fails_after_the_start_stops_nothing(tmp_path: Path) -> None:
    times = iter([datetime(2026, 11, 22, 16, tzinfo=UTC)] * 2)
    written = Journal.create(tmp_path, EXECUTION_ID)
    observer = run_standard(observe(EXECUTION_ID, journal=written, clock=lambda: next(times)))
    data = observer.seal(signer()).data
    record = verify_record(data, policy_for(signer())).require().record
    assert {event.timestamp for event in record.events} == {"2026-11-22T16:00:00.000000Z"}
    assert len([encode_event(event) for event in record.events]) == 8
