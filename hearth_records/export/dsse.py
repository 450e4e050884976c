"""A seal as a DSSE v1 envelope, and back (FORMAT §15).

    {"payload":BASE64(body),"payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":K,"sig":BASE64},…]}

The body is the one of FORMAT §5, the signatures are those of the seal in their order, countersignatures too: whoever
can check an envelope checks the seal. Events, disclosures and evidence are not in it. So the way back takes them from
a file that holds the events: a journal, or a record of the same execution.

An envelope that comes back may have been through other tools. As DSSE has it, both alphabets of base64 are read and
unknown members are ignored; the order of the signatures is free, because the statement says where each belongs. A
signature without a key id is refused: here the key id is what places it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from hearth_records import canonical, profile
from hearth_records.envelope import Envelope, EnvelopeSignature, encode_base64
from hearth_records.errors import FormatError
from hearth_records.model import (
    Closing,
    Seal,
    Signature,
    Statement,
    check_base64,
    check_digest,
)
from hearth_records.statement import PAYLOAD_TYPE

if TYPE_CHECKING:
    from hearth_records.model import SealedRecord
    from hearth_records.profile import Limits

__all__ = ["SealEnvelope", "envelope_of", "export_dsse", "read_envelope", "restore"]


def envelope_of(seal: Seal) -> Envelope:
    """Return a seal as an envelope."""
    return Envelope(
        payload=encode_base64(canonical.encode_statement(seal.statement)),
        payload_type=PAYLOAD_TYPE,
        signatures=tuple(EnvelopeSignature(keyid=one.keyid, sig=one.sig) for one in seal.signatures),
    )


def export_dsse(sealed: SealedRecord) -> bytes:
    """Return a record's seal as an envelope: canonical JSON and a line feed."""
    return profile.encode(envelope_of(sealed.seal)) + b"\n"


# --- and back --------------------------------------------------------------------------------------------------------


class _ReadSignature(Struct, kw_only=True):
    """A signature as any tool may have written it."""

    keyid: str = ""
    sig: str

    def __post_init__(self) -> None:
        """Check scalars."""
        check_digest("keyid", self.keyid)
        self.sig = _standard(self.sig)
        check_base64("sig", self.sig)


class _ReadEnvelope(Struct, kw_only=True):
    """An envelope as any tool may have written it."""

    payload: str
    payload_type: str = msgspec.field(name="payloadType")
    signatures: tuple[_ReadSignature, ...]

    def __post_init__(self) -> None:
        """Check scalars."""
        self.payload = _standard(self.payload)
        check_base64("payload", self.payload)


def _standard(text: str) -> str:
    """Return base64 of either alphabet, padded or not, as standard base64 has it."""
    bare = text.translate({45: "+", 95: "/"}).rstrip("=")
    return bare + "=" * (-len(bare) % 4)


class SealEnvelope(NamedTuple):
    """What an envelope says: a statement, and the signatures in the order in which a record has them."""

    statement: Statement
    signatures: tuple[Signature, ...]


def read_envelope(data: bytes) -> SealEnvelope:
    """Return the seal in an envelope's bytes. Its signatures are placed, not verified.

    Raises:
        FormatError: it is no envelope, or what it holds are not the canonical bytes of a seal's statement.

    """
    envelope = canonical.decode_document(data, _ReadEnvelope, what="envelope")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise FormatError(
            "not an envelope of an in-toto statement",
            check="shape",
            code="envelope-payload-type",
            pointer="/payloadType",
            expected=PAYLOAD_TYPE,
            actual=envelope.payload_type,
        )
    statement = _read_statement(check_base64("payload", envelope.payload))
    places = {signer.keyid: place for place, signer in enumerate(statement.predicate.signers)}
    signatures = sorted(
        [Signature(evidence=(), keyid=one.keyid, sig=one.sig) for one in envelope.signatures],
        key=lambda one: (places.get(one.keyid, len(places)), one.keyid),
    )
    return SealEnvelope(statement, tuple(signatures))


def _read_statement(body: bytes) -> Statement:
    try:
        statement = canonical.decode_document(body, Statement, what="payload")
        written = canonical.encode_statement(statement)
    except FormatError as error:
        raise FormatError(
            f"the payload is not a seal's statement: {error}", check="shape", code=error.code, pointer="/payload"
        ) from None
    if written != body:
        raise FormatError(
            "the payload is not in its canonical bytes",
            code="not-canonical",
            pointer="/payload",
            hint="the signatures are over the payload as it was: ask for the original envelope",
        )
    return statement


def restore(envelope: SealEnvelope, source: bytes, limits: Limits = profile.DEFAULT_LIMITS) -> bytes:
    """Return the sealed file of an envelope's seal and the events in `source`: a journal, or a record file.

    What the envelope cannot hold is taken from a record file, where it fits: all disclosures; the evidence on a
    signature that is the same; the evidence on the seal, where the statement is the same. A torn tail is left out.
    **Nothing is verified**: the envelope may be about other events.

    Raises:
        FormatError: `source` is neither.

    """
    lines: list[bytes] = []
    found: Closing | None = None
    for kind, part in canonical.read_lines(io.BytesIO(source), limits):
        if kind is canonical.LineKind.EVENTS:
            lines += part
        elif kind is canonical.LineKind.CLOSING:
            found = canonical.decode_closing(part[0], limits)
    if not lines:
        raise FormatError("there is no event in it", code="frame")
    return canonical.encode_file(lines, _closing(envelope, found))


def _closing(envelope: SealEnvelope, found: Closing | None) -> Closing:
    statement, signatures = envelope
    if found is None:
        return Closing(disclosures=(), seal=Seal(evidence=(), signatures=signatures, statement=statement))
    held = {(one.keyid, one.sig): one.evidence for one in found.seal.signatures}
    seal = Seal(
        evidence=found.seal.evidence if found.seal.statement == statement else (),
        signatures=tuple(
            msgspec.structs.replace(one, evidence=held.get((one.keyid, one.sig), ())) for one in signatures
        ),
        statement=statement,
    )
    return Closing(disclosures=found.disclosures, seal=seal)
