"""A seal as a Sigstore bundle v0.3 (FORMAT §15): the envelope, which key to look for, and the timestamps.

    {"dsseEnvelope":{…},"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
     "verificationMaterial":{"publicKey":{"hint":K},"timestampVerificationData":{"rfc3161Timestamps":
      [{"signedTimestamp":BASE64}]},"tlogEntries":[]}}

A bundle holds exactly one signature, and the timestamps are over that signature's raw bytes, each a whole
TimeStampResp in DER: just what `rfc3161` evidence on a signature is (FORMAT §6). The key itself is not in it; the hint
is the key id, which is SHA-256 of the key's SubjectPublicKeyInfo in hex.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hearth_records import profile
from hearth_records.errors import SealError
from hearth_records.export.dsse import envelope_of

if TYPE_CHECKING:
    from hearth_records.model import SealedRecord

__all__ = ["MEDIA_TYPE", "export_bundle"]

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"


def export_bundle(sealed: SealedRecord) -> bytes:
    """Return a record's seal as a bundle: canonical JSON and a line feed.

    Raises:
        SealError: the record has more than one signature.

    """
    if len(sealed.seal.signatures) != 1:
        raise SealError(
            "a Sigstore bundle holds exactly one signature",
            code="bundle-signatures",
            expected=1,
            actual=len(sealed.seal.signatures),
            hint="a DSSE envelope holds them all: --to dsse",
        )
    (signature,) = sealed.seal.signatures
    timestamps = [{"signedTimestamp": one.data} for one in signature.evidence if one.type == "rfc3161"]
    bundle = {
        "dsseEnvelope": envelope_of(sealed.seal),
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": signature.keyid},
            "timestampVerificationData": {"rfc3161Timestamps": timestamps},
            "tlogEntries": [],
        },
    }
    return profile.encode(bundle) + b"\n"
