from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import pytest
from helpers import TickingClock, signer

import hearth_records
from hearth_records import (
    Actor,
    ActorType,
    ExecutionObserver,
    ExecutionRecord,
    ExecutionStatus,
    HearthKernel,
    HearthRecordsError,
    Hestia,
    LocalSigner,
    Plan,
    PlanStep,
    PublicKey,
    RecordingError,
    RollbackHint,
    RollbackPlanner,
    RollbackScaffold,
    SealedRecord,
    SecuritySnapshot,
    SecurityState,
    SideEffectReport,
    StepEvent,
    TrustPolicy,
    VerificationReport,
    VerifiedRecord,
    errors,
    seal_record,
    verify_file,
    verify_record,
)

if TYPE_CHECKING:
    from hearth_records import (
        Signer,
    )

SOURCE = Path(hearth_records.__file__)

# What the design names, by its words; `get_hash()`, `plan_rollback()` and the like are looked at below.
DESIGNED = """
    ExecutionRecord StepEvent StepEventType SecuritySnapshot SideEffect SideEffectCategory SideEffectReport
    ExecutionStatus RollbackHint RollbackScaffold ExecutionObserver RollbackPlanner HearthKernel SecurityKernel Hestia
    Plan SealedRecord VerifiedRecord VerificationReport TrustPolicy Signer seal_record verify_record verify_file
    HearthRecordsError FormatError ChainError LifecycleError SealError TrustError RecordingError
    SecurityEscalationError JournalError ArchiveError
"""


@pytest.mark.parametrize("name", hearth_records.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    value = getattr(hearth_records, name)
    assert value is not None
    assert getattr(hearth_records, name) is value
    home = hearth_records._HOMES.get(name)  # noqa: SLF001 - the one table
    if home is not None:
        assert getattr(importlib.import_module(f"hearth_records.{home}"), name) is value


def test_the_names_of_the_design_are_public() -> None:
    assert set(DESIGNED.split()) <= set(hearth_records.__all__)
    assert {name for name in errors.__all__ if name.endswith("Error")} <= set(hearth_records.__all__)


def test_the_lists_of_names_agree() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    seen_by_checkers = {
        (alias.name, str(node.module).removeprefix("hearth_records."))
        for block in ast.walk(tree)
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = hearth_records._HOMES  # noqa: SLF001 - the one table
    assert seen_by_checkers == set(homes.items())
    assert set(hearth_records.__all__) == {*homes, "__version__"}
    assert len(hearth_records.__all__) == len(set(hearth_records.__all__))
    assert dir(hearth_records) == sorted(hearth_records.__all__)


def test_a_star_import_gives_them_all() -> None:
    names: dict[str, Any] = {}
    exec("from hearth_records import *", names)
    assert set(hearth_records.__all__) <= set(names)


def test_what_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError):
        hearth_records.nothing_of_that_name  # noqa: B018 - the look-up is what is tried
    assert not hasattr(hearth_records, "msgspec")


def test_every_name_that_a_module_offers_exists() -> None:
    for path in SOURCE.parent.glob("*.py"):
        module = importlib.import_module(f"hearth_records.{path.stem}".removesuffix(".__init__"))
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{path.stem}.{name}"


def test_the_package_is_typed() -> None:
    assert SOURCE.with_name("py.typed").exists()


def test_importing_the_package_imports_nothing_that_it_does_not_need() -> None:
    program = (
        "import sys, hearth_records; "
        "print(*sorted(name for name in sys.modules if name.partition('.')[0] in "
        "{'hearth_records', 'msgspec', 'cryptography', 'jsonschema', 'asyncio', 'threading', 'socket'}))"
    )
    output = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True).stdout
    assert output.split() == ["hearth_records", "hearth_records._version"]


def test_the_public_types_are_seen_by_a_type_checker() -> None:
    """Run what `mypy --strict` reads: `assert_type` is for it, and each `type: ignore` has to be needed."""
    kernel = HearthKernel()
    assert_type(kernel.get_security_state(), SecurityState)
    assert_type(SecuritySnapshot.from_kernel(kernel, "now"), SecuritySnapshot)
    plan = Plan(
        plan_id="plan-1",
        steps=(PlanStep(step_index=0, step_name="Deploy"),),
        rollback_hints=(RollbackHint(step_index=0, description="undo", required_inputs={"dsn": "address"}),),
    )
    observer = ExecutionObserver(
        "exec-1",
        plan,
        kernel,
        live_mode_state="LIVE",
        actor=Actor(id="svc", type=ActorType.SERVICE),
        approvals=[],
        reason="upgrade",
        change_ref="CHG-1",
        clock=TickingClock(),
    )
    observer.record_step_started(0, "Deploy", {})
    observer.record_side_effect("network", "told it", reversible=True, step_index=0, details={"n": 1})
    observer.record_step_failed(0, "Deploy", "Constraint violation")
    with pytest.raises(RecordingError):
        observer.record_step_started("1", "Deploy")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        observer.record_side_effect("network", "told it")  # type: ignore[call-arg]
    observer.mark_failed("Deploy failed")
    record = observer.get_execution_record("LIVE")
    assert_type(record, ExecutionRecord)
    assert_type(record.status, ExecutionStatus)
    assert_type(record.step_events, tuple[StepEvent, ...])
    assert_type(record.step_events[0].get_hash(), str)
    assert_type(record.side_effects_report, SideEffectReport)
    assert_type(record.security_snapshot_post, SecuritySnapshot | None)
    assert_type(record.get_execution_hash(), str)
    with pytest.raises(AttributeError):
        record.events = ()  # type: ignore[misc]
    local = signer()
    assert_type(local, LocalSigner)
    anyone: Signer = local
    sealed = observer.seal(anyone)
    assert_type(sealed, SealedRecord)
    assert_type(seal_record(record, anyone), SealedRecord)
    assert_type(sealed.data, bytes)
    policy = TrustPolicy.from_keys([("recorder", PublicKey(local.public_key))])
    report = verify_record(sealed.data, policy)
    assert_type(report, VerificationReport)
    assert_type(verify_file("/nowhere", policy), VerificationReport)
    with pytest.raises(TypeError):
        bool(report)
    verified = report.require()
    assert_type(verified, VerifiedRecord)
    assert_type(verified.record, ExecutionRecord)
    with pytest.raises(TypeError):
        VerifiedRecord()
    scaffold = RollbackPlanner.plan_rollback(verified.record, hints=None)
    assert_type(scaffold, RollbackScaffold)
    assert_type(scaffold.is_rollback_possible, bool)
    assert isinstance(Hestia, type)
    assert issubclass(RecordingError, HearthRecordsError)
