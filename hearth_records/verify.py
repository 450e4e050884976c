"""The checks of FORMAT §8, in their order, and the report that they make.

     1. read         the file could be read once, whole, within limits                      3
     2. canonical    frame, profile and canonical bytes (§6, §1)                            3
     3. shape        types, members, ranges, constants (§2, §3, §5, §6); the version first  3
     4. chain        `seq` and links (§4)                                                   1
     5. lifecycle    which event follows which (§3)                                         1
     6. disclosures  what the closing line discloses belongs to its events (§6)             1
     7. sealed       there is a closing line                                                5
     8. head         statement and events agree                                             1
     9. signature    every signature by a key that the policy knows is good                 1
    10. trust        the policy (§9) is met                                                 4
    11. timestamp    the time evidence that the policy or the caller demands                4

Each is `pass`, `fail` or `not_run`, and `not_run` never counts as passed. A file is read line by line, in constant
memory. Nothing here raises for a bad record: the report says what is wrong, and `report.require()` raises.
"""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import os
from typing import IO, TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from hearth_records import canonical, disclosure, profile
from hearth_records.chain import ChainState
from hearth_records.disclosure import DisclosureFinding
from hearth_records.errors import (
    FormatError,
    HearthRecordsError,
    LifecycleError,
    SealError,
    TrustError,
)
from hearth_records.files import open_regular
from hearth_records.lifecycle import LifecycleState, Warned
from hearth_records.model import (
    MAX_COUNTERSIGNATURES,
    ExecutionFinished,
    ExecutionRecord,
    ExecutionStarted,
    SealedRecord,
    check_base64,
    check_timestamp,
)
from hearth_records.profile import DEFAULT_LIMITS
from hearth_records.statement import preimage
from hearth_records.trust import EvidenceFinding, SignatureFinding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hearth_records.model import (
        AnyEvent,
        Closing,
        Evidence,
        Seal,
        SealPredicate,
        Signature,
        Statement,
    )
    from hearth_records.profile import Limits
    from hearth_records.trust import TrustPolicy

__all__ = [
    "CHECKS",
    "EXIT_CODES",
    "CheckResult",
    "VerificationReport",
    "VerifiedRecord",
    "combine_exit_codes",
    "verify_file",
    "verify_record",
    "verify_source",
]

CheckName = Literal[
    "read",
    "canonical",
    "shape",
    "chain",
    "lifecycle",
    "disclosures",
    "sealed",
    "head",
    "signature",
    "trust",
    "timestamp",
]
Status = Literal["pass", "fail", "not_run"]
Verdict = Literal["verified", "altered", "unreadable", "untrusted", "incomplete", "error"]
ExitCode = Literal[0, 1, 2, 3, 4, 5, 70]

EXIT_CODES: Final[dict[CheckName, ExitCode]] = {
    "read": 3,
    "canonical": 3,
    "shape": 3,
    "chain": 1,
    "lifecycle": 1,
    "disclosures": 1,
    "sealed": 5,
    "head": 1,
    "signature": 1,
    "trust": 4,
    "timestamp": 4,
}
"""What a failed check ends with (FORMAT §8), in the order of the checks."""

CHECKS: Final = tuple(EXIT_CODES)
VERDICTS: Final[dict[ExitCode, Verdict]] = {
    0: "verified",
    1: "altered",
    3: "unreadable",
    4: "untrusted",
    5: "incomplete",
    70: "error",
}
_HEAD: Final = (
    "predicate/chain/head",
    "predicate/chain/length",
    "subject/0/digest/sha256",
    "subject/0/name",
    "predicate/execution_id",
    "predicate/plan_id",
    "predicate/live_mode_state",
    "predicate/series",
    "predicate/status",
)
"""What statement and events have to agree on, in the order in which it is looked at."""
_SEVERITY: Final[tuple[ExitCode, ...]] = (70, 1, 3, 5, 4)
_UNTRUSTED: Final[ExitCode] = 4
TIMESTAMP_TYPE: Final = "rfc3161"
"""The type of evidence on a signature that is a TimeStampResp over its raw bytes (FORMAT §6)."""
_UNKNOWN: Final = (None, None)
_CHUNK: Final = 1_048_576
_MAX_HELD: Final = 67_108_864
"""Bytes of a file that is held in memory to find out whether it was re-formatted."""


def combine_exit_codes(codes: Iterable[int]) -> ExitCode:
    """Return the exit code for several files: the first of 70, 1, 3, 5, 4 that occurs. No file at all is 2."""
    found = set(codes)
    return next((code for code in _SEVERITY if code in found), 0) if found else 2


class CheckResult(Struct, frozen=True, kw_only=True):
    """What one check came to. `seq` and `pointer` say where, when there is a place."""

    check: CheckName
    status: Status
    code: str | None = None
    reason: str | None = None
    hint: str | None = None
    seq: int | None = None
    pointer: str | None = None


class WarningFinding(Struct, frozen=True, kw_only=True):
    """A finding that is no error: how often it was made, and where first."""

    code: str
    count: int
    reason: str
    seq: int | None


class VerifiedRecord:
    """A record that went through every check. It comes only out of `VerificationReport.require`."""

    __slots__ = ("report", "sealed")

    def __init__(self) -> None:
        msg = "a VerifiedRecord comes out of verify_record(…).require()"
        raise TypeError(msg)

    sealed: SealedRecord
    report: VerificationReport

    @property
    def record(self) -> ExecutionRecord:
        """The record itself."""
        return self.sealed.record


class VerificationReport(Struct, frozen=True, kw_only=True):
    """What was checked and what came of it. It has no truth value: ask for `verdict`, `exit_code` or `require()`."""

    checks: tuple[CheckResult, ...]
    source: bytes | str | None
    execution_id: str | None
    chain_head: str | None
    events: int | None
    sealed_at: str | None
    signers: tuple[SignatureFinding, ...]
    evidence: tuple[EvidenceFinding, ...]
    """What stands on the seal as a whole; what stands on a signature is that signature's."""
    reformatted: bool
    disclosures: tuple[DisclosureFinding, ...]
    """What is disclosed and what is not, of each event with digests; empty when the check `disclosures` fails."""
    warnings: tuple[WarningFinding, ...]
    timestamp_demanded: bool
    sealed_record: SealedRecord | None
    error: HearthRecordsError | None

    def __bool__(self) -> bool:
        """Refuse: a report is not an answer."""
        msg = "a report is not true or false: use report.require(), report.verdict or report.exit_code"
        raise TypeError(msg)

    def __getitem__(self, check: CheckName) -> CheckResult:
        """Return the result of one check."""
        return self.checks[CHECKS.index(check)]

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file as it was read, or None when it was not."""
        return profile.sha256_hex(self.source) if isinstance(self.source, bytes) else self.source

    @property
    def decisive(self) -> CheckResult | None:
        """The first failed check, or else the first that was asked for and did not run; None when all passed."""
        for wanted in ("fail", "not_run"):
            for result in self.checks:
                if result.status == wanted and (result.check != "timestamp" or self.timestamp_demanded):
                    return result
        return None

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of FORMAT §8."""
        decisive = self.decisive
        if decisive is None:
            return 0
        return EXIT_CODES[decisive.check] if decisive.status == "fail" else _UNTRUSTED

    @property
    def verdict(self) -> Verdict:
        """One word: verified, altered, unreadable, untrusted or incomplete."""
        return VERDICTS[self.exit_code]

    def require(self) -> VerifiedRecord:
        """Return the verified record.

        Raises:
            FormatError, ChainError, LifecycleError, SealError, TrustError: by the check that decided.

        """
        if (decisive := self.decisive) is not None:
            # A failed check has its error; without one, what was asked for did not run.
            raise self.error or TrustError(f"the check {decisive.check} did not run", code=decisive.check)
        if self.sealed_record is None:
            raise SealError("verify_file keeps no record; use verify_record", code="no-record")
        verified = object.__new__(VerifiedRecord)
        verified.sealed = self.sealed_record
        verified.report = self
        return verified


class _Run:
    """One run over one file: what each check came to so far."""

    def __init__(
        self,
        policy: TrustPolicy | None,
        now: str | None,
        limits: Limits,
        *,
        keep: bool = False,
        require_timestamp: bool = False,
    ) -> None:
        if now is not None:
            check_timestamp("now", now)
        self.policy = policy
        self.timestamp_demanded = require_timestamp or (policy is not None and policy.document.require_timestamp)
        self.now = now
        self.limits = limits
        self.keep = keep
        self.errors: dict[CheckName, HearthRecordsError] = {}
        self.passed: set[CheckName] = set()
        self.warnings: dict[str, Warned] = {}
        self.findings: tuple[SignatureFinding, ...] = ()
        self.evidence: tuple[EvidenceFinding, ...] = ()
        self.events: list[AnyEvent] = []
        self.first: AnyEvent | None = None
        self.last: AnyEvent | None = None
        self.chain = ChainState()
        self.lifecycle = LifecycleState()
        self.digests = disclosure.DigestIndex()
        self.closing: Closing | None = None

    def fail(self, check: CheckName, error: HearthRecordsError) -> None:
        self.errors.setdefault(check, error)

    def warn(self, code: str, reason: str, seq: int | None = None, count: int = 1) -> None:
        self.warnings.setdefault(code, Warned(code, reason, seq)).count += count

    def run(self, source: canonical.LineSource) -> None:
        """All checks, as if one ran after the other; a failure of 1 to 3 ends the run."""
        try:
            self._read(source)
        except FormatError as error:
            # Only a version that is not supported is looked at before the canonical bytes.
            self.errors = {"shape" if error.check == "shape" else "canonical": error}
            self.passed = {"read"}
            return
        except OSError as error:
            self.errors = {"read": unreadable(error)}
            return
        self.passed.update(("read", "canonical"))
        if "shape" in self.errors:
            self.errors = {"shape": self.errors["shape"]}  # what the events before it came to is not reported
            return
        self.passed.add("shape")
        self._conclude_events()
        if self.closing is None:
            self.fail("sealed", self._not_sealed())
            return
        closing = self.closing
        self._check("disclosures", lambda: self.digests.check(closing.disclosures, self.limits))
        self.passed.add("sealed")
        self._check("head", lambda: self._check_head(closing.seal.statement))
        self._judge(closing.seal)

    def _check(self, check: CheckName, run: Callable[[], None]) -> None:
        self.passed.add(check)
        try:
            run()
        except HearthRecordsError as error:
            self.fail(check, error)

    # -- 2 to 5: line by line -----------------------------------------------------------------------------------------

    def _read(self, source: canonical.LineSource) -> None:
        """Take every line. Raises `FormatError` at the first not canonical one; keeps the first of the wrong shape."""
        position = 0
        version, rest = canonical.open_lines(source, self.limits)
        for kind, lines in rest:
            if kind is canonical.LineKind.EVENTS:
                try:
                    self._take(canonical.decode_events(lines, position, self.limits, version), lines)
                except FormatError:
                    self._read_one_by_one(lines, position, version)
                position += len(lines)
            elif kind is canonical.LineKind.CLOSING:
                try:
                    self.closing = canonical.decode_closing(lines[0], self.limits, version)
                except FormatError as error:
                    self._keep_shape(error)
            else:
                self.warn("torn-tail", "the last line was cut: its bytes are ignored", count=len(lines[0]))

    def _read_one_by_one(self, lines: list[bytes], position: int, version: canonical.Version) -> None:
        for index, line in enumerate(lines):
            try:
                event = canonical.decode_event(line, position + index, self.limits, version)
            except FormatError as error:
                self._keep_shape(error)
            else:
                self._take(canonical.DecodedEvents([event], [profile.sha256_hex(line)], hold_digests=True), [line])

    def _keep_shape(self, error: FormatError) -> None:
        if error.check != "shape":
            raise error
        self.fail("shape", error)

    def _take(self, decoded: canonical.DecodedEvents, lines: list[bytes]) -> None:
        """Checks 4 and 5, and what 6 needs, for events that are of the right shape."""
        if "shape" in self.errors:
            return
        events, hashes, hold_digests = decoded
        self.first = self.first or events[0]
        self.last = events[-1]
        if hold_digests:
            for position, (event, line) in enumerate(zip(events, lines, strict=True), self.chain.length):
                self.digests.add(event, position, len(line))
        self.chain.follow(events, hashes)
        if self.keep:
            self.events += events
        if "lifecycle" not in self.errors:
            try:
                self.lifecycle.follow(events)
            except LifecycleError as error:
                self.fail("lifecycle", error)

    def _conclude_events(self) -> None:
        self.warnings.update(self.lifecycle.warnings)
        if not self.chain.length:
            return
        self.passed.update(("chain", "lifecycle"))
        sealed_head = self.closing.seal.statement.predicate.chain.head if self.closing else None
        if (error := self.chain.finish(sealed_head)) is not None:
            self.fail("chain", error)
        if self.closing is not None and self.lifecycle.finished is None:
            last = self.chain.length - 1
            self.fail(
                "lifecycle",
                LifecycleError("a sealed record ends with execution_finished", code="not-finished", seq=last),
            )

    def _not_sealed(self) -> SealError:
        return SealError(
            "there is no closing line: the execution still runs, or its record was cut short",
            code="not-sealed",
            seq=self.chain.length - 1 if self.chain.length else None,
        )

    # -- 8: statement and events agree --------------------------------------------------------------------------------

    def _check_head(self, statement: Statement) -> None:
        predicate, subject = statement.predicate, statement.subject[0]
        start = self.first if isinstance(self.first, ExecutionStarted) else None
        finished = self.last if isinstance(self.last, ExecutionFinished) else None
        expected = (
            self.chain.head,
            self.chain.length,
            self.chain.head,
            start and start.execution_id,
            start and start.execution_id,
            start and start.plan.plan_id,
            start and start.live_mode_state,
            start and start.series,
            finished and finished.status,
        )
        actual = (
            predicate.chain.head,
            predicate.chain.length,
            subject.digest.sha256,
            subject.name,
            predicate.execution_id,
            predicate.plan_id,
            predicate.live_mode_state,
            predicate.series,
            predicate.status,
        )
        if expected == actual:
            return
        place, one, other = next(row for row in zip(_HEAD, expected, actual, strict=True) if row[1] != row[2])
        raise SealError(
            "the seal is not about these events",
            code=place.rpartition("/")[2],
            pointer=f"/seal/statement/{place}",
            expected=_plain(one),
            actual=_plain(other),
        )

    # -- 9 to 11: signatures and the policy ---------------------------------------------------------------------------

    def _judge(self, seal: Seal) -> None:
        predicate = seal.statement.predicate
        if self.last is not None and predicate.sealed_at < self.last.timestamp:
            self.warn("sealed-before-end", "sealed_at is before the last event", self.chain.length - 1)
        if seal.evidence:
            self.evidence = tuple([self._not_examined(evidence.type) for evidence in seal.evidence])
        try:
            check_arrangement(seal)
        except SealError as error:
            self.fail("signature", error)
        algorithms = {signer.keyid: signer.algorithm for signer in predicate.signers}
        message = preimage(seal.statement)
        findings = []
        tried: set[str] = set()
        for index, signature in enumerate(seal.signatures):
            # The first signature of a key is its signature; another one is out of place, and not tried.
            first = signature.keyid not in tried
            tried.add(signature.keyid)
            evidence = self._examine(signature, index) if signature.evidence else ()
            finding = self._try(signature, algorithms.get(signature.keyid), message, first=first, evidence=evidence)
            findings.append(finding)
            if finding.status == "bad":
                place = f"/seal/signatures/{index}/sig"
                self.fail(
                    "signature",
                    SealError("a signature does not hold", code="bad-signature", pointer=place, actual=finding.keyid),
                )
            elif finding.status == "good" and finding.role == "seal":
                self.passed.add("signature")
            if evidence and finding.time is not None and finding.time < predicate.sealed_at:
                self.warn(
                    "timestamp-before-seal", "a signature has a timestamp from before sealed_at, which is wrong then"
                )
        self.findings = tuple(findings)
        if self.timestamp_demanded:
            self._check("timestamp", lambda: self._check_timestamps(predicate))
        if self.policy is None:
            return
        policy = self.policy
        self._check("trust", lambda: policy.check_seal(predicate, self.findings, now=self.now))

    def _try(
        self,
        signature: Signature,
        algorithm: str | None,
        message: bytes,
        *,
        first: bool,
        evidence: tuple[EvidenceFinding, ...],
    ) -> SignatureFinding:
        """Try one signature; `algorithm` is what the seal says about a signer, None for a countersigner."""
        entry, key = self.policy.keys.get(signature.keyid, _UNKNOWN) if self.policy else _UNKNOWN
        status: Literal["good", "bad", "not_run"] = "not_run"
        if first and key is not None and algorithm in (None, key.algorithm):
            status = "good" if key.verify(signature.sig_bytes, message) else "bad"
        finding = SignatureFinding(
            keyid=signature.keyid,
            algorithm=algorithm or (key.algorithm if key else None),
            name=entry.name if entry else None,
            role="seal" if algorithm else "countersign",
            status=status,
            evidence=evidence,
        )
        if self.policy is not None and algorithm is None:
            if key is None:
                self.warn("unknown-countersigner", "countersignatures by keys that the policy does not know")
            elif status == "good" and not self.policy.countersignature_counts(signature.keyid, finding.time):
                self.warn("countersigner-not-counted", "countersignatures that the policy does not count")
        return finding

    def _examine(self, signature: Signature, index: int) -> tuple[EvidenceFinding, ...]:
        """Examine the evidence on the signature at a place, each piece on its own."""
        return tuple(
            [
                self._examine_piece(evidence, signature.sig_bytes, f"/seal/signatures/{index}/evidence/{place}")
                for place, evidence in enumerate(signature.evidence)
            ]
        )

    def _examine_piece(self, evidence: Evidence, signature: bytes, place: str) -> EvidenceFinding:
        authorities = self.policy.document.timestamp_authorities if self.policy else ()
        if evidence.type != TIMESTAMP_TYPE or not authorities:
            return self._not_examined(evidence.type)
        from hearth_records import timestamp  # noqa: PLC0415 - start-up time: few records have evidence

        try:
            found = timestamp.verify_response(check_base64("data", evidence.data), signature, authorities)
        except TrustError as error:
            self.warn("evidence-invalid", f"evidence that does not hold, as if it were absent: {place}: {error.reason}")
            return EvidenceFinding(type=evidence.type, status="bad", code=error.code, reason=error.reason)
        return EvidenceFinding(type=evidence.type, status="good", time=found.time, authority=found.authority)

    def _not_examined(self, kind: str) -> EvidenceFinding:
        self.warn("evidence-not-checked", "evidence that was not checked: of another type, or no authority is trusted")
        return EvidenceFinding(type=kind, status="not_run")

    def _check_timestamps(self, predicate: SealPredicate) -> None:
        """Raise `TrustError` unless each signer's signature has a trusted timestamp."""
        stamped = {finding.keyid for finding in reversed(self.findings) if finding.time is not None}
        for signer in predicate.signers:
            if signer.keyid not in stamped:
                raise TrustError(
                    "a signer's signature has no trusted timestamp",
                    code="timestamp-missing",
                    pointer="/seal/signatures",
                    actual=signer.keyid,
                    hint=None
                    if self.policy and self.policy.document.timestamp_authorities
                    else "no timestamp authority is trusted: trust set --timestamp-authority CERT.pem",
                )

    # -- the report ---------------------------------------------------------------------------------------------------

    def report(self, source: bytes | str | None, data: bytes | None = None) -> VerificationReport:
        first = next((check for check in CHECKS if check in self.errors), None) if self.errors else None
        sealed = None
        if data is not None and first is None and self.closing is not None:
            record = ExecutionRecord(tuple(self.events))
            sealed = SealedRecord(self.closing.seal, lambda: data, canonical.decode_record, record)
        return VerificationReport(
            checks=tuple(
                [self._result(check) for check in CHECKS]
                if self.errors
                else [_PASS[check] if check in self.passed else _NOT_RUN[check] for check in CHECKS]
            ),
            source=source,
            execution_id=self.lifecycle.start.execution_id if self.lifecycle.start else None,
            chain_head=self.chain.head if "shape" in self.passed else None,
            events=self.chain.length if "shape" in self.passed else None,
            sealed_at=self.closing.seal.statement.predicate.sealed_at if self.closing else None,
            signers=self.findings,
            evidence=self.evidence,
            reformatted="reformatted" in self.warnings,
            disclosures=self.digests.findings() if "shape" in self.passed and "disclosures" not in self.errors else (),
            warnings=tuple(
                [
                    WarningFinding(code=item.code, count=item.count, reason=item.reason, seq=item.seq)
                    for item in self.warnings.values()
                ]
            ),
            timestamp_demanded=self.timestamp_demanded,
            sealed_record=sealed,
            error=self.errors[first] if first else None,
        )

    def _result(self, check: CheckName) -> CheckResult:
        error = self.errors.get(check)
        if error is None:
            return _PASS[check] if check in self.passed else _NOT_RUN[check]
        return CheckResult(
            check=check,
            status="fail",
            code=error.code,
            reason=str(error),
            hint=error.hint,
            seq=error.seq,
            pointer=error.pointer,
        )


_PASS: Final[dict[CheckName, CheckResult]] = {check: CheckResult(check=check, status="pass") for check in CHECKS}
_NOT_RUN: Final[dict[CheckName, CheckResult]] = {check: CheckResult(check=check, status="not_run") for check in CHECKS}


def check_arrangement(seal: Seal) -> None:
    """Raise `SealError` unless there is exactly one signature a signer, in order, then others by key id (FORMAT §6)."""
    names = [signer.keyid for signer in seal.statement.predicate.signers]
    found = [signature.keyid for signature in seal.signatures]
    if found == names:
        return
    if found[: len(names)] != names:
        missing = next((name for name in names if name not in found), None)
        raise SealError(
            "first stands a signature of each signer, in their order",
            code="signature-missing" if missing else "signature-order",
            pointer="/seal/signatures",
            expected=missing,
        )
    others = found[len(names) :]
    if any(a >= b for a, b in itertools.pairwise(others)) or set(others) & set(names):
        raise SealError(
            "countersignatures stand once each, by key id, and none is a signer's",
            code="signature-order",
            pointer="/seal/signatures",
        )
    if len(others) > MAX_COUNTERSIGNATURES:
        raise SealError(
            f"there are at most {MAX_COUNTERSIGNATURES} countersignatures",
            code="countersignatures",
            pointer="/seal/signatures",
            actual=len(others),
        )


def _plain(value: object) -> str | int:
    if value is None:
        return "null"
    return value if isinstance(value, (str, int)) else profile.encode(value).decode()


def unreadable(error: OSError) -> FormatError:
    """Return the failure of `read` for an error of the operating system."""
    code = "too-large" if error.errno == errno.EFBIG else "unreadable"
    return FormatError(f"cannot be read: {error.strerror or error}", check="read", code=code)


def report_unreadable(error: OSError) -> VerificationReport:
    """Return the report on what could not be read at all."""
    run = _Run(None, None, DEFAULT_LIMITS)
    run.fail("read", unreadable(error))
    return run.report(None)


class _HashingSource:
    """A file that is read line by line, hashed and counted on the way."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def readline(self, size: int, /) -> bytes:
        line = self._stream.readline(size)
        self._hash.update(line)
        return line

    def finish(self) -> str:
        """Read what is left and return the SHA-256 of the whole."""
        while chunk := self._stream.read(_CHUNK):
            self._hash.update(chunk)
        return self._hash.hexdigest()


def verify_record(
    data: bytes,
    policy: TrustPolicy | None,
    *,
    now: str | None = None,
    allow_reformatted: bool = False,
    require_timestamp: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> VerificationReport:
    """Check a record file's bytes and return the report (FORMAT §8). Never raises for a bad record.

    Args:
        data: the whole file.
        policy: the reader's trust policy; without one, `signature` and `trust` do not run and the best verdict is
            "untrusted".
        now: the present time as a timestamp (`format_timestamp`); needed where the policy expires.
        allow_reformatted: rewrite a re-formatted file to its frame first; the report then says so.
        require_timestamp: demand a trusted timestamp on each signer's signature, also where the policy does not.
        limits: sizes in bytes that are accepted.

    Raises:
        ValueError: `now` is no timestamp.

    """
    source = data = bytes(data)
    run = _Run(policy, now, limits, keep=True, require_timestamp=require_timestamp)
    if len(data) > limits.file:
        run.fail("read", _too_large(limits))
        return run.report(source)
    run.run(io.BytesIO(data))
    if "canonical" in run.errors and (framed := _reframed(run, data)) is not None:
        if allow_reformatted:
            data = framed
            run = _Run(policy, now, limits, keep=True, require_timestamp=require_timestamp)
            run.warn("reformatted", "the input was re-formatted; what was checked is the same record in its frame")
            run.run(io.BytesIO(data))
        elif run.errors["canonical"].code == "frame" and data.replace(b"\r\n", b"\n").strip() != framed.strip():
            # else the error itself says it better
            run.errors = {"canonical": _reformatted(run.errors["canonical"])}
    return run.report(source, data)


def _reframed(run: _Run, data: bytes) -> bytes | None:
    """Return a re-formatted record in its frame, or None for what is none."""
    try:
        framed = canonical.reframe(data)
    except FormatError as error:
        if error.code == "unsupported-version":
            run.errors = {"shape": error}
        return None
    return framed if framed != data else None


def _reformatted(error: HearthRecordsError) -> FormatError:
    return FormatError(
        f"somebody re-formatted this record: {error.reason}",
        code="reformatted",
        seq=error.seq,
        pointer=error.pointer,
        hint="ask for the original file; --allow-reformatted rewrites this one to its frame and checks that",
    )


def _too_large(limits: Limits) -> FormatError:
    return FormatError(f"a file has at most {limits.file} bytes", check="read", code="too-large")


def verify_source(
    source: canonical.LineSource,
    policy: TrustPolicy | None,
    *,
    now: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> VerificationReport:
    """Check whatever is read line by line, in constant memory; else as `verify_record`, but it keeps no record."""
    run = _Run(policy, now, limits)
    run.run(source)
    return run.report(None)


def verify_file(
    path: str | os.PathLike[str],
    policy: TrustPolicy | None,
    *,
    now: str | None = None,
    allow_reformatted: bool = False,
    require_timestamp: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> VerificationReport:
    """Check a record file in constant memory, however long it is; else as `verify_record`, but it keeps no record.

    What is no regular file (a directory, a FIFO, a device) is not opened for long: `read` fails.
    """
    run = _Run(policy, now, limits, require_timestamp=require_timestamp)
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limits.file:
                run.fail("read", _too_large(limits))
                return run.report(None)
            source = _HashingSource(stream)
            run.run(source)
            digest = source.finish()
            if "canonical" not in run.errors or size > _MAX_HELD:
                return run.report(digest)
            stream.seek(0)  # small enough to find out in memory whether it was re-formatted
            data = stream.read(_MAX_HELD)
    except OSError as error:
        run.errors = {"read": unreadable(error)}
        run.passed = set()
        return run.report(None)
    report = verify_record(
        data,
        policy,
        now=now,
        allow_reformatted=allow_reformatted,
        require_timestamp=require_timestamp,
        limits=limits,
    )
    return msgspec.structs.replace(report, sealed_record=None)
