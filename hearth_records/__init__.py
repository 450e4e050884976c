"""Flight recorder for executions that run step by step: hash-linked events, sealed, verified offline.

    observer = ExecutionObserver("exec-001", "plan-deploy", HearthKernel())
    with observer.step(0, "Deploy") as step:
        step.record_side_effect("network", "told the load balancer", reversible=True)
    observer.mark_completed("Success")
    sealed = observer.seal(signer)

Read the modules in this order: errors, files, profile, model, canonical, redaction, recordable, chain, lifecycle,
disclosure, kernel, journal, rollback, keys, envelope, statement, trust, rotation, timestamp, verify, seal,
countersignature, evidence, withholding, observer, recovery, documents, schema_words, schema, schema_check, schema_diff,
schema_docs, hestia, export, signers, cli.

Names are imported when they are first asked for, so that a command loads only what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hearth_records._version import __version__

if TYPE_CHECKING:
    from hearth_records.canonical import decode_plan
    from hearth_records.chain import chain_head, event_hash
    from hearth_records.errors import (
        ArchiveError,
        ChainError,
        FormatError,
        HearthRecordsError,
        JournalError,
        LifecycleError,
        RecordingError,
        SealError,
        SecurityEscalationError,
        TrustError,
    )
    from hearth_records.hestia import Hestia
    from hearth_records.journal import Journal
    from hearth_records.kernel import HearthKernel, SecurityKernel
    from hearth_records.keys import LocalSigner, PublicKey, Signer
    from hearth_records.model import (
        Actor,
        ActorType,
        Approval,
        BoundaryState,
        Clock,
        Event,
        ExecutionFinished,
        ExecutionRecord,
        ExecutionStarted,
        ExecutionStatus,
        IncompleteCause,
        Link,
        LinkRelation,
        LiveModeState,
        Origin,
        Plan,
        PlanStep,
        Recovery,
        RollbackHint,
        RollbackScaffold,
        SealedRecord,
        SecurityObserved,
        SecuritySnapshot,
        SecurityState,
        Series,
        SideEffect,
        SideEffectCategory,
        SideEffectObserved,
        SideEffectReport,
        StepCompleted,
        StepEvent,
        StepEventType,
        StepFailed,
        StepPhase,
        StepStarted,
    )
    from hearth_records.observer import ExecutionObserver
    from hearth_records.profile import Limits
    from hearth_records.recordable import Withholdable
    from hearth_records.redaction import mask_secrets
    from hearth_records.rollback import RollbackPlanner
    from hearth_records.seal import seal_record
    from hearth_records.signers import open_signer
    from hearth_records.statement import pae
    from hearth_records.trust import TrustPolicy
    from hearth_records.verify import VerificationReport, VerifiedRecord, verify_file, verify_record

_MODULES = {
    "canonical": "decode_plan",
    "chain": "chain_head event_hash",
    "errors": (
        "ArchiveError ChainError FormatError HearthRecordsError JournalError LifecycleError RecordingError SealError "
        "SecurityEscalationError TrustError"
    ),
    "hestia": "Hestia",
    "journal": "Journal",
    "kernel": "HearthKernel SecurityKernel",
    "keys": "LocalSigner PublicKey Signer",
    "model": (
        "Actor ActorType Approval BoundaryState Clock Event ExecutionFinished ExecutionRecord ExecutionStarted "
        "ExecutionStatus IncompleteCause Link LinkRelation LiveModeState Origin Plan PlanStep Recovery RollbackHint "
        "RollbackScaffold SealedRecord SecurityObserved SecuritySnapshot SecurityState Series SideEffect "
        "SideEffectCategory SideEffectObserved SideEffectReport StepCompleted StepEvent StepEventType StepFailed "
        "StepPhase StepStarted"
    ),
    "observer": "ExecutionObserver",
    "profile": "Limits",
    "recordable": "Withholdable",
    "redaction": "mask_secrets",
    "rollback": "RollbackPlanner",
    "seal": "seal_record",
    "signers": "open_signer",
    "statement": "pae",
    "trust": "TrustPolicy",
    "verify": "VerificationReport VerifiedRecord verify_file verify_record",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [  # literal, because type checkers read it
    "Actor",
    "ActorType",
    "Approval",
    "ArchiveError",
    "BoundaryState",
    "ChainError",
    "Clock",
    "Event",
    "ExecutionFinished",
    "ExecutionObserver",
    "ExecutionRecord",
    "ExecutionStarted",
    "ExecutionStatus",
    "FormatError",
    "HearthKernel",
    "HearthRecordsError",
    "Hestia",
    "IncompleteCause",
    "Journal",
    "JournalError",
    "LifecycleError",
    "Limits",
    "Link",
    "LinkRelation",
    "LiveModeState",
    "LocalSigner",
    "Origin",
    "Plan",
    "PlanStep",
    "PublicKey",
    "RecordingError",
    "Recovery",
    "RollbackHint",
    "RollbackPlanner",
    "RollbackScaffold",
    "SealError",
    "SealedRecord",
    "SecurityEscalationError",
    "SecurityKernel",
    "SecurityObserved",
    "SecuritySnapshot",
    "SecurityState",
    "Series",
    "SideEffect",
    "SideEffectCategory",
    "SideEffectObserved",
    "SideEffectReport",
    "Signer",
    "StepCompleted",
    "StepEvent",
    "StepEventType",
    "StepFailed",
    "StepPhase",
    "StepStarted",
    "TrustError",
    "TrustPolicy",
    "VerificationReport",
    "VerifiedRecord",
    "Withholdable",
    "__version__",
    "chain_head",
    "decode_plan",
    "event_hash",
    "mask_secrets",
    "open_signer",
    "pae",
    "seal_record",
    "verify_file",
    "verify_record",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    """Import a public name from its module."""
    if (home := _HOMES.get(name)) is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
