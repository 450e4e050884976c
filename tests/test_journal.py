"""The journal: written as it happens, by one writer, and published as the record that memory would have given."""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import functools
import gc
import os
import pickle
import re
import resource
import signal
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import OTHER_SEED, SEALED_AT, TickingClock, facts, observe, policy_for, run_standard, signer
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder import EXECUTION_ID, RECORDING, Note, Recorder, expected_lines, record_in_memory

from hearth_records import files, journal, lifecycle
from hearth_records.canonical import OPENING, encode_event
from hearth_records.errors import JournalError, LifecycleError, RecordingError, SealError
from hearth_records.journal import Journal, journal_path, record_path, scan
from hearth_records.kernel import HearthKernel
from hearth_records.model import ExecutionStatus
from hearth_records.observer import ExecutionObserver
from hearth_records.recovery import inspect, recover
from hearth_records.verify import verify_file, verify_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from hearth_records.journal import Sync


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as program:
        yield program


def begin(directory: Path, sync: Sync = "event", **arguments: Any) -> tuple[Journal, ExecutionObserver]:
    """Return a new journal and the observer that writes it."""
    new = Journal.create(directory, EXECUTION_ID, sync=sync)
    return new, observe(EXECUTION_ID, journal=new, **arguments)


def listing(directory: Path) -> dict[str, bytes]:
    """Return every file below a directory with its bytes."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes: the write that reaches it is short, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- the same bytes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", ["event", "step"])
def test_a_published_journal_is_the_record_that_memory_gives(tmp_path: Path, sync: Sync) -> None:
    written, observer = begin(tmp_path, sync)
    run_standard(observer)
    sealed = observer.seal(signer())
    in_memory = run_standard(observe(EXECUTION_ID)).seal(signer())
    assert listing(tmp_path) == {f"{EXECUTION_ID}.record.json": in_memory.data}
    assert (sealed.data, sealed.record, sealed.seal) == (in_memory.data, in_memory.record, in_memory.seal)
    assert record_path(written.path) == str(tmp_path / sealed.file_name)
    assert verify_file(tmp_path / sealed.file_name, policy_for(signer())).exit_code == 0


@pytest.mark.parametrize("sync", ["event", "step"])
def test_each_event_is_in_the_file_before_its_call_returns(tmp_path: Path, sync: Sync) -> None:
    path = Path(journal_path(tmp_path, EXECUTION_ID))
    written = Journal.create(tmp_path, EXECUTION_ID, sync=sync)
    assert path.read_bytes() == OPENING
    observer = observe(EXECUTION_ID, journal=written)
    lines = expected_lines()
    for count, (name, *arguments) in enumerate(RECORDING[1:-1], start=1):
        if name != "observe":
            getattr(observer, name)(*arguments)
        assert path.read_bytes() == OPENING + b"\n,".join(lines[:count]) + b"\n"
        assert written.size == path.stat().st_size


def test_a_record_in_memory_can_be_sealed_again_a_published_one_cannot(tmp_path: Path) -> None:
    assert record_in_memory().seal(signer(), sealed_at=SEALED_AT).data
    _written, observer = begin(tmp_path)
    run_standard(observer)
    sealed = observer.seal(signer())
    with pytest.raises(JournalError) as caught:
        observer.seal(signer())
    assert caught.value.code == "closed"
    assert sealed.data == Path(tmp_path, sealed.file_name).read_bytes()


def test_the_record_so_far_can_be_had_at_any_time(tmp_path: Path) -> None:
    _written, observer = begin(tmp_path)
    assert observer.get_execution_record("LIVE").status == ExecutionStatus.STARTED
    run_standard(observer)
    expected = run_standard(observe(EXECUTION_ID)).get_execution_record("LIVE")
    assert observer.get_execution_record("LIVE") == expected
    observer.seal(signer())
    assert observer.get_execution_record("LIVE") == expected
    with pytest.raises(RecordingError) as caught:
        observer.get_execution_record("DRY_RUN")
    assert caught.value.code == "live-mode-state"


@settings(max_examples=15)
@given(st.lists(st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers(), max_size=3), max_size=6))
def test_any_details_give_the_same_bytes_with_and_without_a_journal(details: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        sealed = []
        for sink in (Journal.create(directory, EXECUTION_ID, sync="step"), None):
            observer = observe(EXECUTION_ID, journal=sink)
            for item in details:
                observer.record_security_observed("looked", item)
            observer.mark_completed("Success")
            sealed.append(observer.seal(signer()).data)
    assert sealed[0] == sealed[1]


# --- nothing is replaced, nothing is written elsewhere --------------------------------------------------------------


@pytest.mark.parametrize("name", [f"{EXECUTION_ID}.journal", f"{EXECUTION_ID}.record.json"])
@pytest.mark.parametrize("kind", ["file", "dangling link", "directory"])
def test_an_execution_is_recorded_once(tmp_path: Path, name: str, kind: str) -> None:
    there = tmp_path / name
    if kind == "file":
        there.write_bytes(b"somebody's")
    elif kind == "directory":
        there.mkdir()
    else:
        there.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(JournalError) as caught:
        Journal.create(tmp_path, EXECUTION_ID)
    assert caught.value.code == "exists"
    assert sorted(tmp_path.iterdir()) == before
    assert kind != "file" or there.read_bytes() == b"somebody's"


def test_a_record_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    written, observer = begin(tmp_path)
    run_standard(observer)
    other = Path(record_path(written.path))
    other.write_bytes(b"somebody's")
    before = Path(written.path).read_bytes()
    with pytest.raises(JournalError) as caught:
        observer.seal(signer())
    assert caught.value.code == "exists"
    assert (other.read_bytes(), Path(written.path).read_bytes()) == (b"somebody's", before)
    other.unlink()  # nothing was written, so it can be sealed after all
    assert verify_record(observer.seal(signer()).data, policy_for(signer())).exit_code == 0


def test_a_record_that_appears_at_the_last_moment_is_not_replaced(tmp_path: Path) -> None:
    written, observer = begin(tmp_path)
    run_standard(observer)
    other = Path(record_path(written.path))
    other.write_bytes(b"somebody's")
    with pytest.raises(JournalError) as caught:
        written.link_record()
    assert caught.value.code == "exists"
    assert other.read_bytes() == b"somebody's"
    with pytest.raises(JournalError) as caught:
        observer.seal(signer())
    assert caught.value.code == "poisoned"


@pytest.mark.parametrize(
    "execution_id",
    [
        "",
        ".",
        "..",
        "../up",
        "a/b",
        "/tmp/x",
        ".hidden",
        "-x",
        "a\0b",
        "a\n",
        "a b",
        "é",
        "a" * 129,
        "a\\b",
        "~",
        "\x1b[2J",
    ],
)
def test_an_identifier_that_is_no_file_name_writes_nothing(tmp_path: Path, execution_id: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(JournalError) as caught:
        Journal.create(inside, execution_id)
    assert caught.value.code == "identifier"
    with pytest.raises(JournalError) as caught:
        Journal.open(f"{inside}/{execution_id}.journal")
    assert caught.value.code in {"name", "io"}  # a path that leads elsewhere is a path
    assert [path for path in tmp_path.rglob("*") if path != inside] == []


@pytest.mark.parametrize("name", ["x.journal.txt", "x", "x.record.json", ".journal", "a b.journal", "x.JOURNAL"])
def test_what_is_not_named_as_a_journal_is_not_opened(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(OPENING)
    for use in (Journal.open, inspect):
        with pytest.raises(JournalError) as caught:
            use(path)
        assert caught.value.code == "name"
    assert path.read_bytes() == OPENING


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "nothing"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = Path(journal_path(tmp_path, EXECUTION_ID))
    if kind == "link":
        (tmp_path / "other").write_bytes(OPENING)
        path.symlink_to(tmp_path / "other")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    with pytest.raises(JournalError) as caught:
        Journal.open(path)
    assert caught.value.code == "io"


def test_the_current_directory_may_change_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    written, observer = begin(Path("records"))
    assert written.path == f"records/{EXECUTION_ID}.journal"
    monkeypatch.chdir(tmp_path / "elsewhere")
    sealed = run_standard(observer).seal(signer())
    assert listing(tmp_path) == {f"records/{EXECUTION_ID}.record.json": sealed.data}


def test_a_file_that_was_put_in_its_place_is_not_published(tmp_path: Path) -> None:
    written, observer = begin(tmp_path)
    run_standard(observer)
    Path(written.path).rename(tmp_path / "moved")
    Path(written.path).write_bytes(b"somebody's")
    with pytest.raises(JournalError) as caught:
        observer.seal(signer())
    assert caught.value.code == "io"
    assert Path(written.path).read_bytes() == b"somebody's"
    assert not Path(record_path(written.path)).exists()
    Path(written.path).unlink()
    (tmp_path / "moved").rename(written.path)
    written.close()
    assert recover(written.path, signer(), reason="moved back") == record_path(written.path)


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        Journal.create(tmp_path / "nowhere", EXECUTION_ID)
    assert caught.value.code == "io"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_of_sync_is_not_taken_for_the_weaker_one(tmp_path: Path) -> None:
    sync: Any
    for sync in ("Step", "", "none", True):
        with pytest.raises(JournalError) as caught:
            Journal.create(tmp_path, EXECUTION_ID, sync=sync)
        assert caught.value.code == "sync"
    assert list(tmp_path.iterdir()) == []


# --- which journal an observer takes --------------------------------------------------------------------------------


def test_an_observer_takes_only_a_new_journal_of_its_own_execution(tmp_path: Path) -> None:
    with Journal.create(tmp_path, "exec-2") as other, pytest.raises(RecordingError) as caught:
        observe(EXECUTION_ID, journal=other)
    assert caught.value.code == "journal"
    assert (tmp_path / "exec-2.journal").read_bytes() == OPENING
    written, _observer = begin(tmp_path)
    before = Path(written.path).read_bytes()
    with pytest.raises(RecordingError) as caught:
        observe(EXECUTION_ID, journal=written)
    assert caught.value.code == "journal"
    assert Path(written.path).read_bytes() == before


def test_an_argument_that_cannot_be_recorded_leaves_a_journal_without_an_event(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, EXECUTION_ID)
    with pytest.raises(RecordingError):
        observe(EXECUTION_ID, "not an identifier", journal=written)
    assert Path(written.path).read_bytes() == OPENING
    observe(EXECUTION_ID, journal=written)  # it can be used after all


def test_a_journal_without_an_event_cannot_be_resumed(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, EXECUTION_ID)
    with pytest.raises(JournalError) as caught:
        ExecutionObserver.resume(written, HearthKernel())
    assert caught.value.code == "no-event"


def test_a_journal_under_another_name_is_not_resumed_or_recovered(tmp_path: Path) -> None:
    written, _observer = begin(tmp_path)
    written.close()
    renamed = tmp_path / "exec-2.journal"
    Path(written.path).rename(renamed)
    before = listing(tmp_path)
    with Journal.open(renamed) as opened, pytest.raises(JournalError) as caught:
        ExecutionObserver.resume(opened, HearthKernel())
    assert (caught.value.code, caught.value.expected, caught.value.actual) == ("name", "exec-2", EXECUTION_ID)
    with pytest.raises(JournalError) as caught:
        recover(renamed, signer(), reason="renamed")
    assert caught.value.code == "name"
    assert listing(tmp_path) == before


@pytest.mark.parametrize(("tail", "code"), [(b",{", "torn"), (b"", "closed")])
def test_what_is_torn_or_closed_cannot_be_resumed(tmp_path: Path, tail: bytes, code: str) -> None:
    written, observer = begin(tmp_path)
    if code == "closed":
        run_standard(observer)
        memory = run_standard(observe(EXECUTION_ID)).seal(signer())
        written.complete(memory.data[written.size :])
    else:
        written.complete(tail)
    written.close()
    with Journal.open(written.path) as opened, pytest.raises(JournalError) as caught:
        ExecutionObserver.resume(opened, HearthKernel())
    assert caught.value.code == code


# --- resuming -------------------------------------------------------------------------------------------------------


def test_a_recording_that_is_resumed_for_every_event_gives_the_same_bytes(tmp_path: Path) -> None:
    clock = TickingClock()
    with Journal.create(tmp_path, EXECUTION_ID) as written:
        observe(EXECUTION_ID, journal=written, clock=clock)
    path = written.path
    for name, *arguments in RECORDING[2:-1]:
        with Journal.open(path) as opened:
            getattr(ExecutionObserver.resume(opened, HearthKernel(), clock=clock), name)(*arguments)
    with Journal.open(path) as opened:
        observer = ExecutionObserver.resume(opened, HearthKernel(), clock=clock)
        assert observer.is_finished
        sealed = observer.seal(signer())
    assert sealed.data == record_in_memory().seal(signer()).data


def test_other_processes_go_on_with_a_recording_and_its_rules(tmp_path: Path, recorder: Recorder) -> None:
    first = recorder.run(tmp_path, [("create",), ("observe",), ("record_step_started", 0, "Deploy")])
    assert {note.outcome for note in first.notes} == {"ok"}
    second = recorder.run(
        tmp_path,
        [
            ("open",),
            ("resume",),
            ("record_step_started", 1, "Migrate"),
            ("mark_completed", "too early"),
            ("record_step_completed", 0, "Another"),
            ("record_step_completed", 0, "Deploy"),
            ("record_step_started", 0, "Deploy"),
        ],
    )
    assert second.notes[2:] == [
        Note("record_step_started", "RecordingError", "step-open", "None"),
        Note("mark_completed", "RecordingError", "step-open", "None"),
        Note("record_step_completed", "RecordingError", "other-step", "None"),
        Note("record_step_completed", "ok"),
        Note("record_step_started", "RecordingError", "step-order", "None"),
    ]
    third = recorder.run(tmp_path, [("open",), ("resume",), ("mark_completed", "Success"), ("seal",)])
    assert {note.outcome for note in third.notes} == {"ok"}
    verified = verify_record(Path(tmp_path, f"{EXECUTION_ID}.record.json").read_bytes(), policy_for(signer())).require()
    assert [event.seq for event in verified.record.events] == [0, 1, 2, 3]


def test_a_damaged_journal_is_not_resumed(tmp_path: Path) -> None:
    written, _observer = begin(tmp_path)
    line = expected_lines()[1].replace(b'"type":"step_started"', b'"type":"step_completed"')
    written.append(line, boundary=True)
    with pytest.raises(LifecycleError) as caught:
        ExecutionObserver.resume(written, HearthKernel())
    assert facts(caught.value) == ("no-step-open", 1, "/events/1")


# --- states ---------------------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[ExecutionObserver], object]] = {
    "record_step_started": lambda observer: observer.record_step_started(5, "Later"),
    "record_step_completed": lambda observer: observer.record_step_completed(0, "Deploy"),
    "record_step_failed": lambda observer: observer.record_step_failed(0, "Deploy", "no"),
    "record_side_effect": lambda observer: observer.record_side_effect("network", "x", reversible=True),
    "record_security_observed": lambda observer: observer.record_security_observed(),
    "mark_completed": lambda observer: observer.mark_completed("x"),
    "mark_failed": lambda observer: observer.mark_failed("x"),
    "mark_abandoned": lambda observer: observer.mark_abandoned("x"),
    "mark_incomplete": lambda observer: observer.mark_incomplete_security_escalation("x"),
    "seal": lambda observer: observer.seal(signer()),
    "get_execution_record": lambda observer: observer.get_execution_record("LIVE"),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_on_a_closed_journal_raises(tmp_path: Path, name: str) -> None:
    written, observer = begin(tmp_path)
    if name == "seal":
        observer.mark_completed("x")
    elif name in {"record_step_completed", "record_step_failed"}:
        observer.record_step_started(0, "Deploy")
    before = Path(written.path).read_bytes()
    written.close()
    written.close()  # as often as one likes
    with pytest.raises(JournalError) as caught:
        CALLS[name](observer)
    assert caught.value.code == "closed"
    assert Path(written.path).read_bytes() == before


def test_a_short_write_poisons_the_journal_and_nothing_is_tried_again(tmp_path: Path) -> None:
    written, observer = begin(tmp_path)
    observer.record_step_started(0, "Deploy")
    whole = written.size
    with file_size_limit(whole + 10), pytest.raises(JournalError) as caught:
        observer.record_side_effect("network", "x", reversible=True)
    assert caught.value.code == "io"
    left = Path(written.path).read_bytes()
    assert len(left) == whole + 10
    for name, call in CALLS.items():
        with pytest.raises(JournalError) as caught:
            call(observer)
        assert caught.value.code == "poisoned", name
    with pytest.raises(JournalError) as caught:
        ExecutionObserver.resume(written, HearthKernel())
    assert caught.value.code == "poisoned"
    assert Path(written.path).read_bytes() == left
    written.close()
    found = inspect(written.path)
    assert (found.state, found.events, found.torn_bytes, found.damage) == ("open", 2, 10, None)


def test_a_journal_that_fails_at_the_first_event_says_so_as_a_journal(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, EXECUTION_ID)
    with file_size_limit(len(OPENING)), pytest.raises(JournalError) as caught:
        observe(EXECUTION_ID, journal=written)
    assert caught.value.code == "io"


def test_an_opening_line_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    for size in (0, 10):
        with file_size_limit(size), pytest.raises(JournalError) as caught:
            Journal.create(tmp_path, EXECUTION_ID)
        assert caught.value.code == "io"
        assert list(tmp_path.iterdir()) == []


def test_a_step_whose_end_cannot_be_written_does_not_hide_the_error_of_the_step(tmp_path: Path) -> None:
    written, observer = begin(tmp_path)
    with (
        pytest.raises(ZeroDivisionError) as caught,
        file_size_limit(written.size + 400),
        observer.step(0, "Deploy"),
    ):
        1 // 0  # noqa: B018 - it fails
    assert len(caught.value.__notes__) == 1


def test_closing_lets_go_and_so_does_forgetting(tmp_path: Path) -> None:
    written, _observer = begin(tmp_path)
    path = written.path
    written.close()
    again = Journal.open(path)
    with pytest.raises(JournalError):
        Journal.open(path)
    del again
    gc.collect()
    with Journal.open(path):
        pass


# --- one writer -----------------------------------------------------------------------------------------------------


def test_a_second_open_in_the_same_process_names_this_process(tmp_path: Path) -> None:
    written, observer = begin(tmp_path)
    before = Path(written.path).read_bytes()
    for use in (Journal.open, lambda path: recover(path, signer(), reason="x")):
        with pytest.raises(JournalError) as caught:
            use(written.path)
        assert (caught.value.code, caught.value.actual) == ("locked", os.getpid())
    assert inspect(written.path).state == "recording"
    assert Path(written.path).read_bytes() == before
    observer.mark_completed("x")  # the holder is not disturbed


def test_a_second_open_in_another_process_names_the_holder(tmp_path: Path, recorder: Recorder) -> None:
    with Journal.create(tmp_path, EXECUTION_ID):
        outcome = recorder.run(tmp_path, [("open",), ("recover",), ("create",)])
    holder = str(os.getpid())
    assert outcome.notes == [
        Note("open", "JournalError", "locked", holder),
        Note("recover", "JournalError", "locked", holder),
        Note("create", "JournalError", "exists", "None"),
    ]


def test_the_lock_does_not_outlive_its_process_though_a_child_does(tmp_path: Path, recorder: Recorder) -> None:
    fifos = [tmp_path / f"fifo{number}" for number in range(3)]
    for fifo in fifos:
        os.mkfifo(fifo)
    path = Path(journal_path(tmp_path, EXECUTION_ID))
    running = recorder.begin(
        tmp_path,
        [
            ("create",),
            ("observe",),
            ("leave_child", str(fifos[0])),
            ("record_security_observed", "after the fork"),
            ("meet", str(fifos[1])),
            ("meet", str(fifos[2])),
        ],
    )
    fifos[1].read_bytes()
    with pytest.raises(JournalError) as caught:
        Journal.open(path)
    assert (caught.value.code, caught.value.actual) == ("locked", running.pid)
    assert inspect(path).state == "recording"
    os.kill(running.pid, signal.SIGKILL)
    outcome = running.end()
    assert (os.WTERMSIG(outcome.status), outcome.acknowledged()) == (signal.SIGKILL, 2)
    with Journal.open(path) as opened:  # at once
        assert len(opened.read()) == 2
    fifos[0].read_bytes()  # the child was there all the time


def test_a_forked_child_may_not_write_and_does_not_disturb(tmp_path: Path, recorder: Recorder) -> None:
    child = ("in_child", "record_security_observed", "from the child")
    operations = [*RECORDING[:3], child, ("in_child", "open"), ("in_child", "seal"), *RECORDING[3:]]
    running = recorder.begin(tmp_path, operations)
    outcome = running.end()
    assert {note.outcome for note in outcome.notes} == {"ok"}
    assert outcome.children == [
        Note("child", "JournalError", "forked", "None"),
        Note("child", "JournalError", "locked", str(running.pid)),
        Note("child", "SealError", "not-finished", "None"),
    ]
    assert listing(tmp_path) == {f"{EXECUTION_ID}.record.json": record_in_memory().seal(signer()).data}


def test_a_forked_child_may_not_seal(tmp_path: Path, recorder: Recorder) -> None:
    outcome = recorder.run(tmp_path, [*RECORDING[:-1], ("in_child", "seal"), *RECORDING[-1:]])
    assert outcome.children == [Note("child", "JournalError", "forked", "None")]
    assert outcome.outcome_of("seal") == "ok"


# --- the system calls -----------------------------------------------------------------------------------------------


def documented(name: str) -> list[str]:
    """Return the system calls that the module's docstring lists for an operation."""
    text = re.search(rf"^    {name}  (.*?)(?=^    \w|\n\n)", journal.__doc__ or "", re.DOTALL | re.MULTILINE)
    assert text is not None
    calls = re.findall(r"(\w+)(\(directory\))?(?:\([^)]*\))?(?:\s|$)", text[1])
    return [f"{call} directory" if directory else call for call, directory in calls]


def made(log: str) -> list[str]:
    """Return the system calls that strace saw, in the words of the docstring."""
    calls = []
    directories = set()
    for name, rest in re.findall(r"^(\w+)\((.*)$", log, re.MULTILINE):
        if name == "openat" and "O_DIRECTORY" in rest:
            directories.add(rest.rpartition("= ")[2])
        elif name == "openat":
            calls.append("open")
        else:
            calls.append(f"{name} directory" if name == "fsync" and rest.partition(")")[0] in directories else name)
    return calls


@pytest.mark.parametrize("sync", ["event", "step"])
def test_the_system_calls_are_those_of_the_docstring_in_that_order(
    tmp_path: Path, recorder: Recorder, sync: Sync
) -> None:
    running = recorder.begin(
        tmp_path,
        [("create", sync), *RECORDING[1:]],
        trace=["-e", "trace=openat,flock,write,fsync,fdatasync,link,unlink,ftruncate,rename"],
    )
    assert {note.outcome for note in running.end().notes} == {"ok"}
    append = documented("append")
    assert append == ["write", "fdatasync"]
    effect = append if sync == "event" else ["write"]
    assert made(running.log.read_text()) == [
        *documented("create"),
        *(append + append + effect + append + append),
        *documented("publish"),
    ]


def test_one_observer_of_this_process_writes_a_journal(tmp_path: Path) -> None:
    written, observer = begin(tmp_path)
    with pytest.raises(JournalError) as caught:
        ExecutionObserver.resume(written, HearthKernel())
    assert (caught.value.code, caught.value.actual) == ("locked", os.getpid())
    observer.record_step_started(0, "Deploy")
    assert scan(written.source()).chain.length == 2


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_journal_and_its_observer_are_not_copied(tmp_path: Path, duplicate: Callable[[object], object]) -> None:
    written, observer = begin(tmp_path)
    for original in (written, observer):
        with pytest.raises(TypeError):
            duplicate(original)
    gc.collect()
    other = (tmp_path / "other").open("wb", buffering=0)  # would get the descriptor that a copy closed
    observer.record_step_started(0, "Deploy")
    other.close()
    assert (tmp_path / "other").read_bytes() == b""
    assert len(written.read()) == 2


def test_threads_record_one_after_the_other(tmp_path: Path) -> None:
    written, observer = begin(tmp_path, sync="step")
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            calls = [
                pool.submit(observer.record_side_effect, "other", str(number), reversible=None) for number in range(400)
            ]
        assert [call.result() for call in calls] == [None] * 400
    finally:
        sys.setswitchinterval(before)
    observer.mark_failed("x")
    assert len(written.read()) == 402
    assert verify_record(observer.seal(signer()).data, policy_for(signer())).exit_code == 0


# --- what a signal handler may do -----------------------------------------------------------------------------------


class Interrupted(Exception):  # noqa: N818 - as a signal handler would raise it
    pass


INTERRUPTIBLE = (journal.__file__, files.__file__, contextlib.__file__, lifecycle.__file__)
INTERRUPTIBLE_CALLS = ("_record", "_append", "_append_what_was_told")


def run_interrupted(call: Callable[[], object], when: int, handler: Callable[[], object] | None = None) -> bool:
    """Call something, and a handler at the `when`th bytecode of the journal or of what leads to it; or raise there."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        code = frame.f_code
        if code.co_filename not in INTERRUPTIBLE and code.co_name not in INTERRUPTIBLE_CALLS:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += 1
            if count == when and handler is None:
                raise Interrupted
            if count == when and handler is not None:
                handler()  # which is not traced itself
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Interrupted:
        return True
    finally:
        sys.settrace(before)
    return count >= when


def _interrupted_everywhere(
    tmp_path: Path, call: Callable[[ExecutionObserver], object], stride: int
) -> Iterator[tuple[Any, ...]]:
    """Yield journal, observer and the events before, each time interrupted `stride` bytecodes later."""
    for when in range(1, 5000, stride):
        directory = tmp_path / str(when)
        directory.mkdir()
        written, observer = begin(directory)
        observer.record_step_started(0, "Deploy")
        before = written.read()
        if not run_interrupted(functools.partial(call, observer), when):
            assert when > 200
            return
        yield written, observer, before
    raise AssertionError


def test_an_event_interrupted_anywhere_is_there_once_or_not_at_all_or_poisons(tmp_path: Path) -> None:
    seen = set()
    for written, observer, before in _interrupted_everywhere(
        tmp_path, lambda observer: observer.record_side_effect("network", "interrupted", reversible=True), 2
    ):
        try:
            observer.record_side_effect("network", "the next", reversible=True)
        except JournalError as error:
            assert error.code == "poisoned"  # noqa: PT017 - one of two ways to go on
            seen.add("poisoned")
            with pytest.raises(JournalError):
                observer.mark_failed("x")
            left = len(Path(written.path).read_bytes())
            written.close()
            found = inspect(written.path)
            assert (found.damage, found.state, found.torn_bytes) == (None, "open", 0)
            assert found.events in (len(before), len(before) + 1)
            assert Path(written.path).stat().st_size == left
        else:
            lines = written.read()
            assert lines[: len(before)] == before
            descriptions = [re.findall(rb'"description":"([a-z ]+)"', line)[0] for line in lines[len(before) :]]
            assert descriptions in ([b"the next"], [b"interrupted", b"the next"])
            seen.add(f"{len(lines) - len(before)} events")
            assert scan(written.source()).chain.length == len(lines)
            written.close()
    assert seen == {"poisoned", "1 events", "2 events"}


def test_an_end_interrupted_anywhere_can_still_be_sealed_or_recovered(tmp_path: Path) -> None:
    seen = set()
    for written, observer, before in _interrupted_everywhere(tmp_path, lambda observer: observer.mark_failed("x"), 5):
        try:
            data = observer.seal(signer()).data
            seen.add("sealed")
        except JournalError as error:
            assert error.code == "poisoned"  # noqa: PT017 - one of three ways to go on
            seen.add("poisoned")
            written.close()
            assert inspect(written.path).damage is None
            continue
        except SealError as error:
            assert error.code == "not-finished"  # noqa: PT017 - as above
            seen.add("not finished")
            observer.mark_failed("again")
            data = observer.seal(signer()).data
        verified = verify_record(data, policy_for(signer())).require()
        assert [encode_event(event) for event in verified.record.events][:-1] == before
    assert seen == {"poisoned", "sealed", "not finished"}


def _told_anywhere(
    tmp_path: Path, call: Callable[[ExecutionObserver], object], handler: Callable[[ExecutionObserver], object]
) -> Iterator[tuple[Journal, ExecutionObserver, list[bytes]]]:
    """Yield as `_interrupted_everywhere`, each time with a handler that returns, in the middle of a call."""
    for when in range(1, 5000, 3):
        directory = tmp_path / str(when)
        directory.mkdir()
        written, observer = begin(directory)
        observer.record_step_started(0, "Deploy")
        before = written.read()
        if not run_interrupted(functools.partial(call, observer), when, functools.partial(handler, observer)):
            assert when > 200
            return
        yield written, observer, before
    raise AssertionError


def test_what_a_signal_handler_records_in_the_middle_of_a_call_stands_beside_it(tmp_path: Path) -> None:
    def beat(observer: ExecutionObserver) -> None:
        observer.record_side_effect("other", "heartbeat", reversible=None)

    def work(observer: ExecutionObserver) -> None:
        observer.record_side_effect("other", "work", reversible=None)

    for written, observer, before in _told_anywhere(tmp_path, work, beat):
        lines = written.read()
        told = [re.findall(rb'"description":"([a-z]+)"', line)[0] for line in lines[len(before) :]]
        assert (lines[: len(before)], sorted(told)) == (before, [b"heartbeat", b"work"])
        observer.mark_failed("x")
        assert verify_record(observer.seal(signer()).data, policy_for(signer())).exit_code == 0


def test_a_signal_handler_may_end_the_record_in_the_middle_of_a_call(tmp_path: Path) -> None:
    refused = []

    def work(observer: ExecutionObserver) -> None:
        try:
            observer.record_side_effect("other", "work", reversible=None)
        except RecordingError as error:
            refused.append(error.code)

    for written, observer, before in _told_anywhere(tmp_path, work, lambda observer: observer.mark_failed("SIGTERM")):
        count = len(written.read()) - len(before)
        assert count == (1 if refused else 2)
        assert refused in ([], ["finished"])
        refused.clear()
        assert verify_record(observer.seal(signer()).data, policy_for(signer())).exit_code == 0


def test_what_a_signal_handler_may_not_record_is_raised_by_the_call_it_interrupts(tmp_path: Path) -> None:
    raised = []

    def work(observer: ExecutionObserver) -> None:
        try:
            observer.record_side_effect("other", "work", reversible=None)
        except RecordingError as error:
            raised.append(error.code)

    def nonsense(observer: ExecutionObserver) -> None:
        try:
            observer.record_step_completed(7, "Never started")
        except RecordingError as error:
            raised.append(error.code)

    for written, observer, before in _told_anywhere(tmp_path, work, nonsense):
        assert raised == ["other-step"]
        raised.clear()
        assert len(written.read()) == len(before) + 1
        observer.mark_failed("x")
        assert verify_record(observer.seal(signer()).data, policy_for(signer())).exit_code == 0


def test_a_signal_handler_cannot_seal_in_the_middle_of_an_event(tmp_path: Path) -> None:
    codes = set()

    def seal(observer: ExecutionObserver) -> None:
        try:
            observer.seal(signer())
        except SealError as error:
            codes.add(error.code)

    for written, observer, before in _told_anywhere(tmp_path, lambda observer: observer.mark_failed("x"), seal):
        if not written.path or not Path(written.path).exists():
            continue  # it was sealed behind the event
        assert len(written.read()) == len(before) + 1
        assert verify_record(observer.seal(signer()).data, policy_for(signer())).exit_code == 0
    assert codes == {"busy", "not-finished"}


# --- a key that cannot sign -----------------------------------------------------------------------------------------


class BrokenSigner:
    """A signer that cannot sign, or signs something else."""

    algorithm = "ed25519"

    def __init__(self, signature: bytes | None) -> None:
        self.public_key = signer().public_key
        self._signature = signature

    def sign(self, message: bytes) -> bytes:  # noqa: ARG002 - as the protocol has it
        if self._signature is None:
            raise TimeoutError
        return self._signature


@pytest.mark.parametrize("signature", [None, b"", bytes(64)])
def test_a_key_that_cannot_sign_leaves_the_journal_as_it_was(tmp_path: Path, signature: bytes | None) -> None:
    written, observer = begin(tmp_path)
    run_standard(observer)
    before = listing(tmp_path)
    with pytest.raises(SealError) as caught:
        observer.seal(BrokenSigner(signature))
    assert caught.value.code == "signing-failed"
    with pytest.raises(SealError):
        observer.seal(signer(), BrokenSigner(signature))
    assert listing(tmp_path) == before
    written.close()
    with Journal.open(written.path) as opened:  # later, by another process, with another key
        sealed = ExecutionObserver.resume(opened, HearthKernel()).seal(signer(OTHER_SEED))
    assert verify_record(sealed.data, policy_for(signer(OTHER_SEED))).exit_code == 0
    assert set(listing(tmp_path)) == {sealed.file_name}


def test_what_has_not_ended_cannot_be_sealed_and_stays_as_it_was(tmp_path: Path) -> None:
    _written, observer = begin(tmp_path)
    before = listing(tmp_path)
    with pytest.raises(SealError) as caught:
        observer.seal(signer())
    assert caught.value.code == "not-finished"
    assert listing(tmp_path) == before


# --- long recordings ------------------------------------------------------------------------------------------------


def test_events_that_are_written_are_not_kept(tmp_path: Path) -> None:
    count = 4000
    _written, observer = begin(tmp_path, "step")
    observer.record_step_started(0, "Deploy")

    def record(number: int) -> None:
        for _ in range(number):
            observer.record_side_effect("network", "packet", reversible=True, step_index=0, details={"note": "x" * 100})

    record(500)
    tracemalloc.start()
    try:
        record(count)
        grown, _peak = tracemalloc.get_traced_memory()
        observer.record_step_completed(0, "Deploy")
        observer.mark_completed("Success")
        tracemalloc.reset_peak()
        sealed = observer.seal(signer())
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = Path(tmp_path, sealed.file_name).stat().st_size
    assert size > 400 * count
    assert grown < 64 * 1024
    assert peak < 1024 * 1024
    assert len(observer.get_execution_record("LIVE").events) == 500 + count + 4


# --- the caller's business --------------------------------------------------------------------------------------------


def test_what_the_caller_changes_after_the_call_changes_nothing(tmp_path: Path) -> None:
    inner = ["one"]
    details: dict[str, Any] = {"list": inner, "plain": 1}
    _written, observer = begin(tmp_path)
    with observer.step(0, "Deploy", details) as step:
        details["plain"] = 2
        inner.append("two")
        step.record_side_effect("network", "sent", reversible=True, details=details)
        inner.clear()
        details.clear()
    observer.mark_completed("Success", details)
    details["late"] = True
    verified = verify_record(observer.seal(signer()).data, policy_for(signer())).require()
    assert [event.details for event in verified.record.events] == [
        {},
        {"list": ["one"], "plain": 1},
        {"list": ["one", "two"], "plain": 2},
        {},
        {},
    ]
