"""A made-up hearth-record/2: what a second version of the format takes.

Its own structs for what changed, an entry in `canonical.VERSIONS`, its documents in `schema.DOCUMENTS`, and its schemas
in a directory of their own, here beside this file. Everything else is the reader that there is.

    python tests/hearth_record_2/structs.py     writes the schemas
"""

import sys
from pathlib import Path
from typing import Final, Literal

from hearth_records import schema
from hearth_records.canonical import Version
from hearth_records.model import (
    Closing,
    Count,
    ExecutionFinished,
    ExecutionStarted,
    Seal,
    SealPredicate,
    SecurityObserved,
    SideEffectObserved,
    Statement,
    StepCompleted,
    StepFailed,
    StepStarted,
    Text,
)

FORMAT: Final = "hearth-record/2"
DIRECTORY: Final = Path(__file__).parent / "schemas"


class ExecutionStarted2(ExecutionStarted, frozen=True, kw_only=True, tag="execution_started"):
    """As before, with labels."""

    format: Literal["hearth-record/2"]  # type: ignore[assignment]
    labels: tuple[Text, ...]


class ExecutionFinished2(ExecutionFinished, frozen=True, kw_only=True, tag="execution_finished"):
    """As before, with how long it took in milliseconds."""

    duration_ms: Count | None


class SealPredicate2(SealPredicate, frozen=True, kw_only=True):
    """As before, about the new version."""

    format: Literal["hearth-record/2"]  # type: ignore[assignment]


class Statement2(Statement, frozen=True, kw_only=True):
    """As before, with the new predicate."""

    predicate: SealPredicate2


class Seal2(Seal, frozen=True, kw_only=True):
    """As before, with the new statement."""

    statement: Statement2


class Closing2(Closing, frozen=True, kw_only=True):
    """As before, with the new seal."""

    seal: Seal2


AnyEvent2 = (
    ExecutionStarted2
    | StepStarted
    | StepCompleted
    | StepFailed
    | SideEffectObserved
    | SecurityObserved
    | ExecutionFinished2
)
VERSION: Final = Version(FORMAT, AnyEvent2, Closing2)
DOCUMENTS: Final = {
    document.id: document
    for document in (
        schema.Document(
            "record",
            FORMAT,
            "Hearth record, version 2",
            "A made-up second version.",
            lambda: schema.record_root(AnyEvent2, Closing2, FORMAT),
        ),
        schema.Document(
            "event",
            FORMAT,
            "Hearth event, version 2",
            "An event of a made-up second version.",
            lambda: schema.event_root(AnyEvent2),
        ),
    )
}


def write_schemas() -> int:
    """Write the schemas of this version."""
    schema.DOCUMENTS.update(DOCUMENTS)
    for key, document in DOCUMENTS.items():
        path = DIRECTORY / document.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(schema.encode_schema(key))
    return 0


if __name__ == "__main__":
    sys.exit(write_schemas())
