"""A record and its seal as plain files, and the shell commands that check them (FORMAT §15).

    <execution_id>.record.json     the record, as it was read
    head                           the hash of its last event, 64 hex digits and a line feed
    preimage                       what every signature is over
    signature-<n>                  signature n, raw, from 1, in the record's order
    public_key-<n>.pem             its key, where the policy knows it: a record holds none
    timestamp-<n>-<m>.tsr          piece m of `rfc3161` evidence on signature n, a TimeStampResp in DER
    timestamp_authorities.pem      the certificates of the policy's timestamp authorities, if it names any
    VERIFY.md                      the commands: a POSIX shell, the usual tools and `openssl` are all they need

Everything that stands in the commands is an identifier or a digest (FORMAT §2): nothing in them needs quoting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hearth_records import keys
from hearth_records.model import check_base64
from hearth_records.statement import preimage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hearth_records.model import SealedRecord, Signature
    from hearth_records.trust import TrustPolicy

__all__ = ["export_evidence"]

_AUTHORITIES: Final = "timestamp_authorities.pem"
_RECORD: Final = """\
# How to check {execution} without hearth-records

Run the commands in this directory, with a POSIX shell. Each block ends with status 0 when what it is about holds.

## 1. The chain

Every line between the first and the last is an event and holds the SHA-256 of the one before; that of the last event
is the head. This takes some milliseconds an event.

```sh
sed -e 1d -e '$d' -e 's/^,//' {record} | {{
  n=0 last=null
  while IFS= read -r event; do
    case $event in
      *"\\"previous_event_hash\\":$last,"*) n=$((n + 1)) ;;
      *) echo "the chain is broken before event $n"; exit 1 ;;
    esac
    last="\\"$(printf %s "$event" | sha256sum | cut -c 1-64)\\""
  done
  test "$last" = "\\"$(cat head)\\""
}}
```

The head alone, without the events before it:

```sh
test "$(tail -n 2 {record} | head -n 1 | sed 's/^,//' | tr -d '\\n' | sha256sum | cut -c 1-64)" = "$(cat head)"
```

## 2. What was signed

The seal's statement, in the last line, names the head. Wrapped as DSSE v1 says, it is `preimage`.

```sh
body=$(tail -n 1 {record} | sed 's/.*"statement"://; s/}}}}$//')
printf 'DSSEv1 28 application/vnd.in-toto+json %d %s' "${{#body}}" "$body" | cmp - preimage
grep -qF "\\"chain\\":{{\\"head\\":\\"$(cat head)\\"" preimage
```

## 3. The signatures

`signers` in the statement names the keys that have to have signed: {signers}. Any other is a countersignature.
Whose a key is, its id does not say: compare the id with the one that you have by another way.
"""
_SIGNATURE: Final = """
### Signature {n}: {role}, key {keyid}

It is the one in the record:

```sh
tail -n 1 {record} | grep -qF "\\"keyid\\":\\"{keyid}\\",\\"sig\\":\\"$(openssl base64 -A -in signature-{n})\\""
```
"""
_KEY: Final = """
The key has that id, and the signature is good{needs}:

```sh
test "$(openssl pkey -pubin -in public_key-{n}.pem -outform DER | sha256sum | cut -c 1-64)" = {keyid}
openssl pkeyutl -verify -rawin -pubin -inkey public_key-{n}.pem -in preimage -sigfile signature-{n}
```
"""
_NO_KEY: Final = """
The trust policy does not know its key, so that the key is not here. With it, in SubjectPublicKeyInfo PEM, the command
is `openssl pkeyutl -verify -rawin -pubin -inkey KEY.pem -in preimage -sigfile signature-{n}`.
"""
_NEEDS: Final = {keys.ML_DSA_44: " (OpenSSL 3.5 or later)"}
_TIMESTAMP: Final = """
Timestamp {m} says when this signature was there at the latest:

```sh
openssl ts -reply -in timestamp-{n}-{m}.tsr -text
```
"""
_AUTHORITY: Final = """
An authority that the trust policy names says so. If its certificate has ended since, add `-attime` and the
seconds since 1970 of the time above.

```sh
openssl ts -verify -data signature-{n} -in timestamp-{n}-{m}.tsr -CAfile {authorities} -partial_chain
```
"""
_NO_AUTHORITY: Final = """
The trust policy names no timestamp authority. With the authority's certificate, the command is
`openssl ts -verify -data signature-{n} -in timestamp-{n}-{m}.tsr -CAfile AUTHORITY.pem -partial_chain`.
"""


def export_evidence(sealed: SealedRecord, policy: TrustPolicy) -> dict[str, bytes]:
    """Return the files by their names. The policy gives the keys, and the certificates of timestamp authorities."""
    files = {
        sealed.file_name: sealed.data,
        "head": f"{sealed.chain_head}\n".encode(),
        "preimage": preimage(sealed.statement),
    }
    signers = [signer.keyid for signer in sealed.statement.predicate.signers]
    text = _RECORD.format(execution=sealed.execution_id, record=sealed.file_name, signers=", ".join(signers))
    if authorities := policy.document.timestamp_authorities:
        files[_AUTHORITIES] = "".join(f"{pem.strip()}\n" for pem in authorities).encode()
    for n, signature in enumerate(sealed.seal.signatures, 1):
        files[f"signature-{n}"] = signature.sig_bytes
        role = "seal" if signature.keyid in signers else "countersignature"
        text += _SIGNATURE.format(n=n, role=role, keyid=signature.keyid, record=sealed.file_name)
        if (key := policy.key_of(signature.keyid)) is not None:
            files[f"public_key-{n}.pem"] = keys.public_key_to_pem(key.spki)
            text += _KEY.format(n=n, keyid=key.keyid, needs=_NEEDS.get(key.algorithm, ""))
        else:
            text += _NO_KEY.format(n=n)
        for m, response in enumerate(_timestamps(signature), 1):
            files[f"timestamp-{n}-{m}.tsr"] = response
            told = _AUTHORITY if authorities else _NO_AUTHORITY
            text += (_TIMESTAMP + told).format(n=n, m=m, authorities=_AUTHORITIES)
    files["VERIFY.md"] = text.encode()
    return files


def _timestamps(signature: Signature) -> Iterator[bytes]:
    return (check_base64("data", one.data) for one in signature.evidence if one.type == "rfc3161")
