"""Countersigning: a signature that is added later, beside those that the seal names, without touching the seal.

It is over the same bytes as every signature of the seal (FORMAT §5) and stands behind the signers', by its key id (§6).
Who countersigns vouches for the statement that stands there, and for nothing else. Whether it counts is for the
reader's policy: role `countersign` (§9).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec

from hearth_records.errors import SealError, TrustError, quote
from hearth_records.keys import public_key
from hearth_records.model import MAX_COUNTERSIGNATURES
from hearth_records.seal import name_signers, rewrite_closing, sign_message
from hearth_records.statement import preimage
from hearth_records.trust import TrustPolicy
from hearth_records.verify import verify_record, verify_source

if TYPE_CHECKING:
    from hearth_records.keys import Signer
    from hearth_records.model import Closing, Seal, SignerName
    from hearth_records.verify import CheckResult, VerificationReport

__all__ = ["blocking_check", "check_holds", "countersign"]


def blocking_check(report: VerificationReport) -> CheckResult | None:
    """Return the failed check because of which a record is not countersigned, or None.

    Countersignatures that are required, and time evidence that is not there yet, are no such reasons: a policy that
    asks for them cannot be met before.
    """
    for result in report.checks:
        if result.status == "fail" and not (result.check == "timestamp" or _lacks_countersignatures(result, report)):
            return result
    return None


def _lacks_countersignatures(result: CheckResult, report: VerificationReport) -> bool:
    """Whether a check failed because of countersignatures alone that a policy requires."""
    error = report.error
    return result.check == "trust" and isinstance(error, TrustError) and error.role == "countersign"


def countersign(
    data: bytes, *signers: Signer, report: VerificationReport | None = None, allow_example_keys: bool = False
) -> bytes:
    """Return a sealed record file with countersignatures by these signers.

    Args:
        data: the whole file.
        *signers: 1 to 16, none of whom has signed it.
        report: what the verifier says about these very bytes, by whatever policy. Without it they are checked here for
            what needs no key; then nobody has looked at the signers' signatures.
        allow_example_keys: sign with the published example keys, which proves nothing.

    Raises:
        HearthRecordsError: the record does not hold; the error is that of the failed check.
        SealError: a signer fails, may not be used or has signed already, or there would be more than 64.

    """
    check_holds(data, report)
    names = name_signers(signers, allow_example_keys=allow_example_keys)

    def change(closing: Closing) -> Closing:
        seal = closing.seal
        _check_room(seal, names)
        message = preimage(seal.statement)
        count = len(seal.statement.predicate.signers)
        added = [sign_message(signer, name.keyid, message) for signer, name in zip(signers, names, strict=True)]
        others = sorted([*seal.signatures[count:], *added], key=lambda signature: signature.keyid)
        signed = msgspec.structs.replace(seal, signatures=(*seal.signatures[:count], *others))
        return msgspec.structs.replace(closing, seal=signed)

    result = rewrite_closing(data, change)
    _check_result(result, signers)
    return result


def check_holds(data: bytes, report: VerificationReport | None) -> None:
    """Raise unless a record holds, by a report on these very bytes or else by what needs no key.

    Raises:
        HearthRecordsError: it does not; the error is that of the failed check.

    """
    if report is None or report.source is not data:
        report = verify_record(data, None)
    if blocking_check(report) is not None:
        raise report.error or SealError("the record does not hold", code="not-verified")


def _check_room(seal: Seal, names: list[SignerName]) -> None:
    taken = {signature.keyid for signature in seal.signatures}
    for name in names:
        if name.keyid in taken:
            raise SealError("this key has signed the record already", code="duplicate-signer", actual=name.keyid)
    found = len(seal.signatures) - len(seal.statement.predicate.signers) + len(names)
    if found > MAX_COUNTERSIGNATURES:
        raise SealError(
            f"there are at most {MAX_COUNTERSIGNATURES} countersignatures", code="countersignatures", actual=found
        )


def _check_result(data: bytes, signers: tuple[Signer, ...]) -> None:
    """Let the real verifier look at the new signatures. Raises `SealError`."""
    policy = TrustPolicy.from_keys(
        [("countersigner", public_key(bytes(signer.public_key))) for signer in signers], allow_example_keys=True
    )
    report = verify_source(io.BytesIO(data), policy)
    good = {finding.keyid for finding in report.signers if finding.status == "good"}
    if (blocked := blocking_check(report)) is not None and blocked.check != "trust":
        code = "signing-failed" if blocked.check == "signature" else "not-verified"
        raise SealError(f"the result does not verify: {blocked.check}: {blocked.reason}", code=code)
    if not policy.keys.keys() <= good:
        raise SealError(f"not every new signature was verified: {quote(sorted(good))}", code="signing-failed")
