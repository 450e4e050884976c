"""The DSSE v1 envelope as JSON: what a rotation is written in, and what a seal turns into.

{"payload":BASE64,"payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":K,"sig":BASE64}]}
"""

from __future__ import annotations

import binascii

import msgspec
from msgspec import Struct

from hearth_records.model import Base64, Digest, Text, check_base64, check_digest

__all__ = ["Envelope", "EnvelopeSignature", "encode_base64"]


class EnvelopeSignature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signature of an envelope."""

    keyid: Digest
    sig: Base64

    def __post_init__(self) -> None:
        """Check scalars."""
        check_digest("keyid", self.keyid)
        check_base64("sig", self.sig)


class Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A DSSE v1 envelope. Any spelling of it as JSON will do; what is signed has one."""

    payload: Base64
    payload_type: Text = msgspec.field(name="payloadType")
    signatures: tuple[EnvelopeSignature, ...]

    def __post_init__(self) -> None:
        """Check scalars."""
        check_base64("payload", self.payload)


def encode_base64(data: bytes) -> str:
    """Return strict base64 (FORMAT §2)."""
    return binascii.b2a_base64(data, newline=False).decode()
