"""Recovery: what is left of a journal that nobody writes any more, and closing it (FORMAT §7).

    inspect    says what is there, and changes nothing
    recover    sets a torn tail aside, appends `execution_finished` (incomplete, recovered), seals, publishes

Each step is durable before the next, and each may have been done by a recovery that crashed: running it again finishes
the rest. No acknowledged byte is ever rewritten; damage anywhere but in a torn last line is refused.

A disclosure whose event was never acknowledged, whole or torn, does not go into the closing line, where it would be an
error; what can be withheld may be secret, so that it is not kept either. `inspect` counts them, and the event that
`recover` appends says how many there were: `details` {"hearth_disclosures_dropped": N}.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from hearth_records import files
from hearth_records.canonical import OPENING
from hearth_records.chain import ChainState
from hearth_records.disclosure import sort_out
from hearth_records.errors import ChainError, FormatError, HearthRecordsError, JournalError, LifecycleError, quote
from hearth_records.journal import (
    SUFFIX,
    Journal,
    Scan,
    check_execution,
    check_name,
    disclosures_path,
    is_locked,
    is_published,
    read_disclosures,
    record_path,
    remove_disclosures,
    scan,
    source_of,
    translated,
)
from hearth_records.keys import public_key
from hearth_records.lifecycle import LifecycleState
from hearth_records.model import BoundaryState, Recovery, SecurityState, system_clock
from hearth_records.observer import ExecutionObserver, default_origin
from hearth_records.profile import DEFAULT_LIMITS, sha256_hex
from hearth_records.trust import TrustPolicy
from hearth_records.verify import verify_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from hearth_records.canonical import LineSource
    from hearth_records.journal import DisclosureLines
    from hearth_records.keys import Signer

__all__ = ["DisclosuresLeft", "Findings", "inspect", "recover"]

TORN_SUFFIX: Final = ".torn"

DROPPED: Final = "hearth_disclosures_dropped"

State = Literal["recording", "open", "closed", "published"]


class DisclosuresLeft(Struct, frozen=True, kw_only=True):
    """What lies in a disclosures file.

    Attributes:
        referred: disclosures that the journal's events refer to.
        orphans: those that no event refers to: their event was never acknowledged.
        torn_bytes: bytes of a last line that was cut.

    """

    referred: int = 0
    orphans: int = 0
    torn_bytes: int = 0

    @property
    def dropped(self) -> int:
        """How many disclosures do not go into the record."""
        return self.orphans + bool(self.torn_bytes)


class Findings(Struct, frozen=True, kw_only=True):
    """What is left of a journal.

    Attributes:
        journal: its path.
        record: the path under which it is, or will be, published.
        state: "recording" while somebody writes it; "open" when nobody does and it has no closing line; "closed" when
            it has one and no record name yet; "published" when it has that too.
        events: whole events.
        finished: whether the last one is `execution_finished`.
        torn_bytes: bytes of a last line that was cut.
        disclosures: what lies in the disclosures file, or None when it cannot be read by whoever asks.
        damage: what is wrong before the end, or None. A damaged journal is not recovered.

    """

    journal: str
    record: str
    state: State
    events: int
    finished: bool
    torn_bytes: int
    disclosures: DisclosuresLeft | None
    damage: HearthRecordsError | None


class _UnknownKernel:
    """Nobody knows how secure the system was when the execution ended."""

    def get_security_state(self) -> str:
        return SecurityState.UNKNOWN

    def get_boundary_state(self) -> str:
        return BoundaryState.UNKNOWN


def inspect(path: str | os.PathLike[str]) -> Findings:
    """Say what is left of a journal, and change nothing; somebody may write it meanwhile.

    Raises:
        JournalError: the name is not that of a journal, or it cannot be read.
        OSError: there is none, or it cannot be opened.

    """
    name = check_name(path)
    record = record_path(name)
    try:
        stream = files.open_regular(name)
    except FileNotFoundError:
        if not os.path.lexists(record):
            raise
        return _findings(name, "published", None, None)
    with stream:
        descriptor = stream.fileno()
        state: State = "recording" if is_locked(descriptor) else "open"
        try:
            disclosures = _readable_disclosures(name)  # before the events: each was written before its event
            size = os.fstat(descriptor).st_size
            found, rest = _scan_to_end(name, lambda more: source_of(name, descriptor, size, more))
            if found.closing_line:
                _check_seal(source_of(name, descriptor, size, rest), ())
            left = None
            if disclosures is not None:
                left = _sort_out(disclosures, found, lambda: source_of(name, descriptor, size, rest))
        except HearthRecordsError as error:
            if error.code == "io":
                raise
            return _findings(name, state, None, error)
        if state == "open" and found.closing_line:
            state = "published" if is_published(descriptor, name) else "closed"
    return _findings(name, state, found, None, left)


def recover(
    path: str | os.PathLike[str],
    signer: Signer,
    *more: Signer,
    reason: str,
    clock: Callable[[], datetime] = system_clock,
    allow_example_keys: bool = False,
) -> str:
    """Close, seal and publish what is left of a journal, or finish doing so; return the record's path.

    Args:
        path: the journal.
        signer: who seals it.
        *more: others who seal it as well.
        reason: what to record as the reason.
        clock: returns the present time as an aware datetime.
        allow_example_keys: as for `seal_record`.

    Raises:
        JournalError: somebody writes it, it holds no event, a record of its name exists, or a call failed.
        FormatError, ChainError, LifecycleError: it is damaged before its end.
        SealError: it could not be sealed; then it is closed as incomplete and can be sealed later.

    """
    name = check_name(path)
    record = record_path(name)
    try:
        opened = Journal.open(name)
    except JournalError as error:
        if isinstance(error.__cause__, FileNotFoundError) and os.path.lexists(record):
            _remove_left_over(name, record)
            return record
        raise
    with opened as journal:
        found, rest = _scan_to_end(name, journal.source)
        if found.closing_line:
            _check_seal(journal.source(rest), (signer, *more))
            if rest:
                journal.complete(rest)
            journal.link_record()
            return record
        journal.check_unpublished()
        if not found.chain.length:
            raise JournalError(
                f"{quote(name)} holds no event", code="no-event", hint="nothing was acknowledged, nothing is lost"
            )
        with translated(name):
            if found.torn:
                _set_aside(name, found.torn)
            torn = b"".join(_torn_parts(name))
        if found.torn:
            journal.truncate(found.size)
        with translated(disclosures_path(name)):
            left = _sort_out(read_disclosures(name), found, journal.source)
        observer = ExecutionObserver.resume(journal, _UnknownKernel(), clock=clock)
        if not observer.is_finished:
            observer.mark_recovered(
                reason,
                Recovery(torn_bytes=len(torn), torn_sha256=sha256_hex(torn) if torn else None, origin=default_origin()),
                {DROPPED: left.dropped} if left.dropped else None,
            )
        observer.seal(signer, *more, allow_example_keys=allow_example_keys)
    return record


def _findings(
    name: str,
    state: State,
    found: Scan | None,
    damage: HearthRecordsError | None,
    disclosures: DisclosuresLeft | None = None,
) -> Findings:
    return Findings(
        journal=name,
        record=record_path(name),
        state=state,
        events=found.chain.length if found else 0,
        finished=state == "published" if found is None else found.lifecycle.finished is not None,
        torn_bytes=len(found.torn) if found else 0,
        disclosures=disclosures,
        damage=damage,
    )


def _scan_to_end(name: str, source: Callable[[bytes], LineSource]) -> tuple[Scan, bytes]:
    """Return what a journal holds, and the line break that its closing line may lack."""
    opening = source(b"").readline(len(OPENING))
    if opening != OPENING and OPENING.startswith(opening):  # cut before anything was acknowledged
        return Scan(lifecycle=LifecycleState(), chain=ChainState(), size=0, closing_line=b"", torn=opening), b""
    try:
        found, rest = scan(source(b"")), b""
    except FormatError as error:
        if error.code != "frame":
            raise
        found, rest = _scan_with_line_break(source, error), b"\n"
    check_execution(name, found)
    return found, rest


def _scan_with_line_break(source: Callable[[bytes], LineSource], error: FormatError) -> Scan:
    """Return what a journal holds whose closing line lacks nothing but its line break; else raise `error`."""
    with contextlib.suppress(FormatError, ChainError, LifecycleError):
        found = scan(source(b"\n"))
        if found.closing_line:
            return found
    raise error


def _check_seal(source: LineSource, signers: Sequence[Signer]) -> None:
    """Raise what is wrong with a closed journal, by the keys at hand; whether they are trusted is for the reader."""
    known = {}
    for signer in signers:
        with contextlib.suppress(Exception):  # nothing is signed here: a key that is out of reach is not needed
            key = public_key(bytes(signer.public_key))
            known[key.keyid] = ("signer", key)
    report = verify_source(source, TrustPolicy.from_keys(known.values(), allow_example_keys=True) if known else None)
    decisive = report.decisive
    if decisive is not None and decisive.status == "fail" and decisive.check != "trust":
        report.require()


def _readable_disclosures(name: str) -> DisclosureLines | None:
    """Return what lies in the disclosures file, or None: only its owner can read it."""
    try:
        return read_disclosures(name)
    except OSError:
        return None


def _sort_out(lines: DisclosureLines, found: Scan, source: Callable[[], LineSource]) -> DisclosuresLeft:
    if not lines.whole or not found.chain.length:
        return DisclosuresLeft(orphans=len(lines.whole), torn_bytes=lines.torn_bytes)
    parts = sort_out(lines.whole, source())
    return DisclosuresLeft(referred=len(parts.referred), orphans=len(parts.orphans), torn_bytes=lines.torn_bytes)


def _remove_left_over(name: str, record: str) -> None:
    """Remove disclosures that lie beside a sealed record without a journal, which no crash of ours leaves."""
    with translated(name):
        if not os.path.lexists(disclosures_path(name)):
            return
        with files.open_regular(record) as stream:
            _check_seal(stream, ())
        remove_disclosures(name)
        files.sync_directory(os.path.dirname(name) or ".")  # noqa: PTH120 - a text, as everywhere here


def _torn_parts(name: str) -> list[bytes]:
    """Return the torn tails that were set aside so far, oldest first."""
    parts: list[bytes] = []
    with contextlib.suppress(FileNotFoundError):
        while True:
            parts.append(files.read_regular(_torn_path(name, len(parts)), DEFAULT_LIMITS.file))
    return parts


def _torn_path(name: str, number: int) -> str:
    return f"{name.removesuffix(SUFFIX)}{TORN_SUFFIX}{f'.{number}' if number else ''}"


def _set_aside(name: str, torn: bytes) -> None:
    """Keep a torn tail in a file of its own, durably, before it is cut; unless a recovery that crashed did so."""
    parts = _torn_parts(name)
    if not parts or parts[-1] != torn:
        files.write_new(_torn_path(name, len(parts)), torn, mode=0o600)  # a closing line holds what can be withheld
