"""The JSON documents that commands print: the verification report and the scaffold with what it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from hearth_records import profile
from hearth_records.model import Count, Digest, Identifier, MemberName, RollbackScaffold, Timestamp
from hearth_records.verify import CHECKS, CheckName, ExitCode, Status, Verdict, combine_exit_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.trust import EvidenceFinding
    from hearth_records.verify import VerificationReport

__all__ = [
    "REPORT_FORMAT",
    "SCAFFOLD_FORMAT",
    "ReportDocument",
    "ScaffoldDocument",
    "report_document",
    "scaffold_document",
]

REPORT_FORMAT: Final = "hearth-verification/1"
SCAFFOLD_FORMAT: Final = "hearth-scaffold/1"
_ASTRAL: Final = 0x10000
NOTICE: Final = "Guidance for a person. Nothing here is executed, and nothing was inferred."


class _Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the objects in these documents."""


class CheckEntry(_Document, frozen=True, kw_only=True):
    """One check of FORMAT §8. `seq` is an event's position from 0, `pointer` an RFC 6901 pointer into the record."""

    check: CheckName
    status: Status
    code: str | None
    reason: str | None
    seq: Count | None
    pointer: str | None


class EvidenceEntry(_Document, frozen=True, kw_only=True):
    """A piece of evidence. Good evidence has a time, and in `authority` the SHA-256 of the certificate behind it."""

    type: str
    status: Literal["good", "bad", "not_run"]
    time: Timestamp | None
    authority: Digest | None
    code: str | None
    reason: str | None


class SignerEntry(_Document, frozen=True, kw_only=True):
    """A signature of the seal. `name` is what the reader's policy calls the key, null when it does not know it."""

    keyid: Digest
    algorithm: Identifier | None
    name: str | None
    role: Literal["seal", "countersign"]
    status: Literal["good", "bad", "not_run"]


class SignatureEntry(SignerEntry, frozen=True, kw_only=True):
    """A signature of the seal, with the evidence on it."""

    evidence: tuple[EvidenceEntry, ...]


class WarningEntry(_Document, frozen=True, kw_only=True):
    """A finding that is no error, how often it was made, and at which event first."""

    code: str
    count: Annotated[int, Meta(ge=1, le=profile.MAX_INTEGER)]
    reason: str
    seq: Count | None


class DisclosureEntry(_Document, frozen=True, kw_only=True):
    """An event whose details hold digests: which members are disclosed, and how many digests are withheld or decoys."""

    seq: Count
    disclosed: tuple[MemberName, ...]
    undisclosed: Count


class FileEntry(_Document, frozen=True, kw_only=True):
    """What came of one file. `sha256` is that of its bytes as they were read."""

    file: str
    sha256: Digest | None
    verdict: Verdict
    exit_code: ExitCode
    checks: Annotated[tuple[CheckEntry, ...], Meta(min_length=len(CHECKS), max_length=len(CHECKS))]
    execution_id: Identifier | None
    chain_head: Digest | None
    events: Count | None
    sealed_at: Timestamp | None
    signers: tuple[SignatureEntry, ...]
    evidence: tuple[EvidenceEntry, ...]
    reformatted: bool
    disclosures: tuple[DisclosureEntry, ...]
    warnings: tuple[WarningEntry, ...]


class ReportDocument(_Document, frozen=True, kw_only=True):
    """The verification report: one entry a file, and the exit code of the command."""

    format: Literal["hearth-verification/1"]
    exit_code: ExitCode
    results: tuple[FileEntry, ...]


class ScaffoldSource(_Document, frozen=True, kw_only=True):
    """What a scaffold was made from, and what the verifier said about it."""

    chain_head: Digest
    events: Count
    file_sha256: Digest
    sealed_at: Timestamp | None
    signers: tuple[SignerEntry, ...]
    verdict: Verdict


class WithholdableEntry(_Document, frozen=True, kw_only=True):
    """The details of an event that hold digests, with what is disclosed in its place.

    `disclosed` names these members; `undisclosed` counts the digests that are withheld or decoys.
    """

    seq: Count
    type: str
    step_index: Count | None
    details: dict[MemberName, Any]
    disclosed: tuple[MemberName, ...]
    undisclosed: Count


class ScaffoldDocument(_Document, frozen=True, kw_only=True):
    """Rollback guidance, and what it was made from."""

    format: Literal["hearth-scaffold/1"]
    made_from: ScaffoldSource
    notice: str
    scaffold: RollbackScaffold
    withholdable: tuple[WithholdableEntry, ...]


def file_entry(name: str, report: VerificationReport) -> FileEntry:
    """Return what a report says about the file `name`; a byte of it that is not UTF-8 stands as an escape."""
    return FileEntry(
        file=_unicode(name),
        sha256=report.sha256,
        verdict=report.verdict,
        exit_code=report.exit_code,
        checks=tuple(
            CheckEntry(
                check=check.check,
                status=check.status,
                code=check.code,
                reason=check.reason,
                seq=check.seq,
                pointer=None if check.pointer is None else _unicode(check.pointer),
            )
            for check in report.checks
        ),
        execution_id=report.execution_id,
        chain_head=report.chain_head,
        events=report.events,
        sealed_at=report.sealed_at,
        signers=_signatures(report),
        evidence=_evidence(report.evidence),
        reformatted=report.reformatted,
        disclosures=tuple(
            DisclosureEntry(seq=item.seq, disclosed=item.disclosed, undisclosed=item.undisclosed)
            for item in report.disclosures
        ),
        warnings=tuple(
            WarningEntry(code=item.code, count=item.count, reason=item.reason, seq=item.seq) for item in report.warnings
        ),
    )


def _signers(report: VerificationReport) -> tuple[SignerEntry, ...]:
    return tuple(
        SignerEntry(
            keyid=item.keyid,
            algorithm=item.algorithm,
            name=None if item.name is None else _unicode(item.name),
            role=item.role,
            status=item.status,
        )
        for item in report.signers
    )


def _signatures(report: VerificationReport) -> tuple[SignatureEntry, ...]:
    return tuple(
        SignatureEntry(**msgspec.structs.asdict(entry), evidence=_evidence(item.evidence))
        for entry, item in zip(_signers(report), report.signers, strict=True)
    )


def _evidence(findings: Sequence[EvidenceFinding]) -> tuple[EvidenceEntry, ...]:
    return tuple(
        EvidenceEntry(
            type=item.type,
            status=item.status,
            time=item.time,
            authority=item.authority,
            code=item.code,
            reason=item.reason,
        )
        for item in findings
    )


def _unicode(text: str) -> str:
    """Return text that JSON can hold. File names and pointers into bad documents may have lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def report_document(entries: Sequence[FileEntry]) -> ReportDocument:
    """Return the report about several files."""
    exit_code = combine_exit_codes(entry.exit_code for entry in entries)
    return ReportDocument(format=REPORT_FORMAT, exit_code=exit_code, results=tuple(entries))


def scaffold_document(scaffold: RollbackScaffold, report: VerificationReport) -> ScaffoldDocument:
    """Return a scaffold together with what the verifier said about its record."""
    return ScaffoldDocument(
        format=SCAFFOLD_FORMAT,
        made_from=ScaffoldSource(
            chain_head=scaffold.chain_head,
            events=report.events or 0,
            file_sha256=report.sha256 or "",
            sealed_at=report.sealed_at,
            signers=_signers(report),
            verdict=report.verdict,
        ),
        notice=NOTICE,
        scaffold=scaffold,
        withholdable=tuple(
            WithholdableEntry(
                seq=item.seq,
                type=item.type,
                step_index=item.step_index,
                details=item.details,
                disclosed=item.disclosed,
                undisclosed=item.undisclosed,
            )
            for item in report.disclosures
        ),
    )


def encode_document(document: ReportDocument | ScaffoldDocument) -> bytes:
    """Return a document's bytes: canonical JSON (RFC 8785), every character beyond ASCII escaped, and a line break.

    The escapes keep what came out of a record from acting on a terminal.
    """
    text = profile.encode(document).decode()
    if text.isascii() and "\x7f" not in text:
        return text.encode() + b"\n"
    return "".join(char if char < "\x7f" else _escape(char) for char in text).encode() + b"\n"


def _escape(char: str) -> str:
    point = ord(char)
    if point >= _ASTRAL:  # two UTF-16 units
        point -= _ASTRAL
        return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
    return f"\\u{point:04x}"
