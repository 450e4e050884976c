from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from helpers import DATA, GOLDEN_LINES
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from hearth_records.canonical import decode_event, decode_record
from hearth_records.errors import LifecycleError
from hearth_records.lifecycle import check_lifecycle, is_escalated, is_worse
from hearth_records.model import (
    BoundaryState,
    ExecutionFinished,
    ExecutionStarted,
    LiveModeState,
    Origin,
    Plan,
    PlanStep,
    SecurityObserved,
    SecuritySnapshot,
    SecurityState,
    SideEffectCategory,
    SideEffectObserved,
    StepCompleted,
    StepFailed,
    StepPhase,
    StepStarted,
)

if TYPE_CHECKING:
    from hearth_records.lifecycle import LifecycleState
    from hearth_records.model import Event

NOON = "2026-11-22T12:00:00.000000Z"


def common(timestamp: str = NOON) -> dict[str, Any]:
    return {"seq": 0, "timestamp": timestamp, "previous_event_hash": None, "details_json": Raw(b"{}")}


def snapshot(security: str = "OPERATIONAL", boundary: str = "NOMINAL") -> SecuritySnapshot:
    return SecuritySnapshot(security_state=SecurityState(security), boundary_state=BoundaryState(boundary), context="")


def start(*steps: int, now: SecuritySnapshot | None = None, timestamp: str = NOON) -> Event:
    return ExecutionStarted(
        **common(timestamp),
        format="hearth-record/1",
        execution_id="e",
        plan=Plan(plan_id="p", steps=tuple(PlanStep(step_index=index, step_name="x") for index in steps)),
        live_mode_state=LiveModeState.LIVE,
        actor=None,
        approvals=(),
        reason="",
        change_ref=None,
        links=(),
        series=None,
        origin=Origin(host="h", software="s"),
        security_snapshot=now or snapshot(),
    )


def step(index: int, phase: str = "plan", name: str = "x", timestamp: str = NOON) -> Event:
    return StepStarted(
        **common(timestamp), step_index=index, step_name=name, phase=StepPhase(phase), error_message=None
    )


def done(index: int, phase: str = "plan", name: str = "x") -> Event:
    return StepCompleted(**common(), step_index=index, step_name=name, phase=StepPhase(phase), error_message=None)


def failed(index: int, phase: str = "plan", name: str = "x") -> Event:
    return StepFailed(**common(), step_index=index, step_name=name, phase=StepPhase(phase), error_message="why")


def effect(index: int | None) -> Event:
    return SideEffectObserved(
        **common(), category=SideEffectCategory.OTHER, description="d", reversible=True, step_index=index
    )


def seen(security: str = "OPERATIONAL", boundary: str = "NOMINAL") -> Event:
    return SecurityObserved(**common(), security_snapshot=snapshot(security, boundary))


def end(status: Any, security: str = "OPERATIONAL", boundary: str = "NOMINAL") -> Event:
    return ExecutionFinished(
        **common(),
        status=status,
        completion_reason="",
        cause=None,
        recovery=None,
        unknown_effects=True,
        security_snapshot=snapshot(security, boundary),
    )


def facts(state: LifecycleState) -> list[Any]:
    return [
        *(state.start, state.finished, state.open_step, state.last_timestamp, state.length),
        *(state.step_failed, state.escalated, {code: warned.count for code, warned in state.warnings.items()}),
        *(state.has_started(index) for index in range(20)),
    ]


def refused(*events: Event) -> str:
    """Return the code by which the last of `events` is refused; it changes nothing, and the others are taken."""
    state = check_lifecycle(events[:-1])
    before = facts(state)
    with pytest.raises(LifecycleError) as caught:
        state.take(events[-1])
    place = len(events) - 1
    assert (caught.value.seq, caught.value.pointer) == (place, f"/events/{place}")
    assert facts(state) == before
    with pytest.raises(LifecycleError):
        check_lifecycle(events)
    return caught.value.code


# --- what may follow what --------------------------------------------------------------------------------------------

GOOD: list[tuple[Event, ...]] = [
    (),
    (start(),),
    (start(), end("completed")),
    (start(), end("failed")),
    (start(), end("incomplete")),
    (start(), effect(None), seen(), end("completed")),
    (start(), step(0), done(0), step(1), done(1), end("completed")),
    (start(), step(3), done(3), step(7), end("failed")),
    (start(), step(0), effect(0), seen(), effect(None), done(0), effect(0), end("completed")),
    (start(), step(0), end("incomplete")),
    (start(), step(0), failed(0), end("failed")),
    (start(), step(0), failed(0), end("incomplete")),
    (start(), step(0), failed(0), step(1, "cleanup"), done(1, "cleanup"), effect(0), end("failed")),
    (start(), step(0), failed(0), step(1, "cleanup"), failed(1, "cleanup"), step(2, "cleanup"), end("failed")),
    (start(), step(0, "cleanup"), done(0, "cleanup"), step(1), done(1), end("completed")),
    (start(), step(0), seen("LOCKDOWN"), effect(0), done(0), seen(), effect(None), end("incomplete")),
    (start(), step(0), seen("LOCKDOWN"), failed(0), end("incomplete", "LOCKDOWN")),
    (start(), end("incomplete", "LOCKDOWN", "UNKNOWN")),
]


@pytest.mark.parametrize("events", GOOD, ids=range(len(GOOD)))
def test_what_may_be(events: tuple[Event, ...]) -> None:
    state = check_lifecycle(events)
    assert state.length == len(events)
    assert (state.finished is not None) == (bool(events) and isinstance(events[-1], ExecutionFinished))


BAD: list[tuple[str, tuple[Event, ...]]] = [
    *(("not-started", (event,)) for event in (step(0), done(0), failed(0), effect(None), seen(), end("failed"))),
    ("started-twice", (start(), start())),
    ("started-twice", (start(), step(0), start())),
    *(
        ("finished", (start(), end("completed"), event))
        for event in (start(), step(0), done(0), failed(0), effect(None), seen(), end("failed"))
    ),
    ("step-open", (start(), step(0), step(1))),
    ("step-open", (start(), step(0), step(1, "cleanup"))),
    ("step-open", (start(), step(0), end("completed"))),
    ("step-order", (start(), step(0), done(0), step(0))),
    ("step-order", (start(), step(5), done(5), step(4))),
    ("step-order", (start(), step(5), failed(5), step(5, "cleanup"))),
    ("after-failure", (start(), step(0), failed(0), step(1))),
    ("after-failure", (start(), step(0), failed(0), step(1, "cleanup"), done(1, "cleanup"), step(2))),
    ("after-failure", (start(), step(0, "cleanup"), failed(0, "cleanup"), step(1))),
    ("no-step-open", (start(), done(0))),
    ("no-step-open", (start(), failed(0))),
    ("no-step-open", (start(), step(0), done(0), done(0))),
    ("no-step-open", (start(), step(0), failed(0), done(0))),
    ("other-step", (start(), step(0), done(1))),
    ("other-step", (start(), step(0), done(0), step(1), done(0))),
    ("other-step", (start(), step(0), failed(0, name="y"))),
    ("other-step", (start(), step(0), done(0, "cleanup"))),
    ("other-step", (start(), step(0, "cleanup"), failed(0))),
    ("effect-step", (start(), effect(0))),
    ("effect-step", (start(), step(1), effect(0))),
    ("effect-step", (start(), step(1), effect(2))),
    ("effect-step", (start(), step(1), done(1), step(3), effect(2))),
    ("step-failed", (start(), step(0), failed(0), end("completed"))),
    ("step-failed", (start(), step(0), failed(0), step(1, "cleanup"), done(1, "cleanup"), end("completed"))),
    *(("escalated", (start(), seen("DEGRADED"), event)) for event in (step(0), step(0, "cleanup"))),
    *(("escalated", (start(), seen("DEGRADED"), end(status))) for status in ("completed", "failed")),
    *(("escalated", (start(), seen("UNKNOWN"), seen(), event)) for event in (step(0), end("completed"))),
    *(("escalated", (start(), end(status, "LOCKDOWN"))) for status in ("completed", "failed")),
    *(("escalated", (start(), end(status, "OPERATIONAL", "ELEVATED"))) for status in ("completed", "failed")),
    ("escalated", (start(), step(0), seen("OPERATIONAL", "UNKNOWN"), done(0), step(1))),
]


@pytest.mark.parametrize(("code", "events"), BAD, ids=[f"{code}-{number}" for number, (code, _) in enumerate(BAD)])
def test_what_may_not_be(code: str, events: tuple[Event, ...]) -> None:
    assert refused(*events) == code


def test_records_of_others_hold() -> None:
    assert check_lifecycle(decode_record((DATA / "exec-example-001.record.json").read_bytes()).events).finished
    assert check_lifecycle(tuple(decode_event(line, seq) for seq, line in enumerate(GOLDEN_LINES))).finished


@given(st.lists(st.integers(0, 60), unique=True))
def test_started_steps_are_known_whatever_their_gaps(indexes: list[int]) -> None:
    state = check_lifecycle((start(),))
    for index in sorted(indexes):
        state.take(step(index))
        state.take(done(index))
    assert {index for index in range(62) if state.has_started(index)} == set(indexes)
    for index in range(62):
        if index in indexes:
            state.take(effect(index))
        else:
            with pytest.raises(LifecycleError):
                state.take(effect(index))


def test_steps_in_a_row_take_no_memory() -> None:
    state = check_lifecycle((start(),))
    assert not state.has_started(0)
    for index in [*range(600), *range(1000, 1600)]:
        state.take(step(index))
        state.take(done(index))
    runs = state._started  # noqa: SLF001 - what they take cannot be seen from outside
    assert (list(runs._starts), list(runs._ends), runs.last) == ([0], [599], 1599)  # noqa: SLF001 - as above


def test_indexes_go_up_to_the_largest_integer() -> None:
    largest = 2**53 - 1
    state = check_lifecycle((start(), step(largest), effect(largest), done(largest)))
    assert state.has_started(largest)
    assert not state.has_started(largest - 1)


# --- security: every pair of states ----------------------------------------------------------------------------------

WORSE = {
    "OPERATIONAL": {"DEGRADED", "COMPROMISED", "LOCKDOWN", "UNKNOWN"},
    "DEGRADED": {"COMPROMISED", "LOCKDOWN", "UNKNOWN"},
    "NOMINAL": {"ELEVATED", "COMPROMISED", "LOCKDOWN", "UNKNOWN"},
    "ELEVATED": {"COMPROMISED", "LOCKDOWN", "UNKNOWN"},
    "COMPROMISED": {"LOCKDOWN", "UNKNOWN"},
    "LOCKDOWN": {"UNKNOWN"},
}
UNKNOWN_WORSE = {
    SecurityState: {"DEGRADED", "COMPROMISED", "LOCKDOWN"},
    BoundaryState: {"ELEVATED", "COMPROMISED", "LOCKDOWN"},
}
STATES: list[type[SecurityState | BoundaryState]] = [SecurityState, BoundaryState]
PAIRS = [(kind, before, now) for kind in STATES for before in kind for now in kind]


def worse(before: SecurityState | BoundaryState) -> set[str]:
    return UNKNOWN_WORSE[type(before)] if before == "UNKNOWN" else WORSE[before]


@pytest.mark.parametrize(("kind", "before", "now"), PAIRS, ids=[f"{before}-{now}" for _, before, now in PAIRS])
def test_every_pair_of_states(kind: type[SecurityState], before: SecurityState, now: SecurityState) -> None:
    expected = now in worse(before)
    assert is_worse(before, now) == expected
    later: tuple[str, str]
    if kind is SecurityState:
        first, later = snapshot(before), (now, "NOMINAL")
    else:
        first, later = snapshot("OPERATIONAL", before), ("OPERATIONAL", now)
    assert is_escalated(first, snapshot(*later)) == expected
    for events in ((start(now=first), seen(*later)), (start(now=first), step(0), seen(*later), effect(0), done(0))):
        state = check_lifecycle(events)
        assert state.escalated == expected
        check_lifecycle((*events, effect(None), seen(*later), end("incomplete", *later)))
        if expected:
            assert {refused(*events, event) for event in (step(1), end("completed"), end("failed"))} == {"escalated"}
        else:
            check_lifecycle((*events, step(1), done(1), end("completed", *later)))
            check_lifecycle((*events, end("failed", *later)))
    closings = [end(status, *later) for status in ("completed", "failed")]
    if expected:
        assert {refused(start(now=first), event) for event in closings} == {"escalated"}
    else:
        for event in closings:
            check_lifecycle((start(now=first), event))
    assert check_lifecycle((start(now=first), end("incomplete", *later))).escalated == expected


def test_either_state_escalates() -> None:
    for security in SecurityState:
        for boundary in BoundaryState:
            for first in (snapshot(), snapshot("COMPROMISED", "ELEVATED"), snapshot("UNKNOWN", "UNKNOWN")):
                expected = security in worse(first.security_state) or boundary in worse(first.boundary_state)
                assert is_escalated(first, snapshot(security, boundary)) == expected


# --- warnings --------------------------------------------------------------------------------------------------------


def warnings(*events: Event) -> dict[str, tuple[int, int | None]]:
    state = check_lifecycle(events)
    assert all(warned.code == code and warned.reason for code, warned in state.warnings.items())
    return {code: (warned.count, warned.seq) for code, warned in state.warnings.items()}


def test_nothing_odd_is_no_warning() -> None:
    assert warnings(start(0, 1), step(0), done(0), step(1), done(1), end("completed")) == {}
    assert warnings(start(), step(9), done(9), end("completed")) == {}


def test_a_time_that_went_back_is_a_warning() -> None:
    late, later = "2026-11-22T12:00:00.000001Z", "2026-11-22T12:00:01.000000Z"
    assert warnings(start(timestamp=late), step(0, timestamp=later)) == {}
    assert warnings(start(timestamp=later), step(0, timestamp=late), done(0)) == {"time-went-back": (2, 1)}
    assert warnings(start(timestamp=NOON), step(0, timestamp=later), done(0), seen()) == {"time-went-back": (1, 2)}


def test_steps_that_the_plan_does_not_name_are_a_warning() -> None:
    events = (start(0, 2), step(0), done(0), step(1), done(1), step(2), done(2), step(3, "cleanup"), end("failed"))
    assert warnings(*events) == {"unplanned-step": (2, 3)}


def test_planned_steps_that_never_ran_are_a_warning_at_the_end() -> None:
    assert warnings(start(0, 1, 2), step(1), done(1)) == {}
    assert warnings(start(0, 1, 2), step(1), done(1), end("completed")) == {"planned-step-not-run": (2, None)}
