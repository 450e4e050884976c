# ruff: noqa: FBT001, FBT003, PT012 - calls are tried as they are written, and errors come from inside a step
from __future__ import annotations

import asyncio
import copy
import dataclasses
import os
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from helpers import GOLDEN_HASHES, OTHER_SEED, SEALED_AT, START, TickingClock, observe, policy_for, run_standard, signer
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hearth_records import __version__
from hearth_records.canonical import encode_event
from hearth_records.chain import check_chain
from hearth_records.errors import RecordingError, SealError, SecurityEscalationError
from hearth_records.kernel import HearthKernel
from hearth_records.lifecycle import check_lifecycle
from hearth_records.model import (
    Actor,
    ActorType,
    Approval,
    Clock,
    Event,
    ExecutionFinished,
    ExecutionStarted,
    ExecutionStatus,
    IncompleteCause,
    Link,
    LinkRelation,
    LiveModeState,
    Origin,
    Plan,
    PlanStep,
    RollbackHint,
    SecurityObserved,
    SecurityState,
    Series,
    SideEffectObserved,
    StepCompleted,
    StepFailed,
    StepPhase,
    StepStarted,
)
from hearth_records.observer import ExecutionObserver
from hearth_records.profile import MAX_INTEGER, sha256_hex
from hearth_records.recordable import Withholdable, to_text
from hearth_records.seal import seal_record
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records.errors import HearthRecordsError


def events_of(observer: ExecutionObserver) -> tuple[Event, ...]:
    return observer.get_execution_record("LIVE").events


def last_of(observer: ExecutionObserver) -> Any:
    return events_of(observer)[-1]


def refused(
    observer: ExecutionObserver, call: Callable[[], object], kind: type[HearthRecordsError] = RecordingError
) -> str:
    """Return the code with which a call is refused; it changes nothing."""
    before = events_of(observer)
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert events_of(observer) == before
    return caught.value.code


def assert_verifies(observer: ExecutionObserver) -> None:
    """Whatever was recorded can be sealed, and verifies."""
    events = events_of(observer)
    check_chain(events)
    check_lifecycle(events)
    if not observer.is_finished:
        with pytest.raises(SealError):
            observer.seal(signer())
        observer.mark_incomplete_security_escalation("the test is over")
    sealed = observer.seal(signer(), sealed_at="9999-12-31T23:59:59.999999Z")
    report = verify_record(sealed.data, policy_for(signer()))
    assert report.verdict == "verified"
    assert report.require().record.events == events_of(observer)


# --- the start -------------------------------------------------------------------------------------------------------


def test_the_start_is_recorded_before_anything_runs() -> None:
    plan = Plan(plan_id="p", sha256="0" * 64, steps=(PlanStep(step_index=0, step_name="A"),))
    observer = observe(
        "exec-7",
        plan,
        live_mode_state="DRY_RUN",
        actor=Actor(id="svc", type=ActorType.SERVICE),
        approvals=[Approval(approver="ann", approved_at=SEALED_AT)],
        reason="because",
        change_ref="CHG-1",
        links=[Link(relation=LinkRelation.CHILD_OF, execution_id="parent", chain_head="1" * 64)],
        series=Series(id="plant", sequence=3, previous="2" * 64),
        origin=Origin(host="h", software="s", clock=Clock(source="ptp", synchronized=None)),
        details={"a": 1.5},
    )
    record = observer.get_execution_record("DRY_RUN")
    start = record.started
    assert isinstance(start, ExecutionStarted)
    assert (start.seq, start.previous_event_hash, start.timestamp) == (0, None, "2026-11-22T16:00:01.000137Z")
    assert (start.format, start.execution_id, start.plan) == ("hearth-record/1", "exec-7", plan)
    assert start.live_mode_state is LiveModeState.DRY_RUN
    assert start.actor == Actor(id="svc", type=ActorType.SERVICE, display_name=None, on_behalf_of=None)
    assert start.approvals == (Approval(approver="ann", approved_at=SEALED_AT),)
    assert (start.reason, start.change_ref) == ("because", "CHG-1")
    assert start.links[0].chain_head == "1" * 64
    assert start.series == Series(id="plant", sequence=3, previous="2" * 64)
    assert start.origin.clock == Clock(source="ptp", synchronized=None)
    assert start.security_snapshot.security_state is SecurityState.OPERATIONAL
    assert start.security_snapshot.context == "Pre-execution"
    assert start.details == {"a": "1.5"}
    assert record.status is ExecutionStatus.STARTED


def test_a_plan_may_be_just_its_id() -> None:
    observer = ExecutionObserver("e", "plan-deploy", HearthKernel())
    record = observer.get_execution_record(LiveModeState.LIVE)
    assert record.plan == Plan(plan_id="plan-deploy")
    assert record.started.origin == Origin(
        host=os.uname().nodename, software=f"hearth-records/{__version__}", clock=None
    )
    assert (record.started.actor, record.started.approvals, record.started.links) == (None, (), ())
    assert (record.started.reason, record.started.change_ref, record.started.series) == ("", None, None)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"execution_id": ""}, "identifier"),
        ({"execution_id": "../x"}, "identifier"),
        ({"execution_id": 5}, "identifier"),
        ({"execution_id": None}, "identifier"),
        ({"plan": "no plan"}, "identifier"),
        ({"plan": 5}, "identifier"),
        ({"plan": Plan(plan_id="p", steps=({"step_index": 0},))}, "missing"),  # type: ignore[arg-type]
        ({"plan": Plan(plan_id="p", steps=(PlanStep(step_index=-1, step_name="x"),))}, "type"),
        ({"plan": Plan(plan_id="p", steps=(PlanStep(step_index=0, step_name=""),))}, "type"),
        (
            {"plan": Plan(plan_id="p", rollback_hints=(RollbackHint(step_index=0, description="\ud800"),))},
            "lone-surrogate",
        ),
        ({"live_mode_state": "live"}, "argument"),
        ({"live_mode_state": None}, "argument"),
        ({"actor": "ann"}, "type"),
        ({"actor": Actor(id="a", type="robot")}, "value"),  # type: ignore[arg-type]
        ({"actor": Actor(id=5, type=ActorType.HUMAN)}, "type"),  # type: ignore[arg-type]
        ({"approvals": "ann"}, "type"),
        ({"approvals": None}, "argument"),
        ({"approvals": [object()]}, "not-json"),
        ({"links": 5}, "argument"),
        ({"series": "s"}, "type"),
        ({"origin": "host"}, "type"),
        ({"origin": Origin(host="h", software=5)}, "type"),  # type: ignore[arg-type]
        ({"details": {"a": b""}, "on_unrecordable": "raise"}, "unrecordable"),
        ({"details": {"a": "x" * 2**24}, "on_unrecordable": "raise"}, "too-large"),
        (
            {"plan": Plan(plan_id="p", rollback_hints=(RollbackHint(step_index=0, description="é" * 60_000),) * 200)},
            "too-large",
        ),
    ],
    ids=range(25),
)
def test_what_cannot_be_recorded_about_the_start_is_an_error(arguments: dict[str, Any], code: str) -> None:
    everything: dict[str, Any] = {"execution_id": "e", "plan": "p", "kernel": HearthKernel(), **arguments}
    with pytest.raises(RecordingError) as caught:
        ExecutionObserver(**everything)
    assert caught.value.code == code


def test_texts_about_the_start_are_cut_and_not_refused() -> None:
    long, lone = "a" * 65_537, "\udc80"
    start = (
        observe(
            actor=Actor(id=long, type=ActorType.HUMAN, on_behalf_of=lone),
            approvals=iter([Approval(approver=lone, approved_at=SEALED_AT, meaning=long)]),
            origin=Origin(host=lone, software=long, clock=Clock(source=long, synchronized=True)),
        )
        .get_execution_record("LIVE")
        .started
    )
    cut, escaped = to_text(long), "\\udc80"
    assert len(cut) == 65_536
    assert start.actor == Actor(id=cut, type=ActorType.HUMAN, on_behalf_of=escaped)
    assert start.approvals == (Approval(approver=escaped, approved_at=SEALED_AT, meaning=cut),)
    assert start.origin == Origin(host=escaped, software=cut, clock=Clock(source=cut, synchronized=True))


def test_another_mode_than_the_recorded_one_is_an_error() -> None:
    observer = observe()
    for mode in ("DRY_RUN", "live", "", None, LiveModeState.DRY_RUN):
        bad: Any = mode
        with pytest.raises(RecordingError) as caught:
            observer.get_execution_record(bad)
        assert (caught.value.code, caught.value.expected) == ("live-mode-state", "LIVE")
    dry = observe(live_mode_state=LiveModeState.DRY_RUN)
    with pytest.raises(RecordingError):
        dry.get_execution_record("LIVE")
    assert dry.get_execution_record("DRY_RUN").live_mode_state == "DRY_RUN"


# --- the calls as they are written -----------------------------------------------------------------------------------


def test_the_calls_work_as_written() -> None:
    observer = ExecutionObserver("exec-1", "plan-1", HearthKernel())
    observer.record_step_started(0, "Deploy", {})
    observer.record_side_effect("network", "sent mail", False, 0, {"to": "ann"})
    observer.record_step_completed(0, "Deploy", {"rows": 3})
    observer.record_step_started(1, "Migrate")
    observer.record_step_failed(1, "Migrate", "Constraint violation")
    observer.mark_failed("Migrate failed")
    record = observer.get_execution_record("LIVE")
    assert [type(event) for event in record.events] == [
        *(ExecutionStarted, StepStarted, SideEffectObserved, StepCompleted, StepStarted, StepFailed, ExecutionFinished),
    ]
    assert record.status is ExecutionStatus.FAILED
    effect: Any = record.events[2]
    assert (effect.category, effect.description, effect.reversible, effect.step_index, effect.details) == (
        *("network", "sent mail", False, 0, {"to": "ann"}),
    )
    failed: Any = record.events[5]
    assert (failed.step_index, failed.step_name, failed.phase, failed.error_message) == (
        *(1, "Migrate", StepPhase.PLAN, "Constraint violation"),
    )
    finished: Any = record.finished
    assert (finished.status, finished.completion_reason, finished.cause, finished.recovery) == (
        *("failed", "Migrate failed", None, None),
    )
    assert finished.unknown_effects is True
    assert finished.security_snapshot.context == "Post-execution (failed)"
    assert_verifies(observer)


def test_the_other_ends() -> None:
    completed = observe()
    completed.mark_completed("Success", {"a": 1}, unknown_effects=False)
    end = last_of(completed)
    assert (end.status, end.cause, end.unknown_effects, end.details) == ("completed", None, False, {"a": 1})
    abandoned = observe()
    abandoned.mark_abandoned("nobody goes on")
    end = last_of(abandoned)
    assert (end.status, end.cause) == ("incomplete", IncompleteCause.ABANDONED)
    escalated = observe()
    escalated.mark_incomplete_security_escalation("stop")
    end = last_of(escalated)
    assert (end.status, end.cause) == ("incomplete", IncompleteCause.SECURITY_ESCALATION)
    assert end.security_snapshot.context == "Post-execution (escalation)"
    for observer in (completed, abandoned, escalated):
        assert observer.is_finished
        assert_verifies(observer)


@pytest.mark.parametrize("value", [None, 0, "", [], "no", True])
def test_only_false_vouches_that_every_effect_was_observed(value: Any) -> None:
    observer = observe()
    observer.mark_completed("x", unknown_effects=value)
    assert last_of(observer).unknown_effects is True


def test_a_failed_end_may_leave_a_step_open_and_needs_no_failed_one() -> None:
    observer = observe()
    observer.record_step_started(0, "A")
    observer.mark_failed("power")
    assert_verifies(observer)
    assert not observer.is_step_open(0)
    assert_verifies_after_failing(observe())


def assert_verifies_after_failing(observer: ExecutionObserver) -> None:
    observer.mark_failed("x")
    assert_verifies(observer)


def test_cleanup_after_a_failure() -> None:
    observer = observe()
    observer.record_step_started(0, "A")
    observer.record_step_failed(0, "A", "x")
    assert refused(observer, lambda: observer.record_step_started(1, "B")) == "after-failure"
    observer.record_step_started(1, "B", phase="cleanup")
    assert last_of(observer).phase is StepPhase.CLEANUP
    observer.record_step_completed(1, "B")  # of the open step's phase, unless another is given
    assert last_of(observer).phase is StepPhase.CLEANUP
    assert refused(observer, lambda: observer.mark_completed("x")) == "step-failed"
    observer.mark_failed("x")
    assert_verifies(observer)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda observer: observer.record_step_started(0, "A"), "step-order"),
        (lambda observer: observer.record_step_completed(0, "A"), "no-step-open"),
        (lambda observer: observer.record_step_completed(5, "A"), "no-step-open"),
        (lambda observer: observer.record_step_failed(0, "A", "x"), "no-step-open"),
        (lambda observer: observer.record_side_effect("other", "x", True, 7), "effect-step"),
        (lambda observer: observer.record_step_started(-1, "A"), "step-index"),
        (lambda observer: observer.record_step_started(MAX_INTEGER + 1, "A"), "step-index"),
        (lambda observer: observer.record_step_started(True, "A"), "step-index"),
        (lambda observer: observer.record_step_started("1", "A"), "step-index"),
        (lambda observer: observer.record_step_started(1.0, "A"), "step-index"),
        (lambda observer: observer.record_step_started(None, "A"), "step-index"),
        (lambda observer: observer.record_step_started(1, "A", phase="rollback"), "argument"),
        (lambda observer: observer.record_step_started(1, "A", phase=None), "argument"),
        (lambda observer: observer.record_step_completed(1, "A", phase=5), "argument"),
        (lambda observer: observer.record_side_effect("disk", "x", True), "argument"),
        (lambda observer: observer.record_side_effect(None, "x", True), "argument"),
        (lambda observer: observer.record_side_effect([], "x", True), "argument"),
        (lambda observer: observer.record_side_effect("other", "x", "yes"), "argument"),
        (lambda observer: observer.record_side_effect("other", "x", 1), "argument"),
        (lambda observer: observer.record_side_effect("other", "x", True, "0"), "step-index"),
    ],
)
def test_misuse_raises_and_changes_nothing(call: Any, code: str) -> None:
    observer = observe()
    observer.record_step_started(0, "A")
    observer.record_step_completed(0, "A")
    assert refused(observer, lambda: call(observer)) == code
    observer.mark_completed("x")
    assert_verifies(observer)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda observer: observer.record_step_started(1, "B"), "step-open"),
        (lambda observer: observer.record_step_started(1, "B", phase="cleanup"), "step-open"),
        (lambda observer: observer.record_step_completed(1, "A"), "other-step"),
        (lambda observer: observer.record_step_completed(0, "B"), "other-step"),
        (lambda observer: observer.record_step_completed(0, "A", phase="cleanup"), "other-step"),
        (lambda observer: observer.record_step_failed(0, "a", "x"), "other-step"),
        (lambda observer: observer.mark_completed("x"), "step-open"),
        (lambda observer: observer.record_side_effect("other", "x", True, 1), "effect-step"),
    ],
)
def test_one_step_is_open_at_a_time(call: Any, code: str) -> None:
    observer = observe()
    observer.record_step_started(0, "A")
    assert observer.is_step_open(0)
    assert refused(observer, lambda: call(observer)) == code
    assert observer.is_step_open(0)
    observer.record_step_completed(0, "A", phase="plan")
    assert not observer.is_step_open(0)


def test_indexes_go_from_zero_to_the_largest_integer() -> None:
    observer = observe()
    for index in (0, MAX_INTEGER):
        with observer.step(index, "x"):
            pass
    observer.mark_completed("x")
    assert_verifies(observer)


CALLS: list[Callable[[ExecutionObserver], object]] = [
    lambda observer: observer.record_step_started(9, "A"),
    lambda observer: observer.record_step_completed(9, "A"),
    lambda observer: observer.record_step_failed(9, "A", "x"),
    lambda observer: observer.record_side_effect("other", "x", None),
    lambda observer: observer.record_security_observed("x"),
    lambda observer: observer.mark_completed("x"),
    lambda observer: observer.mark_failed("x"),
    lambda observer: observer.mark_abandoned("x"),
    lambda observer: observer.mark_incomplete_security_escalation("x"),
    lambda observer: observer.step(9, "A").__enter__(),
]
ENDS: list[Callable[[ExecutionObserver], None]] = [
    lambda observer: observer.mark_completed("x"),
    lambda observer: observer.mark_failed("x"),
    lambda observer: observer.mark_abandoned("x"),
    lambda observer: observer.mark_incomplete_security_escalation("x"),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("escalate", [False, True])
def test_after_the_end_every_recording_call_raises(call: Any, end: Any, escalate: bool) -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel)
    end(observer)
    if escalate:
        kernel.trigger_kill_switch("afterwards")
    assert refused(observer, lambda: call(observer)) == "finished"
    assert_verifies(observer)


# --- steps as context managers ---------------------------------------------------------------------------------------


def test_a_step_records_its_start_and_end() -> None:
    observer = observe()
    with observer.step(0, "Deploy", {"host": "db1"}) as step:
        assert observer.is_step_open(0)
        assert (step.step_index, step.step_name) == (0, "Deploy")
        step.record_side_effect("network", "told it", True, {"n": 1})
        step.details["rows"] = 3
    started, effect, completed = events_of(observer)[1:]
    assert isinstance(started, StepStarted)
    assert started.details == {"host": "db1"}
    assert isinstance(effect, SideEffectObserved)
    assert (effect.step_index, effect.details) == (0, {"n": 1})
    assert isinstance(completed, StepCompleted)
    assert completed.details == {"rows": 3}
    with observer.step(1, "Clean", phase="cleanup"):
        pass
    assert [event.phase for event in events_of(observer)[-2:] if isinstance(event, (StepStarted, StepCompleted))] == [
        *("cleanup", "cleanup"),
    ]
    observer.mark_completed("x")
    assert_verifies(observer)


class LoudError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class OddText(str):
    __slots__ = ()

    def __format__(self, _spec: str) -> str:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError


class OddError(Exception):
    def __str__(self) -> str:
        return OddText("odd")


class WrongError(Exception):
    def __str__(self) -> Any:
        return 5  # noqa: PLE0307 - what is tried


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("why"), "ValueError: why"),
        (ValueError(), "ValueError"),
        (KeyError("k"), "KeyError: 'k'"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "CancelledError"),
        (MemoryError(), "MemoryError"),
        (ExceptionGroup("many", [ValueError("a")]), "ExceptionGroup: many (1 sub-exception)"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: bad",
        ),
        (OSError("\udc80"), "OSError: \\udc80"),
        (LoudError(), "LoudError"),
        (OddError(), "OddError: odd"),
        (WrongError(), "WrongError"),
    ],
    ids=range(14),
)
def test_a_raised_exception_is_recorded_and_goes_on(error: BaseException, message: str) -> None:
    observer = observe()
    with pytest.raises(type(error)) as caught, observer.step(0, "A") as step:
        step.details["reached"] = 2
        raise error
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    failed = last_of(observer)
    assert isinstance(failed, StepFailed)
    assert (failed.error_message, failed.details) == (message, {"reached": 2})
    observer.mark_failed("x")
    assert_verifies(observer)


@pytest.mark.parametrize("fail", [False, True])
def test_a_step_that_was_ended_by_hand_is_left_alone(fail: bool) -> None:
    observer = observe()
    with observer.step(0, "A"):
        if fail:
            observer.record_step_failed(0, "A", "by hand")
        else:
            observer.record_step_completed(0, "A", {"by": "hand"})
        observer.record_side_effect("other", "afterwards", reversible=True, step_index=0)
    assert len(events_of(observer)) == 4
    with pytest.raises(ValueError, match="late"), observer.step(1, "B", phase="cleanup"):
        observer.record_step_completed(1, "B")
        raise ValueError("late")
    assert len(events_of(observer)) == 6


def test_an_execution_that_ends_inside_a_step_leaves_it_open() -> None:
    observer = observe()
    with observer.step(0, "A"):
        observer.mark_failed("power")
    assert isinstance(last_of(observer), ExecutionFinished)
    other = observe()
    with pytest.raises(ValueError, match="x"), other.step(0, "A"):
        other.mark_failed("power")
        raise ValueError("x")
    assert isinstance(last_of(other), ExecutionFinished)


def test_a_step_inside_a_step_is_misuse_and_fails_the_outer_one() -> None:
    observer = observe()
    with pytest.raises(RecordingError) as caught, observer.step(0, "A"), observer.step(1, "B"):
        raise AssertionError
    assert caught.value.code == "step-open"
    assert isinstance(last_of(observer), StepFailed)
    assert last_of(observer).step_index == 0


def test_another_step_may_be_open_at_the_end() -> None:
    observer = observe()
    with observer.step(0, "A"):
        observer.record_step_completed(0, "A")
        observer.record_step_started(1, "B")
    assert observer.is_step_open(1)


def test_a_failure_that_cannot_be_recorded_does_not_hide_the_error() -> None:
    observer = observe(on_unrecordable="raise")
    with pytest.raises(ValueError, match="why") as caught, observer.step(0, "A") as step:
        step.details["a"] = b""
        raise ValueError("why")
    assert len(caught.value.__notes__) == 1
    failed = last_of(observer)
    assert (type(failed), failed.error_message, failed.details) == (StepFailed, "ValueError: why", {})
    observer.mark_failed("x")
    with pytest.raises(RecordingError), observer.step(1, "B"):
        raise AssertionError


def test_details_that_cannot_be_recorded_at_the_end_of_a_step_raise_when_asked_for() -> None:
    observer = observe(on_unrecordable="raise")
    with pytest.raises(RecordingError) as caught, observer.step(0, "A") as step:
        step.details["a"] = [b""]
    assert (caught.value.code, caught.value.pointer) == ("unrecordable", "/a/0")
    assert observer.is_step_open(0)


def test_a_step_is_used_once() -> None:
    observer = observe()
    step = observer.step(0, "A")
    with step:
        pass
    with pytest.raises(RecordingError), step:
        raise AssertionError


# --- fail-closed -----------------------------------------------------------------------------------------------------


class Wobbly:
    """A kernel whose states can be set, also back."""

    def __init__(self) -> None:
        self.security: Any = "OPERATIONAL"
        self.boundary: Any = "NOMINAL"

    def _say(self, answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get_security_state(self) -> Any:
        return self._say(self.security)

    def get_boundary_state(self) -> Any:
        return self._say(self.boundary)


@pytest.mark.parametrize(
    ("security", "boundary", "seen"),
    [
        ("DEGRADED", "NOMINAL", ("DEGRADED", "NOMINAL")),
        ("OPERATIONAL", "LOCKDOWN", ("OPERATIONAL", "LOCKDOWN")),
        (RuntimeError(), "NOMINAL", ("UNKNOWN", "NOMINAL")),
        ("OPERATIONAL", None, ("OPERATIONAL", "UNKNOWN")),
        (object(), RuntimeError(), ("UNKNOWN", "UNKNOWN")),
    ],
)
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda observer: observer.record_step_started(1, "B", {"a": 1}), "record_step_started"),
        (lambda observer: observer.step(1, "B", {"a": 1}).__enter__(), "record_step_started"),
        (lambda observer: observer.mark_completed("done", {"a": 1}), "mark_completed"),
        (lambda observer: observer.mark_failed("done", {"a": 1}), "mark_failed"),
        (lambda observer: observer.mark_abandoned("done", {"a": 1}), "mark_abandoned"),
    ],
)
def test_after_an_escalation_nothing_starts_or_completes(
    security: Any, boundary: Any, seen: tuple[str, str], call: Any, name: str
) -> None:
    kernel = Wobbly()
    observer = observe(kernel=kernel)
    with observer.step(0, "A"):
        pass
    kernel.security, kernel.boundary = security, boundary
    for _ in range(2):
        with pytest.raises(SecurityEscalationError) as caught:
            call(observer)
        event = last_of(observer)
        assert isinstance(event, SecurityObserved)
        assert caught.value.seq == event.seq
        assert (event.security_snapshot.security_state, event.security_snapshot.boundary_state) == seen
        told = event.details["refused"]
        assert (told["call"], told["details"]) == (name, {"a": 1})
        assert told.get("reason", told.get("step_name")) in {"done", "B"}
    # it stays escalated, whatever the kernel says later
    kernel.security, kernel.boundary = "OPERATIONAL", "NOMINAL"
    with pytest.raises(SecurityEscalationError):
        call(observer)
    observer.record_side_effect("other", "still told", None)
    observer.record_security_observed("still told")
    observer.mark_incomplete_security_escalation("stop")
    end = last_of(observer)
    assert (end.status, end.cause) == ("incomplete", IncompleteCause.SECURITY_ESCALATION)
    assert_verifies(observer)


def test_what_ends_after_an_escalation_is_recorded() -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel)
    observer.record_step_started(0, "A")
    kernel.trigger_kill_switch("smoke")
    observer.record_side_effect("network", "sent mail", reversible=False, step_index=0)
    observer.record_step_completed(0, "A")
    with pytest.raises(SecurityEscalationError):
        observer.mark_completed("x")
    observer.mark_incomplete_security_escalation("smoke")
    assert observer.get_execution_record("LIVE").security_snapshot_post is not None
    assert last_of(observer).security_snapshot.security_state is SecurityState.LOCKDOWN
    assert_verifies(observer)


def test_an_escalation_on_entry_does_not_run_the_step() -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel)
    kernel.escalate("DEGRADED")
    ran = False
    with pytest.raises(SecurityEscalationError), observer.step(0, "A"):
        ran = True
    assert not ran
    assert isinstance(last_of(observer), SecurityObserved)
    assert not any(isinstance(event, StepStarted) for event in events_of(observer))


def test_an_escalation_inside_a_step_is_recorded_as_its_failure() -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel)
    with pytest.raises(SecurityEscalationError), observer.step(0, "A"):
        kernel.trigger_kill_switch("smoke")
        observer.mark_completed("x")
    assert [type(event) for event in events_of(observer)[-2:]] == [SecurityObserved, StepFailed]
    observer.mark_incomplete_security_escalation("smoke")
    assert_verifies(observer)


def test_the_state_that_was_recorded_last() -> None:
    kernel = Wobbly()
    observer = observe(kernel=kernel)
    assert observer.last_security_snapshot == observer.get_execution_record("LIVE").security_snapshot_pre
    kernel.security = "DEGRADED"
    assert observer.last_security_snapshot.security_state == "OPERATIONAL"
    assert observer.record_security_observed("x") == observer.last_security_snapshot


def test_an_escalation_that_was_only_looked_at_counts() -> None:
    kernel = Wobbly()
    observer = observe(kernel=kernel)
    kernel.security = "COMPROMISED"
    snapshot = observer.record_security_observed("routine", {"by": "timer"})
    assert (snapshot.security_state, snapshot.context) == (SecurityState.COMPROMISED, "routine")
    assert last_of(observer).security_snapshot == snapshot
    assert last_of(observer).details == {"by": "timer"}
    kernel.security = "OPERATIONAL"
    with pytest.raises(SecurityEscalationError):
        observer.record_step_started(0, "A")


def test_a_state_that_is_no_worse_than_at_the_start_is_none() -> None:
    kernel = Wobbly()
    kernel.security, kernel.boundary = "COMPROMISED", RuntimeError()
    observer = observe(kernel=kernel)
    start = observer.get_execution_record("LIVE").security_snapshot_pre
    assert (start.security_state, start.boundary_state) == ("COMPROMISED", "UNKNOWN")
    with observer.step(0, "A"):
        pass
    kernel.security, kernel.boundary = "DEGRADED", "NOMINAL"
    with observer.step(1, "B"):
        pass
    observer.mark_completed("x")
    assert_verifies(observer)


def test_misuse_is_said_before_the_kernel_is_asked() -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel)
    kernel.trigger_kill_switch("smoke")
    assert refused(observer, lambda: observer.record_step_started(-1, "A")) == "step-index"


@pytest.mark.parametrize("details", [{"a": b""}, {"a": "x" * 2_000_000}])
def test_what_was_refused_is_recorded_even_where_unrecordable_details_raise(details: dict[str, Any]) -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel, on_unrecordable="raise")
    kernel.trigger_kill_switch("smoke")
    calls: list[Callable[[], object]] = [
        lambda: observer.record_step_started(0, "A", details),
        lambda: observer.mark_completed("x", details),
    ]
    for call in calls:
        count = len(events_of(observer))
        with pytest.raises(SecurityEscalationError):
            call()
        assert len(events_of(observer)) == count + 1
        assert isinstance(last_of(observer), SecurityObserved)


# --- details and texts -----------------------------------------------------------------------------------------------


def test_details_are_copied_and_cannot_be_changed_through_anything_handed_out() -> None:
    inner = {"list": [1, 2]}
    details: dict[str, Any] = {"inner": inner, "n": 1}
    inputs = {"dsn": "address"}
    steps = [PlanStep(step_index=0, step_name="A")]
    plan = Plan(
        plan_id="p",
        steps=steps,  # type: ignore[arg-type]
        rollback_hints=(RollbackHint(step_index=0, description="d", required_inputs=inputs),),
    )
    observer = observe(plan=plan, details=details)
    observer.record_step_started(0, "A", details)
    record = observer.get_execution_record("LIVE")
    head = record.get_execution_hash()
    inner["list"].append(3)
    details["n"] = 2
    inputs["dsn"] = "other"
    steps.clear()
    for event in record.events:
        event.details["inner"]["list"].append(4)
        event.details.clear()
    with pytest.raises(TypeError):
        record.plan.rollback_hints[0].required_inputs["dsn"] = "other"
    with pytest.raises(TypeError):
        plan.rollback_hints[0].required_inputs.update(dsn="other")
    assert [event.details for event in record.events] == [{"inner": {"list": [1, 2]}, "n": 1}] * 2
    assert record.plan.rollback_hints[0].required_inputs == {"dsn": "address"}
    assert record.plan.steps == (PlanStep(step_index=0, step_name="A"),)
    again = observer.get_execution_record("LIVE")
    assert again == record
    assert again.get_execution_hash() == head == copy.deepcopy(record).get_execution_hash()
    observer.mark_failed("x")
    sealed = observer.seal(signer())
    sealed.record.events[1].details["n"] = 9
    assert sealed.record.events[1].details["n"] == 1
    assert_verifies(observer)


def test_a_record_that_was_handed_out_does_not_grow() -> None:
    observer = observe()
    record = observer.get_execution_record("LIVE")
    observer.record_side_effect("other", "x", reversible=True)
    assert len(record.events) == 1
    assert len(events_of(observer)) == 2


@dataclasses.dataclass
class Broken:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise RuntimeError


@pytest.mark.parametrize(
    "details",
    [None, {}, {"a": b""}, {"_sd": 1}, {"a": float("nan")}, {1.5: "x"}, Broken(), [1], "text", {"a": "\ud800"}],
)
def test_no_details_break_the_execution(details: Any) -> None:
    observer = observe(details=details)
    with observer.step(0, "A", details) as step:
        step.record_side_effect("other", "x", None, details)
        step.details = details
    observer.record_security_observed("x", details)
    observer.mark_completed("x", details)
    assert len(events_of(observer)) == 6
    assert_verifies(observer)


def test_no_text_breaks_the_execution() -> None:
    observer = observe(reason=Broken(), change_ref=Broken())
    odd: Any
    for index, odd in enumerate((Broken(), None, "", 5, "\ud800", "x" * 100_000, b"")):
        observer.record_step_started(index, odd)
        observer.record_side_effect("other", odd, None)
        observer.record_security_observed(odd)
        if index < 6:
            observer.record_step_completed(index, odd)
        else:
            observer.record_step_failed(index, odd, odd)
    observer.mark_failed(Broken())  # type: ignore[arg-type]
    record = observer.get_execution_record("LIVE")
    names = [event.step_name for event in record.step_events if isinstance(event, StepStarted)]
    assert names[:5] == ["[hearth_unrecordable: Broken]", "(no name)", "(no name)", "5", "\\ud800"]
    assert len(names[5]) == 65_536
    assert names[5].endswith(f"…[cut: 100000 code points, sha256 {sha256_hex(b'x' * 100_000)}]")
    assert_verifies(observer)


def test_a_failure_without_a_message_has_one() -> None:
    observer = observe()
    observer.record_step_started(0, "A")
    observer.record_step_failed(0, "A", "")
    assert last_of(observer).error_message == "(no message)"


def test_details_that_their_event_cannot_hold_are_cut() -> None:
    observer = observe()
    details = {"a": "x" * 2**20}
    canonical = b'{"a":"' + b"x" * 2**20 + b'"}'
    cut = {"hearth_cut": {"bytes": len(canonical), "sha256": sha256_hex(canonical)}}
    observer.record_step_started(0, "A", details)
    assert last_of(observer).details == cut
    observer.record_side_effect("other", "x", reversible=True, details=details)
    assert last_of(observer).details == cut
    observer.record_step_completed(0, "A", {"a": "y"})
    assert last_of(observer).details == {"a": "y"}
    observer.mark_completed("x", details)
    assert last_of(observer).details == cut
    assert_verifies(observer)


def test_details_that_just_fit_are_kept() -> None:
    observer = observe()
    observer.record_side_effect("other", "x", reversible=True)
    room = 2**20 - len(encode_event(last_of(observer))) - len('"a":""')
    observer.record_side_effect("other", "x", reversible=True, details={"a": "x" * room})
    assert len(encode_event(last_of(observer))) == 2**20
    assert "a" in last_of(observer).details
    observer.record_side_effect("other", "x", reversible=True, details={"a": "x" * (room + 1)})
    assert list(last_of(observer).details) == ["hearth_cut"]


def test_the_start_may_be_larger() -> None:
    observer = observe(details={"a": "x" * 2**21})
    assert len(events_of(observer)[0].details["a"]) == 2**21
    assert list(events_of(observe(details={"a": "x" * 2**24}))[0].details) == ["hearth_cut"]


def test_the_caller_may_ask_for_an_error_instead() -> None:
    observer = observe(on_unrecordable="raise")
    cases: list[tuple[Any, str, str]] = [
        ({"a": {"b": [0, b""]}}, "unrecordable", "/a/b/1"),
        ({"a": {"_sd": 1}}, "unrecordable", "/a"),
        ([1], "unrecordable", ""),
        ({"a": "x" * 2**20}, "too-large", "/details"),
    ]
    calls: list[Callable[[Any], object]] = [
        lambda details: observer.record_step_started(0, "A", details),
        lambda details: observer.record_side_effect("other", "x", True, None, details),
        lambda details: observer.mark_completed("x", details),
    ]
    for details, code, pointer in cases:
        for call in calls:
            before = len(events_of(observer))
            with pytest.raises(RecordingError) as caught:
                call(details)
            assert (caught.value.code, caught.value.pointer) == (code, pointer)
            assert len(events_of(observer)) == before
    observer.record_step_started(0, "A", {"a": 1.5})
    assert last_of(observer).details == {"a": "1.5"}


# --- the clock -------------------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_is_recorded_as_it_is() -> None:
    clock = TickingClock()
    observer = observe(clock=clock)
    clock.now = START - timedelta(days=1)
    observer.mark_completed("x")
    record = observer.get_execution_record("LIVE")
    assert record.timestamp_end is not None
    assert record.timestamp_end < record.timestamp_start
    sealed = observer.seal(signer(), sealed_at=SEALED_AT)
    report = verify_record(sealed.data, policy_for(signer()))
    assert report.verdict == "verified"
    assert ("time-went-back", 1, 1) in [(warning.code, warning.count, warning.seq) for warning in report.warnings]


class BreakingClock:
    """A clock that says what it is told to say."""

    def __init__(self) -> None:
        self.answer: Any = START

    def __call__(self) -> datetime:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


class OddTime(datetime):
    def isoformat(self, *_args: object, **_more: object) -> str:
        return "soon"


BAD_TIMES: list[Any] = [
    *(RuntimeError(), OSError("no clock"), None, 5, "2026-11-22T16:00:00.000000Z", object()),
    datetime(2026, 11, 22, 17),  # noqa: DTZ001 - a naive time is what is tried
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))),
]


@pytest.mark.parametrize("answer", BAD_TIMES, ids=range(len(BAD_TIMES)))
def test_a_clock_that_breaks_repeats_its_last_time(answer: Any) -> None:
    clock = BreakingClock()
    observer = observe(clock=clock)
    clock.answer = START + timedelta(seconds=1)
    observer.record_step_started(0, "A")
    clock.answer = answer
    observer.record_step_completed(0, "A")
    observer.mark_completed("x")
    times = [event.timestamp for event in events_of(observer)]
    assert times == ["2026-11-22T16:00:00.000000Z", *["2026-11-22T16:00:01.000000Z"] * 3]
    sealed = observer.seal(signer())
    assert sealed.statement.predicate.sealed_at == "2026-11-22T16:00:01.000000Z"


@pytest.mark.parametrize("answer", BAD_TIMES, ids=range(len(BAD_TIMES)))
def test_a_clock_that_is_broken_at_the_start_is_an_error(answer: Any) -> None:
    clock = BreakingClock()
    clock.answer = answer
    with pytest.raises(RecordingError) as caught:
        observe(clock=clock)
    assert caught.value.code == "clock"


def test_other_zones_and_other_kinds_of_time_are_taken() -> None:
    clock = BreakingClock()
    clock.answer = OddTime(2026, 11, 22, 21, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    observer = observe(clock=clock)
    assert events_of(observer)[0].timestamp == "2026-11-22T16:00:00.000000Z"
    assert UTC is not clock.answer.tzinfo


# --- sealing ---------------------------------------------------------------------------------------------------------


def test_an_observer_seals_as_seal_record_does() -> None:
    observer = run_standard(observe())
    sealed = observer.seal(signer(), signer(OTHER_SEED), sealed_at=SEALED_AT)
    again = seal_record(observer.get_execution_record("LIVE"), signer(), signer(OTHER_SEED), sealed_at=SEALED_AT)
    assert sealed.data == again.data
    assert sealed.record == again.record == observer.get_execution_record("LIVE")
    assert (sealed.execution_id, sealed.chain_head) == ("exec-1", again.chain_head)
    assert GOLDEN_HASHES[-1] != sealed.chain_head


def test_without_a_time_the_observers_clock_is_asked() -> None:
    observer = run_standard(observe())
    assert observer.seal(signer()).statement.predicate.sealed_at > str(last_of(observer).timestamp)


def test_a_record_can_be_sealed_again() -> None:
    observer = run_standard(observe())
    assert observer.seal(signer()).data != observer.seal(signer(OTHER_SEED)).data


# --- the observer beside a simple model ------------------------------------------------------------------------------

indexes = st.integers(0, 5)
phases = st.sampled_from(["plan", "cleanup"])
some_details: st.SearchStrategy[Any] = st.sampled_from(
    [None, {}, {"a": 1.5}, {"b": b""}, {"_sd": []}, [1], {"c": {"d": [None, True]}}, {"w": Withholdable("x")}]
)
states = st.sampled_from(["best", "best", "best", "worse", "broken"])


class ObserverMachine(RuleBasedStateMachine):
    """Calls in any order, legal and illegal, beside a model of what has to come of them."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = Wobbly()
        self.observer = observe(plan="p", kernel=self.kernel)
        self.count = 1
        self.head = self.current_head()
        self.open: tuple[int, str] | None = None
        self.last = -1
        self.started: set[int] = set()
        self.failed = self.escalated = self.finished = False

    def current_head(self) -> str:
        return self.observer.get_execution_record("LIVE").get_execution_hash()

    @property
    def kernel_is_worse(self) -> bool:
        return (self.kernel.security, self.kernel.boundary) != ("OPERATIONAL", "NOMINAL")

    def taken(self, kind: type[Event]) -> None:
        self.count += 1
        assert isinstance(last_of(self.observer), kind)

    def call(self, legal: bool, kind: type[Event], call: Callable[[], object], *, guarded: bool = False) -> bool:
        """Make a call that the model says is legal or not; return whether its event was taken."""
        if guarded and not self.finished and (self.escalated or self.kernel_is_worse):
            with pytest.raises(SecurityEscalationError):
                call()
            self.taken(SecurityObserved)
            self.escalated = self.escalated or self.kernel_is_worse
            return False
        if legal and not self.finished:
            call()
            self.taken(kind)
            return True
        with pytest.raises(RecordingError):
            call()
        return False

    @rule(state=states, side=st.booleans())
    def kernel_changes(self, state: str, side: bool) -> None:
        if side:
            self.kernel.security = {"best": "OPERATIONAL", "worse": "LOCKDOWN", "broken": RuntimeError()}[state]
        else:
            self.kernel.boundary = {"best": "NOMINAL", "worse": "ELEVATED", "broken": None}[state]

    @rule(index=indexes, phase=phases, details=some_details)
    def start(self, index: int, phase: str, details: Any) -> None:
        legal = self.open is None and index > self.last and (not self.failed or phase == "cleanup")
        if self.call(
            legal,
            StepStarted,
            lambda: self.observer.record_step_started(index, "x", details, phase=phase),
            guarded=True,
        ):
            self.open, self.last = (index, phase), index
            self.started.add(index)

    @precondition(lambda self: self.last < 100)
    @rule(details=some_details)
    def start_next(self, details: Any) -> None:
        self.start(self.last + 1, "cleanup" if self.failed else "plan", details)

    @rule(index=st.none() | indexes, details=some_details, fail=st.booleans())
    def end(self, index: int | None, details: Any, fail: bool) -> None:
        if index is None:
            index = self.open[0] if self.open else 0
        legal = self.open is not None and self.open[0] == index
        if fail:
            if self.call(legal, StepFailed, lambda: self.observer.record_step_failed(index, "x", "why", details)):
                self.open, self.failed = None, True
        elif self.call(legal, StepCompleted, lambda: self.observer.record_step_completed(index, "x", details)):
            self.open = None

    @rule(index=st.none() | indexes, details=some_details, reversible=st.sampled_from([True, False, None]))
    def effect(self, index: int | None, details: Any, reversible: bool | None) -> None:
        self.call(
            index is None or index in self.started,
            SideEffectObserved,
            lambda: self.observer.record_side_effect("other", "d", reversible, index, details),
        )

    @rule()
    def look(self) -> None:
        if self.call(True, SecurityObserved, self.observer.record_security_observed):
            self.escalated = self.escalated or self.kernel_is_worse

    @rule(
        call=st.sampled_from(
            [
                lambda observer: observer.record_step_started(-1, "x"),
                lambda observer: observer.record_step_started("0", "x"),
                lambda observer: observer.record_step_completed(0, "x", phase="other"),
                lambda observer: observer.record_side_effect("nothing", "d", True),
                lambda observer: observer.record_side_effect("other", "d", "maybe"),
                lambda observer: observer.get_execution_record("DRY_RUN"),
            ]
        )
    )
    def misuse(self, call: Any) -> None:
        self.call(False, Event, lambda: call(self.observer))

    @rule(dice=st.integers(0, 9))
    def complete(self, dice: int) -> None:
        legal = self.open is None and not self.failed
        if (not legal or dice == 0 or self.escalated) and self.call(
            legal, ExecutionFinished, lambda: self.observer.mark_completed("x"), guarded=True
        ):
            self.finished = True

    @rule(dice=st.integers(0, 9), abandon=st.booleans())
    def give_up(self, dice: int, abandon: bool) -> None:
        mark = self.observer.mark_abandoned if abandon else self.observer.mark_failed
        if (dice == 0 or self.escalated) and self.call(True, ExecutionFinished, lambda: mark("x"), guarded=True):
            self.finished = True

    @rule(dice=st.integers(0, 9))
    def stop(self, dice: int) -> None:
        if dice == 0 and self.call(
            True,
            ExecutionFinished,
            lambda: self.observer.mark_incomplete_security_escalation("x"),
        ):
            self.finished = True
            self.escalated = self.escalated or self.kernel_is_worse

    @invariant()
    def nothing_else_was_recorded(self) -> None:
        assert len(events_of(self.observer)) == self.count
        assert self.observer.is_finished == self.finished
        assert self.observer.is_escalated == (self.escalated or self.kernel_is_worse)
        step = self.observer.open_step
        assert (None if step is None else (step.step_index, step.phase)) == self.open
        assert all(
            self.observer.is_step_open(index) == (not self.finished and self.open is not None and self.open[0] == index)
            for index in range(6)
        )

    def teardown(self) -> None:
        assert_verifies(self.observer)


ObserverMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None, database=None)
TestObserverBesideItsModel = ObserverMachine.TestCase
