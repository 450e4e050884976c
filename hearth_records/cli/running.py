"""Running one command that the operator wrote on the command line: the only place that starts a process.

It lies outside the recording core, and runs nothing that came out of a plan or a record. What the command writes goes
through unchanged, hashed on the way.
"""

from __future__ import annotations

import hashlib
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

__all__ = ["CommandNotRun", "Outcome", "run_command"]

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
_SIGNALLED: Final = 128
_CHUNK: Final = 64 * 1024


class CommandNotRun(Exception):  # noqa: N818 - what happened, as `env` reports it
    """The command could not be started: 127 when it was not found, 126 when it could not be run."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class Outcome(Struct, frozen=True):
    """How a command ended: its exit status as a shell sees it, one line about it, and what is recorded."""

    exit_status: int
    summary: str
    details: dict[str, Any]


class _Stream:
    """One output of the command, hashed and passed on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._bytes = 0

    def take(self, data: bytes) -> None:
        self._hash.update(data)
        self._bytes += len(data)
        while data and self._target >= 0:
            try:
                data = data[os.write(self._target, data) :]
            except OSError:  # whoever read our output is gone; the command is recorded to its end all the same
                self._target = -1

    def details(self) -> dict[str, Any]:
        return {"bytes": self._bytes, "sha256": self._hash.hexdigest()}


def run_command(command: Sequence[str]) -> Outcome:
    """Run a command in the foreground and wait for it; an interrupt from the terminal is left to the command.

    Raises:
        CommandNotRun: it could not be started.

    """
    started = time.monotonic_ns()
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603 - the operator wrote it here
    except FileNotFoundError:
        raise CommandNotRun(f"{command[0]}: not found", NOT_FOUND) from None
    except (OSError, ValueError) as error:
        raise CommandNotRun(f"{command[0]}: {error}", NOT_EXECUTABLE) from None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {
        number: signal.signal(number, handler)
        for number, handler in (
            (signal.SIGINT, _ignore),
            (signal.SIGQUIT, _ignore),
            (signal.SIGTERM, pass_on),
            (signal.SIGHUP, pass_on),
        )
    }
    try:
        out, err = _follow(process)
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    killed_by = -status if status < 0 else None
    exit_status = status if killed_by is None else _SIGNALLED + killed_by
    return Outcome(
        exit_status,
        f"exit status {status}" if killed_by is None else f"killed by signal {killed_by}",
        {
            "exit_status": exit_status,
            "signal": killed_by,
            "duration_ms": (time.monotonic_ns() - started) // 1_000_000,
            "stdout": out.details(),
            "stderr": err.details(),
        },
    )


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Let the command decide, which got the same signal; a handler, unlike SIG_IGN, is not inherited."""


def _follow(process: subprocess.Popen[bytes]) -> tuple[_Stream, _Stream]:
    assert process.stdout is not None  # noqa: S101 - asked for
    assert process.stderr is not None  # noqa: S101 - asked for
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = _Stream(1), _Stream(2)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, err)
        while selector.get_map():
            for key, _events in selector.select():
                if data := os.read(key.fd, _CHUNK):
                    key.data.take(data)
                else:
                    selector.unregister(key.fileobj)
    process.stdout.close()
    process.stderr.close()
    return out, err
