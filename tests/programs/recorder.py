"""Runs operations on a journal in a fork of a process that has loaded everything: the child of the fault tests.

    {"notes": PATH, "gate": PATH, "directory": PATH, "operations": [[NAME, ARGUMENT…]…], …}     one job a line
    PID                                                                     answered by the child, at its gate
    stopped                                                                 as often as it stops itself
    STATUS                                                                  that of wait, when it has ended

The child waits at its gate, a FIFO, for one byte, so that strace can be put on it before. What it has to say goes into
a shared mapping: that takes no system call, so that every call that is counted is one of the recording, and it is there
after SIGKILL.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import resource
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import SEED, TickingClock, observe, randomness, run_standard, signer

from hearth_records.journal import Journal, journal_path
from hearth_records.kernel import HearthKernel
from hearth_records.observer import ExecutionObserver
from hearth_records.recordable import Withholdable
from hearth_records.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import HasFileno

    from hearth_records.journal import Sync

NOTES_SIZE = 16 * 1024
WITHHOLDABLE = "withholdable:"
"""What the names of details begin with, in a job, that are recorded as withholdable."""
PATIENCE = 60
"""Seconds after which a child that nobody lets go on ends itself."""


class Interrupted(Exception):  # noqa: N818 - what a signal handler raises is no error of anybody's
    """Raised by a signal handler in the middle of whatever runs."""


class Notes:
    """Lines in a shared mapping; the first eight bytes are their length."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:  # noqa: PTH123 - plain and quick
            self._area = mmap.mmap(file.fileno(), NOTES_SIZE)
        self._size = 8

    def add(self, line: str) -> None:
        data = line.encode() + b"\n"
        self._area[self._size : self._size + len(data)] = data
        self._size += len(data)
        self._area[:8] = self._size.to_bytes(8, "big")


def restored(argument: Any) -> Any:
    """Return an argument of an operation as it is meant: details may be withholdable."""
    if not isinstance(argument, dict):
        return argument
    return {
        name.removeprefix(WITHHOLDABLE): Withholdable(value) if name.startswith(WITHHOLDABLE) else value
        for name, value in argument.items()
    }


def read_notes(data: bytes) -> list[list[str]]:
    """Return the notes in a mapping, as words."""
    size = int.from_bytes(data[:8], "big")
    return [line.split(" ") for line in data[8 : max(size, 8)].decode().splitlines()]


class Child:
    """One journal, one observer, and the operations on them."""

    def __init__(self, job: dict[str, Any], notes: Notes) -> None:
        self.job = job
        self.notes = notes
        self.journal: Journal | None = None
        self.observer: ExecutionObserver | None = None
        self.clock = TickingClock(*map(datetime.fromisoformat, job["clock"]))
        self.armed = False

    def run(self) -> None:
        """Do every operation, also after one has failed, and note what became of it."""
        for number, (name, *arguments) in enumerate(self.job["operations"]):
            operation = self.operation(name)
            try:
                self.armed = True
                operation(*arguments)
                self.armed = False
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is noted
                self.armed = False
                self.notes.add(f"{number} {name} {describe(error)}")
            else:
                self.notes.add(f"{number} {name} ok")

    def operation(self, name: str) -> Callable[..., object]:
        """Return what a job calls by that name: what follows, or else a method of the observer."""
        own: Callable[..., object] | None = getattr(self, f"do_{name}", None)
        if own is not None:
            return own

        def call(*arguments: object) -> None:
            assert self.observer is not None
            getattr(self.observer, name)(*map(restored, arguments))

        return call

    def do_create(self, sync: Sync = "event") -> None:
        self.journal = Journal.create(self.job["directory"], self.job["id"], sync=sync)

    def do_open(self) -> None:
        self.journal = Journal.open(journal_path(self.job["directory"], self.job["id"]))

    def do_observe(self) -> None:
        assert self.journal is not None
        self.observer = observe(self.job["id"], journal=self.journal, clock=self.clock, randomness=randomness(0))

    def do_resume(self) -> None:
        assert self.journal is not None
        self.observer = ExecutionObserver.resume(
            self.journal, HearthKernel(), clock=self.clock, randomness=randomness(1)
        )

    def do_seal(self) -> None:
        assert self.observer is not None
        self.observer.seal(signer(SEED))

    def do_recover(self) -> None:
        recover(journal_path(self.job["directory"], self.job["id"]), signer(SEED), reason="test", clock=self.clock)

    def do_limit(self, name: str, value: int) -> None:
        number = getattr(resource, name)
        resource.setrlimit(number, (value, resource.getrlimit(number)[1]))

    def do_use_up_descriptors(self) -> None:
        next_one = os.dup(0)
        os.close(next_one)
        self.do_limit("RLIMIT_NOFILE", next_one)

    def do_meet(self, fifo: str) -> None:
        """Wait until somebody reads `fifo` to its end."""
        with open(fifo, "wb"):  # noqa: PTH123 - plain and quick
            pass

    def do_stop(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def do_leave_child(self, fifo: str) -> None:
        """Fork a child that lives until somebody has read `fifo` to its end, and wait until it runs."""
        here, there = os.pipe()
        if os.fork() == 0:
            signal.alarm(PATIENCE)
            os.close(there)
            self.do_meet(fifo)
            os._exit(0)
        os.close(there)
        os.read(here, 1)
        os.close(here)

    def do_in_child(self, name: str, *arguments: object) -> None:
        """Fork a child that does one operation, and note what became of it there."""
        here, there = os.pipe()
        if os.fork() == 0:
            answer = "ok"
            try:
                self.operation(name)(*arguments)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
                answer = describe(error)
            os.write(there, answer.encode())
            os._exit(0)
        os.close(there)
        with open(here, "rb") as answers:  # noqa: PTH123 - a descriptor
            answer = answers.read().decode()
        os.wait()
        self.notes.add(f"child {answer}")


def describe(error: BaseException) -> str:
    """Return an error's type, code and what it found."""
    return f"{type(error).__name__} {getattr(error, 'code', None)} {getattr(error, 'actual', None)}"


def _forget(fd: int | HasFileno) -> None:
    """Sync nothing."""


def live(job: dict[str, Any]) -> NoReturn:
    """Be the child."""
    signal.alarm(PATIENCE)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1))  # PR_SET_PTRACER, any: strace is not an ancestor
    child = Child(job, Notes(job["notes"]))

    def interrupt(_number: int, _frame: object) -> None:
        if child.armed:
            raise Interrupted

    signal.signal(signal.SIGUSR1, interrupt)
    if job["forget_syncs"]:  # the control: a disk that lies, or a journal that does not care
        os.fsync = os.fdatasync = _forget
    gate = os.open(job["gate"], os.O_RDONLY)
    os.write(1, b"%d\n" % os.getpid())
    os.readv(gate, [bytearray(1)])  # not `read`, which recovery calls as well
    child.run()
    os._exit(0)


def main() -> None:
    """Serve jobs until standard input ends."""
    run_standard(observe()).seal(signer(SEED))  # so that everything is loaded
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            live(json.loads(line))
        while os.WIFSTOPPED(status := os.waitpid(pid, os.WUNTRACED)[1]):
            print("stopped", flush=True)  # noqa: T201 - the answer
        print(status, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
