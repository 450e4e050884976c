"""A private key in a file: `file:PRIVATE.pem`, PKCS#8 PEM, also encrypted (RFC 5958; PBES2 with scrypt or PBKDF2).

1. The file is opened once; its mode is that of the descriptor that is read.
2. It is refused when a mode bit lets its group or others get at it, encrypted or not, before anybody is asked for a
   passphrase. The published example keys are no secret: their mode does not matter, and whether they may sign is
   decided where they sign.
3. An encrypted key is decrypted with the passphrase that was asked for; one try.

Known gaps: access that the mode does not show (a backup, root, a network file system) is not seen; the key stays in
this process's memory, which Python cannot wipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hearth_records import files, keys
from hearth_records.errors import SealError
from hearth_records.signers.uri import exposed, file_path

if TYPE_CHECKING:
    from hearth_records.keys import LocalSigner
    from hearth_records.signers import Ask

_MAX_KEY: Final = 1024 * 1024


def open_signer(rest: str, ask: Ask) -> LocalSigner:
    """Return the signer of a `file:` URI, given without its scheme."""
    return open_path(file_path(rest), ask)


def open_path(path: str, ask: Ask) -> LocalSigner:
    """Return the signer of a key file. Raises `SealError` as `keys.load_private_key`, and "secret-exposed"."""
    data, private = files.read_private(path, _MAX_KEY)
    signer = None
    try:
        signer = keys.LocalSigner(keys.load_private_key(data))
    except SealError as error:
        if error.code != "passphrase-needed":
            raise
    if not private and (signer is None or signer.keyid not in keys.EXAMPLE_KEYIDS):
        raise exposed(path)
    return signer or keys.LocalSigner(keys.load_private_key(data, ask("passphrase", path)))
