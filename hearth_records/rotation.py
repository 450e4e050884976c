"""Rotation: a key passes its place on to another by a statement that both sign (FORMAT §9).

The statement is an in-toto Statement v1 in a DSSE envelope, like a seal: subject the new key by its id, predicate
{`at`, `from`, `to`}. It needs no policy to be read: `read_rotation` says that both keys signed it. Whether the old key
may pass anything on is for the reader's policy: `admit` puts the new key in, or refuses.

What was chosen, where FORMAT leaves room:

- The new key has the roles of the old one, and its window is `at` ≤ t, without an end. The old key's window and
  revocation stay as the policy says them: a rotation ends nothing. Seals of both stay verifiable side by side; but a
  requirement counts the two as one key, so that nobody meets "two keys" by rotating one.
- `at` has to lie where the old key counts, its end included: `not_before` ≤ `at` ≤ `not_after`, and `at` not after a
  revocation as superseded or retired, so that both can be written with one time. A compromised key passes on nothing.
- `at` is the word of the two keys, like `sealed_at`: whoever holds an old key may date a rotation back to when it
  counted. Therefore no rotation is taken but the one that the reader names.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from hearth_records import canonical, keys, profile
from hearth_records.envelope import Envelope, EnvelopeSignature, encode_base64
from hearth_records.errors import FormatError, HearthRecordsError, SealError, TrustError, quote
from hearth_records.model import (
    STATEMENT_TYPE,
    Base64,
    Digest,
    Identifier,
    Subject,
    SubjectDigest,
    Timestamp,
    check_base64,
    check_digest,
    check_identifier,
    check_timestamp,
)
from hearth_records.statement import PAYLOAD_TYPE, pae
from hearth_records.trust import TrustPolicy, trusted_key

__all__ = ["MAX_ROTATION", "ROTATION_PREDICATE_TYPE", "Rotation", "admit", "make_rotation", "read_rotation"]

ROTATION_PREDICATE_TYPE: Final = "urn:hearth-records:key-rotation:1"
MAX_ROTATION: Final = 64 * 1024
"""Bytes of an envelope that a reader takes."""

_T = TypeVar("_T")


class RotatedKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that takes part. `public_key` is its SubjectPublicKeyInfo DER."""

    algorithm: Identifier
    keyid: Digest
    public_key: Base64

    def __post_init__(self) -> None:
        """Check scalars."""
        check_identifier("algorithm", self.algorithm)
        check_digest("keyid", self.keyid)
        check_base64("public_key", self.public_key)


class RotationPredicate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on, which key, by which other one."""

    at: Timestamp
    old: RotatedKey = msgspec.field(name="from")
    new: RotatedKey = msgspec.field(name="to")

    def __post_init__(self) -> None:
        """Check scalars."""
        check_timestamp("at", self.at)


class RotationStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both keys sign."""

    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    predicate: RotationPredicate
    predicate_type: Literal["urn:hearth-records:key-rotation:1"] = msgspec.field(name="predicateType")
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=1)]


class Rotation(NamedTuple):
    """A rotation that both keys signed. Whether the old one might is for a policy."""

    at: str
    old: keys.PublicKey
    new: keys.PublicKey


def read_rotation(data: bytes) -> Rotation:
    """Return what an envelope's bytes say, if both keys signed it.

    Raises:
        TrustError: no such envelope, not canonical, a key that is refused, or a signature that does not hold.

    """
    envelope = _decode(data, Envelope, "rotation envelope")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise TrustError(
            "not an envelope of an in-toto statement",
            code="rotation-payload-type",
            pointer="/payloadType",
            expected=PAYLOAD_TYPE,
            actual=envelope.payload_type,
        )
    body = check_base64("payload", envelope.payload)
    statement = _decode(body, RotationStatement, "rotation statement")
    if profile.encode(statement) != body:
        raise TrustError("the rotation statement is not in its canonical bytes", code="not-canonical")
    predicate = statement.predicate
    old, new = _key(predicate.old, "/predicate/from"), _key(predicate.new, "/predicate/to")
    if old.keyid == new.keyid:
        raise TrustError("a key cannot pass its place on to itself", code="rotation-same-key", pointer="/predicate/to")
    if statement.subject[0] != _subject(new.keyid):
        raise TrustError("the subject is not the new key", code="rotation-subject", pointer="/subject/0")
    if [signature.keyid for signature in envelope.signatures] != [old.keyid, new.keyid]:
        raise TrustError(
            "a rotation is signed by the old key and then by the new one, and by nobody else",
            code="rotation-signatures",
            pointer="/signatures",
        )
    message = pae(PAYLOAD_TYPE, body)
    for index, (key, signature) in enumerate(zip((old, new), envelope.signatures, strict=True)):
        if not key.verify(check_base64("sig", signature.sig), message):
            raise TrustError(
                f"the signature of the {('old', 'new')[index]} key does not hold",
                code="rotation-signature",
                pointer=f"/signatures/{index}/sig",
                actual=key.keyid,
            )
    return Rotation(predicate.at, old, new)


def admit(policy: TrustPolicy, rotation: Rotation, *, allow_example_keys: bool = False) -> TrustPolicy:
    """Return a policy that knows the new key too, with the roles of the old one, from `at` on.

    Raises:
        TrustError: the policy does not know the old key, or it might not pass its place on at that time, or the policy
            knows the new key already.

    """
    found = policy.keys.get(rotation.old.keyid)
    if found is None:
        raise TrustError(
            "the policy does not know the key that passes its place on",
            code="rotation-unknown-key",
            actual=rotation.old.keyid,
        )
    entry, _key = found
    who = quote(entry.name)
    if entry.revoked is not None and entry.revoked.reason == "compromised":
        raise TrustError(f"{who} was compromised: it passes on nothing", code="rotation-compromised")
    ends = [end for end in (entry.not_after, entry.revoked.at if entry.revoked else None) if end is not None]
    if (entry.not_before is not None and rotation.at < entry.not_before) or any(rotation.at > end for end in ends):
        raise TrustError(
            f"{who} passed its place on when it did not count",
            code="rotation-time",
            expected=f"{entry.not_before or '…'} to {min(ends, default='…')}",
            actual=rotation.at,
        )
    if rotation.new.keyid in policy.keys:
        raise TrustError(
            "the policy knows the new key already", code="duplicate-key", actual=policy.name_of(rotation.new.keyid)
        )
    new = trusted_key(rotation.new, f"{entry.name} (rotated)", roles=entry.roles, not_before=rotation.at)
    document = msgspec.structs.replace(policy.document, keys=(*policy.document.keys, new))
    admitted = TrustPolicy(document, allow_example_keys=allow_example_keys)
    first = policy.counted_as.get(rotation.old.keyid, rotation.old.keyid)
    admitted.counted_as = {**policy.counted_as, rotation.new.keyid: first}
    return admitted


def make_rotation(old: keys.Signer, new: keys.Signer, *, at: str, allow_example_keys: bool = False) -> bytes:
    """Return the envelope by which `old` passes its place on to `new`, canonical, with a line feed.

    Args:
        old: the key that has the place.
        new: the key that gets it. It signs too, which shows that somebody holds it.
        at: from when on the new key counts, as a timestamp.
        allow_example_keys: take the published example keys, which proves nothing.

    Raises:
        SealError: a key is refused, or a signer fails.
        ScalarError: `at` is no timestamp.

    """
    parts = [_part(signer, allow_example_keys=allow_example_keys) for signer in (old, new)]
    body = profile.encode(
        RotationStatement(
            type=STATEMENT_TYPE,
            predicate=RotationPredicate(at=at, old=parts[0], new=parts[1]),
            predicate_type=ROTATION_PREDICATE_TYPE,
            subject=(_subject(parts[1].keyid),),
        )
    )
    message = pae(PAYLOAD_TYPE, body)
    try:
        envelope = Envelope(
            payload=encode_base64(body),
            payload_type=PAYLOAD_TYPE,
            signatures=tuple(
                EnvelopeSignature(keyid=part.keyid, sig=encode_base64(signer.sign(message)))
                for part, signer in zip(parts, (old, new), strict=True)
            ),
        )
    except HearthRecordsError:
        raise
    except Exception as error:
        raise SealError(
            f"the signer failed: {quote(str(error) or type(error).__name__)}", code="signing-failed"
        ) from error
    data = profile.encode(envelope) + b"\n"
    try:
        read_rotation(data)  # as a reader will
    except TrustError as error:
        code = "signing-failed" if error.code == "rotation-signature" else error.code
        raise SealError(f"the rotation does not hold: {error}", code=code) from error
    return data


def _part(signer: keys.Signer, *, allow_example_keys: bool) -> RotatedKey:
    try:
        key = keys.public_key(bytes(signer.public_key))
    except TrustError as error:
        raise SealError(f"the signer's key is refused: {error}", code=error.code) from error
    if key.keyid in keys.EXAMPLE_KEYIDS and not allow_example_keys:
        raise SealError("this is a published example key: anybody can sign with it", code="example-key")
    return RotatedKey(algorithm=key.algorithm, keyid=key.keyid, public_key=encode_base64(key.spki))


def _key(part: RotatedKey, pointer: str) -> keys.PublicKey:
    """Return a statement's key, checked as strictly as a policy's."""
    try:
        key = keys.public_key(check_base64("public_key", part.public_key))
    except TrustError as error:
        raise TrustError(error.reason, code=error.code, pointer=f"{pointer}/public_key") from None
    for member, own, said in (("keyid", key.keyid, part.keyid), ("algorithm", key.algorithm, part.algorithm)):
        if own != said:
            raise TrustError(
                f"{member} is not the key's own", code=member, pointer=f"{pointer}/{member}", expected=own, actual=said
            )
    return key


def _decode(data: bytes, kind: type[_T], what: str) -> _T:
    try:
        return canonical.decode_document(data, kind, what=what)
    except FormatError as error:
        raise TrustError(
            error.reason, code=error.code, hint=error.hint, pointer=error.pointer, actual=error.actual
        ) from None


def _subject(keyid: str) -> Subject:
    return Subject(digest=SubjectDigest(sha256=keyid), name=keyid)
