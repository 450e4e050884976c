from __future__ import annotations

from typing import Any

import msgspec
import pytest
from helpers import observe, run_standard, standard_record

from hearth_records.kernel import HearthKernel
from hearth_records.model import (
    ChecklistItem,
    ExecutionFinished,
    ExecutionRecord,
    ExecutionStarted,
    IncompleteCause,
    Plan,
    RequiredInput,
    Risk,
    RollbackHint,
    RollbackScaffold,
    ScaffoldEffect,
    ScaffoldHint,
    SecurityState,
    SideEffect,
    SideEffectCategory,
    StepPhase,
)
from hearth_records.rollback import REASONS, RollbackPlanner

plan_rollback = RollbackPlanner.plan_rollback


def hint(index: int, description: str = "undo", **members: Any) -> RollbackHint:
    return RollbackHint(step_index=index, description=description, **members)


def effect(
    description: str, index: int | None = None, *, reversible: bool | None = True, category: str = "other"
) -> SideEffect:
    return SideEffect(
        category=SideEffectCategory(category), description=description, reversible=reversible, step_index=index
    )


def seen(description: str, index: int | None = None, *, reversible: bool | None = True, category: str = "other") -> Any:
    return ScaffoldEffect(
        source="observed",
        category=SideEffectCategory(category),
        description=description,
        reversible=reversible,
        step_index=index,
    )


def declared(description: str, index: int | None = None, *, reversible: bool | None = True) -> ScaffoldEffect:
    return ScaffoldEffect(
        source="declared",
        category=SideEffectCategory.OTHER,
        description=description,
        reversible=reversible,
        step_index=index,
    )


def run(plan: Plan, *effects: tuple[str, int | None, bool | None], steps: tuple[int, ...] = (0, 1)) -> ExecutionRecord:
    """Record steps that complete, effects after them, and a failed end."""
    observer = observe(plan=plan)
    for index in steps:
        with observer.step(index, f"step {index}"):
            pass
    for description, place, reversible in effects:
        observer.record_side_effect("other", description, reversible, place)
    observer.mark_failed("x")
    return observer.get_execution_record("LIVE")


def ended(record: ExecutionRecord, **members: Any) -> ExecutionRecord:
    """Return the record with another end."""
    return ExecutionRecord((*record.events[:-1], msgspec.structs.replace(record.events[-1], **members)))


# --- when a rollback is possible -------------------------------------------------------------------------------------

HINTS: dict[str, tuple[RollbackHint, ...]] = {
    "none": (),
    "of a step that did not run": (hint(2),),
    "of an executed step": (hint(1),),
    "of several steps": (hint(0), hint(2)),
}
ENDS: list[tuple[str | None, IncompleteCause | None]] = [
    (None, None),
    ("completed", None),
    ("failed", None),
    ("incomplete", None),
    *(("incomplete", cause) for cause in IncompleteCause),
]


def expected_code(status: str | None, cause: str | None, security: str, hints: str) -> str:
    """Return what the table of the issue says."""
    if status is None:
        return "still-running"
    if status == "completed":
        return "completed"
    if status == "incomplete":
        return cause or "incomplete"
    if security != "OPERATIONAL":
        return "security-state"
    return "failed-with-hints" if hints in {"of an executed step", "of several steps"} else "no-hint"


@pytest.mark.parametrize(("status", "cause"), ENDS)
@pytest.mark.parametrize("security", list(SecurityState))
@pytest.mark.parametrize("hints", HINTS)
def test_every_row_of_the_table(
    status: str | None, cause: IncompleteCause | None, security: SecurityState, hints: str
) -> None:
    record = run(Plan(plan_id="p", rollback_hints=HINTS[hints]))
    last = record.events[-1]
    assert isinstance(last, ExecutionFinished)
    snapshot = msgspec.structs.replace(last.security_snapshot, security_state=security)
    if status is None:
        record = ExecutionRecord(record.events[:-1])
    else:
        record = ended(record, status=status, cause=cause, security_snapshot=snapshot)
    scaffold = plan_rollback(record)
    code = expected_code(status, cause, security, hints)
    assert scaffold.reason_code == code
    assert scaffold.is_rollback_possible == (code == "failed-with-hints")
    assert scaffold.reason == REASONS[code]
    assert scaffold.status == (status or "started")
    assert scaffold.cause == cause
    assert scaffold.closing_security_state == (security if status else None)
    assert tuple(row.hint for row in scaffold.hints) == HINTS[hints]
    # hints handed in make nothing possible
    later = plan_rollback(record, [hint(0, "new"), hint(1, "new")])
    assert (later.reason_code, later.is_rollback_possible) == (code, code == "failed-with-hints")


def test_every_reason_has_its_words() -> None:
    assert len(set(REASONS.values())) == len(REASONS) == 9


def test_the_real_escalation() -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel)
    observer.record_step_started(0, "Deploy")
    kernel.trigger_kill_switch("smoke")
    observer.mark_incomplete_security_escalation("smoke")
    scaffold = plan_rollback(observer.get_execution_record("LIVE"))
    assert (scaffold.reason_code, scaffold.is_rollback_possible) == ("security_escalation", False)
    assert scaffold.cause is IncompleteCause.SECURITY_ESCALATION
    assert scaffold.closing_security_state is SecurityState.LOCKDOWN
    assert scaffold.manual_checklist[0].outcome == "open"


# --- what the scaffold says ------------------------------------------------------------------------------------------


def test_the_scaffold_of_the_standard_record() -> None:
    record = standard_record()
    recorded = record.plan.rollback_hints[0]
    assert plan_rollback(record) == RollbackScaffold(
        execution_id="exec-1",
        plan_id="plan-1",
        chain_head=record.get_execution_hash(),
        status=record.status,
        cause=None,
        closing_security_state=SecurityState.OPERATIONAL,
        is_rollback_possible=True,
        reason_code="failed-with-hints",
        reason=REASONS["failed-with-hints"],
        hints=(ScaffoldHint(hint=recorded, recorded=True, executed=True),),
        manual_checklist=(
            ChecklistItem(
                step_index=1,
                step_name="Migrate",
                phase=StepPhase.PLAN,
                outcome="failed",
                has_hint=False,
                irreversible=True,
            ),
            ChecklistItem(
                step_index=0,
                step_name="Deploy",
                phase=StepPhase.PLAN,
                outcome="completed",
                has_hint=True,
                irreversible=False,
            ),
        ),
        irreversible_steps=(1,),
        irreversible_effects=(seen("rows written", 1, reversible=False, category="data_mutation"),),
        steps_without_hint=(1,),
        declared_not_observed=(),
        observed_not_declared=(seen("rows written", 1, reversible=False, category="data_mutation"),),
        required_inputs=(RequiredInput(step_index=0, name="dsn", description="database address"),),
        risks=(Risk(step_index=0, risk="rows written since are lost"),),
        unknown_effects=True,
    )


def test_it_is_pure() -> None:
    record = standard_record()
    head = record.get_execution_hash()
    assert plan_rollback(record) == plan_rollback(record)
    assert RollbackPlanner().plan_rollback(record) == plan_rollback(record)
    assert record.get_execution_hash() == head


def test_executed_steps_stand_in_reverse_order_with_what_became_of_them() -> None:
    observer = observe(plan=Plan(plan_id="p", rollback_hints=(hint(3), hint(8))))
    with observer.step(3, "three"):
        pass
    observer.record_step_started(5, "five")
    observer.record_step_failed(5, "five", "x")
    observer.record_step_started(9, "nine", phase="cleanup")
    observer.mark_failed("x")
    scaffold = plan_rollback(observer.get_execution_record("LIVE"))
    assert [
        (row.step_index, row.step_name, row.phase, row.outcome, row.has_hint) for row in scaffold.manual_checklist
    ] == [
        (9, "nine", "cleanup", "open", False),
        (5, "five", "plan", "failed", False),
        (3, "three", "plan", "completed", True),
    ]
    assert scaffold.steps_without_hint == (5, 9)
    assert [(row.hint.step_index, row.executed) for row in scaffold.hints] == [(3, True), (8, False)]


def test_hints_stand_verbatim_and_in_the_order_of_the_plan() -> None:
    first = hint(
        1,
        "  DROP\x1b[31m \u202e",
        actions=("a", "", "a"),
        required_inputs={"z": "1", "a": "2"},
        risks=("r", "r"),
        estimated_duration="1 h",
    )
    second = hint(0, "", required_inputs={"b": "3"}, risks=("s",))
    scaffold = plan_rollback(run(Plan(plan_id="p", rollback_hints=(first, second, first))))
    assert [row.hint for row in scaffold.hints] == [first, second, first]
    assert all(row.recorded and row.executed for row in scaffold.hints)
    inputs = [(row.step_index, row.name, row.description) for row in scaffold.required_inputs]
    assert inputs == [(1, "a", "2"), (1, "z", "1"), (0, "b", "3"), (1, "a", "2"), (1, "z", "1")]
    assert [(row.step_index, row.risk) for row in scaffold.risks] == [
        *((1, "r"), (1, "r"), (0, "s"), (1, "r"), (1, "r")),
    ]


def test_hints_handed_in_are_marked_unless_the_record_contains_them() -> None:
    recorded = hint(0, "recorded", required_inputs={"a": "1"})
    new = hint(1, "new", required_inputs={"b": "2"}, risks=("r",))
    record = run(Plan(plan_id="p", rollback_hints=(recorded,)))
    same = hint(0, "recorded", required_inputs={"a": "1"})
    scaffold = plan_rollback(record, iter([new, same, hint(7, "other")]))
    assert [(row.hint.description, row.recorded, row.executed) for row in scaffold.hints] == [
        ("recorded", True, True),
        ("new", False, True),
        ("other", False, False),
    ]
    assert [row.name for row in scaffold.required_inputs] == ["a", "b"]
    assert [row.risk for row in scaffold.risks] == ["r"]
    # they do not count as hints that were there before
    assert scaffold.steps_without_hint == (1,)
    assert [row.has_hint for row in scaffold.manual_checklist] == [False, True]
    nearly = plan_rollback(record, [hint(0, "recorded ", required_inputs={"a": "1"})])
    assert [row.recorded for row in nearly.hints] == [True, False]
    assert plan_rollback(record, []) == plan_rollback(record, None) == plan_rollback(record)


# --- effects ---------------------------------------------------------------------------------------------------------


def test_irreversible_steps_are_named_by_index_and_unknown_counts_as_irreversible() -> None:
    plan = Plan(
        plan_id="p",
        declared_side_effects=(
            effect("d0", 0, reversible=None),
            effect("d1", 1),
            effect("d2", 2, reversible=False),
            effect("d3", reversible=False),
        ),
    )
    record = run(plan, ("o3", 3, False), ("o1", 1, True), ("o4", 4, None), ("o", None, False), steps=(0, 1, 3, 4))
    scaffold = plan_rollback(record)
    # step 2 never ran: what was declared for it did not happen
    assert scaffold.irreversible_steps == (0, 3, 4)
    assert scaffold.irreversible_effects == (
        seen("o3", 3, reversible=False),
        seen("o4", 4, reversible=None),
        seen("o", None, reversible=False),
        declared("d0", 0, reversible=None),
        declared("d3", None, reversible=False),
    )
    assert [row.irreversible for row in scaffold.manual_checklist] == [True, True, False, True]


def test_effects_are_the_same_when_category_description_and_step_are() -> None:
    plan = Plan(
        plan_id="p",
        declared_side_effects=(effect("a", 0), effect("b", 0), effect("c", 1), effect("any"), effect("never")),
    )
    record = run(plan, ("a", 0, False), ("b", 1, True), ("c ", 1, True), ("any", 1, True), ("any", None, True))
    scaffold = plan_rollback(record)
    assert [row.description for row in scaffold.declared_not_observed] == ["b", "c", "never"]
    assert scaffold.observed_not_declared == (seen("b", 1), seen("c ", 1))


def test_effects_of_another_category_are_others() -> None:
    plan = Plan(plan_id="p", declared_side_effects=(effect("a", 0, category="network"),))
    scaffold = plan_rollback(run(plan, ("a", 0, True)))
    assert len(scaffold.declared_not_observed) == len(scaffold.observed_not_declared) == 1


def test_an_effect_of_no_step_is_not_the_one_declared_for_a_step() -> None:
    plan = Plan(plan_id="p", declared_side_effects=(effect("a", 0),))
    scaffold = plan_rollback(run(plan, ("a", None, True)))
    assert [row.description for row in scaffold.declared_not_observed] == ["a"]
    assert scaffold.observed_not_declared == (seen("a"),)


def test_an_effect_declared_for_no_step_is_observed_in_any() -> None:
    plan = Plan(plan_id="p", declared_side_effects=(effect("a"),))
    for index in (0, 1, None):
        scaffold = plan_rollback(run(plan, ("a", index, True)))
        assert (scaffold.declared_not_observed, scaffold.observed_not_declared) == ((), ())


def test_unknown_effects_are_those_of_the_end() -> None:
    record = run_standard(observe()).get_execution_record("LIVE")
    assert plan_rollback(record).unknown_effects
    assert not plan_rollback(ended(record, unknown_effects=False)).unknown_effects
    assert plan_rollback(ExecutionRecord(record.events[:-1])).unknown_effects


def test_a_record_of_nothing_has_an_empty_scaffold() -> None:
    record = observe(plan="p").get_execution_record("LIVE")
    assert isinstance(record.events[0], ExecutionStarted)
    scaffold = plan_rollback(record)
    assert not scaffold.is_rollback_possible
    assert (scaffold.hints, scaffold.manual_checklist, scaffold.irreversible_steps) == ((), (), ())
    assert (scaffold.steps_without_hint, scaffold.required_inputs, scaffold.risks) == ((), (), ())
    assert scaffold.status == "started"
    assert scaffold.closing_security_state is None
