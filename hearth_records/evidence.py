"""Evidence: what is added to a sealed record without touching the seal (FORMAT §6).

A piece stands on one signature, at the end of what stands there already. What it is worth is for the verifier and the
reader's policy to say; here it is only seen to that the record holds and that the piece can stand there.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

import msgspec

from hearth_records.countersignature import check_holds
from hearth_records.errors import SealError
from hearth_records.model import Evidence
from hearth_records.seal import rewrite_closing

if TYPE_CHECKING:
    from hearth_records.model import Closing, Seal, Signature
    from hearth_records.verify import VerificationReport

__all__ = ["attach_evidence", "find_signature"]

_MIN_PREFIX = 8
"""Digits of a key id that name a signature, if it is the only one whose key id begins so."""


def find_signature(seal: Seal, keyid: str | None = None) -> Signature:
    """Return the signature by a key, named by its key id or the first 8 digits of it or more; else the first signer's.

    Raises:
        SealError: there is none, or more than one.

    """
    if keyid is None:
        return seal.signatures[0]
    found = [signature for signature in seal.signatures if signature.keyid.startswith(keyid.lower())]
    if len(keyid) < _MIN_PREFIX or len(found) != 1:
        raise SealError(
            f"no signature, or not exactly one, is by a key whose id begins so: {keyid}",
            code="keyid",
            hint=f"give the key id, or at least its first {_MIN_PREFIX} digits; verify-record lists them",
        )
    return found[0]


def attach_evidence(
    data: bytes, keyid: str, kind: str, evidence: bytes, *, report: VerificationReport | None = None
) -> bytes:
    """Return a sealed record file with one more piece of evidence, on the signature of a key.

    Args:
        data: the whole file.
        keyid: whose signature it is about.
        kind: the type, for example `rfc3161`. Nothing here looks at what the evidence says: see `timestamp`.
        evidence: its bytes.
        report: as for `countersign`.

    Raises:
        HearthRecordsError: the record does not hold; the error is that of the failed check.
        SealError: the key has not signed, or the same piece is there already.

    """
    check_holds(data, report)
    piece = Evidence(data=binascii.b2a_base64(evidence, newline=False).decode(), type=kind)

    def change(closing: Closing) -> Closing:
        target = find_signature(closing.seal, keyid)
        if piece in target.evidence:
            raise SealError("this very piece of evidence is there already", code="duplicate-evidence")
        stamped = msgspec.structs.replace(target, evidence=(*target.evidence, piece))
        signatures = tuple(stamped if signature is target else signature for signature in closing.seal.signatures)
        seal = msgspec.structs.replace(closing.seal, signatures=signatures)
        return msgspec.structs.replace(closing, seal=seal)

    result = rewrite_closing(data, change)
    check_holds(result, None)
    return result
