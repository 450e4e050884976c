"""Which event may follow which (FORMAT §3, *Lifecycle*): the one place, asked when recording and when verifying.

    execution_started, then steps, effects and snapshots, then execution_finished

Steps start in the order of their index, once each, one at a time. After a failed step only `cleanup` steps start.
After an escalated snapshot no step starts, and the only end is `incomplete`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, NoReturn, TypeVar

from hearth_records.errors import LifecycleError
from hearth_records.model import (
    BoundaryState,
    ExecutionFinished,
    ExecutionStarted,
    SecurityObserved,
    SecurityState,
    SideEffectObserved,
    StepEvent,
    StepFailed,
    StepPhase,
    StepStarted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hearth_records.model import (
        Event,
        SecuritySnapshot,
    )

__all__ = ["LifecycleState", "Warned", "check_lifecycle", "is_escalated", "is_worse"]


def is_escalated(start: SecuritySnapshot, now: SecuritySnapshot) -> bool:
    """Whether either state is worse than at the start, or became `UNKNOWN`."""
    return is_worse(start.security_state, now.security_state) or is_worse(start.boundary_state, now.boundary_state)


_State = TypeVar("_State", SecurityState, BoundaryState)


def is_worse(start: _State, now: _State) -> bool:
    """Whether a state is worse than another, or became `UNKNOWN`. From `UNKNOWN`, only the best one is no worse."""
    if start is now:
        return False
    ranks = list(type(start))
    return now is not ranks[0] if start == "UNKNOWN" else ranks.index(now) > ranks.index(start)


class Warned:
    """A finding that is no error: how often it was made, and at which event first."""

    __slots__ = ("code", "count", "reason", "seq")

    def __init__(self, code: str, reason: str, seq: int | None) -> None:
        self.code = code
        self.reason = reason
        self.seq = seq
        self.count = 0


class _Indexes:
    """The indexes of started steps, which increase: as runs, so that a long execution takes no memory."""

    __slots__ = ("_ends", "_first", "_starts", "last")

    def __init__(self) -> None:
        self._starts = array("q")
        self._ends = array("q")
        self._first = 0  # the run that still grows, `_first` to `last`, is in neither array
        self.last = -1

    def add(self, index: int) -> None:
        if index != self.last + 1:
            self._starts.append(self._first)
            self._ends.append(self.last)
            self._first = index
        self.last = index

    def __contains__(self, index: int) -> bool:
        if index >= self._first:
            return index <= self.last
        return index <= self._ends[bisect_right(self._starts, index) - 1]


class LifecycleState:
    """Where an execution stands after the events that were applied.

    A refused event changes nothing.
    """

    __slots__ = (
        "_planned",
        "_started",
        "escalated",
        "finished",
        "last_snapshot",
        "last_timestamp",
        "length",
        "open_step",
        "start",
        "step_failed",
        "warnings",
    )

    def __init__(self) -> None:
        self.start: ExecutionStarted | None = None
        self.finished: ExecutionFinished | None = None
        self.open_step: StepStarted | None = None
        self.last_snapshot: SecuritySnapshot | None = None
        self.last_timestamp = ""
        self.step_failed = False
        self.escalated = False
        self.length = 0
        self.warnings: dict[str, Warned] = {}
        self._started = _Indexes()
        self._planned: frozenset[int] = frozenset()

    # Every event of every record passes here: types are compared and not looked up along their bases, and the common
    # cases are decided in one condition.

    def take(self, event: Event) -> None:
        """Take the next event. Raises `LifecycleError`, and changes nothing, when it may not come next."""
        self.follow((event,))

    def follow(self, events: Iterable[Event]) -> None:
        """Take the next events, one by one: as `take`, at the first that may not come next."""
        for event in events:
            if self.start is None or self.finished is not None:
                self._take_first(event)
            elif type(event) is StepStarted:
                if self.open_step or event.step_index <= self._started.last or self.step_failed or self.escalated:
                    self._check_start(event)
                self.open_step = event
                self._started.add(event.step_index)
                if self._planned and event.step_index not in self._planned:
                    self._warn("unplanned-step", "steps that the plan does not name")
            elif type(event) is SideEffectObserved:
                if event.step_index != self._started.last:
                    self._check_effect(event)
            elif isinstance(event, StepEvent):
                step = self.open_step
                if (
                    step is None
                    or step.step_index != event.step_index
                    or step.step_name != event.step_name
                    or step.phase is not event.phase
                ):
                    self._refuse_end(event)
                self.open_step = None
                if type(event) is StepFailed:
                    self.step_failed = True
            elif type(event) is SecurityObserved:
                self.last_snapshot = event.security_snapshot
                self.escalated = self._is_escalated_by(event.security_snapshot)
            elif isinstance(event, ExecutionFinished):  # of any version of the format
                self._finish(event)
            else:
                self._fail("started-twice", "execution_started stands once")
            timestamp = event.timestamp
            if timestamp < self.last_timestamp:
                self._warn("time-went-back", "timestamps earlier than their predecessor's")
            self.last_timestamp = timestamp
            self.length += 1

    def _is_escalated_by(self, snapshot: SecuritySnapshot) -> bool:
        return self.escalated or (self.start is not None and is_escalated(self.start.security_snapshot, snapshot))

    def has_started(self, step_index: int) -> bool:
        """Whether step `step_index` was started."""
        return step_index in self._started

    def _take_first(self, event: Event) -> None:
        if self.finished is not None:
            self._fail("finished", "nothing follows execution_finished")
        if not isinstance(event, ExecutionStarted):
            self._fail("not-started", "the first event is execution_started")
        self.start = event
        self._planned = frozenset([step.step_index for step in event.plan.steps])

    def _check_start(self, event: StepStarted) -> None:
        if self.escalated:
            self._fail("escalated", "no step starts after a security escalation")
        if self.open_step is not None:
            self._fail("step-open", f"one step is open at a time, and step {self.open_step.step_index} is")
        if event.step_index <= self._started.last:
            self._fail(
                "step-order",
                f"steps start in the order of their index, once each: after {self._started.last} comes a higher one,"
                f" not {event.step_index}",
            )
        if self.step_failed and event.phase is not StepPhase.CLEANUP:
            self._fail("after-failure", "after a failed step only cleanup steps start")

    def _refuse_end(self, event: StepEvent) -> None:
        if self.open_step is None:
            self._fail("no-step-open", f"step {event.step_index} is not open")
        self._fail(
            "other-step",
            f"the open step is {self.open_step.step_index}, and it ends under the name and phase it started with",
        )

    def _check_effect(self, event: SideEffectObserved) -> None:
        if event.step_index is not None and event.step_index not in self._started:
            self._fail("effect-step", f"an effect names a step that has started, not {event.step_index}")

    def _finish(self, event: ExecutionFinished) -> None:
        if event.status == "completed" and self.open_step is not None:
            self._fail("step-open", f"step {self.open_step.step_index} is open, so the execution is not completed")
        if event.status == "completed" and self.step_failed:
            self._fail("step-failed", "a step failed, so the execution is not completed")
        escalated = self._is_escalated_by(event.security_snapshot)
        if event.status != "incomplete" and escalated:
            self._fail("escalated", "after a security escalation the only status is incomplete")
        self.last_snapshot = event.security_snapshot
        self.escalated = escalated
        self.finished = event
        if self._planned and (never := sum(index not in self._started for index in self._planned)):
            warned = self.warnings["planned-step-not-run"] = Warned(
                "planned-step-not-run", "steps of the plan that never ran", None
            )
            warned.count = never

    def _warn(self, code: str, reason: str) -> None:
        warned = self.warnings.setdefault(code, Warned(code, reason, self.length))
        warned.count += 1

    def _fail(self, code: str, reason: str) -> NoReturn:
        raise LifecycleError(reason, code=code, seq=self.length, pointer=f"/events/{self.length}")


def check_lifecycle(events: tuple[Event, ...]) -> LifecycleState:
    """Return where an execution stands after `events`. Raises `LifecycleError` at the first that may not come."""
    state = LifecycleState()
    state.follow(events)
    return state
