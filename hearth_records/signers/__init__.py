"""Keys that live elsewhere: a `Signer` is opened by a URI, and only then its back-end is imported.

    PRIVATE.pem                                            a file, as file:PRIVATE.pem
    file:PRIVATE.pem                                       PKCS#8 PEM, also encrypted
    ssh-agent:SHA256:FINGERPRINT[?socket=PATH]             an Ed25519 key in an SSH agent
    pkcs11:token=LABEL;object=LABEL?module-path=MODULE     an Ed25519 key on an HSM (RFC 7512)
    transit:https://HOST[:PORT][/MOUNT][?ca=FILE]#KEY[@N]  an Ed25519 key of a transit engine (Vault, OpenBao)

A scheme is `[A-Za-z][A-Za-z0-9+.-]*` and a colon (RFC 3986), so that a file `a:b` is named `./a:b`. Any other scheme is
refused: nothing is run or connected to that is not in this list.

A back-end finds the key and reads its public half when it is opened, and signs with that key or fails. It is not
believed: what it returns is verified before anything is written (`seal.check_sealed`, `countersign`, `make_rotation`).

It reads neither the environment nor a terminal. What it needs beside the URI it asks the caller for (`Ask`), once and
only when it is needed. A secret that by itself suffices to sign (a key, a PIN, a token) is not taken from a file that
others can read.

A recipe for another place, a cloud KMS for example (not tested here): write a class with the three members of `Signer`
and hand it to `seal_record` or `ExecutionObserver.seal`; `public_key` is the DER that the KMS returns, `sign` passes
the message on as it is: Ed25519 over the raw message, not over a digest. It has some 700 bytes, and at most 4,140 (a
service that takes 4,096 takes all but the largest statements). With the names of AWS KMS:

    class KmsSigner:
        algorithm = "ed25519"

        def __init__(self, client, key_id):  # pin a version, where the service has versions
            self._client, self._key_id = client, key_id
            self.public_key = client.get_public_key(KeyId=key_id)["PublicKey"]

        def sign(self, message):
            answer = self._client.sign(
                KeyId=self._key_id, Message=message, MessageType="RAW", SigningAlgorithm="ED25519_SHA_512"
            )
            return answer["Signature"]
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from hearth_records.errors import SealError, TrustError, quote

if TYPE_CHECKING:
    from hearth_records.keys import Signer

__all__ = ["SCHEMES", "Ask", "Asked", "open_signer"]

Asked: TypeAlias = Literal["passphrase", "pin", "token", "socket"]
"""What a back-end may need: a key file's passphrase, a PIN, a token of access, the path of an agent's socket."""

Ask: TypeAlias = Callable[[Asked, str], bytes | None]
"""Returns what is asked for, of the file, token, server or agent of that name; None when there is none."""

_BACK_ENDS: Final = {"file": "file", "pkcs11": "pkcs11", "ssh-agent": "ssh_agent", "transit": "transit"}
SCHEMES: Final = tuple(_BACK_ENDS)
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)


def _nothing(_what: Asked, _name: str) -> None:
    return None


def open_signer(uri: str, ask: Ask = _nothing) -> Signer:
    """Return the signer that a URI names, or the path of a key file.

    Args:
        uri: one of the forms above.
        ask: gives what the URI does not say.

    Raises:
        SealError: no such key, or it may not be used. The codes:
            "signer-scheme" no such back-end; "signer-uri" not understood; "signer-extra" a package is not installed;
            "secret-exposed" others can read the file; "passphrase-needed", "passphrase-wrong", "key-unreadable";
            "key-unsupported", "key-small-order", … as `keys.PublicKey`;
            "agent-unreachable", "agent-key", "agent-answer" (and "agent-refused" when signing);
            "pkcs11-module", "pkcs11-token", "pkcs11-object", "pkcs11-ambiguous", "pkcs11-public-key", "pkcs11-failed",
            "pin-needed", "pin-wrong", "pin-locked";
            "transit-token", "transit-ca", "transit-unreachable", "transit-untrusted", "transit-denied",
            "transit-sealed", "transit-key", "transit-version", "transit-answer", "transit-failed" (and
            "transit-rotated" when signing).
        OSError: a file cannot be read.

    """
    found = _URI.fullmatch(uri)
    scheme, rest = (found[1].lower(), found[2]) if found else ("file", None)
    if scheme not in _BACK_ENDS:
        raise SealError(
            f"no such kind of key: {quote(f'{scheme}:')}",
            code="signer-scheme",
            hint=f"there are {', '.join(f'{known}:' for known in SCHEMES)}; a file of this name is ./{scheme}:…",
        )
    try:
        back_end = importlib.import_module(f"{__name__}.{_BACK_ENDS[scheme]}")
    except ImportError as error:
        raise SealError(
            f"keys of {scheme}: need a package that is not installed here: {quote(error.name or str(error))}",
            code="signer-extra",
            hint=f"pip install 'hearth-records[{scheme}]'",
        ) from error
    try:
        signer: Signer = back_end.open_path(uri, ask) if rest is None else back_end.open_signer(rest, ask)
    except TrustError as error:
        raise SealError(error.reason, code=error.code, hint=error.hint) from error
    return signer
