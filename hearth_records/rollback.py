"""`RollbackPlanner`: from a record to guidance that a person may follow by hand.

Pure: it reads a record and returns a scaffold. Nothing is executed, nothing is inferred: hints stand verbatim as the
plan's author wrote them, and an effect is the one that was declared only when category, description and step are
equal (declared for no step, any).

    status                closing security state       hint of an executed step   possible   reason_code
    no terminal event     any                          any                        no         still-running
    completed             any                          any                        no         completed
    incomplete            any                          any                        no         its cause, or incomplete
    failed                not OPERATIONAL              any                        no         security-state
    failed                OPERATIONAL                  none                       no         no-hint
    failed                OPERATIONAL                  at least one               yes        failed-with-hints
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from hearth_records.model import (
    ChecklistItem,
    ExecutionStatus,
    RequiredInput,
    Risk,
    RollbackScaffold,
    ScaffoldEffect,
    ScaffoldHint,
    SecurityState,
    StepCompleted,
    StepFailed,
    StepStarted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hearth_records.model import (
        ExecutionRecord,
        RollbackHint,
        SideEffect,
        SideEffectObserved,
    )

__all__ = ["REASONS", "RollbackPlanner"]

REASONS: Final = {
    "still-running": "the record has no end: the execution still runs, or its record was cut short",
    "completed": "the execution completed: there is nothing to roll back; hints are listed for reference",
    "security_escalation": "a security escalation stopped the execution: there is no recovery without a restart",
    "recovered": "the record was recovered after a crash: what ran after its last event is not known",
    "abandoned": "the execution was abandoned",
    "incomplete": "the execution is incomplete, and its cause is not recorded",
    "security-state": "the execution failed and the closing security state is not OPERATIONAL: fail-closed",
    "no-hint": "the execution failed and the plan declares no rollback hint for a step that ran",
    "failed-with-hints": "the execution failed and the plan declares rollback hints for steps that ran",
}
"""What each `reason_code` of a scaffold means; the codes of incomplete records are their causes (FORMAT §3)."""


class RollbackPlanner:
    """Makes scaffolds. It has no state and touches nothing."""

    @staticmethod
    def plan_rollback(record: ExecutionRecord, hints: Iterable[RollbackHint] | None = None) -> RollbackScaffold:
        """Return the guidance for a record.

        Args:
            record: any record, finished or not. Whether it was verified is for the caller to say.
            hints: hints beside those in the record. They are listed and marked as not recorded before the execution,
                and they make nothing possible.

        """
        recorded = record.plan.rollback_hints
        later = tuple(hint for hint in hints or () if hint not in recorded)
        started = tuple(event for event in record.events if isinstance(event, StepStarted))
        executed = frozenset(event.step_index for event in started)
        hinted = frozenset(hint.step_index for hint in recorded)
        report = record.side_effects_report
        declared = tuple(
            effect for effect in report.declared if effect.step_index is None or effect.step_index in executed
        )
        irreversible = [
            *(_effect("observed", effect) for effect in report.observed if effect.reversible is not True),
            *(_effect("declared", effect) for effect in declared if effect.reversible is not True),
        ]
        irreversible_steps = frozenset(effect.step_index for effect in irreversible if effect.step_index is not None)
        outcomes = _outcomes(record)
        seen_anywhere = {(effect.category, effect.description) for effect in report.observed}
        seen = {(effect.category, effect.description, effect.step_index) for effect in report.observed}
        announced = {(effect.category, effect.description, effect.step_index) for effect in report.declared}
        code = _reason_code(record, possible=not hinted.isdisjoint(executed))
        finished = record.finished
        return RollbackScaffold(
            execution_id=record.execution_id,
            plan_id=record.plan_id,
            chain_head=record.get_execution_hash(),
            status=record.status,
            cause=finished.cause if finished else None,
            closing_security_state=finished.security_snapshot.security_state if finished else None,
            is_rollback_possible=code == "failed-with-hints",
            reason_code=code,
            reason=REASONS[code],
            hints=tuple(
                ScaffoldHint(hint=hint, recorded=known, executed=hint.step_index in executed)
                for known, group in ((True, recorded), (False, later))
                for hint in group
            ),
            manual_checklist=tuple(
                ChecklistItem(
                    step_index=event.step_index,
                    step_name=event.step_name,
                    phase=event.phase,
                    outcome=outcomes.get(event.step_index, "open"),
                    has_hint=event.step_index in hinted,
                    irreversible=event.step_index in irreversible_steps,
                )
                for event in reversed(started)
            ),
            irreversible_steps=tuple(sorted(irreversible_steps)),
            irreversible_effects=tuple(irreversible),
            steps_without_hint=tuple(sorted(executed - hinted)),
            declared_not_observed=tuple(
                effect
                for effect in report.declared
                if (
                    (effect.category, effect.description) not in seen_anywhere
                    if effect.step_index is None
                    else (effect.category, effect.description, effect.step_index) not in seen
                )
            ),
            observed_not_declared=tuple(
                _effect("observed", effect)
                for effect in report.observed
                if announced.isdisjoint(
                    (effect.category, effect.description, step_index) for step_index in (effect.step_index, None)
                )
            ),
            required_inputs=tuple(
                RequiredInput(step_index=hint.step_index, name=name, description=text)
                for hint in (*recorded, *later)
                for name, text in sorted(hint.required_inputs.items())
            ),
            risks=tuple(
                Risk(step_index=hint.step_index, risk=risk) for hint in (*recorded, *later) for risk in hint.risks
            ),
            unknown_effects=finished.unknown_effects if finished else True,
        )


def _reason_code(record: ExecutionRecord, *, possible: bool) -> str:
    finished = record.finished
    if finished is None:
        return "still-running"
    if record.status is ExecutionStatus.COMPLETED:
        return "completed"
    if record.status is ExecutionStatus.INCOMPLETE:
        return finished.cause.value if finished.cause else "incomplete"
    if finished.security_snapshot.security_state is not SecurityState.OPERATIONAL:
        return "security-state"
    return "failed-with-hints" if possible else "no-hint"


def _outcomes(record: ExecutionRecord) -> dict[int, Literal["completed", "failed"]]:
    return {
        event.step_index: "completed" if isinstance(event, StepCompleted) else "failed"
        for event in record.events
        if isinstance(event, (StepCompleted, StepFailed))
    }


def _effect(source: Literal["observed", "declared"], effect: SideEffect | SideEffectObserved) -> ScaffoldEffect:
    return ScaffoldEffect(
        source=source,
        category=effect.category,
        description=effect.description,
        reversible=effect.reversible,
        step_index=effect.step_index,
    )
