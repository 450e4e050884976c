"""A second signature over what the seal signs, as `ssh-keygen -Y verify` takes it (FORMAT §15, PROTOCOL.sshsig).

    signed = "SSHSIG" string(namespace) string("") string("sha512") string(SHA-512(preimage))
    blob   = "SSHSIG" uint32(1) string(key) string(namespace) string("") string("sha512") string(signature)

where `string(x)` is the length of x in four bytes, big-endian, and x. The preimage begins with `D` and this with `S`,
so that no signature of the one kind passes for one of the other. The record does not change: the signature stands
beside it, and any Ed25519 key may make it.
"""

from __future__ import annotations

import hashlib
import textwrap
from typing import TYPE_CHECKING, Final

from hearth_records import keys
from hearth_records.envelope import encode_base64
from hearth_records.errors import SealError
from hearth_records.seal import name_signers, sign_message
from hearth_records.statement import preimage

if TYPE_CHECKING:
    from hearth_records.keys import Signer
    from hearth_records.model import SealedRecord

__all__ = ["NAMESPACE", "export_sshsig", "verify_command"]

NAMESPACE: Final = "hearth-records"
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = (1).to_bytes(4, "big")
_HASH: Final = b"sha512"
_LINE: Final = 70
"""Characters of base64 in a line, as OpenSSH writes it."""


def export_sshsig(sealed: SealedRecord, signer: Signer, *, allow_example_keys: bool = False) -> dict[str, bytes]:
    """Return, by their names, the files that `ssh-keygen -Y verify` wants: message, signature, allowed signers.

    Args:
        sealed: the record.
        signer: an Ed25519 key; whether it signed the record does not matter.
        allow_example_keys: sign with the published example key, which proves nothing.

    Raises:
        SealError: the key is of another kind or may not sign, or the signer fails.

    """
    (name,) = name_signers([signer], allow_example_keys=allow_example_keys)
    if name.algorithm != keys.ED25519:
        raise SealError(
            "an SSH signature is made with an Ed25519 key",
            code="sshsig-algorithm",
            expected=keys.ED25519,
            actual=name.algorithm,
            hint="make one with: hearth-records keygen",
        )
    key = keys.public_key(bytes(signer.public_key))
    message = preimage(sealed.statement)
    signed = _MAGIC + _string(NAMESPACE.encode()) + _string(b"") + _string(_HASH)
    signed += _string(hashlib.sha512(message).digest())
    signature = sign_message(signer, name.keyid, signed).sig_bytes
    if not key.verify(signature, signed):
        raise SealError("what the signer returned is not its signature", code="signing-failed", actual=name.keyid)
    wire = keys.ssh_wire(key)
    blob = b"".join(
        (
            _MAGIC + _VERSION,
            *map(_string, (wire, NAMESPACE.encode(), b"", _HASH, _string(b"ssh-ed25519") + _string(signature))),
        )
    )
    return {
        "allowed_signers": f'{name.keyid} namespaces="{NAMESPACE}" ssh-ed25519 {encode_base64(wire)}\n'.encode(),
        "preimage": message,
        "preimage.sig": _armor(blob),
    }


def verify_command(keyid: str) -> str:
    """Return the command that checks the signature, in the directory of the files. The key's id is its principal."""
    return f"ssh-keygen -Y verify -f allowed_signers -I {keyid} -n {NAMESPACE} -s preimage.sig < preimage"


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _armor(blob: bytes) -> bytes:
    lines = textwrap.wrap(encode_base64(blob), _LINE)
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()
