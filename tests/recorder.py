"""The other side of `programs/recorder.py`: starts its children, puts strace on them, and reads what they noted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from helpers import START, TickingClock, lacks_privilege, needs_program, observe, policy_for, randomness, signer
from programs.recorder import NOTES_SIZE, read_notes, restored

from hearth_records.canonical import encode_event
from hearth_records.errors import JournalError
from hearth_records.journal import journal_path, record_path
from hearth_records.recovery import inspect, recover
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from hearth_records.observer import ExecutionObserver

PROGRAM = Path(__file__).parent / "programs" / "recorder.py"
EXECUTION_ID = "exec-1"

Operation = tuple[Any, ...]

RECORDING: tuple[Operation, ...] = (
    ("create",),
    ("observe",),
    ("record_step_started", 0, "Deploy", {"host": "db1"}),
    ("record_side_effect", "network", "told the load balancer", True, 0),
    ("record_step_completed", 0, "Deploy"),
    ("mark_completed", "Success"),
    ("seal",),
)
"""A short recording: five events."""

WITHHOLDING: tuple[Operation, ...] = (
    ("create",),
    ("observe",),
    ("record_step_started", 0, "Pay", {"currency": "EUR", "withholdable:pin": "4711", "withholdable:amount": 12}),
    ("record_side_effect", "network", "told the bank", False, 0, {"withholdable:pin": "0815"}),
    ("record_step_completed", 0, "Pay"),
    ("mark_completed", "Success", {"withholdable:who": "Zoë"}),
    ("seal",),
)
"""The same with details that can be withheld."""

EVENTS = len(RECORDING) - 2


def record_in_memory(operations: Sequence[Operation] = RECORDING) -> ExecutionObserver:
    """Return what the same operations record in memory: the same bytes."""
    observer = observe(EXECUTION_ID, clock=TickingClock(), randomness=randomness(0))
    for name, *arguments in operations:
        if name not in {"create", "observe", "seal"}:
            getattr(observer, name)(*map(restored, arguments))
    return observer


def expected_lines(operations: Sequence[Operation] = RECORDING) -> list[bytes]:
    """Return the canonical bytes of the events of a recording."""
    return [encode_event(event) for event in record_in_memory(operations).get_execution_record("LIVE").events]


class Note(NamedTuple):
    """What became of an operation: "ok", or the error's type, its code and what it found."""

    name: str
    outcome: str
    code: str = ""
    actual: str = ""


class Outcome(NamedTuple):
    """What became of a child. `injected` says whether strace did anything to it."""

    status: int
    notes: list[Note]
    injected: int
    children: list[Note]

    @property
    def killed(self) -> bool:
        return os.WIFSIGNALED(self.status)

    def acknowledged(self, names: Sequence[str] = ()) -> int:
        """Return how many operations that write an event were acknowledged (only those named, if any are)."""
        return sum(
            note.outcome == "ok" and (note.name == "observe" or note.name.startswith(("record_", "mark_")))
            for note in self.notes
            if not names or note.name in names
        )

    def outcome_of(self, name: str) -> str | None:
        """Return what became of the last operation of that name, or None when it did not come to that."""
        return next((note.outcome for note in reversed(self.notes) if note.name == name), None)


class Running:
    """A child that is under way."""

    def __init__(self, recorder: Recorder, job: dict[str, Any], trace: Sequence[str] | None) -> None:
        self._recorder = recorder
        self._notes = Path(job["notes"])
        self.log = self._notes.with_suffix(".strace")
        self._strace: subprocess.Popen[bytes] | None = None
        gate = os.open(job["gate"], os.O_RDWR)  # a FIFO: opened for both, nobody waits for anybody
        try:
            self.pid = recorder.start(job)
            if trace is not None:
                self._strace = attach(self.pid, self.log, trace)
        finally:
            os.write(gate, b"!")
            os.close(gate)

    def end(self) -> Outcome:
        """Wait until it has ended."""
        status = int(self._recorder.answer())
        injected = 0
        if self._strace is not None:
            self._strace.communicate()
            log = self.log.read_bytes()
            injected = log.count(b"INJECTED") + log.count(b"--- SIG") + log.count(b"+++ killed by")
        notes = read_notes(self._notes.read_bytes())
        self._notes.unlink()
        return Outcome(
            status=status,
            notes=[Note(*words) for _number, *words in filter(_is_numbered, notes)],
            injected=injected,
            children=[Note(*note) for note in notes if not _is_numbered(note)],
        )


def _is_numbered(note: list[str]) -> bool:
    return note[0].isdigit()


def attach(pid: int, log: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Put strace on a process and return it once it is there; a kernel that forbids it skips the test."""
    command = [needs_program("strace"), "-o", str(log), *arguments, "-p", str(pid)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    line = process.stderr.readline()
    if b"attached" not in line:
        process.communicate()
        assert b"ptrace" in line or b"attach" in line, line
        lacks_privilege(f"ptrace ({line.decode().strip()})")
    return process


class Recorder:
    """The program, running. A context manager that ends it."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="hearth-recorder-")
        self._number = 0
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._scratch.cleanup()

    def start(self, job: dict[str, Any]) -> int:
        """Start a child and return its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        return int(self.answer())

    def answer(self) -> str:
        """Return the program's next line."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def begin(
        self,
        directory: Path,
        operations: Sequence[Operation] = RECORDING,
        *,
        trace: Sequence[str] | None = None,
        forget_syncs: bool = False,
    ) -> Running:
        """Start operations in a child, under strace when there are arguments for it. One at a time."""
        self._number += 1
        notes = Path(self._scratch.name) / f"{self._number}.notes"
        with notes.open("wb") as file:
            file.truncate(NOTES_SIZE)
        gate = notes.with_suffix(".gate")
        os.mkfifo(gate)
        job = {
            "notes": str(notes),
            "gate": str(gate),
            "directory": str(directory),
            "id": EXECUTION_ID,
            "clock": [START.isoformat()],
            "operations": operations,
            "forget_syncs": forget_syncs,
        }
        return Running(self, job, trace)

    def run(
        self,
        directory: Path,
        operations: Sequence[Operation] = RECORDING,
        *,
        trace: Sequence[str] | None = None,
        forget_syncs: bool = False,
    ) -> Outcome:
        """Run operations in a child to its end."""
        return self.begin(directory, operations, trace=trace, forget_syncs=forget_syncs).end()


def inject(calls: str, what: str, when: int | str) -> list[str]:
    """Return the arguments with which strace does `what` at the `when`th of `calls`."""
    return ["-e", f"trace={calls}", "-e", f"inject={calls}:{what}:when={when}"]


def check_what_is_left(
    directory: Path, outcome: Outcome, expected: Sequence[bytes], *, least: int | None = None
) -> int:
    """Recover, seal and verify what a child left; return the number of its events that are there.

    Every acknowledged event (or the first `least` of them) is there exactly once, in order, and with it all that it can
    disclose; at most one that was not acknowledged as well, unless `least` is given; recovering again changes nothing.
    """
    least = outcome.acknowledged() if least is None else least
    journal = journal_path(directory, EXECUTION_ID)
    record = Path(record_path(journal))
    if not os.path.lexists(journal) and not record.exists():
        assert outcome.outcome_of("create") != "ok"
        assert least == 0
        return 0
    assert inspect(journal).damage is None
    assert inspect(journal).state != "recording"
    try:
        assert recover(journal, signer(), reason="after a fault", clock=TickingClock()) == str(record)
    except JournalError as error:
        assert error.code == "no-event"  # noqa: PT017 - whether it raises depends on when the fault came
        assert least == 0
        return 0
    data = record.read_bytes()
    verified = verify_record(data, policy_for(signer())).require()
    assert sum(finding.undisclosed for finding in verified.report.disclosures) == 0
    assert not list(directory.glob("*.disclosures"))
    lines = [encode_event(event) for event in verified.record.events]
    last = verified.record.finished
    assert last is not None
    own = lines[:-1] if last.cause == "recovered" else lines
    assert own == expected[: len(own)]
    assert len(own) >= least
    if outcome.outcome_of("seal") == "ok":
        assert own == expected
    assert not os.path.lexists(journal)
    assert recover(journal, signer(), reason="again", clock=TickingClock()) == str(record)
    assert record.read_bytes() == data
    return len(own)


def system_calls(recorder: Recorder, directory: Path, operations: Sequence[Operation] = RECORDING) -> list[str]:
    """Do operations to their end; return the names of the system calls that they make, in the order of their first."""
    running = recorder.begin(directory, operations, trace=[])
    outcome = running.end()
    assert (outcome.status, {note.outcome for note in outcome.notes}) == (0, {"ok"})
    calls = dict.fromkeys(re.findall(r"^(\w+)\(", running.log.read_text(), re.MULTILINE))
    return [call for call in calls if call != "readv"]  # the gate


def sweep(run: Callable[[str, int], Outcome], calls: Iterable[str], limit: int = 100) -> Iterator[tuple[str, Outcome]]:
    """Call `run` with each of the system calls and 1, 2, 3 … until nothing is injected.

    strace counts each call by itself: `write 3` is the third write.
    """
    for call in calls:
        for when in range(1, limit):
            outcome = run(call, when)
            if not outcome.injected:
                break
            yield f"{call} {when}", outcome
        else:
            raise AssertionError(call)
