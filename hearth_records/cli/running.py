"""Running one command that the operator wrote on the command line: the only place that starts a process.

It lies outside the recording core, and runs nothing that came out of a plan or a record.

The command is not to notice: it inherits standard input, the environment and what signals are ignored; what it writes
goes through byte for byte, hashed on the way. When an output cannot be passed on, the command's end of it is closed, so
that it sees what it would have seen without us. As behind any pipe, both outputs have to end, not the command alone: a
daemon that it leaves behind needs outputs of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import selectors
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Final, Self, TextIO

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, TracebackType

__all__ = ["Outcome", "Runner"]

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
_SIGNALLED: Final = 128
_CHUNK: Final = 64 * 1024
_TYPED: Final = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON: Final = (signal.SIGHUP, *_TYPED, signal.SIGTERM)


class Outcome(Struct, frozen=True, kw_only=True):
    """How a command ended.

    Attributes:
        exit_status: as a shell sees it: 128 and the number of the signal that killed it, 127 when it was not found, 126
            when it could not be started.
        summary: one line about it.
        details: what is recorded; empty when it did not start.
        lost: why not all of its output could be written, or None; that nobody reads any more is no reason.

    """

    exit_status: int
    summary: str
    details: dict[str, Any]
    lost: str | None = None


class Runner:
    """Runs a command inside a `with`, to whose end no signal ends this process: signals are for the command.

    So what the command did can be recorded before this process ends too.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pending: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over, but for those that are ignored."""
        for number in _PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, command: Sequence[str]) -> Outcome:
        """Run a command in the foreground and wait for its end and that of its outputs."""
        started = time.monotonic_ns()
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603 - the operator wrote it
        except FileNotFoundError:
            return Outcome(exit_status=NOT_FOUND, summary=f"{command[0]}: not found", details={})
        except OSError as error:
            summary = f"{command[0]}: {error.strerror or error}"
            return Outcome(exit_status=NOT_EXECUTABLE, summary=summary, details={})
        self._process = process
        for number in self._pending:
            process.send_signal(number)
        assert process.stdout is not None  # noqa: S101 - asked for
        assert process.stderr is not None  # noqa: S101 - asked for
        out, err = _Stream(process.stdout, sys.stdout), _Stream(process.stderr, sys.stderr)
        _pass_on(out, err)
        status = process.wait()
        killed_by = -status if status < 0 else None
        exit_status = status if killed_by is None else _SIGNALLED + killed_by
        return Outcome(
            exit_status=exit_status,
            summary=f"exit status {status}" if killed_by is None else f"killed by signal {killed_by}",
            details={
                "exit_status": exit_status,
                "signal": killed_by,
                "duration_ms": (time.monotonic_ns() - started) // 1_000_000,
                "stdout": out.details(),
                "stderr": err.details(),
            },
            lost=out.lost or err.lost,
        )

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._pending.append(number)
        elif number not in _TYPED or not _is_foreground():  # what was typed reached the command as well
            self._process.send_signal(number)


def _is_foreground() -> bool:
    """Whether this process belongs to those that a terminal's keyboard interrupts."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class _Stream:
    """One output of the command: read, hashed and written to where ours goes."""

    def __init__(self, source: IO[bytes], target: TextIO) -> None:
        self.source = source
        self.lost: str | None = None
        self._target = target.fileno()
        self._hash = hashlib.sha256()
        self._bytes = 0

    def pass_on(self) -> bool:
        """Take what is there; return whether more can come."""
        data = os.read(self.source.fileno(), _CHUNK)
        self._hash.update(data)
        self._bytes += len(data)
        try:
            self._write(data)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.lost = error.strerror or str(error)
            return False
        return bool(data)

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._target, data) :]
            except BlockingIOError:  # somebody else, who has the same pipe open, asked for that
                select.select([], [self._target], [])

    def details(self) -> dict[str, Any]:
        """Return what is recorded about it."""
        return {"bytes": self._bytes, "sha256": self._hash.hexdigest()}


def _pass_on(*streams: _Stream) -> None:
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for stream in streams:
            stack.enter_context(stream.source)
            selector.register(stream.source, selectors.EVENT_READ, stream)
        while selector.get_map():
            for key, _events in selector.select():
                if not key.data.pass_on():
                    selector.unregister(key.fileobj)
                    key.data.source.close()
