"""Observer and journal, driven through legal and illegal calls beside a model of the rules and beside memory.

The rules are those of the machine in `test_observer`. Each call goes to an observer with a journal and to one without;
both have to answer alike, and the file has to hold, after every call, what memory holds.
"""

from __future__ import annotations

import contextlib
import os
import resource
import tempfile
from pathlib import Path
from typing import Any

import pytest
from helpers import TickingClock, observe, policy_for, randomness, signer
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from recorder import EXECUTION_ID
from test_observer import ObserverMachine

from hearth_records.canonical import OPENING, encode_event
from hearth_records.errors import HearthRecordsError, JournalError
from hearth_records.journal import Journal, journal_path
from hearth_records.observer import ExecutionObserver
from hearth_records.recovery import inspect, recover
from hearth_records.verify import verify_record


class Twins:
    """An observer with a journal and one without, which are asked the same and have to answer the same."""

    def __init__(self, journalled: ExecutionObserver, in_memory: ExecutionObserver) -> None:
        self.journalled = journalled
        self.in_memory = in_memory

    def __getattr__(self, name: str) -> Any:
        values = [getattr(one, name) for one in (self.in_memory, self.journalled)]
        if not callable(values[0]):
            assert values[0] == values[1]
            return values[0]

        def call(*arguments: Any, **named: Any) -> Any:
            answers = [_answer(value, arguments, named) for value in values]
            assert answers[0][1:] == answers[1][1:]
            if isinstance(answers[0][0], BaseException):
                raise answers[0][0]
            return answers[0][0]

        return call


def _answer(call: Any, arguments: Any, named: Any) -> tuple[Any, ...]:
    """Return what a call returns or raises, and what of it can be compared."""
    try:
        value = call(*arguments, **named)
    except HearthRecordsError as error:
        return error, type(error), error.code, error.seq, error.pointer, str(error)
    return value, None, value


class JournalMachine(ObserverMachine):
    """The observer's rules, with a journal under it that is reopened, contended for, copied and broken on the way."""

    observer: Any

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.scratch = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
        self.directory = Path(self.scratch.name)
        self.path = Path(journal_path(self.directory, EXECUTION_ID))
        self.clocks = [TickingClock(), TickingClock()]
        self.salts = [randomness(), randomness()]
        self.journal = Journal.create(self.directory, EXECUTION_ID)
        self.observer = Twins(
            observe(
                EXECUTION_ID, "p", self.kernel, clock=self.clocks[0], randomness=self.salts[0], journal=self.journal
            ),
            observe(EXECUTION_ID, "p", self.kernel, clock=self.clocks[1], randomness=self.salts[1]),
        )

    def lines(self) -> list[bytes]:
        return [encode_event(event) for event in self.observer.in_memory.get_execution_record("LIVE").events]

    def resume(self) -> None:
        self.journal = Journal.open(self.path)
        self.observer.journalled = ExecutionObserver.resume(
            self.journal, self.kernel, clock=self.clocks[0], randomness=self.salts[0]
        )

    @rule()
    def another_process_goes_on(self) -> None:
        self.journal.close()
        with pytest.raises(JournalError) as caught:
            self.observer.journalled.get_execution_record("LIVE")
        assert caught.value.code == "closed"
        self.resume()

    @rule()
    def somebody_else_tries(self) -> None:
        with pytest.raises(JournalError) as caught:
            Journal.open(self.path)
        assert (caught.value.code, caught.value.actual) == ("locked", os.getpid())
        with pytest.raises(JournalError) as caught:
            Journal.create(self.directory, EXECUTION_ID)
        assert caught.value.code == "exists"
        with pytest.raises(JournalError) as caught:
            recover(self.path, signer(), reason="x")
        assert caught.value.code == "locked"

    @rule(room=st.integers(0, 60))
    @precondition(lambda self: not self.finished)
    def the_disk_is_full_for_a_while(self, room: int) -> None:
        before = self.path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))
        try:
            with pytest.raises(JournalError) as caught:
                self.observer.journalled.record_security_observed("lost")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.code == "io"
        for call in (
            self.observer.journalled.record_security_observed,
            lambda: self.observer.journalled.seal(signer()),
        ):
            with pytest.raises(JournalError) as caught:
                call()
            assert caught.value.code == "poisoned"
        self.journal.close()
        assert self.path.read_bytes()[: len(before)] == before
        assert inspect(self.path).torn_bytes == room
        os.truncate(self.path, len(before))  # as recovery would, which ends the recording as well
        self.clocks[0].now = self.clocks[1].now
        self.resume()

    @rule(tail=st.binary(max_size=20).filter(lambda tail: b"\n" not in tail and tail[:1] != b"]"))
    def the_machine_stops_and_a_copy_is_recovered(self, tail: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            copy = Path(journal_path(directory, EXECUTION_ID))
            copy.write_bytes(self.path.read_bytes() + tail)
            found = inspect(copy)
            assert (found.events, found.finished, found.torn_bytes) == (self.count, self.finished, len(tail))
            record = recover(copy, signer(), reason="stopped", clock=TickingClock())
            verified = verify_record(Path(record).read_bytes(), policy_for(signer())).require().record
            lines = [encode_event(event) for event in verified.events]
            assert lines[: self.count] == self.lines()
            assert len(lines) == self.count + (not self.finished)

    @invariant()
    def the_file_holds_what_memory_holds(self) -> None:
        assert self.path.read_bytes() == OPENING + b"\n,".join(self.lines()) + b"\n"
        assert self.path.stat().st_size == self.journal.size

    def teardown(self) -> None:
        with contextlib.closing(self.journal), self.scratch:
            if not self.finished:
                self.observer.mark_incomplete_security_escalation("the end")
            data = self.observer.in_memory.seal(signer()).data
            assert self.observer.journalled.seal(signer()).data == data
            assert {path.name: path.read_bytes() for path in self.directory.iterdir()} == {
                f"{EXECUTION_ID}.record.json": data
            }
            assert verify_record(data, policy_for(signer())).exit_code == 0


JournalMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None, database=None)
TestJournalBesideItsModel = JournalMachine.TestCase
