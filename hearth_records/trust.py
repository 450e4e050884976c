"""The trust policy: which keys a reader accepts, and what it demands (FORMAT §9).

A policy comes from the reader alone; a record file holds no key. Keys are checked strictly when the policy is read.
Judging signatures against it is `evaluate`, pure: the present time is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from hearth_records import canonical
from hearth_records.errors import FormatError, TrustError, quote
from hearth_records.keys import EXAMPLE_KEYIDS, PublicKey
from hearth_records.model import (
    Base64,
    Digest,
    Identifier,
    Text,
    Timestamp,
    check_base64,
    check_digest,
    check_identifier,
    check_timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hearth_records.model import SealPredicate, SignerName

__all__ = ["EvidenceFinding", "PolicyDocument", "Revocation", "SignatureFinding", "TrustPolicy", "TrustedKey"]

POLICY_FORMAT: Final = "hearth-trust/1"
RoleName = Literal["seal", "countersign", "checkpoint", "witness"]
_RECORD_ROLES = ("seal", "countersign")
_REASONS: Final = ("unknown-signer", "algorithm-mismatch", "role", "outside-window", "revoked")
"""Why a signer is not trusted, in the order in which the reasons are given, whichever signer they are about."""


class Revocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When and why a key ended. `compromised` voids what no evidence shows to be older; the others end it at `at`."""

    at: Timestamp
    reason: Literal["compromised", "superseded", "retired"]

    def __post_init__(self) -> None:
        """Check scalars."""
        check_timestamp("at", self.at)


class TrustedKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that the reader knows. Its window is half-open: `not_before` ≤ t < `not_after`."""

    keyid: Digest
    name: Text
    algorithm: Identifier
    public_key: Base64
    roles: tuple[RoleName, ...]
    not_before: Timestamp | None
    not_after: Timestamp | None
    revoked: Revocation | None

    def __post_init__(self) -> None:
        """Check scalars."""
        check_digest("keyid", self.keyid)
        check_identifier("algorithm", self.algorithm)
        for member in ("not_before", "not_after"):
            value = getattr(self, member)
            if value is not None:
                check_timestamp(member, value)

    def is_valid_at(self, when: str) -> bool:
        """Whether timestamp `when` lies in the key's window."""
        return (self.not_before is None or self.not_before <= when) and (
            self.not_after is None or when < self.not_after
        )


class Requirement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many distinct keys of a role (and algorithm, if named) have to have signed."""

    role: RoleName
    algorithm: Identifier | None
    count: Annotated[int, Meta(ge=1, le=2**53 - 1)]

    def __post_init__(self) -> None:
        """Check scalars."""
        if self.algorithm is not None:
            check_identifier("algorithm", self.algorithm)


class PolicyDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy file, as it is written. After `expires`, it is trusted no more."""

    format: Literal["hearth-trust/1"]
    version: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    expires: Timestamp | None
    require_timestamp: bool
    timestamp_authorities: tuple[Text, ...]
    require: Annotated[tuple[Requirement, ...], Meta(min_length=1)]
    keys: tuple[TrustedKey, ...]

    def __post_init__(self) -> None:
        """Check scalars."""
        if self.expires is not None:
            check_timestamp("expires", self.expires)


class EvidenceFinding(Struct, frozen=True, kw_only=True):
    """One piece of evidence, and what came of it. Only good evidence has a time, and an authority that vouches for it.

    `authority` is the SHA-256 of its certificate in the policy.
    """

    type: str
    status: Literal["good", "bad", "not_run"]
    time: str | None = None
    authority: str | None = None
    code: str | None = None
    reason: str | None = None


class SignatureFinding(Struct, frozen=True, kw_only=True):
    """One signature of a seal, and what came of it. A countersignature by an unknown key has no known algorithm."""

    keyid: str
    algorithm: str | None
    name: str | None
    role: Literal["seal", "countersign"]
    status: Literal["good", "bad", "not_run"]
    evidence: tuple[EvidenceFinding, ...] = ()

    @property
    def time(self) -> str | None:
        """By when the signature existed: the earliest time of its good evidence, or None without any."""
        return min([item.time for item in self.evidence if item.time is not None], default=None)


class TrustPolicy:
    """A policy that was read and found good: its document, and its keys by key id.

    `counted_as` names for a key that a rotation admitted the one that it comes from (`rotation.admit`): a requirement
    counts them once.
    """

    __slots__ = ("_require", "counted_as", "document", "keys")

    def __init__(self, document: PolicyDocument, *, allow_example_keys: bool = False) -> None:
        self.document = document
        self.keys: dict[str, tuple[TrustedKey, PublicKey]] = {}
        self.counted_as: dict[str, str] = {}
        for index, entry in enumerate(document.keys):
            try:
                key = PublicKey(check_base64("public_key", entry.public_key))
            except TrustError as error:
                error.pointer = f"/keys/{index}/public_key"
                raise
            except ValueError as error:
                raise TrustError(str(error), code="key-not-base64", pointer=f"/keys/{index}/public_key") from None
            self._admit(index, entry, key, allow_example_keys=allow_example_keys)
        self._check_requirements()
        # Those for the seal come first: whoever adds countersignatures has to know that nothing else is missing.
        self._require = sorted(enumerate(document.require), key=lambda item: item[1].role != "seal")

    @classmethod
    def decode(cls, data: bytes, *, allow_example_keys: bool = False, min_version: int = 1) -> TrustPolicy:
        """Read a policy file's bytes.

        Args:
            data: the whole file.
            allow_example_keys: admit the published example keys, which prove nothing.
            min_version: the least `version` that is accepted, so that nobody puts an old policy back in its place.

        Raises:
            TrustError: it is not a policy, an older one than `min_version`, or one of its keys is refused.

        """
        try:
            document = canonical.decode_document(data, PolicyDocument, what="trust policy")
        except FormatError as error:
            raise TrustError(
                error.reason, code=error.code, hint=error.hint, pointer=error.pointer, actual=error.actual
            ) from None
        if document.version < min_version:
            raise TrustError(
                "the policy is older than the one that is asked for",
                code="policy-version",
                pointer="/version",
                expected=min_version,
                actual=document.version,
                hint="get the present policy; an old one may know nothing of a key's revocation",
            )
        return cls(document, allow_example_keys=allow_example_keys)

    @classmethod
    def from_keys(cls, keys: Iterable[tuple[str, PublicKey]], *, allow_example_keys: bool = False) -> TrustPolicy:
        """Return the short form: these keys by name, role `seal`, no window, one of them is enough.

        Raises:
            TrustError: there is none, one stands twice, or one is a published example key.

        """
        entries = tuple(trusted_key(key, name) for name, key in keys)
        if not entries:
            raise TrustError("no key was given", code="no-key")
        document = PolicyDocument(
            format=POLICY_FORMAT,
            version=1,
            expires=None,
            require_timestamp=False,
            timestamp_authorities=(),
            require=(Requirement(role="seal", algorithm=None, count=1),),
            keys=entries,
        )
        return cls(document, allow_example_keys=allow_example_keys)

    def _admit(self, index: int, entry: TrustedKey, key: PublicKey, *, allow_example_keys: bool) -> None:
        pointer = f"/keys/{index}"
        if entry.keyid != key.keyid:
            raise TrustError(
                "keyid is not the key's own",
                code="keyid",
                pointer=f"{pointer}/keyid",
                expected=key.keyid,
                actual=entry.keyid,
            )
        if entry.algorithm != key.algorithm:
            raise TrustError(
                "algorithm is not the key's own",
                code="algorithm",
                pointer=f"{pointer}/algorithm",
                expected=key.algorithm,
                actual=entry.algorithm,
            )
        if entry.keyid in self.keys:
            raise TrustError("a key stands once in a policy", code="duplicate-key", pointer=pointer, actual=entry.keyid)
        if not allow_example_keys and entry.keyid in EXAMPLE_KEYIDS:
            raise TrustError(
                "a published example key proves nothing: anybody can sign with it",
                code="example-key",
                pointer=pointer,
                actual=entry.keyid,
                hint="to try things out: --allow-example-keys",
            )
        self.keys[entry.keyid] = (entry, key)

    def _check_requirements(self) -> None:
        for index, requirement in enumerate(self.document.require):
            if requirement.role not in _RECORD_ROLES:
                raise TrustError(
                    f"a record has no signature of role {quote(requirement.role)}",
                    code="requirement-role",
                    pointer=f"/require/{index}/role",
                )

    # -- judging ------------------------------------------------------------------------------------------------------

    def key_of(self, keyid: str) -> PublicKey | None:
        """Return the key with that id, or None."""
        found = self.keys.get(keyid)
        return found[1] if found else None

    def name_of(self, keyid: str) -> str | None:
        """Return the name that the policy gives a key, or None."""
        found = self.keys.get(keyid)
        return found[0].name if found else None

    def check_seal(self, predicate: SealPredicate, findings: Sequence[SignatureFinding], *, now: str | None) -> None:
        """Raise `TrustError` unless the policy is met by the signatures that were found good (FORMAT §9).

        Every signer has to be known, of role `seal`, of the policy's algorithm, in its window at `sealed_at`, and not
        revoked; and each requirement has to count enough distinct keys. `now` is only needed where the policy expires.
        By when a signature existed, for keys that were compromised and for countersigners, is `SignatureFinding.time`.
        """
        self.check_expiry(now)
        faults = []
        for signer in predicate.signers:
            fault = self._fault_of(signer, predicate.sealed_at, findings)
            if fault is not None:
                faults.append(fault)
        if faults:
            raise min(faults, key=lambda fault: _REASONS.index(fault.code))
        for index, requirement in self._require:
            counted = set()
            for finding in findings:
                if (
                    finding.role == requirement.role
                    and finding.status == "good"
                    and requirement.algorithm in (None, finding.algorithm)
                    and (finding.role == "seal" or self.countersignature_counts(finding.keyid, finding.time))
                ):
                    counted.add(self.counted_as.get(finding.keyid, finding.keyid))
            if len(counted) < requirement.count:
                error = TrustError(
                    f"{requirement.count} good signatures of role {requirement.role}"
                    f"{f' and algorithm {quote(requirement.algorithm)}' if requirement.algorithm else ''} are required",
                    code="requirement",
                    expected=requirement.count,
                    actual=len(counted),
                    hint=f"requirement {index} of the policy",
                )
                error.role = requirement.role
                raise error

    def countersignature_counts(self, keyid: str, time: str | None = None) -> bool:
        """Whether a countersignature that existed at `time` counts; None, when nothing shows that, is outside a window.

        Its key has to have the role, the time to lie in its window, and before its end, whatever ended it.
        """
        found = self.keys.get(keyid)
        if found is None or "countersign" not in found[0].roles:
            return False
        entry = found[0]
        if time is None:
            return entry.not_before is None and entry.not_after is None and entry.revoked is None
        return entry.is_valid_at(time) and (entry.revoked is None or time < entry.revoked.at)

    def check_expiry(self, now: str | None) -> None:
        """Raise `TrustError` when the policy has expired at the present time, or expires and no time was given."""
        expires = self.document.expires
        if expires is not None and (now is None or now >= expires):
            raise TrustError(
                "the policy has expired" if now else "the policy expires, and the present time was not given",
                code="policy-expired",
                expected=expires,
                actual=now,
            )

    def _fault_of(self, signer: SignerName, sealed_at: str, findings: Sequence[SignatureFinding]) -> TrustError | None:
        """Return the first reason in `_REASONS` why a signer is not trusted, or None."""
        found = self.keys.get(signer.keyid)
        if found is None:
            return TrustError("a signer is not known to the policy", code="unknown-signer", actual=signer.keyid)
        entry, _key = found
        if signer.algorithm != entry.algorithm:
            return TrustError(
                f"the seal and the policy disagree about the algorithm of {quote(entry.name)}",
                code="algorithm-mismatch",
                expected=entry.algorithm,
                actual=signer.algorithm,
            )
        if "seal" not in entry.roles:
            return TrustError(
                f"{quote(entry.name)} may not seal records",
                code="role",
                expected="seal",
                actual=", ".join(entry.roles),
            )
        if not entry.is_valid_at(sealed_at):
            return TrustError(
                f"the record was sealed outside the window of {quote(entry.name)}",
                code="outside-window",
                expected=f"{entry.not_before or '…'} to {entry.not_after or '…'}",
                actual=sealed_at,
            )
        if entry.revoked is None:
            return None
        # Whoever holds a compromised key writes any `sealed_at`: only evidence on the signature says when.
        compromised = entry.revoked.reason == "compromised"
        when = (
            next((finding.time for finding in findings if finding.keyid == signer.keyid), None)
            if compromised
            else sealed_at
        )
        if when is None or when >= entry.revoked.at:
            return TrustError(
                f"{quote(entry.name)} was revoked as {entry.revoked.reason} at {entry.revoked.at}",
                code="revoked",
                actual=when,
                hint="a trusted timestamp on the signature, older than that, would show that it was made before"
                if compromised
                else None,
            )
        return None


def trusted_key(
    key: PublicKey,
    name: str,
    *,
    roles: tuple[RoleName, ...] = ("seal",),
    not_before: str | None = None,
    not_after: str | None = None,
) -> TrustedKey:
    """Return a policy's entry for a key."""
    import binascii  # noqa: PLC0415 - a C module

    return TrustedKey(
        keyid=key.keyid,
        name=name,
        algorithm=key.algorithm,
        public_key=binascii.b2a_base64(key.spki, newline=False).decode(),
        roles=roles,
        not_before=not_before,
        not_after=not_after,
        revoked=None,
    )


def encode_policy(document: PolicyDocument) -> bytes:
    """Return a policy file's bytes: JSON, indented for people."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
