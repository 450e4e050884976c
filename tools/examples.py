#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["cryptography", "hearth-records"]
# ///
"""Six short scenarios with the library, each printed, and each checked against what it says.

    examples.py               all of them
    examples.py --only NAME   one of them

    basic         two steps that complete; the record is sealed, and verified with the public key
    failure       a step raises, the record says so, and the caller still gets the exception
    side-effects  what the plan declared, against what was observed
    escalation    the kill switch: nothing starts or completes any more, fail-closed
    scaffold      rollback guidance from the bytes of a sealed file alone
    operator      what an operator reads (Hestia), and a confirmation without a terminal

Everything stays in memory: no file is written, nothing is executed. Only public names of
`hearth_records` are used, so each scenario can be copied. Exit codes: 0; 1 when a scenario does
not come out as it says; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hearth_records import (
    ExecutionObserver,
    ExecutionStatus,
    HearthKernel,
    HearthRecordsError,
    Hestia,
    LocalSigner,
    Plan,
    PlanStep,
    PublicKey,
    RollbackHint,
    RollbackPlanner,
    SecurityEscalationError,
    SideEffect,
    SideEffectCategory,
    StepFailed,
    TrustPolicy,
    verify_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records import SealedRecord

PLAN = Plan(
    plan_id="plan-migrate",
    steps=(PlanStep(step_index=0, step_name="Create table"), PlanStep(step_index=1, step_name="Load rows")),
    declared_side_effects=(
        SideEffect(
            category=SideEffectCategory.DATA_MUTATION, description="table customers_v2", reversible=True, step_index=0
        ),
        SideEffect(
            category=SideEffectCategory.NETWORK, description="mail to the owners", reversible=False, step_index=1
        ),
    ),
    rollback_hints=(
        RollbackHint(
            step_index=0,
            description="Drop the new table",
            actions=("DROP TABLE customers_v2",),
            required_inputs={"dsn": "address of the database"},
            risks=("rows written to it since are lost",),
            estimated_duration="2 min",
        ),
    ),
)


class UnexpectedError(Exception):
    """A scenario did not come out as it says."""


def expect(holds: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise unless `what` holds."""
    if not holds:
        raise UnexpectedError(f"not so: {what}")


def run_migration() -> ExecutionObserver:
    """Record a migration whose second step fails."""
    observer = ExecutionObserver("exec-migrate-7", PLAN, HearthKernel(), reason="move customers to the new schema")
    with observer.step(0, "Create table") as step:
        step.record_side_effect(SideEffectCategory.DATA_MUTATION, "table customers_v2", reversible=True)
    observer.record_step_started(1, "Load rows", {"file": "customers.csv"})
    observer.record_side_effect("file_system", "wrote load.log", reversible=None, step_index=1)
    observer.record_step_failed(1, "Load rows", "UNIQUE constraint failed: customers_v2.email")
    observer.mark_failed("the load failed")
    return observer


def seal(observer: ExecutionObserver) -> tuple[SealedRecord, TrustPolicy]:
    """Seal with a key made on the spot; return the policy of a reader who has its public half."""
    signer = LocalSigner(Ed25519PrivateKey.generate())
    return observer.seal(signer), TrustPolicy.from_keys([("example recorder", PublicKey(signer.public_key))])


def basic() -> str:
    """Record two steps that complete, seal, and verify."""
    observer = ExecutionObserver("exec-deploy-1", "plan-deploy", HearthKernel())
    with observer.step(0, "Copy files"):
        pass  # the work stands here
    with observer.step(1, "Restart service"):
        pass
    observer.mark_completed("both steps done", unknown_effects=False)
    sealed, policy = seal(observer)
    report = verify_record(sealed.data, policy)
    record = report.require().record
    expect(record.status is ExecutionStatus.COMPLETED, "the execution completed")
    expect(record.get_execution_hash() == report.chain_head, "the execution hash is the chain head")
    return (
        f"status:     {record.status.value}\n"
        f"file:       {sealed.file_name}, {len(sealed.data)} bytes, {len(record.events)} events\n"
        f"chain head: {record.get_execution_hash()}\n"
        f"verdict:    {report.verdict}\n"
    )


def failure() -> str:
    """Let a step raise: it is recorded, and goes on to the caller."""
    observer = ExecutionObserver("exec-deploy-2", "plan-deploy", HearthKernel())
    caught = ""
    try:
        with observer.step(0, "Migrate"):
            raise ValueError("constraint violation")
    except ValueError as error:
        caught = str(error)
        observer.mark_failed("Migrate failed")
    record = observer.get_execution_record("LIVE")
    failed = [event for event in record.events if isinstance(event, StepFailed)]
    expect(record.status is ExecutionStatus.FAILED, "the execution failed")
    expect(len(failed) == 1, "one step failed")
    expect(caught == "constraint violation", "the caller got the exception")
    return (
        f"status: {record.status.value}\n"
        f"step {failed[0].step_index} {failed[0].step_name}: {failed[0].error_message}\n"
        f"the caller still caught: {caught}\n"
    )


def side_effects() -> str:
    """Compare what was declared with what was observed."""
    record = run_migration().get_execution_record("LIVE")
    report, scaffold = record.side_effects_report, RollbackPlanner.plan_rollback(record)
    lines = [f"declared: {effect.category.value}: {effect.description}" for effect in report.declared]
    lines += [f"observed: {effect.category.value}: {effect.description}" for effect in report.observed]
    lines += [f"declared, never observed: {effect.description}" for effect in scaffold.declared_not_observed]
    lines += [f"observed, never declared: {effect.description}" for effect in scaffold.observed_not_declared]
    lines.append(f"irreversible steps: {list(scaffold.irreversible_steps)}")
    missed = [effect.description for effect in scaffold.declared_not_observed]
    surprising = [effect.description for effect in scaffold.observed_not_declared]
    expect(missed == ["mail to the owners"], "the mail was declared and never seen")
    expect(surprising == ["wrote load.log"], "the log file was seen and never declared")
    expect(scaffold.irreversible_steps == (1,), "not known to be reversible is irreversible")
    return "\n".join(lines) + "\n"


def escalation() -> str:
    """Pull the kill switch between two steps."""
    kernel = HearthKernel()
    observer = ExecutionObserver("exec-deploy-3", "plan-deploy", kernel)
    with observer.step(0, "Copy files"):
        pass
    kernel.trigger_kill_switch("intruder in the plant network")
    refused = []
    try:
        observer.record_step_started(1, "Restart service")
    except SecurityEscalationError as error:
        refused.append(f"step 1 was refused: {error.reason}")
    try:
        observer.mark_completed("done anyway")
    except SecurityEscalationError as error:
        refused.append(f"completion was refused: {error.reason}")
    observer.mark_incomplete_security_escalation("stopped by the kill switch")
    record = observer.get_execution_record("LIVE")
    scaffold = RollbackPlanner.plan_rollback(record)
    expect(len(refused) == len(("start", "completion")), "nothing started or completed after the kill switch")
    expect(record.status is ExecutionStatus.INCOMPLETE, "the execution is incomplete")
    expect(not scaffold.is_rollback_possible, "there is no recovery without a restart")
    return "\n".join([*refused, f"status: {record.status.value}", f"rollback: no, {scaffold.reason}"]) + "\n"


def scaffold() -> str:
    """Make guidance from the bytes of a sealed file, which is all that an auditor has."""
    observer = run_migration()
    sealed, policy = seal(observer)
    scaffold = RollbackPlanner.plan_rollback(verify_record(sealed.data, policy).require().record)
    expect(scaffold.is_rollback_possible, "a rollback by hand is possible")
    same = scaffold == RollbackPlanner.plan_rollback(observer.get_execution_record("LIVE"))
    expect(same, "the file alone gives the guidance that the record gave")
    lines = [f"possible: {scaffold.is_rollback_possible} ({scaffold.reason_code})"]
    lines += [f"look at step {item.step_index} {item.step_name}: {item.outcome}" for item in scaffold.manual_checklist]
    lines += [f"hint for step {item.hint.step_index}: {item.hint.description}" for item in scaffold.hints]
    lines += [f"you must have {item.name}: {item.description}" for item in scaffold.required_inputs]
    lines += [f"risk: {item.risk}" for item in scaffold.risks]
    lines.append(f"steps without a hint: {list(scaffold.steps_without_hint)}")
    return "\n".join(lines) + "\n"


def operator() -> str:
    """Show what an operator reads; without a terminal the answer is no."""
    record = run_migration().get_execution_record("LIVE")
    shown = io.StringIO()
    hestia = Hestia(source=io.StringIO("yes\n"), target=shown)
    confirmed, message = hestia.confirm_manual_rollback(RollbackPlanner.plan_rollback(record))
    expect(not confirmed, "without a terminal nothing is confirmed")
    parts = [hestia.display_execution_summary(record), hestia.show_irreversible_actions(record), shown.getvalue()]
    return "\n".join([*parts, f"confirmed: {confirmed}, {message}\n"])


SCENARIOS: dict[str, Callable[[], str]] = {
    "basic": basic,
    "failure": failure,
    "side-effects": side_effects,
    "escalation": escalation,
    "scaffold": scaffold,
    "operator": operator,
}


def main() -> int:
    """Run the scenarios."""
    parser = argparse.ArgumentParser(description="Six scenarios with hearth_records.", allow_abbrev=False)
    parser.add_argument("--only", metavar="NAME", choices=SCENARIOS, help=f"one of {', '.join(SCENARIOS)}")
    only: str | None = parser.parse_args().only
    names = [only] if only else list(SCENARIOS)
    try:
        for name in names:
            print(f"==== {name} ====\n{SCENARIOS[name]()}", flush=True)
    except (UnexpectedError, HearthRecordsError) as error:
        print(f"examples.py: error: {name}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read this is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
