"""Sealing: signing a chain head, and checking the result with the real verifier before anyone sees it (FORMAT §5)."""

from __future__ import annotations

import binascii
import functools
import io
from typing import TYPE_CHECKING

from hearth_records import canonical, keys, recordable
from hearth_records.chain import check_chain
from hearth_records.errors import HearthRecordsError, SealError, quote
from hearth_records.lifecycle import check_lifecycle
from hearth_records.model import (
    MAX_SIGNERS,
    Closing,
    ScalarError,
    Seal,
    SealedRecord,
    Signature,
    SignerName,
    check_timestamp,
    format_timestamp,
    system_clock,
)
from hearth_records.statement import build_statement, preimage
from hearth_records.trust import TrustPolicy
from hearth_records.verify import verify_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hearth_records.keys import Signer
    from hearth_records.model import ExecutionFinished, ExecutionRecord, ExecutionStarted

__all__ = ["check_sealed", "make_closing", "name_signers", "rewrite_closing", "seal_record", "sign_message"]


def seal_record(
    record: ExecutionRecord,
    signer: Signer,
    *more: Signer,
    sealed_at: str | None = None,
    allow_example_keys: bool = False,
    disclosures: Iterable[str] = (),
) -> SealedRecord:
    """Seal a finished record with one signer or several, all of which the seal then names.

    Args:
        record: a record with a terminal event.
        signer: the first signer.
        *more: the others; a key signs once.
        sealed_at: when, as a timestamp; the system clock's time without it. It is only the sealer's word.
        allow_example_keys: sign with the published example keys, which proves nothing.
        disclosures: of members of its details, as an observer's `disclosures` gives them; all others are withheld.

    Raises:
        SealError: the record has not finished, is no chain of events that may follow each other, or a signer fails.

    """
    try:
        head = check_chain(record.events)
        check_lifecycle(record.events)
    except HearthRecordsError as error:
        raise SealError(f"the record cannot be sealed: {error}", code=error.code, seq=error.seq) from error
    lines = [canonical.encode_event(event) for event in record.events]
    signers = (signer, *more)
    closing = make_closing(
        record.started,
        record.finished,
        head=head,
        length=len(lines),
        signers=signers,
        sealed_at=sealed_at or format_timestamp(system_clock()),
        allow_example_keys=allow_example_keys,
        disclosures=disclosures,
    )
    data = canonical.encode_file(lines, closing)
    check_sealed(io.BytesIO(data), signers)
    return SealedRecord(closing.seal, lambda: data, canonical.decode_record, record)


def make_closing(
    started: ExecutionStarted,
    finished: ExecutionFinished | None,
    *,
    head: str,
    length: int,
    signers: Sequence[Signer],
    sealed_at: str,
    allow_example_keys: bool = False,
    disclosures: Iterable[str] = (),
) -> Closing:
    """Sign the head of a finished record and return its closing line, for `check_sealed` to look at first.

    Raises:
        SealError: the record has not finished, or a signer fails or may not be used.

    """
    try:
        check_timestamp("sealed_at", sealed_at)
    except ScalarError as error:
        raise SealError(str(error), code=error.code, actual=recordable.to_text(sealed_at)) from error
    names = name_signers(signers, allow_example_keys=allow_example_keys)
    statement = build_statement(started, finished, head=head, length=length, sealed_at=sealed_at, signers=names)
    message = preimage(statement)
    signatures = tuple(sign_message(signer, name.keyid, message) for signer, name in zip(signers, names, strict=True))
    seal = Seal(evidence=(), signatures=signatures, statement=statement)
    return Closing(disclosures=tuple(sorted(disclosures)), seal=seal)


def rewrite_closing(data: bytes, change: Callable[[Closing], Closing]) -> bytes:
    """Return a sealed record file with another closing line; every line before it stays as it is."""
    events, _, line = data.removesuffix(b"\n").rpartition(b"\n")
    return b"%b\n%b" % (events, canonical.encode_closing(change(canonical.decode_closing(line))))


def check_sealed(source: canonical.LineSource, signers: Sequence[Signer]) -> None:
    """Let the real verifier look at a sealed record, with the signers' keys alone.

    Raises:
        SealError: it does not verify: a fault that is found here and not by an auditor.

    """
    report = verify_source(source, _policy_of(tuple(bytes(signer.public_key) for signer in signers)))
    if (decisive := report.decisive) is not None:
        raise SealError(
            f"the sealed record does not verify: {decisive.check}: {decisive.reason}",
            code="signing-failed" if decisive.check == "signature" else "not-verified",
            seq=decisive.seq,
        )


@functools.lru_cache(maxsize=16)
def _policy_of(spkis: tuple[bytes, ...]) -> TrustPolicy:
    return TrustPolicy.from_keys((("signer", keys.public_key(spki)) for spki in spkis), allow_example_keys=True)


def name_signers(signers: Sequence[Signer], *, allow_example_keys: bool) -> list[SignerName]:
    """Return what a seal calls 1 to 16 distinct signers. Raises `SealError` for one that may not sign."""
    names = []
    for signer in signers:
        try:
            key, algorithm = keys.public_key(bytes(signer.public_key)), signer.algorithm
        except HearthRecordsError as error:
            raise SealError(f"the signer's key is refused: {error}", code=error.code) from error
        except Exception as error:
            raise _failed(error) from error
        if key.algorithm != algorithm:
            raise SealError(
                "the signer's algorithm is not its key's",
                code="algorithm",
                expected=key.algorithm,
                actual=str(algorithm),
            )
        if key.keyid in keys.EXAMPLE_KEYIDS and not allow_example_keys:
            raise SealError(
                "this is a published example key: anybody can sign with it",
                code="example-key",
                hint="make a key with: hearth-records keygen",
            )
        names.append(SignerName(algorithm=key.algorithm, keyid=key.keyid))
    if not 0 < len(names) <= MAX_SIGNERS:
        raise SealError(f"a seal has 1 to {MAX_SIGNERS} signers", code="signers", actual=len(names))
    if len({name.keyid for name in names}) != len(names):
        raise SealError("a key signs once", code="duplicate-signer")
    return names


def sign_message(signer: Signer, keyid: str, message: bytes) -> Signature:
    """Return a signer's signature, which nobody has verified yet. Raises `SealError` when the signer fails."""
    try:
        signature = binascii.b2a_base64(signer.sign(message), newline=False).decode()
        return Signature(evidence=(), keyid=keyid, sig=signature)
    except SealError:  # a signer that says what is wrong in our words
        raise
    except Exception as error:
        raise _failed(error) from error


def _failed(error: Exception) -> SealError:
    return SealError(
        f"the signer failed: {quote(recordable.to_text(error) or type(error).__name__)}", code="signing-failed"
    )
