"""Withholding: a copy of a sealed record in which some disclosures are gone (FORMAT §6).

Nothing but the list of disclosures changes: every hash, every signature, countersignature and timestamp stays valid,
and of the value nothing is left but a digest with a salt that nobody knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hearth_records import canonical
from hearth_records.disclosure import DIGESTS, decode_disclosure, digest_of
from hearth_records.errors import SealError, quote
from hearth_records.seal import rewrite_closing
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hearth_records.model import Closing, ExecutionRecord
    from hearth_records.verify import VerificationReport

__all__ = ["withhold"]


def withhold(data: bytes, members: Iterable[tuple[int, str]], *, report: VerificationReport | None = None) -> bytes:
    """Return a sealed record file without the disclosures of some members of details.

    Args:
        data: the whole file.
        members: each an event's position, from 0, and the name of a member of its details that is disclosed.
        report: what the verifier says about these very bytes, by whatever policy. Without it they are checked here for
            what needs no key.

    Raises:
        HearthRecordsError: the record does not hold; the error is that of the failed check.
        SealError: `code` is "no-event" or "not-disclosed".

    """
    if report is None or report.source is not data:
        report = verify_record(data, None)
    if report.error is not None:
        raise report.error

    def change(closing: Closing) -> Closing:
        gone = _find(report, canonical.decode_record(data), closing.disclosures, members)
        kept = tuple([text for text in closing.disclosures if text not in gone])
        return msgspec.structs.replace(closing, disclosures=kept)

    return rewrite_closing(data, change)


def _find(
    report: VerificationReport,
    record: ExecutionRecord,
    disclosures: tuple[str, ...],
    members: Iterable[tuple[int, str]],
) -> set[str]:
    """Return the disclosures of these members."""
    by_digest = {digest_of(text): text for text in disclosures}
    names = {finding.seq: finding.disclosed for finding in report.disclosures}
    gone: set[str] = set()
    for seq, name in members:
        if seq >= len(record.events):
            raise SealError(
                "there is no such event", code="no-event", actual=seq, expected=f"0 to {len(record.events) - 1}"
            )
        if name not in names.get(seq, ()):
            disclosed = ", ".join(map(quote, names.get(seq, ())))
            raise SealError(
                f"the event discloses no member {quote(name)}",
                code="not-disclosed",
                seq=seq,
                hint=f"it discloses {disclosed}" if disclosed else "it discloses nothing",
            )
        digests = record.events[seq].details[DIGESTS]
        found = [by_digest[digest] for digest in digests if digest in by_digest]
        gone.update(text for text in found if decode_disclosure(text).name == name)
    return gone
