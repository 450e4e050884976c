"""The in-toto statement that a seal signs, and its DSSE preimage (FORMAT §5).

    "DSSEv1 28 application/vnd.in-toto+json " + decimal length of body + " " + body

The body is the JCS of the statement, rebuilt from the readable statement in the file, so that a sealed file turns into
a DSSE envelope and back without signing again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hearth_records import canonical
from hearth_records.errors import SealError
from hearth_records.model import (
    FORMAT,
    SEAL_PREDICATE_TYPE,
    STATEMENT_TYPE,
    Chain,
    SealPredicate,
    Statement,
    Subject,
    SubjectDigest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.model import ExecutionFinished, ExecutionStarted, SignerName

__all__ = ["PAYLOAD_TYPE", "build_statement", "pae", "preimage"]

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the DSSE v1 pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def preimage(statement: Statement) -> bytes:
    """Return the bytes that every signature of a seal is over. Raises `FormatError` when the statement is too large."""
    return pae(PAYLOAD_TYPE, canonical.encode_statement(statement))


def build_statement(
    started: ExecutionStarted,
    finished: ExecutionFinished | None,
    *,
    head: str,
    length: int,
    sealed_at: str,
    signers: Sequence[SignerName],
) -> Statement:
    """Return the statement about an execution whose chain has `length` events and ends in `head`.

    Raises:
        SealError: the execution has not finished.

    """
    if finished is None:
        raise SealError(
            "the execution has not finished, so its record cannot be sealed",
            code="not-finished",
            hint="call mark_completed, mark_failed or mark_incomplete_security_escalation first",
        )
    return Statement(
        type=STATEMENT_TYPE,
        predicate_type=SEAL_PREDICATE_TYPE,
        subject=(Subject(digest=SubjectDigest(sha256=head), name=started.execution_id),),
        predicate=SealPredicate(
            chain=Chain(head=head, length=length),
            execution_id=started.execution_id,
            format=FORMAT,
            live_mode_state=started.live_mode_state,
            plan_id=started.plan.plan_id,
            sealed_at=sealed_at,
            series=started.series,
            signers=tuple(signers),
            status=finished.status,
        ),
    )
