"""A record and its seal as plain files, and the shell commands that check them (FORMAT §15).

    <execution_id>.record.json     the record, as it was read
    head                           the hash of its last event, 64 hex digits and a line feed
    preimage                       what every signature is over
    signature-<n>                  signature n, raw, from 1, in the record's order
    public_key-<n>.pem             its key, where the policy knows it: a record holds none
    timestamp-<n>-<m>.tsr          piece m of `rfc3161` evidence on signature n, a TimeStampResp in DER
    timestamp_authorities.pem      the self-signed certificates of the policy's timestamp authorities, if it has any
    timestamp_links.pem            its other ones, which can only be part of a chain to those
    VERIFY.md                      the commands: a POSIX shell, the usual tools and `openssl` are all they need

Everything that stands in the commands is an identifier or a digest (FORMAT §2): nothing in them needs quoting. They
take for granted that somebody altered the record: a member is looked for where only that member can stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hearth_records import canonical, keys
from hearth_records.model import check_base64
from hearth_records.statement import preimage
from hearth_records.timestamp import read_authorities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hearth_records.model import SealedRecord, Signature
    from hearth_records.timestamp import Authority
    from hearth_records.trust import TrustPolicy

__all__ = ["export_evidence"]

_AUTHORITIES: Final = "timestamp_authorities.pem"
_LINKS: Final = "timestamp_links.pem"
_RECORD: Final = r"""# How to check {execution} without hearth-records

Run the commands in this directory, with a POSIX shell. Each block ends with status 0 when what it is about
holds{unless}.

## 1. The chain

Every line between the first and the last is an event and holds the SHA-256 of the one before; that of the last event
is the head. A member of that name may also stand in `details` and `plan`, which come first: the last one in the line
counts. This takes some milliseconds an event.

```sh
test "$(head -n 1 {record})" = '{{"format":"hearth-record/1","events":[' &&
sed -e 1d -e '$d' -e 's/^,//' {record} |
LC_ALL=C sed -e h -e 's/.*"previous_event_hash":\([^,]*\),.*/\1/' -e p -e g | {{
  n=0 last=null
  while IFS= read -r link && IFS= read -r event; do
    test "$link" = "$last" || {{ echo "the chain is broken before event $n"; exit 1; }}
    n=$((n + 1)) last="\"$(printf %s "$event" | sha256sum | cut -c 1-64)\""
  done
  test "$last" = "\"$(cat head)\""
}}
```

The head alone, without the events before it:

```sh
test "$(tail -n 2 {record} | head -n 1 | sed 's/^,//' | tr -d '\n' | sha256sum | cut -c 1-64)" = "$(cat head)"
```

## 2. What was signed

The seal's statement, which ends the last line, names the head. Wrapped as DSSE v1 says, it is `preimage`. Before it
stand {disclosed}, evidence and signatures, and nothing else.

```sh
evidence='\[(\{{"data":"[^"]*","type":"([^"\\]|\\.)*"\}},?)*\]'
signatures='\[(\{{"evidence":'"$evidence"',"keyid":"[^"]*","sig":"[^"]*"\}},?)*\]'
seal='\{{"evidence":'"$evidence"',"signatures":'"$signatures"',"statement":'
body=$(tail -n 1 {record} | LC_ALL=C sed -E 's/^\],"disclosures":\[{disclosures}\],"seal":'"$seal"'//; s/\}}\}}$//')
printf 'DSSEv1 28 application/vnd.in-toto+json %d %s' "${{#body}}" "$body" | cmp - preimage &&
grep -qF "\"chain\":{{\"head\":\"$(cat head)\"" preimage
```
{details}
## 3. The signatures

`signers` in the statement names the keys that have to have signed: {signers}. Any other is a countersignature.
Whose a key is, its id does not say: compare the id with the one that you have by another way.
"""
_DETAILS: Final = r"""
What is disclosed is what was recorded: the SHA-256 of each disclosure, in unpadded base64url, stands in the `_sd` of an
event. A disclosure is itself the base64url of `[salt, name, value]`. This takes some milliseconds each.

```sh
digests=$(sed -e 1d -e '$d' {record} | LC_ALL=C sed -n 's/.*"_sd":\[\([^]]*\)\].*/\1/p')
tail -n 1 {record} | LC_ALL=C sed 's/^\],"disclosures":\[\([^]]*\)\].*/\1/' | tr -d '"' | tr , '\n' | sed '/^$/d' | {{
  while IFS= read -r disclosure; do
    digest=$(printf %s "$disclosure" | openssl dgst -sha256 -binary | openssl base64 -A | tr '+/' '-_' | tr -d =)
    case $digests in
      *"\"$digest\""*) ;;
      *) echo "no event refers to the disclosure $disclosure"; exit 1 ;;
    esac
  done
}}
```
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
test "$(openssl pkey -pubin -in public_key-{n}.pem -outform DER | sha256sum | cut -c 1-64)" = {keyid} &&
openssl pkeyutl -verify -rawin -pubin -inkey public_key-{n}.pem -in preimage -sigfile signature-{n}
```
"""
_NO_KEY: Final = """
The trust policy does not know its key, so that the key is not here. With it, in SubjectPublicKeyInfo PEM, the command
is `openssl pkeyutl -verify -rawin -pubin -inkey KEY.pem -in preimage -sigfile signature-{n}`.
"""
_NEEDS: Final = {keys.ML_DSA_44: " (OpenSSL 3.5 or later)"}
_UNLESS: Final = "; the block about an ML-DSA key needs OpenSSL 3.5, and ends otherwise where it is older"
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
openssl ts -verify -data signature-{n} -in timestamp-{n}-{m}.tsr -CAfile {authorities}
```
"""
_NO_AUTHORITY: Final = """
The trust policy names no authority with a self-signed certificate, so that nobody vouches for that. With the one that
the authority's chain ends in, the command is
`openssl ts -verify -data signature-{n} -in timestamp-{n}-{m}.tsr -CAfile ROOT.pem`.
"""


def export_evidence(sealed: SealedRecord, policy: TrustPolicy) -> dict[str, bytes]:
    """Return the files by their names. The policy gives the keys, and the certificates of timestamp authorities."""
    files = {
        sealed.file_name: sealed.data,
        "head": f"{sealed.chain_head}\n".encode(),
        "preimage": preimage(sealed.statement),
    }
    known = [key for one in sealed.seal.signatures if (key := policy.key_of(one.keyid)) is not None]
    signers = [signer.keyid for signer in sealed.statement.predicate.signers]
    closing = canonical.decode_closing(sealed.data.removesuffix(b"\n").rpartition(b"\n")[2])
    text = _RECORD.format(
        execution=sealed.execution_id,
        record=sealed.file_name,
        unless=_UNLESS if any(key.algorithm == keys.ML_DSA_44 for key in known) else "",
        disclosed="disclosures" if closing.disclosures else "no disclosures",
        disclosures='("[A-Za-z0-9_-]*",?)*' if closing.disclosures else "",
        details=_DETAILS.format(record=sealed.file_name) if closing.disclosures else "",
        signers=", ".join(signers),
    )
    authorities = read_authorities(policy.document.timestamp_authorities)
    roots = _to_pem(authority for authority in authorities if authority.is_root)
    links = _to_pem(authority for authority in authorities if not authority.is_root)
    trusted = _AUTHORITIES
    if roots:
        files[_AUTHORITIES] = roots
        if links:
            files[_LINKS] = links
            trusted += f" -untrusted {_LINKS}"
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
            told = _AUTHORITY if roots else _NO_AUTHORITY
            text += (_TIMESTAMP + told).format(n=n, m=m, authorities=trusted)
    files["VERIFY.md"] = text.encode()
    return files


def _timestamps(signature: Signature) -> Iterator[bytes]:
    return (check_base64("data", one.data) for one in signature.evidence if one.type == "rfc3161")


def _to_pem(authorities: Iterable[Authority]) -> bytes:
    return "".join(f"{authority.pem.strip()}\n" for authority in authorities).encode()
