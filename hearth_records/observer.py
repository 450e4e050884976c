"""`ExecutionObserver`: turns what happens into events, and seals the completed record.

The observer records and never acts. It asks the kernel for its state when a step starts and when the execution ends,
and nothing else of the world.

Calls from several threads are recorded one after the other. What a signal handler tells in the middle of a call is
recorded right behind what that call tells, before it returns; if it may not come there, that call raises why.

Fail-closed: once the kernel has escalated, starting a step and any other end than
`mark_incomplete_security_escalation` record what was seen and raise `SecurityEscalationError`.
"""

from __future__ import annotations

import _thread
import functools
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, Self, TypeVar

from msgspec import Raw

from hearth_records import canonical, recordable
from hearth_records._version import __version__
from hearth_records.disclosure import SaltedDetails, SortedDisclosures, Withholder, sort_out
from hearth_records.errors import (
    HearthRecordsError,
    JournalError,
    LifecycleError,
    RecordingError,
    SealError,
    SecurityEscalationError,
    quote,
    safe_repr,
)
from hearth_records.journal import Journal, check_execution, scan
from hearth_records.lifecycle import LifecycleState, is_escalated
from hearth_records.model import (
    FORMAT,
    ExecutionFinished,
    ExecutionRecord,
    ExecutionStarted,
    IncompleteCause,
    LiveModeState,
    Origin,
    Plan,
    ScalarError,
    SealedRecord,
    SecurityObserved,
    SecuritySnapshot,
    SideEffectCategory,
    SideEffectObserved,
    StepCompleted,
    StepFailed,
    StepPhase,
    StepStarted,
    format_timestamp,
    system_clock,
)
from hearth_records.profile import DEFAULT_LIMITS, MAX_INTEGER, sha256_hex
from hearth_records.redaction import mask_secrets
from hearth_records.seal import check_sealed, make_closing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import FrameType, TracebackType

    from hearth_records.canonical import LineSource
    from hearth_records.journal import Scan
    from hearth_records.kernel import SecurityKernel
    from hearth_records.keys import Signer
    from hearth_records.model import (
        Actor,
        Approval,
        Event,
        Link,
        Recovery,
        Series,
    )
    from hearth_records.recordable import OnUnrecordable, WithholdableDetails
    from hearth_records.redaction import Redact

__all__ = ["ExecutionObserver", "ObservedStep"]

_ENDS_AFTER_ESCALATION: Final = (IncompleteCause.SECURITY_ESCALATION, IncompleteCause.RECOVERED)
_MAX_DISCLOSED: Final = DEFAULT_LIMITS.closing // 2
"""Bytes of an execution's disclosures: the closing line has to hold them, and signatures and evidence besides."""
SOFTWARE: Final = f"hearth-records/{__version__}"


def default_origin() -> Origin:
    """Return this machine's node name and this library; nothing is known of its clock."""
    return Origin(host=recordable.to_text(os.uname().nodename), software=SOFTWARE)


class EventSink(Protocol):
    """Where an observer's events go: memory, or a journal."""

    def append(self, line: bytes, *, boundary: bool) -> None:
        """Take an event's canonical bytes; at a `boundary` everything so far is durable when this returns."""

    def disclose(self, disclosures: Sequence[str]) -> None:
        """Take the disclosures of the next event; they are durable when this returns."""

    def disclosures(self) -> Sequence[str]:
        """Return the disclosures so far, also those whose event was not taken."""

    def read(self) -> Sequence[bytes]:
        """Return the canonical bytes of all events so far."""

    def source(self, more: bytes = b"") -> LineSource:
        """Return a reader of the file so far, and of `more` behind it."""

    def publish(self, closing_line: bytes) -> Callable[[], bytes]:
        """Close the file with its last line; return what reads the whole of it."""


class MemorySink:
    """Keeps events in memory; they end with the process."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._disclosures: list[str] = []

    def append(self, line: bytes, *, boundary: bool) -> None:  # noqa: ARG002 - memory is never durable
        """Keep an event."""
        self._lines.append(line)

    def disclose(self, disclosures: Sequence[str]) -> None:
        """Keep disclosures."""
        self._disclosures += disclosures

    def disclosures(self) -> Sequence[str]:
        """Return the disclosures so far."""
        return self._disclosures

    def read(self) -> Sequence[bytes]:
        """Return the events so far."""
        return self._lines

    def source(self, more: bytes = b"") -> LineSource:
        """Return a reader of the file so far."""
        return io.BytesIO(self._file(more))

    def publish(self, closing_line: bytes) -> Callable[[], bytes]:
        """Return what gives the whole file. It can be sealed again: memory is not closed."""
        data = self._file(closing_line)
        return lambda: data

    def _file(self, more: bytes) -> bytes:
        return b"".join((canonical.OPENING, b"\n,".join(self._lines), b"\n", more))


class ExecutionObserver:
    """Records one execution, from its construction to one of the `mark_…` calls.

    Args:
        execution_id: an identifier (FORMAT §2); it becomes the file's name.
        plan: a `Plan`, or just a plan's id. The plan and its hints are recorded now, before anything runs.
        kernel: anything with `get_security_state()` and `get_boundary_state()`.
        live_mode_state: "LIVE" or "DRY_RUN".
        actor: who or what runs the execution.
        approvals: who agreed to it.
        reason: why it runs.
        change_ref: the change or ticket it belongs to.
        links: other executions that it refers to.
        series: its place in a series of executions.
        origin: host and software; the machine's node name and this library without it.
        details: whatever else is worth recording about the start.
        clock: returns the present time as an aware datetime.
        on_unrecordable: "mark" what cannot be recorded in its place, or "raise" a `RecordingError` that names it.
        journal: a new journal of this execution, which makes each event durable before its call returns; without one
            the record lies in memory and ends with the process.
        redact: is asked for every member of details and every free text before anything is hashed or written; masks
            members called password, token and the like by default, None turns it off (`redaction`).
        randomness: from a number of bytes to that many random ones, for the salts of `Withholdable` members.
        decoys: fill the digests of an event that has such members up to a multiple of this number with digests of
            nothing, so that they say less about how many members there are.

    Raises:
        RecordingError: an argument cannot be recorded; nothing was recorded then.
        JournalError: the journal cannot be relied on, from any recording call.

    Only misuse and escalation raise while recording. Whatever `details` holds is copied and recorded, or marked in its
    place; a kernel that fails counts as `UNKNOWN`; a clock that fails repeats its last time.

    """

    def __init__(
        self,
        execution_id: str,
        plan: Plan | str,
        kernel: SecurityKernel,
        *,
        live_mode_state: LiveModeState | str = LiveModeState.LIVE,
        actor: Actor | None = None,
        approvals: Iterable[Approval] = (),
        reason: str = "",
        change_ref: str | None = None,
        links: Iterable[Link] = (),
        series: Series | None = None,
        origin: Origin | None = None,
        details: Mapping[str, Any] | None = None,
        clock: Callable[[], datetime] = system_clock,
        on_unrecordable: OnUnrecordable = "mark",
        journal: Journal | None = None,
        redact: Redact | None = mask_secrets,
        randomness: Callable[[int], bytes] = os.urandom,
        decoys: int = 0,
    ) -> None:
        if journal is not None and (
            not isinstance(journal, Journal)
            or journal.execution_id != execution_id
            or journal.size != len(canonical.OPENING)
        ):
            raise RecordingError(
                "the journal is not a new one of this execution",
                code="journal",
                expected=execution_id,
                actual=getattr(journal, "execution_id", type(journal).__name__),
                hint="Journal.create makes a new one, ExecutionObserver.resume goes on with one that has begun",
            )
        self._begin(journal, kernel, clock, on_unrecordable, redact, withholder=Withholder(randomness, decoys))
        try:
            self._last_time = format_timestamp(clock())
        except Exception as error:
            raise RecordingError(
                f"the clock cannot be read: {quote(recordable.to_text(error))}", code="clock"
            ) from error
        try:
            members = {
                "format": FORMAT,
                "execution_id": execution_id,
                "plan": plan if isinstance(plan, Plan) else Plan(plan_id=plan),
                "live_mode_state": LiveModeState(live_mode_state),
                "actor": recordable.with_texts(actor),
                "approvals": tuple(map(recordable.with_texts, approvals)),
                "reason": self._text("reason", reason),
                "change_ref": None if change_ref is None else self._text("change_ref", change_ref),
                "links": tuple(links),
                "series": series,
                "origin": recordable.with_texts(origin) if origin is not None else default_origin(),
                "security_snapshot": SecuritySnapshot.from_kernel(kernel, "Pre-execution"),
            }
            self._record(ExecutionStarted, members, details, boundary=True)
        except JournalError:
            raise
        except HearthRecordsError as error:
            raise RecordingError(
                error.reason, code=error.code, pointer=error.pointer, actual=error.actual, expected=error.expected
            ) from error
        except ScalarError as error:
            raise RecordingError(str(error), code=error.code, pointer=f"/{error.member}") from error
        except Exception as error:
            text = quote(recordable.to_text(error))
            raise RecordingError(f"the execution cannot be recorded: {text}", code="argument") from error
        if journal is not None:
            journal.claim()

    def _begin(
        self,
        journal: Journal | None,
        kernel: SecurityKernel,
        clock: Callable[[], datetime],
        on_unrecordable: OnUnrecordable,
        redact: Redact | None,
        *,
        withholder: Withholder,
    ) -> None:
        if on_unrecordable not in ("mark", "raise"):
            raise RecordingError(
                "on_unrecordable is mark or raise", code="argument", actual=recordable.to_text(on_unrecordable)
            )
        if redact is not None and not callable(redact):
            raise RecordingError(
                "redact is a function of a name and a value, or None", code="argument", actual=type(redact).__name__
            )
        self._sink: EventSink = journal or MemorySink()
        self._lock = _thread.RLock()
        self._is_recording = False
        self._told_meanwhile: list[Callable[[], None]] = []
        self._withholder = withholder
        self._disclosed = 0
        self.left_out = 0
        """How many disclosures `seal` left out, because their event was never acknowledged."""
        self._redact = redact
        self._kernel = kernel
        self._clock = clock
        self._on_unrecordable: OnUnrecordable = on_unrecordable
        self._lifecycle = LifecycleState()
        self._head: str | None = None
        self._last_time = ""
        self._in_doubt = False

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:  # noqa: ANN401 - as in object
        """Refuse to be copied or pickled: a record is written by one observer."""
        msg = "an observer cannot be copied or pickled: one object writes a record"
        raise TypeError(msg)

    @classmethod
    def resume(
        cls,
        journal: Journal,
        kernel: SecurityKernel,
        *,
        clock: Callable[[], datetime] = system_clock,
        on_unrecordable: OnUnrecordable = "mark",
        redact: Redact | None = mask_secrets,
        randomness: Callable[[int], bytes] = os.urandom,
        decoys: int = 0,
    ) -> Self:
        """Go on recording in a journal that has begun, for example from the next short process of a script.

        Raises:
            JournalError: it holds no event, is closed, is another execution's than its name says, or ends in a torn
                tail (`hearth-records recover`).
            FormatError, ChainError, LifecycleError: it is damaged.

        """
        observer = cls.__new__(cls)
        withholder = Withholder(randomness, decoys)
        observer._begin(journal, kernel, clock, on_unrecordable, redact, withholder=withholder)  # noqa: SLF001 - its own
        check_execution(journal.path, observer._resynchronize())  # noqa: SLF001 - its own
        if observer._head is None:  # noqa: SLF001 - its own
            raise JournalError(
                "the journal holds no event", code="no-event", hint="nothing was acknowledged: start anew"
            )
        journal.claim()
        return observer

    def _resynchronize(self) -> Scan:
        """Find out from the sink where the execution stands."""
        found = scan(self._sink.source())
        if found.closing_line or found.torn:
            raise JournalError(
                "the journal is closed" if found.closing_line else "the journal ends in a torn tail",
                code="closed" if found.closing_line else "torn",
                hint="hearth-records recover says what is there",
            )
        self._lifecycle, self._head = found.lifecycle, found.chain.head
        self._last_time = self._lifecycle.last_timestamp
        self._disclosed = sum(map(_size_in_list, self._sink.disclosures()))
        self._in_doubt = False
        return found

    # -- steps --------------------------------------------------------------------------------------------------------

    def record_step_started(
        self,
        step_index: int,
        step_name: str,
        details: Mapping[str, Any] | None = None,
        *,
        phase: StepPhase | str = StepPhase.PLAN,
    ) -> None:
        """Record that a step is about to run.

        Args:
            step_index: higher than that of every step before; steps do not start twice.
            step_name: what it is called.
            details: whatever else is worth recording; copied.
            phase: "plan", or "cleanup", the only one that starts after a failure.

        Raises:
            SecurityEscalationError: the kernel has escalated; what was seen is recorded, the step must not run.
            RecordingError: a step is open, the index was used, the record has ended, or an argument is of no use.

        """
        step = self._step_members(step_index, step_name, phase)
        snapshot = SecuritySnapshot.from_kernel(self._kernel, f"Before step {step_index}")
        if self._is_escalated(snapshot):
            self._refuse(snapshot, {"call": "record_step_started", **step, "details": details})
        self._record(StepStarted, {**step, "error_message": None}, details, boundary=True)

    def record_step_completed(
        self,
        step_index: int,
        step_name: str,
        details: Mapping[str, Any] | None = None,
        *,
        phase: StepPhase | str | None = None,
    ) -> None:
        """Record that the open step did what it should. Raises `RecordingError` when it is not the open step."""
        step = self._step_members(step_index, step_name, self._open_phase(phase))
        self._record(StepCompleted, {**step, "error_message": None}, details, boundary=True)

    def record_step_failed(
        self,
        step_index: int,
        step_name: str,
        error_message: str,
        details: Mapping[str, Any] | None = None,
        *,
        phase: StepPhase | str | None = None,
    ) -> None:
        """Record that the open step failed, and why.

        Raises:
            RecordingError: another step is open, or this one has ended.

        """
        step = self._step_members(step_index, step_name, self._open_phase(phase))
        message = self._text("error_message", error_message, empty="(no message)")
        self._record(StepFailed, {**step, "error_message": message}, details, boundary=True)

    def step(
        self,
        step_index: int,
        step_name: str,
        details: Mapping[str, Any] | None = None,
        *,
        phase: StepPhase | str = StepPhase.PLAN,
    ) -> ObservedStep:
        """Return a context manager that records a step's start and end; an exception is recorded and goes on.

        Example:
            with observer.step(0, "Deploy") as step:
                step.record_side_effect("network", "told the load balancer", True)

        """
        return ObservedStep(self, step_index, step_name, details, phase)

    # -- effects and security -----------------------------------------------------------------------------------------

    def record_side_effect(
        self,
        category: SideEffectCategory | str,
        description: str,
        reversible: bool | None,  # noqa: FBT001 - the system's own name for this call
        step_index: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Record that something changed in the world.

        Args:
            category: one of `SideEffectCategory`.
            description: what changed.
            reversible: None when it is not known; guidance treats that as irreversible.
            step_index: a step that has started, or None.
            details: whatever else is worth recording; copied.

        Raises:
            RecordingError: the step has not started, the record has ended, or an argument is of no use.

        """
        if reversible is not None and not isinstance(reversible, bool):
            raise RecordingError("reversible is True, False or None", code="argument", actual=safe_repr(reversible))
        members = {
            "category": _member(SideEffectCategory, category),
            "description": self._text("description", description),
            "reversible": reversible,
            "step_index": None if step_index is None else _index(step_index),
        }
        self._record(SideEffectObserved, members, details, boundary=False)

    def record_security_observed(self, context: str = "", details: Mapping[str, Any] | None = None) -> SecuritySnapshot:
        """Ask the kernel for its state, record the answer, and return it. Raises `RecordingError` after the end."""
        snapshot = SecuritySnapshot.from_kernel(self._kernel, self._text("context", context))
        self._record(SecurityObserved, {"security_snapshot": snapshot}, details, boundary=False)
        return snapshot

    # -- the end ------------------------------------------------------------------------------------------------------

    def mark_completed(
        self, reason: str, details: Mapping[str, Any] | None = None, *, unknown_effects: bool = True
    ) -> None:
        """End the record: the execution did what it should.

        Args:
            reason: what to say about it.
            details: whatever else is worth recording; copied.
            unknown_effects: False only when the caller vouches that every effect was observed.

        Raises:
            SecurityEscalationError: the kernel has escalated; what was seen is recorded.
            RecordingError: a step is open or has failed, or the record has ended.

        """
        self._finish("completed", reason, details, unknown_effects=unknown_effects)

    def mark_failed(
        self, reason: str, details: Mapping[str, Any] | None = None, *, unknown_effects: bool = True
    ) -> None:
        """End the record: the execution failed. Arguments and errors as for `mark_completed`; a step may be open."""
        self._finish("failed", reason, details, unknown_effects=unknown_effects)

    def mark_abandoned(
        self, reason: str, details: Mapping[str, Any] | None = None, *, unknown_effects: bool = True
    ) -> None:
        """End the record as incomplete, because nobody goes on. Raises as `mark_failed`."""
        self._finish("incomplete", reason, details, unknown_effects=unknown_effects, cause=IncompleteCause.ABANDONED)

    def mark_recovered(self, reason: str, recovery: Recovery, details: Mapping[str, Any] | None = None) -> None:
        """End the record as incomplete, because whoever recorded it is gone. Raises `RecordingError` after the end."""
        self._finish(
            "incomplete", reason, details, unknown_effects=True, cause=IncompleteCause.RECOVERED, recovery=recovery
        )

    def mark_incomplete_security_escalation(
        self, reason: str, details: Mapping[str, Any] | None = None, *, unknown_effects: bool = True
    ) -> None:
        """End the record as incomplete: the only end after an escalation; there is no recovery without a restart."""
        self._finish(
            "incomplete", reason, details, unknown_effects=unknown_effects, cause=IncompleteCause.SECURITY_ESCALATION
        )

    # -- what came of it ----------------------------------------------------------------------------------------------

    @property
    def is_finished(self) -> bool:
        """Whether the record has its terminal event."""
        return self._lifecycle.finished is not None

    @property
    def open_step(self) -> StepStarted | None:
        """The step that has started and not ended, or None."""
        return self._lifecycle.open_step

    @property
    def last_security_snapshot(self) -> SecuritySnapshot:
        """The security state as it was recorded last."""
        return self._lifecycle.last_snapshot or self._start.security_snapshot

    @property
    def is_escalated(self) -> bool:
        """Whether a recorded snapshot has escalated, or the kernel has by now: the only end left is `incomplete`."""
        return self._is_escalated(SecuritySnapshot.from_kernel(self._kernel, ""))

    def is_step_open(self, step_index: int) -> bool:
        """Whether that step has started and not ended."""
        step = self._lifecycle.open_step
        return step is not None and step.step_index == step_index and not self.is_finished

    def get_execution_record(self, live_mode_state: LiveModeState | str) -> ExecutionRecord:
        """Return the record so far; its status is `STARTED` until it has ended.

        Raises:
            RecordingError: the execution was recorded in another mode.

        """
        recorded = self._start.live_mode_state
        if live_mode_state != recorded:
            raise RecordingError(
                "the execution was recorded in another mode",
                code="live-mode-state",
                expected=recorded,
                actual=recordable.to_text(live_mode_state),
            )
        lines = self._sink.read()
        return ExecutionRecord(tuple(canonical.decode_event(line, position) for position, line in enumerate(lines)))

    @property
    def disclosures(self) -> tuple[str, ...]:
        """The disclosures of the events so far, sorted, as the closing line will hold them.

        Raises:
            JournalError: the disclosures of a journal cannot be read, or were damaged.

        """
        return self._sort_out().referred

    def _sort_out(self) -> SortedDisclosures:
        found = self._sink.disclosures()
        return sort_out(found, self._sink.source()) if found else SortedDisclosures((), ())

    def seal(
        self, signer: Signer, *more: Signer, sealed_at: str | None = None, allow_example_keys: bool = False
    ) -> SealedRecord:
        """Seal the ended record and return it, after the real verifier let it pass. Arguments as for `seal_record`.

        A disclosure whose event was never acknowledged is left out, and counted in `left_out`.

        Raises:
            SealError: the record has not ended, a signer fails, or the result does not verify; sealing can be tried
                again with another signer.

        """
        if self._is_recording and self._is_interrupted():
            raise SealError(
                "a signal handler cannot seal in the middle of an event",
                code="busy",
                hint="end the record in the handler, and seal it when the interrupted call has returned",
            )
        if self._in_doubt:
            self._resynchronize()
        signers = (signer, *more)
        disclosures = self._sort_out()
        self.left_out = len(disclosures.orphans)
        closing = make_closing(
            self._start,
            self._lifecycle.finished,
            head=self._head or "",
            length=self._lifecycle.length,
            signers=signers,
            sealed_at=sealed_at or self._now(),
            allow_example_keys=allow_example_keys,
            disclosures=disclosures.referred,
        )
        line = canonical.encode_closing(closing)
        check_sealed(self._sink.source(line), signers)
        return SealedRecord(closing.seal, self._sink.publish(line), canonical.decode_record)

    # -- inside -------------------------------------------------------------------------------------------------------

    @property
    def _start(self) -> ExecutionStarted:
        start = self._lifecycle.start
        assert start is not None  # noqa: S101 - the constructor recorded it
        return start

    def _now(self) -> str:
        try:
            self._last_time = format_timestamp(self._clock())
        except Exception:  # noqa: BLE001 - a broken clock must not break the execution: the last time stands
            return self._last_time
        return self._last_time

    def _is_escalated(self, snapshot: SecuritySnapshot) -> bool:
        return self._lifecycle.escalated or is_escalated(self._start.security_snapshot, snapshot)

    def _refuse(self, snapshot: SecuritySnapshot, refused: Mapping[str, Any]) -> NoReturn:
        members = {"security_snapshot": snapshot}
        self._record(SecurityObserved, members, {"refused": refused}, boundary=True, on_unrecordable="mark")
        raise SecurityEscalationError(
            f"the security state is {snapshot.security_state}, the boundary state {snapshot.boundary_state}:"
            " nothing may start or complete",
            seq=self._lifecycle.length - 1,
            hint="stop, and end the record with mark_incomplete_security_escalation",
        )

    def _finish(
        self,
        status: str,
        reason: str,
        details: Mapping[str, Any] | None,
        *,
        unknown_effects: bool,
        cause: IncompleteCause | None = None,
        recovery: Recovery | None = None,
    ) -> None:
        text = self._text("completion_reason", reason)
        what = "escalation" if cause is IncompleteCause.SECURITY_ESCALATION else cause or status
        snapshot = SecuritySnapshot.from_kernel(self._kernel, f"Post-execution ({what})")
        if cause not in _ENDS_AFTER_ESCALATION and self._is_escalated(snapshot) and not self.is_finished:
            self._refuse(snapshot, {"call": f"mark_{cause or status}", "reason": text, "details": details})
        members = {
            "status": status,
            "completion_reason": text,
            "cause": cause,
            "recovery": recovery,
            "unknown_effects": unknown_effects is not False,
            "security_snapshot": snapshot,
        }
        self._record(ExecutionFinished, members, details, boundary=True)

    def _text(self, name: str, value: object, *, empty: str = "") -> str:
        if self._redact is not None and self._redact is not mask_secrets:  # no text of an event has a secret's name
            text = value if type(value) is str else recordable.to_text(value)
            value = recordable.redacted(name, text, self._redact)  # before it is cut, and hashed for that
        return recordable.to_text(value, empty=empty)

    def _step_members(self, step_index: int, step_name: str, phase: StepPhase | str) -> dict[str, Any]:
        return {
            "step_index": _index(step_index),
            "step_name": self._text("step_name", step_name, empty="(no name)"),
            "phase": _member(StepPhase, phase),
        }

    def _open_phase(self, phase: StepPhase | str | None) -> StepPhase | str:
        """Return the phase given, or else the one of the open step."""
        if phase is not None:
            return phase
        return self._lifecycle.open_step.phase if self._lifecycle.open_step else StepPhase.PLAN

    def _record(
        self,
        kind: Callable[..., Event],
        members: dict[str, Any],
        details: object,
        *,
        boundary: bool,
        on_unrecordable: OnUnrecordable | None = None,
    ) -> None:
        """Append one event with the members of its kind, or leave that to the call that a signal handler interrupts."""
        if self._is_recording and self._is_interrupted():
            append = functools.partial(self._append, kind, members, details, boundary, on_unrecordable)
            self._told_meanwhile.append(append)
            return
        with self._lock:
            self._is_recording = True
            try:
                self._append(kind, members, details, boundary, on_unrecordable)
            except BaseException as error:
                for fault in self._append_what_was_told():
                    error.add_note(f"what was told meanwhile could not be recorded: {fault}")
                raise
            for fault in self._append_what_was_told():
                raise fault

    def _append_what_was_told(self) -> list[HearthRecordsError]:
        """Append what signal handlers told meanwhile; return why some of it could not be."""
        faults = []
        while True:
            while self._told_meanwhile:
                try:
                    self._told_meanwhile.pop(0)()
                except HearthRecordsError as error:
                    faults.append(error)
            self._is_recording = False  # from here on a handler appends by itself
            if not self._told_meanwhile:
                return faults
            self._is_recording = True

    def _is_interrupted(self) -> bool:
        """Whether this runs in the middle of `_record` of this observer, in a signal handler.

        That stands on the stack and not in a variable: a handler that raises would leave the variable as it was.
        """
        frame: FrameType | None = sys._getframe(1).f_back  # noqa: SLF001 - the stack has no other name
        while frame is not None:
            if frame.f_code is ExecutionObserver._record.__code__ and frame.f_locals["self"] is self:
                return True
            frame = frame.f_back
        return False

    def _append(
        self,
        kind: Callable[..., Event],
        members: dict[str, Any],
        details: object,
        boundary: bool,  # noqa: FBT001 - passed on by `_record`
        on_unrecordable: OnUnrecordable | None,
    ) -> None:
        """Append one event: nothing is changed unless it was taken whole."""
        if self._in_doubt:
            self._resynchronize()
        on_unrecordable = on_unrecordable or self._on_unrecordable
        data = recordable.to_details(details, on_unrecordable, self._redact, split=True)
        disclosures: tuple[str, ...] = ()
        growth = 0
        if not isinstance(data, bytes):
            data, disclosures, growth = self._withhold(data, on_unrecordable)
        timestamp = self._now()
        event = kind(
            seq=self._lifecycle.length,
            timestamp=timestamp,
            previous_event_hash=self._head,
            details_json=Raw(data),
            **members,
        )
        line = canonical.encode_event(event)
        limit = DEFAULT_LIMITS.event if self._head else DEFAULT_LIMITS.first_event
        if len(line) + growth > limit:
            if on_unrecordable == "raise":
                raise RecordingError(
                    "the event is too large",
                    code="too-large",
                    pointer="/details",
                    expected=limit,
                    actual=len(line) + growth,
                )
            data, disclosures = recordable.cut_details(data), ()
            event = kind(
                seq=event.seq, timestamp=timestamp, previous_event_hash=self._head, details_json=Raw(data), **members
            )
            line = canonical.encode_event(event)
        if self._head is None:
            event = canonical.decode_event(line)  # what the caller built is looked at as strictly as what is read
        head = sha256_hex(line)
        self._in_doubt = True  # until the end: a signal handler may raise in between
        try:
            self._lifecycle.take(event)
        except LifecycleError as error:
            self._in_doubt = False  # a refused event changes nothing
            raise RecordingError(error.reason, code=error.code, seq=error.seq) from error
        if disclosures:
            self._sink.disclose(disclosures)
            self._disclosed += sum(map(_size_in_list, disclosures))
        self._sink.append(line, boundary=boundary)
        self._head = head
        self._in_doubt = False

    def _withhold(self, details: WithholdableDetails, on_unrecordable: OnUnrecordable) -> SaltedDetails:
        """Return details with digests for their withholdable members, or marks where no digest can be made."""
        try:
            salted = self._withholder.withhold(details)
        except RecordingError:
            if on_unrecordable == "raise":
                raise
            return SaltedDetails(recordable.mark_withholdable(details), (), 0)
        if self._disclosed + sum(map(_size_in_list, salted.disclosures)) > _MAX_DISCLOSED:
            return salted._replace(growth=DEFAULT_LIMITS.first_event)  # no event holds that: details are cut
        return salted


def _size_in_list(disclosure: str) -> int:
    return len(disclosure) + len('"",')


class ObservedStep:
    """A step that is recorded from `__enter__` to `__exit__`. `details` is recorded with its end."""

    def __init__(
        self,
        observer: ExecutionObserver,
        step_index: int,
        step_name: str,
        details: Mapping[str, Any] | None,
        phase: StepPhase | str,
    ) -> None:
        self._observer = observer
        self._start_details = details
        self._phase = phase
        self.step_index = step_index
        self.step_name = step_name
        self.details: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Record the start. Raises as `record_step_started`."""
        self._observer.record_step_started(self.step_index, self.step_name, self._start_details, phase=self._phase)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Record the end, unless the caller did; an exception goes on, whatever becomes of recording it."""
        if not self._observer.is_step_open(self.step_index):
            return
        if error is None:
            self._observer.record_step_completed(self.step_index, self.step_name, self.details)
            return
        try:
            try:
                self._observer.record_step_failed(self.step_index, self.step_name, describe(error), self.details)
            except RecordingError as fault:
                if fault.code not in ("unrecordable", "too-large"):
                    raise
                # The failure counts for more than what was to be said about it.
                error.add_note(f"the details of step {self.step_index} could not be recorded: {fault}")
                self._observer.record_step_failed(self.step_index, self.step_name, describe(error))
        except HearthRecordsError as fault:
            error.add_note(f"the failure of step {self.step_index} could not be recorded: {fault}")

    def record_side_effect(
        self,
        category: SideEffectCategory | str,
        description: str,
        reversible: bool | None,  # noqa: FBT001 - as in the observer
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an effect of this step. Arguments and errors as in `ExecutionObserver.record_side_effect`."""
        self._observer.record_side_effect(category, description, reversible, self.step_index, details)


def describe(error: BaseException) -> str:
    """Return an exception's type and message."""
    name = recordable.type_name(error)
    try:
        return ": ".join(filter(None, (name, str.__str__(str(error)))))
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is still has a type
        return name


def _index(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise RecordingError("step_index is an integer from 0 to 2^53 - 1", code="step-index", actual=safe_repr(value))
    return value


_Choice = TypeVar("_Choice", SideEffectCategory, StepPhase)


@functools.lru_cache(maxsize=64)
def _look_up(choices: Callable[[str], _Choice], value: str) -> _Choice:
    return choices(value)


def _member(choices: type[_Choice], value: str) -> _Choice:
    if type(value) is choices:
        return value
    try:
        choice: _Choice = _look_up(choices, value)
    except (TypeError, ValueError):
        raise RecordingError(
            f"no such {choices.__name__}", code="argument", expected=", ".join(choices), actual=safe_repr(value)
        ) from None
    return choice
