#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["cryptography>=48"]
# ///
"""Write the corpus of test vectors, tests/vectors/, with this one file and nothing of the package.

    vectors.py           write every file and the manifest, and remove what is not listed
    vectors.py --check   exit 1, naming the files, when anything differs or an unlisted file stands there

What stands in it, and when a verifier is right, is told in `tests/vectors/README.md`.

Everything is fixed: keys come from constant seeds, times are constants, nothing is random. ML-DSA-44 signatures
are the exception, since their signing is not deterministic: they are kept in `signatures.json`. So are the responses
of timestamp authorities, in `timestamps.json`: `openssl ts -reply` made them, with the time of that moment, when this
program ran without --check and did not find them there. `json.dumps` with sorted keys, no white space and no ASCII
escapes is RFC 8785 for what stands here (§1).
"""

from __future__ import annotations

import argparse
import base64
import copy
import functools
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain as concat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

DIRECTORY: Final = Path(__file__).resolve().parent.parent / "tests" / "vectors"
EXAMPLE_KEY: Final = DIRECTORY.parent.parent / "keys_example" / "example.pub.pem"
MANIFEST: Final = "manifest.json"
SIGNATURES: Final = "signatures.json"
TIMESTAMPS: Final = "timestamps.json"
README: Final = "README.md"  # written by hand
KEPT: Final = {
    # made by another implementation, whose private key nobody has
    "valid/another-implementation.json": "2ecad5dffd49f08b9d0fb71799f8fa8a40a2c195a9cd1e5da90eb14cefd6a992",
    "keys/another-implementation.pem": "1c57ac1d676c2da2248720dd1aef34ae0f518cd00a0cd7ed10987e2bcfc813dd",
    "policies/refused/another-implementation.json": "f9b148831157a8ba8b105395df427846652bbbf24f0abf06951c9d62d8c4e678",
}

NOW: Final = "2026-12-01T00:00:00.000000Z"
SEALED_AT: Final = "2026-11-22T16:00:30.000000Z"
LONG_AGO, FAR_AHEAD = "2020-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"
OPENING: Final = b'{"format":"hearth-record/1","events":[\n'
CHECKS: Final = {"read": 3, "canonical": 3, "shape": 3, "chain": 1, "lifecycle": 1, "disclosures": 1}
CHECKS.update({"sealed": 5, "head": 1, "signature": 1, "trust": 4, "timestamp": 4})
VERDICTS: Final = {0: "verified", 1: "altered", 3: "unreadable", 4: "untrusted", 5: "incomplete"}
UNTRUSTED, REFUSED = 4, 3
MAX_INTEGER: Final = 2**53 - 1
HASH: Final = "5e" * 32

Json = dict[str, Any]
Edit = tuple[str, Any]
Raw = tuple[bytes, bytes]


class _Drop:
    """Marks a member that an edit removes."""


DROP: Final = _Drop()


# ---- Bytes ---------------------------------------------------------------------------------------


def jcs(value: object) -> bytes:
    """Return the canonical bytes of a value within the profile."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data: bytes) -> str:
    """Return a digest (§2)."""
    return hashlib.sha256(data).hexdigest()


def b64(data: bytes) -> str:
    """Return standard base64 (§2)."""
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    """Return unpadded base64url (§6)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def edited(document: Any, edits: Iterable[Edit]) -> Any:  # noqa: ANN401 - any JSON
    """Return a copy with the value at each pointer replaced, added, or dropped; a callable gets the old value."""
    document = copy.deepcopy(document)
    for pointer, value in edits:
        *parents, last = pointer.split("/")[1:]
        place = document
        for name in parents:
            place = place[int(name) if isinstance(place, list) else name]
        key: Any = int(last) if isinstance(place, list) and last != "-" else last
        if value is DROP:
            del place[key]
        elif key == "-":
            place.append(value)
        else:
            place[key] = value(place[key]) if callable(value) else value
    return document


def replaced(data: bytes, raws: Iterable[Raw]) -> bytes:
    """Return the bytes with each first string replaced by its second, wherever it stands."""
    for old, new in raws:
        data = data.replace(old, new)
    return data


# ---- Keys ----------------------------------------------------------------------------------------


def seed(name: str) -> bytes:
    """Return 32 fixed bytes."""
    return hashlib.sha256(f"hearth-records test vectors: {name}".encode()).digest()


def spki_of(key: PublicKeyTypes) -> bytes:
    """Return a public key as SubjectPublicKeyInfo DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem_of(der: bytes, label: str = "PUBLIC KEY") -> bytes:
    """Return DER as PEM."""
    body = b64(der)
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def openssh_of(der: bytes) -> bytes:
    """Return the DER of an Ed25519 key as a line of OpenSSH's, RFC 8709 §4, without comment and line feed."""
    raw = der[-32:]
    return b"ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + raw)


class Key:
    """An Ed25519 key from a constant seed."""

    algorithm = "ed25519"

    def __init__(self, name: str) -> None:
        """Derive the key from its name."""
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(seed(name))
        self.spki = spki_of(self.private.public_key())
        self.keyid = sha256(self.spki)

    def sign(self, message: bytes) -> bytes:
        """Return the signature, the same each time."""
        return self.private.sign(message)


class Kept:
    """What cannot be made a second time, by who made it and the digest of the message."""

    def __init__(self, file: str) -> None:
        """Start with what the file holds."""
        self.file = file
        path = DIRECTORY / file
        self.known: dict[str, str] = json.loads(path.read_bytes()) if path.exists() else {}
        self.used: dict[str, str] = {}
        self.may_make = False

    def of(self, who: str, message: bytes, make: Callable[[bytes], bytes]) -> bytes:
        """Return what is kept about a message; make it when that is allowed."""
        place = f"{who}:{sha256(message)}"
        if place not in self.known:
            if not self.may_make:
                raise SystemExit(f"{self.file} lacks {place}: run vectors.py without --check")
            self.known[place] = b64(make(message))
        self.used[place] = self.known[place]
        return base64.b64decode(self.known[place])


KEPT_SIGNATURES, KEPT_TIMESTAMPS = Kept(SIGNATURES), Kept(TIMESTAMPS)


class MlDsaKey(Key):
    """An ML-DSA-44 key from a constant seed."""

    algorithm = "ml-dsa-44"
    private: MLDSA44PrivateKey  # type: ignore[assignment]  # another kind of key, used alike

    def __init__(self, name: str) -> None:
        """Derive the key from its name."""
        self.name = name
        self.private = MLDSA44PrivateKey.from_seed_bytes(seed(name))
        self.spki = spki_of(self.private.public_key())
        self.keyid = sha256(self.spki)

    def sign(self, message: bytes) -> bytes:
        """Return the kept signature."""
        signature = KEPT_SIGNATURES.of(self.keyid, message, self.private.sign)
        self.private.public_key().verify(signature, message)
        return signature


@functools.cache
def key(name: str) -> Key:
    """Return the key of a name, the same each time."""
    return MlDsaKey(name) if name.startswith("ml-dsa") else Key(name)


RECORDER, SECOND, WITNESS, STRANGER = key("recorder"), key("second"), key("witness"), key("stranger")
POST_QUANTUM: Final = key("ml-dsa recorder")


# ---- Timestamp authorities (§6) ------------------------------------------------------------------

OPENSSL_TS: Final = """\
[tsa]
serial = serial
signer_cert = signer.pem
signer_key = signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
clock_precision_digits = 6
ess_cert_id_alg = sha256
"""  # `certs` is left out: with it, what openssl writes is not valid DER
FOR_TIMESTAMPS: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
ONCE: Final = datetime(2026, 1, 1, tzinfo=UTC)


def certificate(
    name: str,
    issuer: Key,
    issuer_name: str,
    public: Ed25519PublicKey | ec.EllipticCurvePublicKey,
    *extensions: x509.ExtensionType,
    until: datetime = datetime(2126, 1, 1, tzinfo=UTC),
) -> str:
    """Return a certificate in PEM, the same each time, with these extensions as critical ones."""

    def called(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder().subject_name(called(name)).issuer_name(called(issuer_name))
    serial = int.from_bytes(seed(name)[:8])  # a root and what it issues may not share one
    builder = builder.public_key(public).serial_number(serial).not_valid_before(ONCE).not_valid_after(until)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(issuer.private, None).public_bytes(Encoding.PEM).decode()


class Authority:
    """A timestamp authority from constant seeds: an Ed25519 root and a P-256 key that signs, with a link between."""

    def __init__(self, name: str, *, linked: bool = False, until: datetime = datetime(2126, 1, 1, tzinfo=UTC)) -> None:
        """Derive keys and certificates from its name."""
        self.name = name
        is_ca = x509.BasicConstraints(ca=True, path_length=None)
        issuer, issuer_name = key(f"{name} root"), f"{name} root"
        self.root = certificate(issuer_name, issuer, issuer_name, issuer.private.public_key(), is_ca)
        self.link = None
        if linked:
            between = key(f"{name} link")
            self.link = certificate(f"{name} link", issuer, issuer_name, between.private.public_key(), is_ca)
            issuer, issuer_name = between, f"{name} link"
        self.private = ec.derive_private_key(int.from_bytes(seed(f"{name} signer")) >> 1, ec.SECP256R1())
        self.signer = certificate(name, issuer, issuer_name, self.private.public_key(), FOR_TIMESTAMPS, until=until)

    def stamp(self, message: bytes) -> bytes:
        """Return the kept response over a message."""
        return KEPT_TIMESTAMPS.of(self.name, message, self._respond)

    def _respond(self, message: bytes) -> bytes:
        with tempfile.TemporaryDirectory(prefix="vectors.") as directory:
            held = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            files = {"serial": b"01\n", "signer.pem": self.signer.encode(), "signer.key": held, "message": message}
            for name, data in (files | {"ts.cnf": OPENSSL_TS.encode()}).items():
                Path(directory, name).write_bytes(data)
            query = ["-query", "-data", "message", "-sha256", "-cert", "-out", "query"]
            reply = ["-reply", "-config", "ts.cnf", "-section", "tsa", "-queryfile", "query", "-out", "reply"]
            for arguments in (query, reply):
                command = ["openssl", "ts", *arguments]
                subprocess.run(command, check=True, capture_output=True, cwd=directory)  # noqa: S603 - our own list
            return Path(directory, "reply").read_bytes()


AUTHORITY, OTHER_AUTHORITY = Authority("authority"), Authority("other authority")
LINKED, ENDED = Authority("linked", linked=True), Authority("ended", until=datetime(2026, 2, 1, tzinfo=UTC))
# Valid when it stamped, and not for long: who makes its responses again moves the day.
BRIEF: Final = Authority("brief", until=datetime(2026, 11, 27, tzinfo=UTC))


def time_of(response: bytes) -> datetime:
    """Return the time that a response states; only that one has a fraction."""
    found = re.search(rb"\x18.(\d{14}\.\d{1,6})Z", response)
    if found is None:
        raise SystemExit(f"{TIMESTAMPS} holds a response without a fraction in its time: make it again")
    return datetime.strptime(found[1].decode(), "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)


def written(when: datetime) -> str:
    """Return a time as §2 writes it."""
    return f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"


# ---- Events (§3) ---------------------------------------------------------------------------------


def time(second: int) -> str:
    """Return a constant time, some seconds into the execution."""
    when = datetime(2026, 11, 22, 16, tzinfo=UTC) + timedelta(seconds=second, microseconds=second * 137)
    return f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"


def snapshot(security: str = "OPERATIONAL", boundary: str = "NOMINAL", context: str = "") -> Json:
    """Return a security snapshot."""
    return {"boundary_state": boundary, "context": context, "security_state": security}


def start(**members: Any) -> Json:  # noqa: ANN401 - any members
    """Return `execution_started`."""
    plain: Json = {
        "actor": None,
        "approvals": [],
        "change_ref": None,
        "execution_id": "exec-1",
        "format": "hearth-record/1",
        "links": [],
        "live_mode_state": "LIVE",
        "origin": {"clock": None, "host": "host-1", "software": "vectors"},
        "plan": plan(),
        "reason": "",
        "security_snapshot": snapshot(),
        "series": None,
        "type": "execution_started",
    }
    return plain | members


def plan(**members: Any) -> Json:  # noqa: ANN401 - any members
    """Return a plan."""
    return {
        "declared_side_effects": [],
        "plan_id": "plan-1",
        "rollback_hints": [],
        "sha256": None,
        "steps": [],
    } | members


def _step(kind: str, index: int, error: str | None, members: Json) -> Json:
    plain = {"error_message": error, "phase": "plan", "step_index": index, "step_name": f"Step {index}", "type": kind}
    return plain | members


def started(index: int = 0, **members: Any) -> Json:  # noqa: ANN401 - any members
    """Return `step_started`."""
    return _step("step_started", index, None, members)


def completed(index: int = 0, **members: Any) -> Json:  # noqa: ANN401 - any members
    """Return `step_completed`."""
    return _step("step_completed", index, None, members)


def failed(index: int = 0, **members: Any) -> Json:  # noqa: ANN401 - any members
    """Return `step_failed`."""
    return _step("step_failed", index, "it failed", members)


def effect(index: int | None = 0, **members: Any) -> Json:  # noqa: ANN401 - any members
    """Return `side_effect_observed`."""
    plain = {"category": "network", "description": "told it", "reversible": True, "step_index": index}
    return plain | {"type": "side_effect_observed"} | members


def observed(security: str = "OPERATIONAL", boundary: str = "NOMINAL", **members: Any) -> Json:  # noqa: ANN401 - as above
    """Return `security_observed`."""
    return {"security_snapshot": snapshot(security, boundary), "type": "security_observed"} | members


def finished(status: str = "completed", **members: Any) -> Json:  # noqa: ANN401 - any members
    """Return `execution_finished`."""
    plain: Json = {
        "cause": None,
        "completion_reason": "",
        "recovery": None,
        "security_snapshot": snapshot(),
        "status": status,
        "type": "execution_finished",
        "unknown_effects": True,
    }
    return plain | members


def minimal(**details: Any) -> list[Json]:  # noqa: ANN401 - any details
    """Return the shortest record, with details in its last event."""
    return [start(), finished(details=details)]


def small() -> list[Json]:
    """Return a record of one step."""
    return [start(), started(), effect(), completed(), finished()]


def failure() -> list[Json]:
    """Return a record with a failed step, hints and a step that cleans up."""
    hint = {
        "actions": ["DROP TABLE t"],
        "description": "Drop the table",
        "estimated_duration": "2 min",
        "required_inputs": {"dsn": "the address"},
        "risks": ["rows are lost"],
        "step_index": 0,
    }
    steps = [{"step_index": index, "step_name": f"Step {index}"} for index in range(3)]
    return [
        start(plan=plan(rollback_hints=[hint], steps=steps)),
        started(0),
        effect(0, category="data_mutation", reversible=False),
        completed(0),
        started(1),
        failed(1),
        started(2, phase="cleanup"),
        completed(2, phase="cleanup"),
        finished("failed", completion_reason="step 1 failed"),
    ]


def full() -> list[Json]:
    """Return a record in which every object of the format stands, and every type of event."""
    hint = {
        "actions": ["first", "second"],
        "description": "undo it",
        "estimated_duration": None,
        "required_inputs": {"a": "the first", "b": ""},
        "risks": ["one"],
        "step_index": 1,
    }
    declared = {"category": "system", "description": "", "reversible": None, "step_index": None}
    approval = {"approved_at": time(0), "approver": "ada", "meaning": "approved", "reference": "R-1", "role": "owner"}
    relations = ("retries", "continues", "rolls_back", "child_of")
    links: list[Json] = [{"chain_head": HASH, "execution_id": "exec-0", "relation": relation} for relation in relations]
    links[0] = links[0] | {"chain_head": None}
    origin = {"clock": {"source": "ntp", "synchronized": True}, "host": "", "software": ""}
    first = start(
        actor={"display_name": "Ada", "id": "ada", "on_behalf_of": "ops", "type": "human"},
        approvals=[approval, dict.fromkeys(approval) | {"approver": ""}],
        change_ref="CHG-1",
        links=links,
        origin=origin,
        plan=plan(
            declared_side_effects=[declared],
            rollback_hints=[hint],
            sha256=HASH,
            steps=[{"step_index": 1, "step_name": "Step 1"}],
        ),
        series={"id": "series-1", "previous": HASH, "sequence": 1},
    )
    recovery = {
        "origin": origin | {"clock": {"source": None, "synchronized": None}},
        "torn_bytes": 12,
        "torn_sha256": HASH,
    }
    return [
        first,
        started(1),
        effect(1),
        observed("LOCKDOWN", "UNKNOWN"),
        failed(1),
        effect(None, category="other", description="", reversible=None),
        finished("incomplete", cause="recovered", recovery=recovery, unknown_effects=False),
    ]


def linked(events: Sequence[Json], raw: Iterable[Raw] = ()) -> list[bytes]:
    """Return the lines of events: numbered, timed and linked (§4) where an event does not say otherwise."""
    raws = list(raw)
    lines: list[bytes] = []
    for n, event in enumerate(events):
        previous = sha256(lines[-1]) if lines else None
        whole: Json = {"details": {}, "previous_event_hash": previous, "seq": n, "timestamp": time(n)} | event
        whole = {name: value for name, value in whole.items() if value is not DROP}
        lines.append(replaced(jcs(whole), raws))
    return lines


# ---- The seal (§5) and the file (§6, §7) ---------------------------------------------------------


def pae(body: bytes, kind: bytes = b"application/vnd.in-toto+json") -> bytes:
    """Return what DSSE v1 signs."""
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def statement_of(events: Sequence[Json], lines: Sequence[bytes], signers: Sequence[Key], sealed_at: str) -> Json:
    """Return the statement about a record; what its events do not say gets a constant."""
    head, first, last = sha256(lines[-1]), events[0], events[-1]
    name = first.get("execution_id", "exec-1")
    predicate = {
        "chain": {"head": head, "length": len(lines)},
        "execution_id": name,
        "format": "hearth-record/1",
        "live_mode_state": first.get("live_mode_state", "LIVE"),
        "plan_id": (first.get("plan") or {}).get("plan_id", "plan-1"),
        "sealed_at": sealed_at,
        "series": first.get("series"),
        "signers": [{"algorithm": signer.algorithm, "keyid": signer.keyid} for signer in signers],
        "status": last.get("status", "completed"),
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": predicate,
        "predicateType": "urn:hearth-records:execution-seal:1",
        "subject": [{"digest": {"sha256": head}, "name": name}],
    }


def framed(lines: Sequence[bytes], closing: bytes) -> bytes:
    """Return a record file."""
    return OPENING + b"\n,".join(lines) + b"\n" + closing + b"\n"


def journal(lines: Sequence[bytes]) -> bytes:
    """Return a file without its closing line."""
    return OPENING + b"".join((b"," if n else b"") + line + b"\n" for n, line in enumerate(lines))


def closing_of(
    events: Sequence[Json],
    lines: Sequence[bytes],
    *,
    signers: Sequence[Key] = (RECORDER,),
    countersigners: Sequence[Key] = (),
    disclosures: Sequence[str] = (),
    sealed_at: str = SEALED_AT,
    statement: Iterable[Edit] = (),
    closing: Iterable[Edit] = (),
    raw: Iterable[Raw] = (),
) -> bytes:
    """Return the closing line: `statement` is edited before it is signed, `closing` and its bytes `raw` after."""
    said = edited(statement_of(events, lines, signers, sealed_at), statement)
    message = pae(jcs(said))
    others = sorted(countersigners, key=lambda signer: signer.keyid)
    signatures = [{"evidence": [], "keyid": by.keyid, "sig": b64(by.sign(message))} for by in (*signers, *others)]
    whole = {"disclosures": sorted(disclosures), "seal": {"evidence": [], "signatures": signatures, "statement": said}}
    return b"]," + replaced(jcs(edited(whole, closing)), raw)[1:]


def sealed(events: Sequence[Json], *, line_raw: Iterable[Raw] = (), **options: Any) -> bytes:  # noqa: ANN401 - closing_of's
    """Return a sealed record; whatever `line_raw` makes of its lines is linked and sealed as it is."""
    lines = linked(events, line_raw)
    return framed(lines, closing_of(events, lines, **options))


def disclosure(name: object, value: object, salt: object = None) -> str:
    """Return a disclosure; its salt is constant."""
    return b64url(jcs([b64url(seed(f"salt of {name}")[:16]) if salt is None else salt, name, value]))


def digest_of(text: str) -> str:
    """Return the digest of a disclosure."""
    return b64url(hashlib.sha256(text.encode()).digest())


def holding(*digests: str, **details: Any) -> Json:  # noqa: ANN401 - any details
    """Return details with the digests of disclosures."""
    return {"_sd": sorted(digests), **details}


def nest(levels: int) -> list[Any]:
    """Return arrays inside arrays."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


# ---- Trust policies (§9) -------------------------------------------------------------------------


def entry(of: Key, *roles: str, **members: Any) -> Json:  # noqa: ANN401 - any members
    """Return a policy's entry for a key, of role `seal` unless roles are given."""
    return {
        "algorithm": of.algorithm,
        "keyid": of.keyid,
        "name": of.name,
        "not_after": None,
        "not_before": None,
        "public_key": b64(of.spki),
        "revoked": None,
        "roles": list(roles or ("seal",)),
    } | members


def need(role: str = "seal", count: int = 1, algorithm: str | None = None) -> Json:
    """Return a requirement."""
    return {"algorithm": algorithm, "count": count, "role": role}


def trust(*keys: Json, require: Sequence[Json] = (), **members: Any) -> Json:  # noqa: ANN401 - any members
    """Return a policy of these keys; one signer is enough unless it requires more."""
    return {
        "expires": None,
        "format": "hearth-trust/1",
        "keys": list(keys),
        "require": list(require or [need()]),
        "require_timestamp": False,
        "timestamp_authorities": [],
        "version": 1,
    } | members


def pretty(value: object) -> bytes:
    """Return JSON as people write it."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


# ---- The corpus ----------------------------------------------------------------------------------

Policy = str | tuple[str, ...] | None


@dataclass
class Corpus:
    """The files, and what a verifier has to find about each."""

    files: dict[str, bytes] = field(default_factory=dict)
    cases: list[Json] = field(default_factory=list)

    def put(self, path: str, data: bytes) -> None:
        """Take a file; the same name twice is a fault of this program."""
        if self.files.setdefault(path, data) != data:
            raise SystemExit(f"two files are called {path}")

    def policy(self, name: str, *keys: Json, **members: Any) -> str:  # noqa: ANN401 - trust's
        """Take a policy that is good, and return its name."""
        self.put(f"policies/{name}.json", pretty(trust(*keys, **members)))
        return name

    def case(
        self,
        what: str,
        data: bytes | None,
        why: str,
        *,
        policy: Policy = "recorder",
        fails: Sequence[str] = (),
        not_run: Sequence[str] = (),
        code: str | None = None,
        seq: int | None = None,
        pointer: str | None = None,
        warnings: Sequence[str] = (),
        allow_reformatted: bool = False,
        demanded: bool = False,
        kind: str = "file",
        padding: Json | None = None,
    ) -> None:
        """Take a case: which checks fail or do not run follows §8, but for what `fails` and `not_run` name."""
        checks = statuses(fails, not_run, has_policy=policy is not None, demanded=demanded)
        decisive = decides(checks, demanded=demanded)
        exit_code = 0 if decisive is None else CHECKS[decisive] if checks[decisive] == "fail" else UNTRUSTED
        name = f"valid/{what}" if decisive is None else f"invalid/{what}"
        if decisive is not None and not what.startswith(f"{decisive}--"):
            raise SystemExit(f"{what} is decided by {decisive}")
        if data is not None:
            self.put(f"{name}.json" if kind == "file" else f"{name}.json/README", data)
        self.cases.append(
            {
                "allow_reformatted": allow_reformatted,
                "check": decisive,
                "checks": checks,
                "code": code,
                "exit_code": exit_code,
                "file": f"{name}.json",
                "kind": kind,
                "name": name,
                "padding": padding,
                "pointer": pointer,
                "policy": self._policy(policy),
                "seq": seq,
                "verdict": VERDICTS[exit_code],
                # What they say of the order of events is only defined where that order can be.
                "warnings": None if checks["lifecycle"] == "fail" else sorted(warnings),
                "why": why,
            }
        )

    @staticmethod
    def _policy(policy: Policy) -> Json | None:
        if isinstance(policy, tuple):
            return {"keys": [f"keys/{name}.pem" for name in policy]}
        return None if policy is None else {"trust": f"policies/{policy}.json"}

    def refused(
        self, what: str, policy: Json, why: str, *, code: str | None = None, pointer: str | None = None
    ) -> None:
        """Take a case of a policy, or of keys, that a verifier has to refuse before it looks at a record."""
        self.cases.append(
            {
                "allow_reformatted": False,
                "check": None,
                "checks": None,
                "code": code,
                "exit_code": REFUSED,
                "file": "valid/minimal.json",
                "kind": "file",
                "name": f"policy--{what}",
                "padding": None,
                "pointer": pointer,
                "policy": policy,
                "seq": None,
                "verdict": None,
                "warnings": [],
                "why": why,
            }
        )

    def refused_policy(self, what: str, data: bytes | Json, why: str, **expected: Any) -> None:  # noqa: ANN401 - refused's
        """Take a policy file that is refused."""
        self.put(f"policies/refused/{what}.json", data if isinstance(data, bytes) else pretty(data))
        self.refused(what, {"trust": f"policies/refused/{what}.json"}, why, **expected)

    def refused_keys(self, what: str, why: str, *pems: bytes, code: str | None = None) -> None:
        """Take public keys, the short form of a policy, that are refused."""
        names = [f"keys/refused/{what}{f'-{n}' if n else ''}.pem" for n in range(len(pems))]
        for name, pem in zip(names, pems, strict=True):
            self.put(name, pem)
        self.refused(f"pem-{what}", {"keys": names}, why, code=code)


def statuses(fails: Sequence[str], not_run: Sequence[str], *, has_policy: bool, demanded: bool) -> dict[str, str]:
    """Return what §8 says of every check, when these fail and those cannot run."""
    checks = dict.fromkeys(CHECKS, "pass") | {"timestamp": "pass" if demanded else "not_run"}
    names = list(CHECKS)
    ends = next((name for name in ("read", "canonical", "shape") if name in fails), None)
    if ends is not None:
        checks.update(dict.fromkeys(names[names.index(ends) :], "not_run"))
    if "sealed" in fails:
        checks.update(dict.fromkeys(("disclosures", "head", "signature", "trust", "timestamp"), "not_run"))
    if not has_policy and ends is None:
        checks.update(dict.fromkeys(("signature", "trust"), "not_run"))
    checks.update(dict.fromkeys(not_run, "not_run"))
    checks.update(dict.fromkeys(fails, "fail"))
    return checks


def decides(checks: dict[str, str], *, demanded: bool) -> str | None:
    """Return the first failed check, or else the first that was asked for and did not run."""
    asked = [name for name in CHECKS if name != "timestamp" or demanded]
    for status in ("fail", "not_run"):
        for name in asked:
            if checks[name] == status:
                return name
    return None


# ---- Cases: what verifies ------------------------------------------------------------------------


def add_policies(corpus: Corpus) -> None:
    """Take the policies that several cases share."""
    corpus.policy("recorder", entry(RECORDER))
    corpus.policy("two", entry(RECORDER), entry(SECOND))
    corpus.policy("two-required", entry(RECORDER), entry(SECOND), require=[need(count=2)])
    corpus.policy(
        "countersigned", entry(RECORDER), entry(WITNESS, "countersign"), require=[need(), need("countersign")]
    )
    corpus.policy("witness-known", entry(RECORDER), entry(WITNESS, "countersign"))
    corpus.policy("post-quantum", entry(RECORDER), entry(POST_QUANTUM))
    for name in ("recorder", "second"):
        corpus.put(f"keys/{name}.pem", pem_of(key(name).spki))


def add_valid_events(corpus: Corpus) -> None:
    """§3: what an execution may look like."""
    case = corpus.case
    case("minimal", sealed(minimal()), "start and end, nothing between")
    case("small", sealed(small()), "one step with an effect")
    case("failure", sealed(failure()), "a failed step, a cleanup step, a plan with hints")
    case("full", sealed(full()), "every object of the format, every type of event, links of every relation")
    case("another-implementation", None, "made by another implementation", policy=("another-implementation",))
    open_step = [start(), started(), finished("failed")]
    case("failed-with-open-step", sealed(open_step), "failed may leave a step open, and needs no failed step")
    case("failed-without-step", sealed([start(), finished("failed")]), "failed needs no step at all")
    abandoned = [start(), started(), finished("incomplete", cause="abandoned")]
    case("incomplete-abandoned", sealed(abandoned), "incomplete may leave a step open")
    recovery = {"origin": {"clock": None, "host": "h", "software": "s"}, "torn_bytes": 0, "torn_sha256": None}
    recovered = [start(), finished("incomplete", cause="recovered", recovery=recovery)]
    case("incomplete-recovered", sealed(recovered), "a recovered journal without a torn tail")
    case("incomplete-no-cause", sealed([start(), finished("incomplete")]), "incomplete needs no cause")
    odd = [start(), finished("completed", cause="recovered", unknown_effects=False)]
    case("cause-with-completed", sealed(odd), "how cause, recovery and status combine is not checked")
    case("dry-run", sealed([start(live_mode_state="DRY_RUN"), finished()]), "the other mode")
    phases = [start(), started(phase="cleanup"), completed(phase="cleanup"), started(1), completed(1), finished()]
    case("cleanup-before-plan", sealed(phases), "a cleanup step may start without a failure, and plan steps after it")
    gaps = [start(), started(3), completed(3), started(MAX_INTEGER), completed(MAX_INTEGER), finished()]
    case("step-indexes", sealed(gaps), "step indexes increase, with gaps, up to 2^53 - 1")
    kinds = ("file_system", "network", "data_mutation", "configuration", "system", "other")
    effects = [effect(None, category=kind, reversible=None) for kind in kinds]
    case("effects", sealed([start(), *effects, finished()]), "every category, no step, not known whether reversible")
    late = [start(), started(0), completed(0), started(1), effect(0), completed(1), finished()]
    case("effect-of-earlier-step", sealed(late), "an effect may name any step that has started")
    for sequence, previous in ((0, None), (MAX_INTEGER, HASH)):
        series = {"id": "s", "previous": previous, "sequence": sequence}
        case(f"series-{min(sequence, 1)}", sealed([start(series=series), finished()]), "a place in a series")
    for kind in ("human", "service", "agent"):
        actor = {"display_name": None, "id": "", "on_behalf_of": None, "type": kind}
        case(f"actor-{kind}", sealed([start(actor=actor), finished()]), "an actor of this type")


def add_valid_security(corpus: Corpus) -> None:
    """§3: what is no escalation, and what may follow one."""
    from_unknown = [start(security_snapshot=snapshot("UNKNOWN", "UNKNOWN")), observed("OPERATIONAL", "NOMINAL")]
    from_unknown += [observed("UNKNOWN", "UNKNOWN"), started(), completed(), finished()]
    corpus.case("security-from-unknown", sealed(from_unknown), "from UNKNOWN, itself and the best states are no worse")
    better = [start(security_snapshot=snapshot("LOCKDOWN", "COMPROMISED")), observed("COMPROMISED", "COMPROMISED")]
    better += [observed("OPERATIONAL", "NOMINAL"), started(), completed(), finished()]
    corpus.case("security-improves", sealed(better), "states that get better are no escalation")
    same = [start(security_snapshot=snapshot("DEGRADED", "ELEVATED")), observed("DEGRADED", "ELEVATED"), started()]
    same += [completed(), finished(security_snapshot=snapshot("DEGRADED", "ELEVATED"))]
    corpus.case("security-stays", sealed(same), "what is bad from the start is no escalation")
    after = [start(), started(), observed("COMPROMISED"), effect(), failed(), observed(), finished("incomplete")]
    corpus.case(
        "security-escalated", sealed(after), "after an escalation effects, ends and snapshots are still recorded"
    )
    closing = [start(), finished("incomplete", cause="security_escalation", security_snapshot=snapshot("LOCKDOWN"))]
    corpus.case("security-escalated-at-end", sealed(closing), "the closing snapshot may be the escalated one")


def add_valid_text(corpus: Corpus) -> None:
    """§1, §2: Unicode, names, and the boundaries of texts."""

    def case(what: str, why: str, **details: Any) -> None:  # noqa: ANN401 - any details
        corpus.case(what, sealed(minimal(**details)), why)

    order = {"\ue000": 1, "\uffff": 2, "\u00e9": 3, "e": 4, "Z": 5, "a": 6, "\ud7ff": 7, "10": 8, "9": 9, " ": 10}
    case(
        "unicode-name-order",
        "names stand in the order of their code points, which in the BMP is that of UTF-16",
        **order,
    )
    case(
        "unicode-values-not-sorted",
        "arrays keep their order, astral or not",
        v=["\U0001f600", "\uffff", "\ue000", "\U00010000"],
    )
    controls = "".join(map(chr, range(0x20)))
    case(
        "unicode-controls",
        "control characters have one escape each, NUL included",
        text=controls + '"\\',
        **{controls: 1},
    )
    case("unicode-del", "DEL and the C1 controls are not escaped", **{"\x7f": "\x7f\x80\x9f"})
    case("unicode-line-separators", "U+2028 and U+2029 are not escaped", **{"\u2028": "\u2028\u2029\u0085"})
    combining = {"e\u0301": "decomposed", "\u00e9": "composed"}
    case(
        "unicode-combining", "nothing is normalised: two spellings are two names", **combining, v="A\u030a\u00c5\u212b"
    )
    emoji = "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd"
    case("unicode-emoji", "astral characters are not escaped", v=emoji)
    edges = "\ufdd0\ufffe\uffff\U0001fffe\U0010ffff\ufeff\ufffd\ud7ff\ue000"
    case("unicode-noncharacters", "noncharacters and a BOM inside are scalar values as others", v=edges)
    case("unicode-bidi", "text is kept verbatim, however it looks", v="\u202e\u2066\u200b\u001b[31m")
    case("unicode-solidus", "a solidus and HTML are not escaped", v="</script><!--&'", **{"a/b~c": 1})
    case("name-128", "a member name may have 128 characters", **{"\u00e9" * 128: 1})
    case("name-like-number", "names are compared as text", **{"1": 1, "10": 2, "2": 3, "-1": 4})
    case("empty-containers", "empty objects and arrays", a=[], b={}, c=[[], {}], d="")
    text = "x" * 65_535 + "\U0001f600"
    corpus.case("text-65536", sealed([start(), finished(completion_reason=text)]), "65,536 code points, more in UTF-16")
    long_text = "y" * 65_537
    corpus.case("details-text-65537", sealed(minimal(t=long_text)), "texts in details have no limit of their own")
    identifiers = start(execution_id="0" + "-" * 127, plan=plan(plan_id="A"))
    corpus.case("identifier-128", sealed([identifiers, finished()]), "128 characters, and one")
    odd = start(execution_id="a..b_-.", plan=plan(plan_id="9._-"), reason="", change_ref="")
    corpus.case("identifier-characters", sealed([odd, finished()]), "dots, underscores, hyphens")


def add_valid_values(corpus: Corpus) -> None:
    """§1, §2: numbers, nesting, times."""

    def case(what: str, why: str, **details: Any) -> None:  # noqa: ANN401 - any details
        corpus.case(what, sealed(minimal(**details)), why)

    case("number-edges", "the largest integers of both signs, and 0", max=MAX_INTEGER, min=-MAX_INTEGER, zero=0, one=-1)
    case("depth-16-arrays", "16 levels: the event, its details, 14 arrays", v=nest(14))
    value: Any = 1
    for _ in range(14):
        value = {"v": value}
    case("depth-16-objects", "16 levels of objects", v=value)
    case("depth-16-wide", "levels are not added up across siblings", a=nest(14), b=nest(14), c=[nest(13), nest(13)])
    case("brackets-in-text", "brackets inside texts are no levels", v="[" * 100, **{"{" * 100: '"' + "[" * 40})
    days = ("2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31", "2026-04-30")
    times = [f"{day}T{hour}Z" for day, hour in zip(days, ("23:59:59.999999", "00:00:00.000000") * 3, strict=False)]
    for n, moment in enumerate(times):
        approval = {"approved_at": moment, "approver": "", "meaning": None, "reference": None, "role": None}
        corpus.case(f"timestamp-{days[n]}", sealed([start(approvals=[approval]), finished()]), "a real day")
    equal = [start(timestamp=time(0)), finished(timestamp=time(0))]
    corpus.case("timestamp-equal", sealed(equal), "an event may have its predecessor's time")
    corpus.case("sealed-at-last-event", sealed(minimal(), sealed_at=time(1)), "sealed_at may be the last event's time")


def add_warnings(corpus: Corpus) -> None:
    """§3, §8: what is no error."""
    back = [start(timestamp=time(9)), started(timestamp=time(8)), completed(timestamp=time(7)), finished()]
    corpus.case("warning-time-went-back", sealed(back), "clocks are not trusted", warnings=["time-went-back"])
    early = sealed(small(), sealed_at=time(3))
    corpus.case("warning-sealed-before-end", early, "clocks are not trusted", warnings=["sealed-before-end"])
    planned = plan(steps=[{"step_index": 0, "step_name": "a"}, {"step_index": 2, "step_name": "b"}])
    other = [
        start(plan=planned),
        started(0),
        completed(0),
        started(1),
        completed(1),
        started(2),
        completed(2),
        finished(),
    ]
    corpus.case(
        "warning-unplanned-step", sealed(other), "a step that the plan does not name", warnings=["unplanned-step"]
    )
    cleanup = [start(plan=planned), started(0), completed(0), started(2), completed(2)]
    cleanup += [started(3, phase="cleanup"), completed(3, phase="cleanup"), finished()]
    corpus.case(
        "warning-unplanned-cleanup", sealed(cleanup), "cleanup steps are planned as well", warnings=["unplanned-step"]
    )
    never = [start(plan=planned), started(0), completed(0), finished()]
    corpus.case(
        "warning-planned-step-not-run", sealed(never), "a planned step never ran", warnings=["planned-step-not-run"]
    )
    renamed = [
        start(plan=planned),
        started(0, step_name="z"),
        completed(0, step_name="z"),
        started(2),
        completed(2),
        finished(),
    ]
    corpus.case("planned-step-renamed", sealed(renamed), "a plan names steps by their index")
    some = {"data": b64(b"some"), "type": "later"}
    on_seal = [
        ("/seal/evidence/-", some),
        ("/seal/evidence/-", some | {"type": "x"}),
        ("/seal/evidence/-", some | {"data": "AA=="}),
    ]
    checked = ["evidence-not-checked"]
    corpus.case("evidence-on-seal", sealed(small(), closing=on_seal), "evidence of unknown types", warnings=checked)
    on_signature = [("/seal/signatures/0/evidence/-", some), ("/seal/evidence/-", some)]
    corpus.case(
        "evidence-on-signature", sealed(small(), closing=on_signature), "the same in two places", warnings=checked
    )
    stamp = [("/seal/signatures/0/evidence/-", {"data": "MAA=", "type": "rfc3161"})]
    corpus.case(
        "evidence-not-demanded",
        sealed(small(), closing=stamp),
        "evidence that does not hold is absent",
        warnings=checked,
    )


def add_valid_seals(corpus: Corpus) -> None:
    """§5, §6: several signers, countersignatures, other algorithms."""
    two = sealed(small(), signers=[RECORDER, SECOND])
    corpus.case("signers-two", two, "both are known, one is enough", policy="two")
    corpus.case("signers-two-required", two, "both are required", policy="two-required")
    corpus.case("signers-two-by-pem", two, "the short form of a policy", policy=("recorder", "second"))
    turned = sealed(small(), signers=[SECOND, RECORDER])
    corpus.case(
        "signers-two-turned", turned, "signers stand in any order, their signatures in the same", policy="two-required"
    )
    sixteen = [key(f"signer {n}") for n in range(16)]
    policy = corpus.policy("sixteen", *map(entry, sixteen), require=[need(count=16)])
    corpus.case("signers-16", sealed(small(), signers=sixteen), "at most 16 signers", policy=policy)
    many = [key(f"witness {n}") for n in range(64)]
    corpus.case(
        "countersigners-64",
        sealed(small(), countersigners=many),
        "64 countersignatures",
        warnings=["unknown-countersigner"],
    )
    counted = sealed(small(), countersigners=[WITNESS])
    corpus.case("countersigned", counted, "a countersignature is required", policy="countersigned")
    corpus.case("countersigned-not-required", counted, "none is required", policy="witness-known")
    unknown = ["unknown-countersigner"]
    corpus.case("countersigner-unknown", counted, "anybody may countersign", warnings=unknown)
    bad = sealed(small(), countersigners=[WITNESS], closing=[("/seal/signatures/1/sig", "AA==")])
    corpus.case("countersigner-unknown-bad", bad, "nobody can tell that it is bad", warnings=unknown)
    uncounted = ["countersigner-not-counted"]
    for what, members in (
        ("with-window", {"not_before": LONG_AGO}),
        ("with-end", {"not_after": FAR_AHEAD}),
        ("revoked", {"revoked": {"at": FAR_AHEAD, "reason": "superseded"}}),
    ):
        policy = corpus.policy(f"witness-{what}", entry(RECORDER), entry(WITNESS, "countersign", **members))
        corpus.case(f"countersigner-{what}", counted, "nobody knows when it signed", policy=policy, warnings=uncounted)
    policy = corpus.policy("witness-may-seal-only", entry(RECORDER), entry(WITNESS))
    corpus.case("countersigner-without-role", counted, "of another role", policy=policy, warnings=uncounted)
    for what, signers, policy in (
        ("ml-dsa-44-alone", [POST_QUANTUM], "post-quantum"),
        ("ml-dsa-44-second", [RECORDER, POST_QUANTUM], "post-quantum"),
    ):
        corpus.case(what, sealed(small(), signers=signers), "a post-quantum signature", policy=policy)
    both = [need(algorithm="ed25519"), need(algorithm="ml-dsa-44")]
    policy = corpus.policy("both-algorithms", entry(RECORDER), entry(POST_QUANTUM), require=both)
    corpus.case("ml-dsa-44-required", sealed(small(), signers=[RECORDER, POST_QUANTUM]), "one of each", policy=policy)
    needs = [need(), need("countersign", algorithm="ml-dsa-44")]
    policy = corpus.policy("post-quantum-witness", entry(RECORDER), entry(POST_QUANTUM, "countersign"), require=needs)
    counted = sealed(small(), countersigners=[POST_QUANTUM])
    corpus.case("ml-dsa-44-countersigner", counted, "a post-quantum countersignature", policy=policy)


def add_valid_trust(corpus: Corpus) -> None:
    """§9: policies that are met."""
    table: list[tuple[str, str, Json, Json]] = [
        ("not-before-is-sealed-at", "windows are half-open", {"not_before": SEALED_AT}, {}),
        ("not-after-is-later", "windows are half-open", {"not_after": "2026-11-22T16:00:30.000001Z"}, {}),
        (
            "superseded-later",
            "a key that ended later",
            {"revoked": {"at": "2026-11-22T16:00:30.000001Z", "reason": "superseded"}},
            {},
        ),
        ("retired-later", "a key that ended later", {"revoked": {"at": FAR_AHEAD, "reason": "retired"}}, {}),
        ("role-twice", "a role may be named twice", {"roles": ["seal", "seal"]}, {}),
        ("every-role", "a key of every role", {"roles": ["witness", "seal", "checkpoint", "countersign"]}, {}),
        ("name-any", "names are text", {"name": ""}, {}),
        ("expires-later", "a policy that expires later", {}, {"expires": FAR_AHEAD}),
        ("version-any", "the version of a policy counts up", {}, {"version": MAX_INTEGER}),
        ("authorities", "authorities without a demand", {}, {"timestamp_authorities": [AUTHORITY.root]}),
        ("required-twice", "a key counts for each requirement", {}, {"require": [need(), need(algorithm="ed25519")]}),
        ("others", "other keys do not matter", {}, {"keys": [entry(STRANGER, not_after=LONG_AGO), entry(RECORDER)]}),
    ]
    for what, why, member, top in table:
        policy = corpus.policy(f"trust-{what}", **({"keys": [entry(RECORDER, **member)]} | top))
        corpus.case(f"trust-{what}", sealed(minimal()), why, policy=policy)
    loose = json.dumps(trust(entry(RECORDER, name="Rec\u00f6rder")), indent="\t")
    loose = f"\r\n {loose} \n\n".replace('"version"', '"\\u0076ersion"').replace("hearth-trust/1", "hearth-trust\\/1")
    corpus.put("policies/trust-loose.json", loose.encode())
    corpus.case(
        "trust-loose", sealed(minimal()), "people write policies: any spelling of JSON will do", policy="trust-loose"
    )
    corpus.case("trust-by-pem", sealed(minimal()), "the short form of a policy", policy=("recorder",))
    corpus.put("keys/recorder-loose.pem", b"\n" + pem_of(RECORDER.spki).replace(b"\n", b"\r\n") + b"\n")
    corpus.case(
        "trust-by-pem-crlf", sealed(minimal()), "line breaks of a PEM file are free", policy=("recorder-loose",)
    )
    block = pem_of(RECORDER.spki)
    corpus.put("keys/recorder-lines.pem", b"\x0b" + block[:40] + b"\n\n" + block[40:].replace(b"\n", b"\r") + b"\t\x0c")
    corpus.case(
        "trust-by-pem-lines", sealed(minimal()), "lines may be of any length, or empty", policy=("recorder-lines",)
    )
    corpus.put("keys/recorder-openssh.pem", openssh_of(RECORDER.spki) + b" recorder@host\n")
    corpus.case("trust-by-openssh", sealed(minimal()), "a key in OpenSSH's form", policy=("recorder-openssh",))


def add_valid_disclosures(corpus: Corpus) -> None:
    """§6: withheld, disclosed, decoys."""
    one, two, three = (
        disclosure("password", "hunter2"),
        disclosure("rows", [1, {"a": None}]),
        disclosure("z", value=True),
    )
    decoy = b64url(seed("decoy"))

    def case(what: str, why: str, events: list[Json], *disclosures: str) -> None:
        corpus.case(f"disclosures-{what}", sealed(events, disclosures=disclosures), why)

    events = [
        start(details=holding(digest_of(three))),
        finished(details=holding(digest_of(one), digest_of(two), decoy, kept=1)),
    ]
    case("all", "all are disclosed, in two events, beside a decoy", events, one, two, three)
    case("some", "some are withheld", events, two)
    case("none", "all are withheld", events)
    case("decoy", "nothing but a decoy", minimal(**holding(decoy)))
    same = disclosure("password", "hunter2", "A" * 22)
    apart = [start(details=holding(digest_of(one))), finished(details=holding(digest_of(same)))]
    case("same-name-apart", "two events may disclose the same name", apart, one, same)
    deep = disclosure("deep", nest(14))
    case("depth-16", "16 levels after substitution", minimal(**holding(digest_of(deep))), deep)
    wide = disclosure("\uffff" * 128, "\U0001f600\u2028\x7f\u0000")
    case("name-128", "a name of 128 characters, any text", minimal(**holding(digest_of(wide))), wide)
    salted = [disclosure("a", 1, salt) for salt in ("A" * 22, "_-" * 10 + "_w")]
    case("salts", "salts of all bits 0, and of other characters", minimal(**holding(digest_of(salted[0]))), salted[0])
    case("salt-characters", "salts of all 64 characters", minimal(**holding(digest_of(salted[1]))), salted[1])
    null = disclosure("n", None)
    case("null", "a disclosed null", minimal(**holding(digest_of(null))), null)


def add_valid_reformatted(corpus: Corpus) -> None:
    """§6: re-formatted files, with the option that rewrites them."""
    data = sealed(full())
    value = json.loads(data)
    turned = json.dumps(_turned(value), indent=2)
    table = {
        "indented": (pretty(value), "a re-indented file"),
        "one-line": (jcs(value), "the file as one canonical line"),
        "members-turned": (turned.encode(), "members in another order, all but ASCII escaped"),
        "crlf": (data.replace(b"\n", b"\r\n"), "CRLF"),
        "no-last-line-feed": (data[:-1], "the last line lacks its line break"),
        "commas-at-line-ends": (data.replace(b"\n,", b",\n"), "commas at line ends"),
        "space-in-event": (data.replace(b'"seq":0', b'"seq": 0'), "a blank inside an event"),
        "white-space-around": (b" \n" + data + b"\n\n", "white space around"),
    }
    for what, (reformatted, why) in table.items():
        corpus.case(f"reformatted-{what}", reformatted, why, allow_reformatted=True, warnings=["reformatted"])
    corpus.case("reformatted-not", data, "the option does not matter for a file in its frame", allow_reformatted=True)


def _turned(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _turned(value[name]) for name in sorted(value, reverse=True)}
    return [_turned(item) for item in value] if isinstance(value, list) else value


# ---- Cases: read, canonical ----------------------------------------------------------------------


def add_read(corpus: Corpus) -> None:
    """Check 1."""
    readme = b"A directory where a verifier expects a file.\n"
    for kind, data, why in (
        ("directory", readme, "a directory is no record"),
        ("missing", None, "there is no such file"),
    ):
        corpus.case(f"read--{kind}", data, why, fails=["read"], code="unreadable", kind=kind)


def add_frame(corpus: Corpus) -> None:
    """Check 2, §6: the frame."""
    events = small()
    lines = linked(events)
    closing = closing_of(events, lines)
    data = framed(lines, closing)

    def case(what: str, data: bytes, why: str, code: str | None = "frame", **expected: Any) -> None:  # noqa: ANN401 - case's
        corpus.case(f"canonical--{what}", data, why, fails=["canonical"], code=code, **expected)

    case("empty", b"", "an empty file", "empty")
    case("line-feed", b"\n", "nothing but a line break")
    case("opening-cut", OPENING[:20], "cut inside the opening line")
    case("opening-no-line-feed", OPENING[:-1], "the opening line without its line break")
    case(
        "opening-with-space",
        data.replace(b":", b": ", 1).replace(b"}}\n", b"}}x\n"),
        "a blank in the opening line, and no JSON",
    )
    case("opening-only-garbage", b"\x00\x01\x02", "no record at all")
    case("opening-is-event", b"\n".join(lines) + b"\n", "events without a frame")
    case("bom", b"\xef\xbb\xbf" + data, "a byte order mark")
    case("utf-16", data.decode().encode("utf-16"), "UTF-16")
    case("crlf", data.replace(b"\n", b"\r\n"), "CRLF")
    case("crlf-opening", data.replace(b"\n", b"\r\n", 1), "CRLF after the opening line")
    case("no-last-line-feed", data[:-1], "only the last line break lacks: malformed, not torn")
    case("space-before", b" " + data, "a blank before the frame")
    case("line-feed-after", data + b"\n", "an empty line after the frame")
    case("text-after", data + b"x", "text after the frame")
    case("record-after", data + data, "two records in one file")
    case("closing-twice", data + closing + b"\n", "two closing lines")
    case("event-after-closing", data + b"," + lines[-1] + b"\n", "an event after the closing line")
    case("no-events", OPENING + closing + b"\n", "a closing line without an event")
    case("comma-first", data.replace(b"\n{", b"\n,{", 1), "a comma before the first event", seq=0)
    case("comma-missing", data.replace(b"\n,", b"\n", 1), "no comma before an event", seq=1)
    case("comma-twice", data.replace(b"\n,", b"\n,,", 1), "two commas before an event", code=None, seq=1)
    case("line-empty", data.replace(b"\n,", b"\n\n,", 1), "an empty line between events", "reformatted")
    case("events-in-one-line", data.replace(b"\n,", b",", 1), "two events in one line", code=None, seq=0)
    case("event-in-two-lines", data.replace(b'"seq":1,', b'"seq":1,\n', 1), "an event in two lines", code=None, seq=1)
    case("event-cut", data.replace(lines[1], lines[1][:-9]), "an event cut in the middle of the file", code=None, seq=1)
    for what, edits in {
        "closing-unknown-member": [("/extra", 1)],
        "closing-no-seal": [("/seal", DROP)],
        "closing-no-disclosures": [("/disclosures", DROP)],
        "closing-empty": [("/seal", DROP), ("/disclosures", DROP)],
    }.items():
        case(what, sealed(events, closing=edits), "the members of the file are fixed")
    swapped = b'],"seal":' + jcs(json.loads(data)["seal"]) + b',"disclosures":[]}'
    case("closing-turned", framed(lines, swapped), "the members of the closing line are sorted", None)
    case("closing-space", framed(lines, closing.replace(b":", b": ", 1)), "a blank in the closing line", code=None)
    case("closing-no-comma", framed(lines, b"]" + closing[2:]), "no comma after the bracket")
    case("closing-bracket", framed(lines, b"]}"), "a file without seal and disclosures", "reformatted")
    case("other-format", data.replace(b"hearth-record/1", b"hearth-record/x"), "another format")
    case("other-format-zero", data.replace(b"hearth-record/1", b"hearth-record/01"), "a version has no leading zero")
    again = sealed(events, line_raw=[(b'"seq":1', b'"seq": 1')]).replace(b"\n,", b"\n").replace(b"\n{", b"\n,{", 2)
    again = again.replace(OPENING + b",", OPENING)
    case("first-fault-first", again, "the fault in the first line is found first", code=None, seq=1)


def add_reformatted(corpus: Corpus) -> None:
    """Check 2, §6: re-formatted files without the option, or outside the profile with it."""
    data = sealed(small())
    value = json.loads(data)

    def case(what: str, data: bytes, why: str, code: str | None = "reformatted", **expected: Any) -> None:  # noqa: ANN401
        corpus.case(f"canonical--{what}", data, why, fails=["canonical"], code=code, **expected)

    case("reformatted", pretty(value), "re-indented")
    case("reformatted-one-line", jcs(value), "the same value in one line")
    case("reformatted-commas-at-line-ends", data.replace(b"\n,", b",\n"), "commas at line ends", None, seq=0)
    case("reformatted-turned", json.dumps(_turned(value)).encode(), "members in another order")
    opened = {"events": value["events"], "format": value["format"]}
    case("reformatted-journal", pretty(opened), "a record without a seal, re-indented")
    allowed = {"allow_reformatted": True}
    doubled = pretty(value).replace(b'"seq": 0,', b'"seq": 0,\n"seq": 0,')
    case("reformatted-doubled-member", doubled, "a doubled member", "frame")
    case("reformatted-allowed-doubled-member", doubled, "the option does not allow a doubled member", None, **allowed)
    fraction = pretty(value).replace(b'"seq": 0,', b'"seq": 0.0,')
    case("reformatted-fraction", fraction, "a fraction", "frame")
    case("reformatted-allowed-fraction", fraction, "the option does not allow a fraction", None, **allowed)
    edits: dict[str, Edit] = {
        "extra-member": ("/extra", 1),
        "no-events": ("/events", []),
        "seal-alone": ("/disclosures", DROP),
        "other-format": ("/format", "hearth"),
    }
    for what, edit in edits.items():
        other = pretty(edited(value, [edit]))
        case(f"reformatted-{what}", other, "not a record, however it is formatted", "frame")
        case(f"reformatted-allowed-{what}", other, "the option does not help", None, **allowed)
    case("reformatted-allowed-array", b"[1]\n", "the option does not help", None, **allowed)
    case("reformatted-allowed-empty", b"", "the option does not help", "empty", **allowed)


NUMBERS: Final = {
    "fraction": "1.5",
    "fraction-zero": "1.0",
    "exponent": "1e2",
    "exponent-negative": "1E-2",
    "exponent-huge": "1e400",
    "minus-zero": "-0",
    "minus-zero-fraction": "-0.0",
    "2-to-53": str(2**53),
    "minus-2-to-53": str(-(2**53)),
    "2-to-63": str(2**63),
    "minus-2-to-63": str(-(2**63)),
    "2-to-64": str(2**64),
    "10-to-30": "1" + "0" * 30,
    "5000-digits": "7" * 5000,
    "leading-zero": "01",
    "minus-leading-zero": "-01",
    "plus": "+1",
    "nan": "NaN",
    "infinity": "-Infinity",
    "hexadecimal": "0x1",
    "minus": "-",
    "no-digit-after-point": "1.",
    "no-digit-before-point": ".5",
}

SPELLINGS: Final = {
    "escaped-solidus": (rb"\/", "a needless escape"),
    "escaped-letter": (rb"\u0041", "a needless escape"),
    "escaped-letter-e": (rb"\u00e9", "a needless escape"),
    "escaped-del": (rb"\u007f", "a needless escape"),
    "escaped-line-separator": (rb"\u2028", "a needless escape"),
    "escaped-astral": (rb"\ud83d\ude00", "a needless escape"),
    "escaped-line-feed-long": (rb"\u000a", "the escape of a line feed is short"),
    "escaped-capital": (rb"\u001F", "hex digits of an escape are lowercase"),
    "escape-unknown": (rb"\x41", "no JSON"),
    "escape-short": (rb"\u12", "no JSON"),
    "raw-tab": (b"\t", "a control character that is not escaped"),
    "raw-nul": (b"\x00", "a control character that is not escaped"),
    "raw-unit-separator": (b"\x1f", "a control character that is not escaped"),
    "surrogate-high": (rb"\ud800", "a lone surrogate"),
    "surrogate-low": (rb"\udfff", "a lone surrogate"),
    "surrogates-turned": (rb"\ude00\ud83d", "a pair in the wrong order"),
    "surrogate-high-letter": (rb"\ud800A", "a lone surrogate"),
    "surrogate-bytes": (b"\xed\xa0\x80", "a lone surrogate in UTF-8"),
    "cesu-8": (b"\xed\xa0\xbd\xed\xb8\x80", "a pair of surrogates in UTF-8"),
    "overlong-nul": (b"\xc0\x80", "not the shortest form"),
    "overlong-solidus": (b"\xe0\x80\xaf", "not the shortest form"),
    "utf-8-cut": (b"\xe2\x82", "a character that is cut"),
    "utf-8-continuation": (b"\x80", "a continuation byte alone"),
    "latin-1": (b"\xe9", "not UTF-8"),
    "byte-ff": (b"\xff", "not UTF-8"),
    "past-unicode": (b"\xf4\x90\x80\x80", "past U+10FFFF"),
}

MEMBERS: Final = {
    "not-sorted": (b'"b":1,"a":1', "names are sorted"),
    "not-sorted-capital": (b'"a":1,"B":1', "names are sorted by code point, capitals first"),
    "not-sorted-numbers": (b'"2":1,"10":1', "names are sorted as text"),
    "not-sorted-prefix": (b'"aa":1,"a":1', "a prefix comes first"),
    "not-sorted-bmp": ('"\uffff":1,"\ue000":1'.encode(), "names are sorted by code point"),
    "duplicate": (b'"a":1,"a":1', "a doubled member"),
    "duplicate-other-value": (b'"a":1,"a":2', "a doubled member"),
    "duplicate-apart": (b'"a":1,"b":1,"a":1', "a doubled member"),
    "duplicate-escaped": (rb'"a":1,"\u0061":1', "a doubled member, one of them escaped"),
    "duplicate-nested": (b'"a":{"b":{},"b":{}}', "a doubled member further inside"),
    "name-empty": (b'"":1', "a name has at least one character"),
    "name-129": (b'"' + b"n" * 129 + b'":1', "a name has at most 128 characters"),
    "name-129-bmp": (f'"{"y" * 128}\uffff":1'.encode(), "a name has at most 128 characters"),
    "name-astral": ('"\U0001f600":1'.encode(), "a name has only characters of the BMP"),
    "name-astral-lowest": ('"\U00010000":1'.encode(), "a name has only characters of the BMP"),
    "name-surrogate": (rb'"\ud83d":1', "a lone surrogate in a name"),
    "name-not-quoted": (b"a:1", "no JSON"),
    "name-single-quotes": (b"'a':1", "no JSON"),
    "comma-at-end": (b'"a":1,', "no JSON"),
    "comment": (b'"a":1/**/', "no JSON"),
    "white-space": (b'"a": 1', "white space"),
    "white-space-before-comma": (b'"a":1 ,"b":1', "white space"),
    "white-space-tab": (b'"a":\t1', "white space"),
    "white-space-in-array": (b'"a":[ ]', "white space"),
    "literal-capital": (b'"a":True', "no JSON"),
    "literal-cut": (b'"a":nul', "no JSON"),
    "value-missing": (b'"a":', "no JSON"),
    "array-not-closed": (b'"a":[1', "no JSON"),
    "array-comma": (b'"a":[1,]', "no JSON"),
    "text-not-closed": (b'"a":"b', "no JSON"),
}


def add_profile(corpus: Corpus) -> None:
    """Check 2, §1: numbers, texts, names, nesting; in details, and where a member has a type."""

    def case(what: str, raw: Raw, why: str, **options: Any) -> None:  # noqa: ANN401 - sealed's
        data = sealed(minimal(at="@@"), line_raw=[raw], **options)
        pointed = "/events/1" if raw[0] == b'"@@"' else None
        corpus.case(f"canonical--{what}", data, why, fails=["canonical"], seq=1, pointer=pointed)

    for what, spelling in NUMBERS.items():
        case(f"number-{what}", (b'"@@"', spelling.encode()), "not an integer of the profile")
    for what, (spelt, why) in SPELLINGS.items():
        case(f"text-{what}", (b'"@@"', b'"' + spelt + b'"'), why)
    for what, (members, why) in MEMBERS.items():
        case(f"members-{what}", (b'{"at":"@@"}', b"{" + members + b"}"), why)
    case("depth-17-arrays", (b'"@@"', jcs(nest(15))), "17 levels")
    case("depth-17-objects", (b'"@@"', b'{"a":' * 15 + b"1" + b"}" * 15), "17 levels")
    case("depth-17-mixed", (b'"@@"', b'[{"a":' * 7 + b"[]" + b"}]" * 7), "17 levels")
    case("depth-5000", (b'"@@"', b"[" * 5000 + b"]" * 5000), "far too many levels")
    case("depth-100000", (b'"@@"', b"[" * 100_000), "far too many levels, none of them closed")
    case("event-space-before", (b'{"cause"', b' {"cause"'), "a blank before an event")
    case("event-space-after", (b'"unknown_effects":true}', b'"unknown_effects":true} '), "a blank after an event")
    case("event-nul-after", (b'"unknown_effects":true}', b'"unknown_effects":true}\x00'), "a NUL after an event")
    case("event-text-after", (b'"unknown_effects":true}', b'"unknown_effects":true}{}'), "two values in one line")


def add_profile_typed(corpus: Corpus) -> None:
    """Check 2, §1: the same where a member has a type, and in the closing line."""
    table: list[tuple[str, Raw, str]] = [
        ("fraction", (b'"seq":1', b'"seq":1.0'), "a fraction"),
        ("exponent", (b'"step_index":0', b'"step_index":0e0'), "an exponent"),
        ("minus-zero", (b'"step_index":0', b'"step_index":-0'), "minus zero"),
        ("2-to-53", (b'"step_index":0', b'"step_index":%d' % 2**53), "past 2^53 - 1"),
        ("5000-digits", (b'"seq":1', b'"seq":' + b"1" * 5000), "5,000 digits"),
        ("escape", (b'"Step 0"', rb'"Step \u0030"'), "a needless escape"),
        ("surrogate", (b'"Step 0"', rb'"Step \ud800"'), "a lone surrogate"),
        ("latin-1", (b'"Step 0"', b'"Step \xe9"'), "not UTF-8"),
        ("not-sorted", (b'"phase":"plan","previous', b'"previous'), "names are sorted"),
        ("duplicate", (b'"seq":1', b'"seq":1,"seq":1'), "a doubled member"),
        ("duplicate-escaped", (b'"seq":1', rb'"seq":1,"s\u0065q":1'), "a doubled member, one of them escaped"),
        (
            "duplicate-type",
            (b'"type":"step_started"', b'"type":"step_started","type":"step_started"'),
            "a doubled type",
        ),
        ("white-space", (b'"seq":1', b'"seq" :1'), "white space"),
        ("literal-cut", (b'"error_message":null', b'"error_message":nul'), "no JSON"),
    ]
    for what, raw, why in table:
        raws = [raw, (b'"seq":1', b'"phase":"plan","seq":1')] if what == "not-sorted" else [raw]
        data = sealed([start(), started(), finished("failed")], line_raw=raws)
        corpus.case(f"canonical--typed-{what}", data, why, fails=["canonical"], seq=1)
    hint: Json = {
        "actions": [],
        "description": "",
        "estimated_duration": None,
        "required_inputs": {},
        "risks": [],
        "step_index": 0,
    }
    for what, inputs, why in (
        ("name-astral", b'"\xf0\x9f\x98\x80":""', "a name has only characters of the BMP"),
        ("name-129", b'"' + b"n" * 129 + b'":""', "a name has at most 128 characters"),
        ("name-empty", b'"":""', "a name has at least one character"),
        ("not-sorted", b'"b":"","a":""', "names are sorted"),
        ("duplicate", b'"a":"","a":""', "a doubled member"),
    ):
        raw = (b'"required_inputs":{}', b'"required_inputs":{' + inputs + b"}")
        data = sealed([start(plan=plan(rollback_hints=[hint])), finished()], line_raw=[raw])
        corpus.case(f"canonical--inputs-{what}", data, f"inputs of a hint: {why}", fails=["canonical"], seq=0)
    closing: list[tuple[str, Raw, str]] = [
        ("fraction", (b'"length":2', b'"length":2.0'), "a fraction"),
        ("minus-zero", (b'"length":2', b'"length":-0'), "minus zero"),
        ("escape", (b'"status":"completed"', rb'"status":"\u0063ompleted"'), "a needless escape"),
        ("duplicate", (b'"length":2', b'"length":2,"length":2'), "a doubled member"),
        ("duplicate-seal", (b'],"statement"', b'],"signatures":[],"statement"'), "a doubled member"),
        ("white-space", (b'"evidence":[]', b'"evidence": []'), "white space"),
        ("latin-1", (b'"status":"completed"', b'"status":"complet\xe9"'), "not UTF-8"),
        (
            "depth-17",
            (b'"signatures":', b'"etc":' + jcs(nest(16)) + b',"signatures":'),
            "17 levels: the seal is the first",
        ),
        (
            "depth-17-disclosures",
            (b'"disclosures":[]', b'"disclosures":' + jcs(nest(17))),
            "17 levels: the array is the first",
        ),
    ]
    for what, raw, why in closing:
        corpus.case(f"canonical--closing-{what}", sealed(minimal(), raw=[raw]), why, fails=["canonical"])
    both = sealed(
        [start(), started(phase="other"), finished("failed", details={"at": "@@"})], line_raw=[(b'"@@"', b"1.0")]
    )
    corpus.case("canonical--before-shape", both, "a wrong shape before it is not reported", fails=["canonical"], seq=2)
    both = sealed([start(), started(phase="other"), finished("failed")], raw=[(b'"length":3', b'"length":3.0')])
    corpus.case("canonical--closing-before-shape", both, "a wrong shape before it is not reported", fails=["canonical"])


# ---- Cases: shape --------------------------------------------------------------------------------


def add_versions(corpus: Corpus) -> None:
    """Check 3, §8: the version is looked at first."""
    data = sealed(minimal())

    def case(what: str, data: bytes, why: str) -> None:
        corpus.case(
            f"shape--version-{what}", data, why, fails=["shape"], not_run=["canonical"], code="unsupported-version"
        )

    for version in ("0", "2", "10", "999999999", "18446744073709551616"):
        case(version, data.replace(b"hearth-record/1", b"hearth-record/" + version.encode()), "another version")
    case("2-cut", b'{"format":"hearth-record/2"', "what another version is like, nobody knows")
    case("2-no-json", b'{"format":"hearth-record/2"\x00\xff\n1.5', "what another version is like, nobody knows")
    value = json.loads(data) | {"format": "hearth-record/2"}
    case("2-reformatted", pretty(value), "re-formatted, of another version")
    case("2-other-members", pretty({"data": [], "format": "hearth-record/2"}), "re-formatted, of another version")
    deep = [{"events": [nest(n)], "format": "hearth-record/2"} for n in (16, 17)]
    case("2-depth-16", jcs(deep[0]), "levels count as in the frame: what stands in events is the first")
    no_name = "a version is a text, and a list of one is none"
    corpus.case("canonical--version-in-a-list", pretty({"format": ["hearth-record/2"]}), no_name, fails=["canonical"])
    too_deep = "17 levels: outside the profile, so nobody asks for the version"
    corpus.case("canonical--version-2-depth-17", jcs(deep[1]), too_deep, fails=["canonical"])


TIMES: Final = {
    "26-characters": "2026-11-22T16:03:05.00012Z",
    "28-characters": "2026-11-22T16:03:05.0001200Z",
    "no-fraction": "2026-11-22T16:03:05Z",
    "small-z": "2026-11-22T16:03:05.000120z",
    "small-t": "2026-11-22t16:03:05.000120Z",
    "blank": "2026-11-22 16:03:05.000120Z",
    "offset": "2026-11-22T16:03:05.000+00:00",
    "comma": "2026-11-22T16:03:05,000120Z",
    "line-feed": "2026-11-22T16:03:05.000120Z\n",
    "wide-digits": "2026-11-22T16:03:05.00012\uff10Z",
    "day-31": "2026-11-31T16:03:05.000120Z",
    "day-0": "2026-11-00T16:03:05.000120Z",
    "february-29": "2026-02-29T16:03:05.000120Z",
    "february-29-1900": "1900-02-29T16:03:05.000120Z",
    "month-13": "2026-13-22T16:03:05.000120Z",
    "month-0": "2026-00-22T16:03:05.000120Z",
    "year-0": "0000-11-22T16:03:05.000120Z",
    "hour-24": "2026-11-22T24:00:00.000000Z",
    "minute-60": "2026-11-22T16:60:05.000120Z",
    "leap-second": "2016-12-31T23:59:60.000000Z",
    "minus": "-026-11-22T16:03:05.000120Z",
    "empty": "",
    "number": 1795363385,
    "null": None,
}

IDENTIFIERS: Final = {
    "empty": "",
    "129": "i" * 129,
    "dot-first": ".hidden",
    "hyphen-first": "-rf",
    "underscore-first": "_x",
    "parent": "..",
    "solidus": "a/b",
    "backslash": "a\\b",
    "blank": "a b",
    "line-feed": "a\n",
    "nul": "a\u0000",
    "letter-e": "caf\u00e9",
    "wide-digit": "\uff11",
    "number": 1,
    "null": None,
}

DIGESTS: Final = {
    "63": "a" * 63,
    "65": "a" * 65,
    "capital": "A" * 64,
    "no-hex": "g" * 64,
    "line-feed": "a" * 64 + "\n",
    "wide-digits": "\uff11" * 64,
    "empty": "",
    "number": 1,
}


def add_scalars(corpus: Corpus) -> None:
    """Check 3, §2: scalars on the wrong side of their forms."""

    def case(what: str, member: str, value: Any, why: str) -> None:  # noqa: ANN401 - any JSON
        if member == "plan_id":
            events, at = [start(plan=plan(plan_id=value)), finished()], "/events/0/plan/plan_id"
        elif member in ("timestamp", "previous_event_hash", "completion_reason", "seq"):
            events, at = [start(), finished() | {member: value}], f"/events/1/{member}"
        else:
            events, at = [start() | {member: value}, finished()], f"/events/0/{member}"
        options: Json = {"statement": [("/predicate/plan_id", "plan-1"), ("/predicate/execution_id", "exec-1")]}
        options["statement"].append(("/subject/0/name", "exec-1"))
        seq = int(at.split("/")[2])
        corpus.case(f"shape--{what}", sealed(events, **options), why, fails=["shape"], seq=seq, pointer=at)

    for what, moment in TIMES.items():
        case(f"timestamp-{what}", "timestamp", moment, "not a timestamp")
    for what, identifier in IDENTIFIERS.items():
        case(f"identifier-{what}", "execution_id", identifier, "not an identifier")
    case("plan-id-dot-first", "plan_id", ".", "not an identifier")
    case("plan-id-129", "plan_id", "i" * 129, "not an identifier")
    for what, digest in DIGESTS.items():
        case(f"digest-{what}", "previous_event_hash", digest, "not a digest")
    texts: Json = {"65537": "x" * 65_537, "null": None, "number": 1, "array": [], "true": True}
    for what, text in texts.items():
        case(f"text-{what}", "completion_reason", text, "not a text")
    for what, number in {"minus-1": -1, "null": None, "text": "1", "true": True, "array": [1]}.items():
        case(f"seq-{what}", "seq", number, "not a count")


# What stands at a place of `full()`, edited: none of it is of the right shape.
EVENT_SHAPES: Final[list[tuple[str, str, Any]]] = [
    ("type-unknown", "/1/type", "step_skipped"),
    ("type-capital", "/1/type", "Step_started"),
    ("type-null", "/1/type", None),
    ("type-number", "/1/type", 1),
    ("type-of-other-event", "/1/type", "security_observed"),
    ("type-missing", "/1/type", DROP),
    ("seq-missing", "/1/seq", DROP),
    ("timestamp-missing", "/1/timestamp", DROP),
    ("previous-missing", "/0/previous_event_hash", DROP),
    ("details-missing", "/1/details", DROP),
    ("details-null", "/1/details", None),
    ("details-array", "/1/details", []),
    ("details-text", "/1/details", "{}"),
    ("event-unknown-member", "/1/note", None),
    ("started-unknown-member", "/0/status", "completed"),
    ("started-format-2", "/0/format", "hearth-record/2"),
    ("started-format-missing", "/0/format", DROP),
    ("started-mode", "/0/live_mode_state", "live"),
    ("started-actor-missing", "/0/actor", DROP),
    ("started-actor-text", "/0/actor", "ada"),
    ("started-approvals-null", "/0/approvals", None),
    ("started-approvals-object", "/0/approvals", {}),
    ("started-links-text", "/0/links", "exec-0"),
    ("started-reason-null", "/0/reason", None),
    ("started-change-ref-number", "/0/change_ref", 7),
    ("started-origin-null", "/0/origin", None),
    ("started-plan-null", "/0/plan", None),
    ("started-snapshot-null", "/0/security_snapshot", None),
    ("plan-unknown-member", "/0/plan/version", 1),
    ("plan-missing-member", "/0/plan/sha256", DROP),
    ("plan-sha256-short", "/0/plan/sha256", "5e"),
    ("plan-steps-object", "/0/plan/steps", {}),
    ("plan-step-unknown-member", "/0/plan/steps/0/phase", "plan"),
    ("plan-step-missing-member", "/0/plan/steps/0/step_name", DROP),
    ("plan-step-name-empty", "/0/plan/steps/0/step_name", ""),
    ("plan-step-index-minus", "/0/plan/steps/0/step_index", -1),
    ("plan-effect-unknown-member", "/0/plan/declared_side_effects/0/x", None),
    ("plan-effect-missing-member", "/0/plan/declared_side_effects/0/reversible", DROP),
    ("plan-effect-category", "/0/plan/declared_side_effects/0/category", "disk"),
    ("hint-unknown-member", "/0/plan/rollback_hints/0/x", None),
    ("hint-missing-member", "/0/plan/rollback_hints/0/estimated_duration", DROP),
    ("hint-index-null", "/0/plan/rollback_hints/0/step_index", None),
    ("hint-actions-text", "/0/plan/rollback_hints/0/actions", "rm"),
    ("hint-action-number", "/0/plan/rollback_hints/0/actions/1", 1),
    ("hint-risks-null", "/0/plan/rollback_hints/0/risks", None),
    ("hint-inputs-array", "/0/plan/rollback_hints/0/required_inputs", []),
    ("hint-input-null", "/0/plan/rollback_hints/0/required_inputs/a", None),
    ("actor-unknown-member", "/0/actor/x", None),
    ("actor-missing-member", "/0/actor/on_behalf_of", DROP),
    ("actor-type", "/0/actor/type", "robot"),
    ("actor-id-null", "/0/actor/id", None),
    ("approval-unknown-member", "/0/approvals/0/x", None),
    ("approval-missing-member", "/0/approvals/1/meaning", DROP),
    ("approval-time", "/0/approvals/0/approved_at", "2026-11-22"),
    ("approval-approver-null", "/0/approvals/1/approver", None),
    ("link-unknown-member", "/0/links/0/x", None),
    ("link-missing-member", "/0/links/0/chain_head", DROP),
    ("link-relation", "/0/links/3/relation", "parent_of"),
    ("link-identifier", "/0/links/1/execution_id", "../x"),
    ("link-head-capital", "/0/links/1/chain_head", HASH.upper()),
    ("series-unknown-member", "/0/series/x", None),
    ("series-missing-member", "/0/series/id", DROP),
    ("series-identifier", "/0/series/id", ""),
    ("series-previous-null", "/0/series/previous", None),
    ("series-previous-at-0", "/0/series/sequence", 0),
    ("series-sequence-minus", "/0/series/sequence", -1),
    ("origin-unknown-member", "/0/origin/x", None),
    ("origin-missing-member", "/0/origin/clock", DROP),
    ("origin-host-null", "/0/origin/host", None),
    ("clock-unknown-member", "/0/origin/clock/x", None),
    ("clock-missing-member", "/0/origin/clock/source", DROP),
    ("clock-synchronized-text", "/0/origin/clock/synchronized", "true"),
    ("snapshot-unknown-member", "/0/security_snapshot/timestamp", None),
    ("snapshot-missing-member", "/3/security_snapshot/context", DROP),
    ("snapshot-security-state", "/0/security_snapshot/security_state", "NOMINAL"),
    ("snapshot-boundary-state", "/3/security_snapshot/boundary_state", "OPERATIONAL"),
    ("step-unknown-member", "/1/category", "other"),
    ("step-missing-member", "/1/step_name", DROP),
    ("step-name-empty", "/1/step_name", ""),
    ("step-index-minus", "/1/step_index", -1),
    ("step-index-null", "/1/step_index", None),
    ("step-phase", "/1/phase", "rollback"),
    ("step-started-with-error", "/1/error_message", "x"),
    ("step-started-with-empty-error", "/1/error_message", ""),
    ("step-failed-error-null", "/4/error_message", None),
    ("step-failed-error-empty", "/4/error_message", ""),
    ("step-failed-error-missing", "/4/error_message", DROP),
    ("effect-unknown-member", "/2/step_name", "x"),
    ("effect-missing-member", "/2/reversible", DROP),
    ("effect-category", "/2/category", "files"),
    ("effect-reversible-text", "/2/reversible", "yes"),
    ("effect-reversible-number", "/2/reversible", 1),
    ("effect-description-null", "/5/description", None),
    ("effect-index-text", "/2/step_index", "1"),
    ("security-unknown-member", "/3/context", ""),
    ("security-missing-member", "/3/security_snapshot", DROP),
    ("finished-unknown-member", "/6/reason", ""),
    ("finished-missing-member", "/6/recovery", DROP),
    ("finished-status", "/6/status", "started"),
    ("finished-cause", "/6/cause", "crash"),
    ("finished-unknown-effects-null", "/6/unknown_effects", None),
    ("recovery-unknown-member", "/6/recovery/x", None),
    ("recovery-missing-member", "/6/recovery/torn_sha256", DROP),
    ("recovery-bytes-minus", "/6/recovery/torn_bytes", -1),
    ("recovery-origin-null", "/6/recovery/origin", None),
]

_DIGEST = "A" * 42
DETAILS_SHAPES: Final[list[tuple[str, str, Json]]] = [
    ("reserved-dots", "/...", {"...": 1}),
    ("reserved-dots-nested", "/a/b/...", {"a": {"b": {"...": 1}}}),
    ("reserved-dots-in-array", "/a/0/0/...", {"a": [[{"...": "x"}]]}),
    ("reserved-sd-nested", "/a/_sd", {"a": {"_sd": [_DIGEST + "A"]}}),
    ("reserved-sd-in-array", "/a/0/_sd", {"a": [{"_sd": []}]}),
    ("sd-empty", "/_sd", {"_sd": []}),
    ("sd-text", "/_sd", {"_sd": _DIGEST + "A"}),
    ("sd-null", "/_sd", {"_sd": None}),
    ("sd-item-number", "/_sd", {"_sd": [1]}),
    ("sd-not-sorted", "/_sd", {"_sd": [_DIGEST + "E", _DIGEST + "A"]}),
    ("sd-twice", "/_sd", {"_sd": [_DIGEST + "A", _DIGEST + "A"]}),
    ("sd-42", "/_sd", {"_sd": [_DIGEST]}),
    ("sd-44", "/_sd", {"_sd": [_DIGEST + "A="]}),
    ("sd-pad-bits", "/_sd", {"_sd": [_DIGEST + "B"]}),
    ("sd-standard-alphabet", "/_sd", {"_sd": ["+" + _DIGEST]}),
    ("sd-line-feed", "/_sd", {"_sd": [_DIGEST + "A\n"]}),
    ("sd-hexadecimal", "/_sd", {"_sd": [HASH]}),
]


def add_event_shapes(corpus: Corpus) -> None:
    """Check 3, §3: members of events."""

    def case(what: str, events: list[Json], pointer: str | None, why: str) -> None:
        seq = int(pointer.split("/")[2]) if pointer else 0
        says: list[Edit] = [("/predicate/series", None), ("/predicate/status", "incomplete")]
        says.append(("/predicate/live_mode_state", "LIVE"))
        says.append(("/predicate/plan_id", "plan-1"))
        corpus.case(f"shape--{what}", sealed(events, statement=says), why, fails=["shape"], seq=seq, pointer=pointer)

    for what, pointer, value in EVENT_SHAPES:
        n, _, member = pointer[1:].partition("/")
        events = full()
        if "/" in member or value is not DROP:
            events = edited(events, [(pointer, value)])
        else:
            events[int(n)] = events[int(n)] | {member: DROP}
        why = "a member is missing: absent values are null" if value is DROP else "not what stands in the tables of §3"
        # Which member is wrong, when two do not go together, is a matter of taste.
        place = {"series-previous-at-0": "/0/series", "type-of-other-event": "/1"}.get(what, pointer)
        case(what, events, f"/events{place}", why)
    for what, pointer, details in DETAILS_SHAPES:
        case(f"details-{what}", minimal(**details), f"/events/1/details{pointer}", "reserved names of RFC 9901")
    lines = linked(small())
    for what, line in {
        "number": b"5",
        "null": b"null",
        "text": b'"x"',
        "array": b"[]",
        "object": b"{}",
        "true": b"true",
    }.items():
        data = framed([*lines[:2], line, *lines[3:]], closing_of(small(), lines))
        corpus.case(f"shape--event-is-{what}", data, "an event is an object with a type", fails=["shape"], seq=2)
    both = [start(), started(seq=7, phase="x"), finished("failed", phase="y")]
    later = [start(), completed(), started(phase="x"), finished("failed")]
    case("after-lifecycle", later, "/events/2/phase", "an impossible order of events before it is not reported")
    case("before-chain", both, "/events/1/phase", "the first wrong shape, before a wrong seq")


# What stands at a place of the closing line, edited after it was signed.
CLOSING_SHAPES: Final[list[tuple[str, str, Any]]] = [
    ("disclosures-null", "/disclosures", None),
    ("disclosures-object", "/disclosures", {}),
    ("disclosure-number", "/disclosures/-", 1),
    ("disclosure-empty", "/disclosures/-", ""),
    ("disclosure-padded", "/disclosures/-", "YQ=="),
    ("disclosure-standard-alphabet", "/disclosures/-", "a+/b"),
    ("disclosure-white-space", "/disclosures/-", "YQ\n"),
    ("disclosure-letter-e", "/disclosures/-", "\u00e9"),
    ("seal-null", "/seal", None),
    ("seal-unknown-member", "/seal/x", None),
    ("seal-deep-member", "/seal/x", nest(15)),
    ("seal-missing-member", "/seal/evidence", DROP),
    ("seal-evidence-null", "/seal/evidence", None),
    ("seal-no-statement", "/seal/statement", DROP),
    ("signatures-object", "/seal/signatures", {}),
    ("signature-null", "/seal/signatures/0", None),
    ("signature-unknown-member", "/seal/signatures/0/cert", ""),
    ("signature-missing-member", "/seal/signatures/0/evidence", DROP),
    ("signature-keyid-capital", "/seal/signatures/0/keyid", str.upper),
    ("signature-keyid-short", "/seal/signatures/0/keyid", "ab"),
    ("signature-not-padded", "/seal/signatures/0/sig", lambda sig: sig.rstrip("=")),
    ("signature-url-alphabet", "/seal/signatures/0/sig", "-_" * 43 + "=="),
    ("signature-pad-bits", "/seal/signatures/0/sig", "A" * 85 + "B=="),
    ("signature-white-space", "/seal/signatures/0/sig", lambda sig: sig[:64] + "\n" + sig[64:]),
    ("signature-text-after", "/seal/signatures/0/sig", lambda sig: sig + "AA=="),
    ("signature-hexadecimal", "/seal/signatures/0/sig", "0x"),
    ("signature-empty", "/seal/signatures/0/sig", ""),
    ("signature-null-sig", "/seal/signatures/0/sig", None),
    ("evidence-unknown-member", "/seal/evidence/-", {"data": "AA==", "type": "x", "y": 1}),
    ("evidence-missing-member", "/seal/evidence/-", {"data": "AA=="}),
    ("evidence-data-empty", "/seal/evidence/-", {"data": "", "type": "x"}),
    ("evidence-data-not-padded", "/seal/evidence/-", {"data": "AA", "type": "x"}),
    ("evidence-data-pad-bits", "/seal/evidence/-", {"data": "AB==", "type": "x"}),
    ("evidence-type-empty", "/seal/evidence/-", {"data": "AA==", "type": ""}),
    ("evidence-twice", "/seal/evidence", [{"data": "AA==", "type": "x"}] * 2),
    ("evidence-twice-on-signature", "/seal/signatures/0/evidence", [{"data": "AA==", "type": "x"}] * 2),
]

# What stands at a place of the statement, edited before it was signed.
STATEMENT_SHAPES: Final[list[tuple[str, str, Any]]] = [
    ("unknown-member", "/x", None),
    ("type", "/_type", "https://in-toto.io/Statement/v0.1"),
    ("type-missing", "/_type", DROP),
    ("predicate-type", "/predicateType", "urn:hearth-records:execution-seal:2"),
    ("subject-none", "/subject", []),
    ("subject-two", "/subject", lambda subject: subject * 2),
    ("subject-object", "/subject", lambda subject: subject[0]),
    ("subject-unknown-member", "/subject/0/uri", ""),
    ("subject-name", "/subject/0/name", ""),
    ("subject-digest-more", "/subject/0/digest/sha512", HASH * 2),
    ("subject-digest-missing", "/subject/0/digest", {}),
    ("subject-digest-capital", "/subject/0/digest/sha256", str.upper),
    ("predicate-unknown-member", "/predicate/x", None),
    ("predicate-missing-member", "/predicate/series", DROP),
    ("predicate-format", "/predicate/format", "hearth-record/2"),
    ("predicate-execution-id", "/predicate/execution_id", "a/b"),
    ("predicate-plan-id", "/predicate/plan_id", ""),
    ("predicate-mode", "/predicate/live_mode_state", "LIVE "),
    ("predicate-status", "/predicate/status", "started"),
    ("predicate-sealed-at", "/predicate/sealed_at", "2026-11-22T16:00:30Z"),
    ("predicate-sealed-at-null", "/predicate/sealed_at", None),
    ("predicate-series", "/predicate/series", {"id": "s", "previous": None, "sequence": 1}),
    ("chain-unknown-member", "/predicate/chain/x", None),
    ("chain-missing-member", "/predicate/chain/length", DROP),
    ("chain-length-0", "/predicate/chain/length", 0),
    ("chain-length-text", "/predicate/chain/length", "2"),
    ("chain-head-short", "/predicate/chain/head", "5e"),
    ("signers-none", "/predicate/signers", []),
    ("signers-object", "/predicate/signers", lambda signers: signers[0]),
    ("signers-twice", "/predicate/signers", lambda signers: signers * 2),
    ("signers-twice-other-algorithm", "/predicate/signers/-", {"algorithm": "ml-dsa-44", "keyid": RECORDER.keyid}),
    ("signer-unknown-member", "/predicate/signers/0/name", ""),
    ("signer-missing-member", "/predicate/signers/0/algorithm", DROP),
    ("signer-algorithm-empty", "/predicate/signers/0/algorithm", ""),
    ("signer-algorithm-blank", "/predicate/signers/0/algorithm", "ed 25519"),
    ("signer-keyid-capital", "/predicate/signers/0/keyid", str.upper),
]


def large_statement(size: int) -> tuple[list[Json], list[Edit], list[Edit]]:
    """Return events, and edits of statement and closing line, so that the statement has `size` bytes."""
    events = [start(execution_id="e" * 128, plan=plan(plan_id="p" * 128)), finished()]
    others = [key(f"signer {n}") for n in range(15)]
    signers = [{"algorithm": "a", "keyid": other.keyid} for other in others]
    lines = linked(events)
    body = statement_of(events, lines, [RECORDER], SEALED_AT)
    left = size - len(jcs(edited(body, [("/predicate/signers", [*body["predicate"]["signers"], *signers])])))
    for signer in signers:
        more = min(left, 127)
        signer["algorithm"] += "a" * more
        left -= more
    if left:
        raise SystemExit("a statement cannot be that large")
    dummies = [("/seal/signatures/-", {"evidence": [], "keyid": other.keyid, "sig": "AA=="}) for other in others]
    return events, [("/predicate/signers/-", signer) for signer in signers], list(dummies)


def add_closing_shapes(corpus: Corpus) -> None:
    """Check 3, §5, §6: the closing line."""
    for what, place, value in CLOSING_SHAPES:
        data = sealed(minimal(), closing=[(place, value)])
        pointer = place.replace("/-", "/0") if value is not DROP else place
        corpus.case(f"shape--{what}", data, "not what §6 shows", fails=["shape"], pointer=pointer)
    for what, place, value in STATEMENT_SHAPES:
        data = sealed(minimal(), statement=[(place, value)])
        pointer = f"/seal/statement{place}".removesuffix("/-")
        corpus.case(f"shape--statement-{what}", data, "not what §5 shows", fails=["shape"], pointer=pointer)
    many = [("/seal/signatures", lambda signatures: signatures * 81)]
    data = sealed(minimal(), closing=many)
    corpus.case(
        "shape--signatures-81", data, "at most 16 and 64 signatures", fails=["shape"], pointer="/seal/signatures"
    )
    seventeen = sealed(minimal(), signers=[key(f"signer {n}") for n in range(17)])
    pointer = "/seal/statement/predicate/signers"
    corpus.case("shape--signers-17", seventeen, "at most 16 signers", fails=["shape"], pointer=pointer)
    events, statement, closing = large_statement(4097)
    data = sealed(events, statement=statement, closing=closing)
    corpus.case("shape--statement-4097", data, "4,097 bytes of statement", fails=["shape"], pointer="/seal/statement")
    events, statement, closing = large_statement(4096)
    data = sealed(events, statement=statement, closing=closing)
    why = "4,096 bytes of statement are read; the signers' algorithms are not known"
    corpus.case("trust--statement-4096", data, why, fails=["trust"], code="unknown-signer")


# ---- Cases: chain, lifecycle, disclosures, sealed, head ------------------------------------------


def other_record() -> list[Json]:
    """Return another execution's record, as long as `small()`."""
    return [start(execution_id="exec-2"), started(), effect(description="another"), completed(), finished()]


def add_chain(corpus: Corpus) -> None:
    """Check 4, §4: whole records that were sealed, and then changed."""
    events = small()
    lines = linked(events)
    closing = closing_of(events, lines)
    others = linked(other_record())

    def case(what: str, lines: Sequence[bytes], seq: int, why: str, code: str = "link", **options: Any) -> None:  # noqa: ANN401
        member = {"link": "previous_event_hash", "seq": "seq"}[code]
        fails = ["chain", *options.get("fails", ())]
        pointer = f"/events/{seq}/{member}"
        corpus.case(f"chain--{what}", framed(lines, closing), why, fails=fails, code=code, seq=seq, pointer=pointer)

    def changed(n: int, old: bytes, new: bytes) -> list[bytes]:
        return [replaced(line, [(old, new)]) if i == n else line for i, line in enumerate(lines)]

    case("event-0-edited", changed(0, b"host-1", b"host-2"), 1, "the next link clears event 1")
    case("event-1-edited", changed(1, b"Step 0", b"Step X"), 2, "the next link clears event 2", fails=["lifecycle"])
    case("event-2-edited", changed(2, b"true", b"false"), 3, "an effect made irreversible")
    fresh = hashlib.sha256(lines[2]).hexdigest().encode()
    case("link-edited", changed(3, fresh, b"0" * 64), 3, "a link edited; the next one clears nothing")
    last = hashlib.sha256(lines[3]).hexdigest().encode()
    case(
        "last-link-edited", changed(4, last, b"0" * 64), 4, "the last link edited: the head is another", fails=["head"]
    )
    case("event-dropped", [*lines[:2], *lines[3:]], 2, "an event is missing", fails=["head"])
    case("first-event-dropped", lines[1:], 0, "the first event is missing", fails=["lifecycle", "head"])
    case("last-but-one-dropped", [*lines[:3], lines[4]], 3, "an event is missing", fails=["lifecycle", "head"])
    case("event-doubled", [*lines[:3], *lines[2:]], 3, "an event stands twice", fails=["head"])
    case("events-swapped", [lines[0], lines[2], lines[1], *lines[3:]], 1, "two events swapped", fails=["lifecycle"])
    case("event-spliced", [*lines[:2], others[2], *lines[3:]], 2, "an event of another record in place of one")
    case(
        "event-inserted",
        [*lines[:2], others[2], *lines[2:]],
        2,
        "an event of another record between two",
        fails=["head"],
    )
    case("head-of-other-record", [*others[:2], *lines[2:]], 2, "the first events of another record", fails=["head"])

    def built(what: str, events: list[Json], seq: int, why: str, code: str) -> None:
        member = {"link": "previous_event_hash", "seq": "seq"}[code]
        pointer = f"/events/{seq}/{member}"
        corpus.case(f"chain--{what}", sealed(events), why, fails=["chain"], code=code, seq=seq, pointer=pointer)

    first = lines[0]
    built("first-has-previous", [start(previous_event_hash=HASH), finished()], 0, "null at seq 0", "link")
    built(
        "previous-null",
        [start(), started(), finished("failed", previous_event_hash=None)],
        2,
        "null only at seq 0",
        "link",
    )
    itself = [
        start(),
        started(previous_event_hash=sha256(first)),
        effect(previous_event_hash=sha256(first)),
        finished("failed"),
    ]
    built("link-to-last-but-one", itself, 2, "a link that passes over an event", "link")
    built("seq-from-1", [start(seq=1), finished(seq=2)], 0, "seq counts from 0", "seq")
    built("seq-gap", [start(), finished(seq=2)], 1, "seq has no gap", "seq")
    built("seq-twice", [start(), started(seq=0), finished("failed", seq=1)], 1, "seq counts on", "seq")
    built("seq-turned", [start(), started(seq=2), finished("failed", seq=1)], 1, "seq counts up", "seq")
    built("seq-max", [start(), finished(seq=MAX_INTEGER)], 1, "seq counts 0, 1, 2", "seq")
    both = [start(), started(seq=5), effect(previous_event_hash=HASH), finished("failed")]
    built("seq-before-link", both, 1, "the first fault is reported", "seq")
    wrong = [start(), started(previous_event_hash=HASH), effect(seq=5), finished("failed")]
    built("link-before-seq", wrong, 1, "the first fault is reported", "link")
    opened = journal([*lines[:2], lines[3]])
    corpus.case("chain--journal", opened, "a journal lacks an event", fails=["chain", "sealed"], code="link", seq=2)


LIFECYCLES: Final[list[tuple[str, int, str, list[Json]]]] = [
    ("started-twice", 1, "execution_started stands once", [start(), start(), finished()]),
    ("finished-twice", 2, "execution_finished stands once", [start(), finished(), finished()]),
    ("step-after-finished", 2, "execution_finished is last", [start(), finished(), started(), finished("failed")]),
    ("effect-after-finished", 2, "execution_finished is last", [start(), finished(), effect(None), finished()]),
    ("snapshot-after-finished", 2, "execution_finished is last", [start(), finished(), observed(), finished()]),
    ("retry", 3, "no step starts twice", [start(), started(), failed(), started(phase="cleanup"), finished("failed")]),
    ("step-order", 3, "the index increases", [start(), started(1), completed(1), started(0), completed(0), finished()]),
    (
        "step-inside-step",
        2,
        "one step is open at a time",
        [start(), started(0), started(1), completed(1), finished("failed")],
    ),
    ("complete-without-start", 1, "only the open step completes", [start(), completed(), finished()]),
    ("fail-without-start", 1, "only the open step fails", [start(), failed(), finished("failed")]),
    ("complete-twice", 3, "the step is closed", [start(), started(), completed(), completed(), finished()]),
    ("fail-after-complete", 3, "the step is closed", [start(), started(), completed(), failed(), finished("failed")]),
    ("complete-other-index", 2, "another step is open", [start(), started(0), completed(1), finished()]),
    ("fail-other-index", 2, "another step is open", [start(), started(1), failed(0), finished("failed")]),
    ("complete-other-name", 2, "under its name", [start(), started(), completed(step_name="step 0"), finished()]),
    ("fail-other-name", 2, "under its name", [start(), started(), failed(step_name="Step 0 "), finished("failed")]),
    ("complete-other-phase", 2, "in its phase", [start(), started(), completed(phase="cleanup"), finished()]),
    ("fail-other-phase", 2, "in its phase", [start(), started(phase="cleanup"), failed(), finished("failed")]),
    ("effect-of-no-step", 1, "the step has not started", [start(), effect(0), finished()]),
    ("effect-of-later-step", 2, "the step has not started", [start(), started(0), effect(1), completed(0), finished()]),
    (
        "effect-between-steps",
        4,
        "a gap between steps",
        [start(), started(1), completed(1), started(3), effect(2), finished("failed")],
    ),
    (
        "plan-step-after-failure",
        3,
        "only cleanup",
        [start(), started(), failed(), started(1), completed(1), finished("failed")],
    ),
    ("completed-after-failure", 3, "a step failed", [start(), started(), failed(), finished()]),
    (
        "completed-after-cleanup-failure",
        3,
        "a step failed",
        [start(), started(phase="cleanup"), failed(phase="cleanup"), finished()],
    ),
    ("completed-with-open-step", 2, "a step is open", [start(), started(), finished()]),
    ("escalated-step", 2, "no step starts", [start(), observed("DEGRADED"), started(), finished("incomplete")]),
    (
        "escalated-cleanup-step",
        4,
        "no step starts, not even to clean up",
        [
            start(),
            started(),
            observed(boundary="ELEVATED"),
            failed(),
            started(1, phase="cleanup"),
            finished("incomplete"),
        ],
    ),
    ("escalated-completed", 2, "the only status is incomplete", [start(), observed("LOCKDOWN"), finished()]),
    ("escalated-failed", 2, "the only status is incomplete", [start(), observed("UNKNOWN"), finished("failed")]),
    ("escalated-boundary", 2, "either state counts", [start(), observed(boundary="UNKNOWN"), finished()]),
    ("escalated-and-back", 3, "there is no way back", [start(), observed("COMPROMISED"), observed(), finished()]),
    (
        "escalated-at-end",
        1,
        "the closing snapshot counts",
        [start(), finished(security_snapshot=snapshot("DEGRADED"))],
    ),
    (
        "escalated-boundary-at-end",
        1,
        "the closing snapshot counts",
        [start(), finished("failed", security_snapshot=snapshot(boundary="LOCKDOWN"))],
    ),
    (
        "escalated-from-degraded",
        2,
        "worse than at the start",
        [start(security_snapshot=snapshot("DEGRADED")), observed("COMPROMISED"), finished()],
    ),
    (
        "escalated-one-better-one-worse",
        2,
        "states are not added up",
        [start(security_snapshot=snapshot("LOCKDOWN")), observed("OPERATIONAL", "ELEVATED"), finished()],
    ),
    (
        "escalated-from-unknown",
        2,
        "from UNKNOWN, all but the best is worse",
        [start(security_snapshot=snapshot("UNKNOWN")), observed("DEGRADED"), finished()],
    ),
    (
        "escalated-boundary-from-unknown",
        2,
        "from UNKNOWN, all but the best is worse",
        [start(security_snapshot=snapshot("OPERATIONAL", "UNKNOWN")), observed("OPERATIONAL", "ELEVATED"), finished()],
    ),
    (
        "escalated-to-unknown",
        2,
        "becoming UNKNOWN is worse, even from LOCKDOWN",
        [start(security_snapshot=snapshot("LOCKDOWN")), observed("UNKNOWN"), finished()],
    ),
]


def add_lifecycle(corpus: Corpus) -> None:
    """Check 5, §3: whole, linked and sealed records of what cannot be."""
    for what, seq, why, events in LIFECYCLES:
        corpus.case(f"lifecycle--{what}", sealed(events), why, fails=["lifecycle"], seq=seq)
    wrong = ["lifecycle", "head"]
    no_start = "execution_started is first; without it the statement cannot agree"
    corpus.case("lifecycle--no-start", sealed([started(), completed(), finished()]), no_start, fails=wrong, seq=0)
    corpus.case("lifecycle--start-second", sealed([observed(), start(), finished()]), no_start, fails=wrong, seq=0)
    corpus.case("lifecycle--end-alone", sealed([finished()]), no_start, fails=wrong, seq=0)
    not_finished = "what is sealed ends with execution_finished; without it the statement cannot agree"
    corpus.case("lifecycle--not-finished", sealed([start(), started(), completed()]), not_finished, fails=wrong, seq=2)
    corpus.case("lifecycle--start-alone", sealed([start()]), not_finished, fails=wrong, seq=0)
    opened = journal(linked([start(), completed()]))
    corpus.case(
        "lifecycle--journal", opened, "a journal is checked as far as it goes", fails=["lifecycle", "sealed"], seq=1
    )


def add_disclosures(corpus: Corpus) -> None:
    """Check 6, §6: disclosures that do not belong, or are not what they should be."""

    def case(what: str, why: str, *texts: str, events: list[Json] | None = None, **options: Any) -> None:  # noqa: ANN401
        events = events or minimal(**holding(*map(digest_of, texts)))
        n = options.pop("at", 0)
        data = sealed(events, disclosures=texts, **options)
        pointer = None if n is None else f"/disclosures/{n}"
        corpus.case(f"disclosures--{what}", data, why, fails=["disclosures"], pointer=pointer)

    good, other = disclosure("a", 1), disclosure("b", 2)
    case("unreferenced", "no digest refers to it", good, events=minimal())
    case(
        "unreferenced-one",
        "no digest refers to one of them",
        good,
        other,
        events=minimal(**holding(digest_of(max(good, other)))),
    )
    held = minimal(**holding(digest_of(good), digest_of(other)))
    pair = sorted([good, other], reverse=True)
    case("not-sorted", "sorted by ASCII", events=held, closing=[("/disclosures", pair)], at=None)
    case("twice", "each stands once", events=held, closing=[("/disclosures", [good, good])], at=None)
    twice = [start(details=holding(digest_of(good))), finished(details=holding(digest_of(good)))]
    case("digest-twice", "a digest stands in two events", good, events=twice, at=None)
    case("digest-twice-withheld", "a digest stands in two events", events=twice, at=None)
    taken = minimal(**holding(digest_of(good), a=0))
    case("name-taken", "the name stands in the details", good, events=taken)
    same = disclosure("a", 1, "A" * 22)
    case("name-twice", "the same name twice in one event", good, same, at=1)
    deep = disclosure("a", nest(15))
    case("value-depth-17", "limits hold after substitution", deep, at=None)
    for what, why, value in (
        ("value-sd", "the value holds no reserved name", {"_sd": [digest_of(other)]}),
        ("value-sd-nested", "the value holds no reserved name", [{"x": {"_sd": []}}]),
        ("value-dots", "the value holds no reserved name", {"...": 1}),
        ("value-too-large", "limits hold", 2**53),
        ("value-name-129", "limits hold", {"n" * 129: 1}),
        ("value-name-astral", "limits hold", {"\U0001f600": 1}),
        ("value-depth-18", "limits hold", nest(16)),
    ):
        case(what, why, disclosure("a", value))
    for what, name in (
        ("name-empty", ""),
        ("name-129", "n" * 129),
        ("name-astral", "\U0001f600"),
        ("name-sd", "_sd"),
        ("name-dots", "..."),
        ("name-number", 1),
        ("name-null", None),
    ):
        case(what, "not a name that may stand in details", disclosure(name, 1))
    for what, salt in (
        ("salt-21", "A" * 21),
        ("salt-23", "A" * 23),
        ("salt-empty", ""),
        ("salt-pad-bits", "A" * 21 + "B"),
        ("salt-standard-alphabet", "+" + "A" * 21),
        ("salt-padded", "A" * 22 + "=="),
        ("salt-number", 1),
    ):
        case(what, "22 base64url characters of 128 bits", disclosure("a", 1, salt))
    quoted = b'"' + b"A" * 22 + b'"'
    for what, raw in (
        ("not-json", b"hello"),
        ("empty-array", b"[]"),
        ("two-parts", b"[%b,1]" % quoted),
        ("four-parts", b'[%b,"a",1,2]' % quoted),
        ("object", b'{"a":1}'),
        ("white-space", b'[%b, "a",1]' % quoted),
        ("escape", rb'[%b,"\u0061",1]' % quoted),
        ("fraction", b'[%b,"a",1.0]' % quoted),
        ("minus-zero", b'[%b,"a",-0]' % quoted),
        ("members-not-sorted", b'[%b,"a",{"b":1,"a":1}]' % quoted),
        ("duplicate", b'[%b,"a",{"b":1,"b":1}]' % quoted),
        ("surrogate", rb'[%b,"a","\ud800"]' % quoted),
        ("latin-1", b'[%b,"a","\xe9"]' % quoted),
        ("text-after", b'[%b,"a",1]x' % quoted),
        ("depth-5000", b'[%b,"a",%b%b]' % (quoted, b"[" * 5000, b"]" * 5000)),
    ):
        case(what, "not the JCS of [salt,name,value]", b64url(raw))
    case("one-character", "no base64url", "A")
    case("pad-bits", "pad bits are zero", b64url(jcs(["A" * 22, "a", 1]))[:-1] + "1")


def add_sealed(corpus: Corpus) -> None:
    """Check 7, §7: journals."""
    events = small()
    lines = linked(events)
    closing = closing_of(events, lines)
    whole = journal(lines)
    torn = ["torn-tail"]

    def case(what: str, data: bytes, why: str, warnings: Sequence[str] = (), **options: Any) -> None:  # noqa: ANN401 - case's
        corpus.case(f"sealed--{what}", data, why, fails=["sealed"], warnings=warnings, **options)

    nothing = {"not_run": ["chain", "lifecycle"]}
    case("opening-only", OPENING, "nothing was recorded yet", **nothing)
    case("opening-torn", OPENING + lines[0][:50], "the first event was cut", torn, **nothing)
    case("opening-bracket", OPENING + b"]", "a closing line that was cut", torn, **nothing)
    case("journal-started", journal(lines[:1]), "the execution runs")
    case("journal-running", journal(lines[:3]), "a step is open")
    case("journal-finished", whole, "finished, and not sealed")
    case("journal-no-policy", whole, "finished, and not sealed", policy=None)
    case("torn-event", journal(lines[:3]) + b"," + lines[3][:40], "the last event was cut", torn)
    case("torn-comma", journal(lines[:3]) + b",", "the last event was cut after its comma", torn)
    case("torn-line-feed", journal(lines[:3]) + b"," + lines[3], "the last event lacks its line break", torn)
    case("torn-garbage", journal(lines[:3]) + b"\x00\xff\x00", "blocks of zeros after a crash", torn)
    case("torn-blank", whole + b" ", "a tail of one blank", torn)
    case("torn-no-comma", journal(lines[:3]) + lines[3], "a tail without a comma", torn)
    case("torn-closing", whole + closing[:-1], "the closing line was cut", torn)
    case("torn-closing-half", whole + closing[:200], "the closing line was cut", torn)
    case("torn-closing-bracket", whole + b"]", "the closing line was cut", torn)
    case("torn-closing-more", whole + closing + b"x", "no closing line, had it a line break", torn)
    wrong = closing.replace(b'"length":5', b'"length":0')
    case("torn-closing-wrong-shape", whole + wrong, "no closing line, had it a line break", torn)
    back = [start(timestamp=time(9)), started(timestamp=time(1))]
    case("journal-warning", journal(linked(back)), "a journal has warnings as well", ["time-went-back"])


def add_head(corpus: Corpus) -> None:
    """Check 8, §5: statement and events do not agree; chain and signatures hold."""

    def case(what: str, data: bytes, why: str, pointer: str | None = None, fails: Sequence[str] = ()) -> None:
        corpus.case(f"head--{what}", data, why, fails=["head", *fails], pointer=pointer)

    other = {"id": "s", "previous": None, "sequence": 0}
    table: list[Edit] = [
        ("/predicate/chain/head", HASH),
        ("/predicate/chain/length", 4),
        ("/predicate/execution_id", "exec-2"),
        ("/predicate/live_mode_state", "DRY_RUN"),
        ("/predicate/plan_id", "plan-2"),
        ("/predicate/series", other),
        ("/predicate/status", "failed"),
        ("/subject/0/digest/sha256", HASH),
        ("/subject/0/name", "exec-2"),
    ]
    for place, value in table:
        what = place[1:].replace("/", "-").replace("_", "-")
        data = sealed(small(), statement=[(place, value)])
        case(what, data, "the statement says something else", f"/seal/statement{place}")
    case("both-digests", sealed(small(), statement=[table[0], table[7]]), "both say something else")
    case("both-names", sealed(small(), statement=[table[2], table[8]]), "both say something else")
    in_series = [start(series=other), finished()]
    case("series-null", sealed(in_series, statement=[("/predicate/series", None)]), "the series is left out")
    edits: list[Edit] = [("/predicate/series", other | {"sequence": 1, "previous": HASH})]
    case("series-sequence", sealed(in_series, statement=edits), "another place in the series")
    events = small()
    lines = linked(events)
    closing = closing_of(events, lines)
    case(
        "last-event-edited",
        framed([*lines[:4], lines[4].replace(b'reason":""', b'reason":"x"')], closing),
        "the last event was edited",
    )
    again = linked(edited(events, [("/2/reversible", False)]))
    case("edited-and-relinked", framed(again, closing), "an event was edited, and all links after it")
    case("tail-replaced", framed(linked([*events[:3], finished("failed")]), closing), "another end")
    foreign = other_record()
    case("seal-of-other-record", framed(lines, closing_of(foreign, linked(foreign))), "the seal of another record")
    cut = framed(lines[:4], closing)
    why = "the last event was cut off: no end, and another head"
    corpus.case("lifecycle--tail-cut", cut, why, fails=["lifecycle", "head"], seq=3)


# ---- Cases: signature, trust, timestamp ----------------------------------------------------------

ORDER: Final = 2**252 + 27742317777372353535851937790883648493


def malleable(sig: str) -> str:
    """Return an Ed25519 signature with S + L for S, which is good where S is not compared with L."""
    raw = base64.b64decode(sig)
    return b64(raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little"))


def flipped(place: int) -> Callable[[str], str]:
    """Return an edit that flips a bit of a signature."""

    def edit(sig: str) -> str:
        raw = bytearray(base64.b64decode(sig))
        raw[place] ^= 1
        return b64(bytes(raw))

    return edit


def add_signature(corpus: Corpus) -> None:
    """Check 9, §5: signatures that do not hold."""
    unmet = ["signature", "trust"]

    def case(what: str, why: str, data: bytes, fails: Sequence[str] = unmet, **options: Any) -> None:  # noqa: ANN401 - case's
        corpus.case(f"signature--{what}", data, why, fails=fails, **options)

    sig = "/seal/signatures/0/sig"
    lines = linked(small())
    body = jcs(statement_of(small(), lines, [RECORDER], SEALED_AT))
    foreign = statement_of(other_record(), linked(other_record()), [RECORDER], SEALED_AT)
    edits: list[tuple[str, str, Any]] = [
        ("r-flipped", "a bit of R", flipped(0)),
        ("s-flipped", "a bit of S", flipped(32)),
        ("s-plus-l", "S + L instead of S", malleable),
        ("s-high-bits", "S with its highest bits set", flipped(63)),
        ("zero", "64 zeros", b64(bytes(64))),
        ("short", "63 bytes", lambda old: b64(base64.b64decode(old)[:63])),
        ("long", "65 bytes", lambda old: b64(base64.b64decode(old) + b"\x00")),
        ("one-byte", "one byte", "AA=="),
        ("other-key", "made by another key", b64(SECOND.sign(pae(body)))),
        ("other-payload-type", "over another payloadType", b64(RECORDER.sign(pae(body, b"application/json")))),
        ("no-payload-type", "over an empty payloadType", b64(RECORDER.sign(pae(body, b"")))),
        ("no-preimage", "over the body alone", b64(RECORDER.sign(body))),
        ("body-line-feed", "over the body and a line break", b64(RECORDER.sign(pae(body + b"\n")))),
        ("head-alone", "over the head alone", b64(RECORDER.sign(sha256(lines[-1]).encode()))),
        ("prehashed", "over the digest of what is signed", b64(RECORDER.sign(hashlib.sha256(pae(body)).digest()))),
        ("other-record", "of another record", b64(RECORDER.sign(pae(jcs(foreign))))),
    ]
    for what, why, value in edits:
        case(what, why, sealed(small(), closing=[(sig, value)]), pointer=sig)
    later = [("/seal/statement/predicate/sealed_at", "2026-11-22T16:00:31.000000Z")]
    case("sealed-at-edited", "sealed_at was edited", sealed(small(), closing=later), pointer=sig)
    for what, data in (("small", sealed(small())), ("full", sealed(full()))):
        case(f"no-policy-{what}", "without a policy no signature can be verified", data, policy=None, fails=())


def add_signatures(corpus: Corpus) -> None:
    """Check 9, §5, §6: several signatures, and their arrangement."""
    unmet = ["signature", "trust"]

    def case(what: str, why: str, data: bytes, fails: Sequence[str] = unmet, **options: Any) -> None:  # noqa: ANN401 - case's
        corpus.case(f"signature--{what}", data, why, fails=fails, **options)

    two: Json = {"signers": [RECORDER, SECOND]}
    place = "/seal/signatures"
    only: Json = {"policy": "two", "fails": ["signature"], "pointer": place}
    case("missing", "a signer's signature was removed", sealed(small(), **two, closing=[(place + "/1", DROP)]), **only)
    no_policy: Json = {"policy": None, "fails": ["signature"], "pointer": place, "not_run": ["trust"]}
    case(
        "missing-no-policy",
        "it is seen without any policy",
        sealed(small(), **two, closing=[(place + "/1", DROP)]),
        **no_policy,
    )
    case("missing-first", "the first one", sealed(small(), **two, closing=[(place + "/0", DROP)]), **only)
    none = sealed(small(), closing=[(place, [])])
    case("none", "no signature at all", none, pointer=place)
    turned = [(place, lambda old: old[::-1])]
    case("order", "not in the order of signers", sealed(small(), **two, closing=turned), **only)
    case("order-no-policy", "it is seen without any policy", sealed(small(), **two, closing=turned), **no_policy)
    doubled = [(place, lambda old: old * 2)]
    case("twice", "a signer's signature twice", sealed(small(), closing=doubled), fails=["signature"], pointer=place)
    bad_first = [(place, lambda old: [old[0] | {"sig": "AA=="}, old[0]])]
    case("twice-first-bad", "the first one is the signer's", sealed(small(), closing=bad_first), pointer=place)
    bad_second = [(place, lambda old: [old[0], old[0] | {"sig": "AA=="}])]
    data = sealed(small(), closing=bad_second)
    case("twice-second-bad", "the first one is the signer's", data, fails=["signature"], pointer=place)
    only["policy"] = "countersigned"
    case("countersigner-first", "signers come first", sealed(small(), countersigners=[WITNESS], closing=turned), **only)
    three = sealed(small(), countersigners=[WITNESS, SECOND], closing=[(place, lambda old: [old[0], old[2], old[1]])])
    unknown = ["unknown-countersigner"]
    case("countersigners-not-sorted", "sorted by key id", three, **only, warnings=unknown)
    four = sealed(small(), countersigners=[WITNESS], closing=[(place, lambda old: [old[0], old[1], old[1]])])
    case("countersigner-twice", "each countersigner once", four, **only)
    bad = sealed(small(), countersigners=[WITNESS], closing=[(place + "/1/sig", flipped(0))])
    case("countersignature-bad", "a known key's is bad", bad, policy="countersigned", pointer=place + "/1/sig")
    known: Json = {"policy": "witness-known", "fails": ["signature"], "pointer": place + "/1/sig"}
    case("countersignature-bad-not-required", "a known key's is bad, though none is required", bad, **known)
    many = sealed(small(), countersigners=[key(f"witness {n}") for n in range(65)])
    case(
        "countersigners-65", "at most 64 countersignatures", many, fails=["signature"], pointer=place, warnings=unknown
    )
    one_bad = sealed(small(), **two, closing=[(place + "/1/sig", flipped(0))])
    known = {"policy": "two", "fails": ["signature"], "pointer": place + "/1/sig"}
    case("second-bad", "one good signature does not make up for a bad one", one_bad, **known)
    case("second-bad-required", "and does not count", one_bad, policy="two-required", pointer=place + "/1/sig")
    both: Json = {"signers": [RECORDER, POST_QUANTUM], "closing": [(place + "/1/sig", flipped(9))]}
    known = {"policy": "post-quantum", "fails": ["signature"], "pointer": place + "/1/sig"}
    case("ml-dsa-44-flipped", "a bit of an ML-DSA-44 signature", sealed(small(), **both), **known)
    both["closing"] = [(place + "/1/sig", lambda old: b64(base64.b64decode(old)[:-1]))]
    case("ml-dsa-44-short", "2,419 bytes", sealed(small(), **both), **known)
    stripped = [("/seal/statement/predicate/signers/1", DROP), (place + "/1", DROP)]
    data = sealed(small(), **two, closing=stripped)
    case("signer-stripped", "a signer removed from the statement as well", data, pointer=place + "/0/sig")


def add_trust(corpus: Corpus) -> None:
    """Check 10, §9: policies that are not met."""

    def case(what: str, why: str, code: str, policy: str, data: bytes, **options: Any) -> None:  # noqa: ANN401 - case's
        corpus.case(f"trust--{what}", data, why, policy=policy, fails=["trust"], code=code, **options)

    data = sealed(minimal())
    foreign = {"not_run": ["signature"]}
    case(
        "unknown-signer",
        "sealed again by an unknown key",
        "unknown-signer",
        "recorder",
        sealed(small(), signers=[STRANGER]),
        **foreign,
    )
    forged = sealed(small(), signers=[STRANGER], closing=[("/seal/signatures/0/sig", "AA==")])
    case("unknown-signer-bad", "nobody can tell that it is bad", "unknown-signer", "recorder", forged, **foreign)
    two = sealed(small(), signers=[RECORDER, STRANGER])
    case("one-unknown-signer", "every signer has to be known", "unknown-signer", "recorder", two)
    witnessed = sealed(small(), signers=[STRANGER], countersigners=[RECORDER])
    warned = {"warnings": ["countersigner-not-counted"]}
    why = "a known countersigner does not make up for a signer"
    case("known-countersigner", why, "unknown-signer", "recorder", witnessed, **foreign, **warned)
    for what, named in (("other", "ml-dsa-44"), ("unknown", "ecdsa-p256-sha256"), ("capital", "Ed25519")):
        mismatch = sealed(small(), statement=[("/predicate/signers/0/algorithm", named)])
        case(f"algorithm-{what}", "seal and policy disagree", "algorithm-mismatch", "recorder", mismatch, **foreign)
    edits: list[Edit] = [("/predicate/signers/-", {"algorithm": "ecdsa-p256-sha256", "keyid": HASH})]
    added = [("/seal/signatures/-", {"evidence": [], "keyid": HASH, "sig": "AAAA"})]
    reserved = sealed(small(), statement=edits, closing=added)
    case("algorithm-reserved", "a second signer of a reserved algorithm", "unknown-signer", "recorder", reserved)
    ended = {"revoked": {"at": LONG_AGO, "reason": "retired"}}
    table: list[tuple[str, str, Json, Json]] = [
        ("expired", "policy-expired", {}, {"expires": LONG_AGO}),
        ("role-countersign", "role", {"roles": ["countersign"]}, {}),
        ("role-none", "role", {"roles": []}, {}),
        ("role-checkpoint", "role", {"roles": ["checkpoint", "witness"]}, {}),
        ("before-window", "outside-window", {"not_before": "2026-11-22T16:00:30.000001Z"}, {}),
        ("after-window", "outside-window", {"not_after": LONG_AGO}, {}),
        ("at-end-of-window", "outside-window", {"not_after": SEALED_AT}, {}),
        ("window-empty", "outside-window", {"not_before": SEALED_AT, "not_after": SEALED_AT}, {}),
        ("superseded", "revoked", {"revoked": {"at": LONG_AGO, "reason": "superseded"}}, {}),
        ("superseded-at-sealed-at", "revoked", {"revoked": {"at": SEALED_AT, "reason": "superseded"}}, {}),
        ("retired-at-sealed-at", "revoked", {"revoked": {"at": SEALED_AT, "reason": "retired"}}, {}),
        ("compromised", "revoked", {"revoked": {"at": LONG_AGO, "reason": "compromised"}}, {}),
        ("compromised-later", "revoked", {"revoked": {"at": FAR_AHEAD, "reason": "compromised"}}, {}),
        ("required-two", "requirement", {}, {"require": [need(count=2)]}),
        ("required-too-many", "requirement", {}, {"require": [need(count=MAX_INTEGER)]}),
        ("required-other-algorithm", "requirement", {}, {"require": [need(algorithm="ml-dsa-44")]}),
        ("required-unknown-algorithm", "requirement", {}, {"require": [need(algorithm="slh-dsa")]}),
        ("required-countersigner", "requirement", {}, {"require": [need(), need("countersign")]}),
        ("required-second-of-two", "requirement", {}, {"require": [need(), need(count=2)]}),
        ("expired-before-role", "policy-expired", {"roles": ["countersign"]}, {"expires": LONG_AGO}),
        ("window-before-revoked", "outside-window", {"not_after": LONG_AGO} | ended, {}),
        ("revoked-before-requirement", "revoked", ended, {"require": [need(count=2)]}),
    ]  # fmt: skip
    for what, code, member, top in table:
        policy = corpus.policy(f"not-met-{what}", entry(RECORDER, **member), **top)
        case(what, "the policy is not met", code, policy, data)


def add_trust_of_several(corpus: Corpus) -> None:
    """Check 10, §9: several keys."""

    def case(what: str, why: str, code: str, policy: str, data: bytes, **options: Any) -> None:  # noqa: ANN401 - case's
        corpus.case(f"trust--{what}", data, why, policy=policy, fails=["trust"], code=code, **options)

    policy = corpus.policy("expired-without-keys-used", entry(SECOND), expires=LONG_AGO)
    foreign = {"not_run": ["signature"]}
    case("expired-before-unknown", "reasons have an order", "policy-expired", policy, sealed(minimal()), **foreign)
    policy = corpus.policy("no-keys")
    case("no-keys", "a policy may know no key", "unknown-signer", policy, sealed(minimal()), **foreign)
    policy = corpus.policy("recorder-ended", entry(RECORDER, not_after=LONG_AGO))
    two = sealed(minimal(), signers=[RECORDER, STRANGER])
    case("unknown-before-window", "reasons have an order, across signers", "unknown-signer", policy, two)
    ended = {"revoked": {"at": LONG_AGO, "reason": "superseded"}}
    policy = corpus.policy("second-revoked", entry(RECORDER), entry(SECOND, **ended))
    two = sealed(minimal(), signers=[RECORDER, SECOND])
    case("second-signer-revoked", "every signer has to be good", "revoked", policy, two)
    policy = corpus.policy("first-revoked-second-ended", entry(RECORDER, **ended), entry(SECOND, not_after=LONG_AGO))
    case("second-window-before-first-revoked", "reasons have an order, across signers", "outside-window", policy, two)
    uncounted = {"warnings": ["countersigner-not-counted"]}
    counted = sealed(small(), countersigners=[WITNESS])
    needs = {"require": [need(), need("countersign")]}
    for what, roles, members in (
        ("with-window", ["countersign"], {"not_before": LONG_AGO}),
        ("revoked", ["countersign"], {"revoked": {"at": FAR_AHEAD, "reason": "retired"}}),
        ("of-other-role", ["seal"], {}),
    ):
        policy = corpus.policy(
            f"not-met-countersigner-{what}", entry(RECORDER), entry(WITNESS, *roles, **members), **needs
        )
        case(f"countersigner-{what}", "it does not count", "requirement", policy, counted, **uncounted)
    policy = corpus.policy("signer-may-countersign", entry(RECORDER, "seal", "countersign"), **needs)
    case("signer-is-no-countersigner", "counted among the others", "requirement", policy, sealed(small()))
    policy = corpus.policy(
        "countersigner-may-seal", entry(RECORDER), entry(WITNESS, "seal", "countersign"), require=[need(count=2)]
    )
    case("countersigner-is-no-signer", "counted among the signers", "requirement", policy, counted)
    policy = corpus.policy(
        "two-countersigners", entry(RECORDER), entry(WITNESS, "countersign"), require=[need("countersign", 2)]
    )
    case("one-countersigner-of-two", "distinct keys are counted", "requirement", policy, counted)
    other = need("countersign", algorithm="ml-dsa-44")
    policy = corpus.policy(
        "post-quantum-countersigner", entry(RECORDER), entry(WITNESS, "countersign"), require=[other]
    )
    case("countersigner-of-other-algorithm", "of the algorithm that is named", "requirement", policy, counted)
    by_pem = sealed(minimal(), signers=[RECORDER, STRANGER])
    corpus.case(
        "trust--pem-unknown-signer",
        by_pem,
        "by the short form",
        policy=("recorder",),
        fails=["trust"],
        code="unknown-signer",
    )


def on(place: int, *responses: bytes) -> list[Edit]:
    """Return edits that attach responses to the signature at a place."""
    return [
        (f"/seal/signatures/{place}/evidence/-", {"data": b64(response), "type": "rfc3161"}) for response in responses
    ]


def signatures_of(data: bytes) -> list[bytes]:
    """Return the raw signatures of a record file."""
    return [base64.b64decode(item["sig"]) for item in json.loads(data)["seal"]["signatures"]]


def damaged(response: bytes) -> bytes:
    """Return a response whose last bit, one of the token's signature, is another one."""
    return response[:-1] + bytes([response[-1] ^ 1])


@functools.cache
def stamp_minimal(by: Authority) -> bytes:
    """Return an authority's response over the signature of `minimal()`."""
    return by.stamp(signatures_of(sealed(minimal()))[0])


LATER: Final = {"type": "later", "data": b64(b"some")}
TICK: Final = timedelta(microseconds=1)
DEMAND: Final[Json] = {"require_timestamp": True, "timestamp_authorities": [AUTHORITY.root]}


def stamped(corpus: Corpus, what: str, why: str, *responses: bytes, **more: Any) -> None:  # noqa: ANN401 - case's
    """Take a case of `minimal()` with these responses on its signature; a timestamp is demanded."""
    data = more.pop("data", None) or sealed(minimal(), closing=on(0, *responses))
    expected: Json = {"demanded": True, "policy": "timestamp-required"} | more
    corpus.case(what, data, why, **expected)


def by_authorities(corpus: Corpus, what: str, *certificates: str | None) -> str:
    """Take a policy that demands a timestamp by one of these, and return its name."""
    return corpus.policy(f"timestamp-{what}", entry(RECORDER), **(DEMAND | {"timestamp_authorities": certificates}))


def add_valid_timestamps(corpus: Corpus) -> None:
    """Check 11: time evidence that holds."""
    case, named = functools.partial(stamped, corpus), functools.partial(by_authorities, corpus)
    good, other = stamp_minimal(AUTHORITY), stamp_minimal(OTHER_AUTHORITY)
    corpus.policy("timestamp-required", entry(RECORDER), **DEMAND)
    known = corpus.policy("timestamp-known", entry(RECORDER), timestamp_authorities=[AUTHORITY.root])
    case("timestamp", "a timestamp on the signer's signature", good)
    case("timestamp-not-demanded", "a timestamp that nobody demands", good, policy=known, demanded=False)
    two = named("two", OTHER_AUTHORITY.root, AUTHORITY.root)
    case("timestamp-of-second-authority", "any authority that is named", good, policy=two)
    invalid, unknown = ["evidence-invalid"], ["evidence-not-checked"]
    case("timestamp-several", "two authorities, one of them trusted", other, good, warnings=invalid)
    elsewhere = AUTHORITY.stamp(signatures_of(sealed(small()))[0])
    several = (elsewhere, damaged(good), b"0", good, good + b"0")
    case("timestamp-beside-bad", "evidence that does not hold is absent", *several, warnings=invalid)
    linked = named("linked", LINKED.link, LINKED.root)
    case("timestamp-link-in-policy", "a link stands in the policy", stamp_minimal(LINKED), policy=linked)
    brief = named("brief", BRIEF.root)
    case("timestamp-expired-since", "its certificate was valid then", stamp_minimal(BRIEF), policy=brief)
    places = ("/seal/signatures/0/evidence/-", "/seal/evidence/-")
    data = sealed(minimal(), closing=[*on(0, good), *((place, LATER) for place in places)])
    case("timestamp-beside-unknown", "another type is not examined", data=data, warnings=unknown)
    late = written(time_of(good) + timedelta(days=1))
    before = AUTHORITY.stamp(signatures_of(sealed(minimal(), sealed_at=late))[0])
    data = sealed(minimal(), sealed_at=late, closing=on(0, before))
    case("timestamp-before-seal", "the signature is older", data=data, warnings=["timestamp-before-seal"])
    both = [RECORDER, SECOND]
    stamps = [AUTHORITY.stamp(signature) for signature in signatures_of(sealed(minimal(), signers=both))]
    policy = corpus.policy("timestamp-two-signers", entry(RECORDER), entry(SECOND), **DEMAND)
    data = sealed(minimal(), signers=both, closing=[*on(0, stamps[0]), *on(1, stamps[1])])
    case("timestamp-of-both-signers", "each signer's signature has its own", data=data, policy=policy)


def add_timestamp(corpus: Corpus) -> None:
    """Check 11: time evidence that is demanded and is not there, or does not hold."""
    named = functools.partial(by_authorities, corpus)
    good = stamp_minimal(AUTHORITY)

    def bad(what: str, why: str, *responses: bytes, **more: Any) -> None:  # noqa: ANN401 - case's
        expected = {"code": "timestamp-missing", "pointer": "/seal/signatures", "fails": ["timestamp"]}
        warned = {"warnings": ["evidence-invalid"]}
        stamped(corpus, f"timestamp--{what}", why, *responses, **(expected | warned | more))

    bad("missing", "no evidence at all", warnings=[])
    bad("other-data", "over another signature", AUTHORITY.stamp(signatures_of(sealed(small()))[0]))
    bad("untrusted", "by an authority that the policy does not name", stamp_minimal(OTHER_AUTHORITY))
    bad("damaged", "the token's signature does not hold", damaged(good))
    bad("malformed", "not a response", b"0\0")
    bad("trailing", "bytes behind the response", good + b"0")
    bad("with-changes", "granted, but not as it was asked for", good.replace(b"\2\1\0", b"\2\1\1", 1))
    bad("rejected", "a response without a timestamp", bytes.fromhex("30053003020102"))
    bad("ended", "its certificate had expired", stamp_minimal(ENDED), policy=named("ended", ENDED.root))
    linked = stamp_minimal(LINKED)
    bad("link-missing", "the chain has a gap", linked, policy=named("unlinked", LINKED.root))
    bad("only-link", "no root ends the chain", linked, policy=named("only-link", LINKED.link))
    bad("signer-in-policy", "a certificate by another is no root", good, policy=named("signer", AUTHORITY.signer))
    bad("no-certificate", "an authority that is no certificate", good, policy=named("nothing", "authority"))
    unknown = ["evidence-not-checked"]
    nobody = corpus.policy("timestamp-of-nobody", entry(RECORDER), require_timestamp=True)
    bad("no-authority", "the policy names none", good, policy=nobody, warnings=unknown)
    on_seal = sealed(minimal(), closing=[("/seal/evidence/-", {"data": b64(good), "type": "rfc3161"})])
    bad("on-seal", "evidence on the seal is about no signature", data=on_seal, warnings=unknown)
    both = [RECORDER, SECOND]
    stamps = [AUTHORITY.stamp(signature) for signature in signatures_of(sealed(minimal(), signers=both))]
    data = sealed(minimal(), signers=both, closing=on(1, stamps[1]))
    bad("one-of-two", "one signer's signature has none", data=data, policy="timestamp-two-signers", warnings=[])
    swapped = sealed(minimal(), signers=both, closing=[*on(0, stamps[1]), *on(1, stamps[0])])
    bad("swapped", "each stands on the other's signature", data=swapped, policy="timestamp-two-signers")
    theirs = AUTHORITY.stamp(signatures_of(sealed(minimal(), countersigners=[SECOND]))[1])
    policy = corpus.policy("timestamp-witnessed", entry(RECORDER), entry(SECOND, "countersign"), **DEMAND)
    data = sealed(minimal(), countersigners=[SECOND], closing=on(1, theirs))
    bad("on-countersignature", "the signer's own has none", data=data, policy=policy, warnings=[])


def add_timestamp_trust(corpus: Corpus) -> None:
    """Check 10: what time evidence does for keys that were compromised, and for countersigners."""
    authorities: Json = {"timestamp_authorities": [AUTHORITY.root]}
    good, second = stamp_minimal(AUTHORITY), stamp_minimal(OTHER_AUTHORITY)
    then = time_of(good)

    def compromised(what: str, why: str, at: datetime, *responses: bytes, **more: Any) -> None:  # noqa: ANN401 - case's
        revoked = {"at": written(at), "reason": "compromised"}
        policy = corpus.policy(f"trust-{what}", entry(RECORDER, revoked=revoked), **authorities)
        corpus.case(what, sealed(minimal(), closing=on(0, *responses)), why, policy=policy, **more)

    revoked: Json = {"fails": ["trust"], "code": "revoked"}
    compromised("compromised-later", "the signature is older", then + TICK, good)
    warned = ["evidence-invalid"]
    compromised("compromised-later-several", "one good timestamp is enough", then + TICK, second, good, warnings=warned)
    compromised("trust--compromised-then", "no older than the end", then, good, **revoked)
    compromised("trust--compromised-before", "the key had ended", then - timedelta(days=1), good, **revoked)
    compromised(
        "trust--compromised-untrusted", "evidence that is not trusted", then + TICK, second, **revoked, warnings=warned
    )
    compromised("trust--compromised-no-evidence", "sealed_at shows nothing", then + timedelta(days=1), **revoked)

    by_witness = sealed(minimal(), countersigners=[WITNESS])
    stamp = AUTHORITY.stamp(signatures_of(by_witness)[1])
    when = time_of(stamp)
    data = sealed(minimal(), countersigners=[WITNESS], closing=on(1, stamp))
    require = [need(), need("countersign")]

    def witnessed(what: str, why: str, data: bytes = data, **of_witness: Any) -> None:  # noqa: ANN401 - entry's
        keys = (entry(RECORDER), entry(WITNESS, "countersign", **of_witness))
        policy = corpus.policy(f"trust-{what}", *keys, require=require, **authorities)
        fails: Json = {}
        if what.startswith("trust--"):
            fails = {"fails": ["trust"], "code": "requirement", "warnings": ["countersigner-not-counted"]}
        corpus.case(what, data, why, policy=policy, **fails)

    ended = {"reason": "retired"}
    witnessed(
        "countersigner-in-window",
        "its own evidence says when",
        not_before=written(when),
        not_after=written(when + TICK),
    )
    witnessed("countersigner-retired-later", "its own evidence is older", revoked=ended | {"at": written(when + TICK)})
    compromise = {"at": written(when + TICK), "reason": "compromised"}
    witnessed("countersigner-compromised-later", "its own evidence is older", revoked=compromise)
    witnessed("trust--countersigner-too-early", "before its window", not_before=written(when + TICK))
    witnessed("trust--countersigner-too-late", "windows are half-open", not_after=written(when))
    witnessed("trust--countersigner-retired", "it had ended", revoked=ended | {"at": written(when)})
    on_other = sealed(minimal(), countersigners=[WITNESS], closing=on(0, good))
    witnessed(
        "trust--countersigner-evidence-on-signer",
        "that is not its own",
        on_other,
        not_before=written(then - timedelta(days=1)),
    )


# ---- Cases: policies and keys that are refused ---------------------------------------------------

P: Final = 2**255 - 19
D: Final = -121665 * pow(121666, -1, P) % P
ED25519_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
SMALL_ORDER: Final = {
    # every encoding of a point whose order divides 8, canonical or not
    "order-1": "0100000000000000000000000000000000000000000000000000000000000000",
    "order-2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order-4": "0000000000000000000000000000000000000000000000000000000000000000",
    "order-4-sign": "0000000000000000000000000000000000000000000000000000000000000080",
    "order-8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order-8-sign": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "order-8-other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order-8-other-sign": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "order-1-sign": "0100000000000000000000000000000000000000000000000000000000000080",
    "order-2-sign": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "order-4-not-canonical": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order-4-not-canonical-sign": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "order-1-not-canonical": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order-1-not-canonical-sign": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}


def is_on_curve(y: int) -> bool:
    """Tell whether an x belongs to a y of edwards25519."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    return pow(square, (P - 1) // 2, P) in (0, 1)


def raw_key(spki: bytes, name: str = "k", algorithm: str = "ed25519") -> Json:
    """Return a policy's entry for any bytes in place of a key."""
    return entry(RECORDER, algorithm=algorithm, keyid=sha256(spki), name=name, public_key=b64(spki))


def foreign_keys() -> dict[str, bytes]:
    """Return public keys of other kinds, and Ed25519 keys in another dress, as DER."""
    modulus = int.from_bytes(b"".join(seed(f"rsa {n}") for n in range(8)), "big") | 1 << 2047 | 1
    scalar = int.from_bytes(seed("p-256"), "big") >> 1
    raw = RECORDER.spki[len(ED25519_SPKI) :]
    return {
        "rsa": spki_of(rsa.RSAPublicNumbers(65537, modulus).public_key()),
        "p-256": spki_of(ec.derive_private_key(scalar, ec.SECP256R1()).public_key()),
        "x25519": spki_of(x25519.X25519PrivateKey.from_private_bytes(seed("x25519")).public_key()),
        "ed448": spki_of(ed448.Ed448PrivateKey.from_private_bytes(seed("ed448") + bytes(25)).public_key()),
        "raw": raw,
        "31-bytes": ED25519_SPKI + raw[:31],
        "33-bytes": ED25519_SPKI + raw + b"\x00",
        "null-parameters": bytes.fromhex("302c300706032b65700500032100") + raw,
        "long-length": bytes.fromhex("30812a300506032b6570032100") + raw,
        "ml-dsa-44-short": POST_QUANTUM.spki[:-1],
        "empty": b"",
    }


def add_refused_keys(corpus: Corpus) -> None:
    """§9: keys that a verifier must not take, in a policy and as PEM."""
    off_curve = next(y for y in range(2, 99) if not is_on_curve(y))
    not_canonical = next(y for y in range(P + 2, 2**255) if is_on_curve(y))
    points = {name: bytes.fromhex(point) for name, point in SMALL_ORDER.items()}
    points["off-curve"] = off_curve.to_bytes(32, "little")
    points["not-canonical"] = not_canonical.to_bytes(32, "little")
    points["not-canonical-highest"] = b"\xff" * 31 + b"\x7f"
    for name, point in points.items():
        spki = ED25519_SPKI + point
        why = (
            "of small order: one signature would fit every message"
            if "order" in name
            else "not the encoding of a point"
        )
        corpus.refused_policy(f"key-{name}", trust(raw_key(spki)), why, pointer="/keys/0/public_key")
    for name, spki in foreign_keys().items():
        policy = trust(entry(SECOND), raw_key(spki))
        corpus.refused_policy(f"key-{name}", policy, "not a key that can be used", pointer="/keys/1/public_key")
    for name in ("order-1", "order-8", "order-2-sign", "not-canonical", "off-curve"):
        corpus.refused_keys(name, "a weak key", pem_of(ED25519_SPKI + points[name]))
    for name in ("rsa", "p-256", "x25519", "null-parameters", "empty"):
        corpus.refused_keys(name, "not a key that can be used", pem_of(foreign_keys()[name]))
    good, openssh = pem_of(RECORDER.spki), openssh_of(RECORDER.spki)
    private = RECORDER.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    corpus.refused_keys("twice", "a key stands once", good, good)
    corpus.refused_keys("second-refused", "one of them is refused", good, pem_of(foreign_keys()["rsa"]))
    for name, pem, why in (
        ("private", private, "a private key"),
        ("two-blocks", good + pem_of(SECOND.spki), "two keys in one file"),
        ("text-before", b"Subject: x\n" + good, "text around the block"),
        ("text-after", good + b"x\n", "text around the block"),
        ("certificate", pem_of(RECORDER.spki, "CERTIFICATE"), "another label"),
        ("der", RECORDER.spki, "no PEM"),
        ("file-empty", b"", "no PEM"),
        ("no-end", good[:-30], "no PEM"),
        ("not-base64", good.replace(b"\nM", b"\n*"), "no base64"),
        ("pad-bits", good.replace(b"=\n", b"=\n"[:0]), "no padding"),
        ("pad-bits-set", good.replace(b"U=\n", b"V=\n"), "base64 has zero pad bits, so that a key has one spelling"),
        ("line-indented", good.replace(b"\nM", b"\n M"), "a line holds base64 and nothing else"),
        ("line-ends-in-blank", good.replace(b"=\n", b"= \n"), "a line holds base64 and nothing else"),
        ("one-line", good.replace(b"\n", b" "), "the marks stand in lines of their own"),
        ("no-break-space", b"\xa0" + good, "white space is ASCII"),
        ("openssh-two-blanks", openssh.replace(b" ", b"  "), "one blank"),
        ("openssh-tab", openssh.replace(b" ", b"\t"), "one blank"),
        ("openssh-padded", openssh + b"=", "51 bytes have no padding in base64"),
        ("openssh-52-bytes", openssh + b"AA==", "the 51 bytes of RFC 8709"),
        ("openssh-two-lines", openssh + b"\n" + openssh, "one line"),
        ("openssh-options", b"no-pty " + openssh, "no options before it"),
        ("openssh-rsa", openssh.replace(b"ssh-ed25519 ", b"ssh-rsa "), "another kind of key"),
        ("openssh-order-1", openssh_of(points["order-1"]), "a weak key"),
    ):
        corpus.refused_keys(name, why, pem)


def add_refused_policies(corpus: Corpus) -> None:
    """§9: policies that are refused when they are read."""
    base = trust(entry(RECORDER), entry(SECOND, "countersign"))
    edits: list[tuple[str, str, Any]] = [
        ("unknown-member", "/threshold", 1),
        ("format", "/format", "hearth-trust/2"),
        ("format-missing", "/format", DROP),
        ("version-0", "/version", 0),
        ("version-text", "/version", "1"),
        ("version-missing", "/version", DROP),
        ("version-true", "/version", True),
        ("version-2-to-53", "/version", 2**53),
        ("expires-missing", "/expires", DROP),
        ("expires-number", "/expires", 1795363385),
        ("expires-no-timestamp", "/expires", "2030-01-01"),
        ("require-timestamp-null", "/require_timestamp", None),
        ("authorities-null", "/timestamp_authorities", None),
        ("authorities-number", "/timestamp_authorities", [1]),
        ("require-null", "/require", None),
        ("require-none", "/require", []),
        ("count-0", "/require/0/count", 0),
        ("count-minus-1", "/require/0/count", -1),
        ("count-fraction", "/require/0/count", 1.5),
        ("count-true", "/require/0/count", True),
        ("count-null", "/require/0/count", None),
        ("count-missing", "/require/0/count", DROP),
        ("requirement-unknown-member", "/require/0/name", ""),
        ("requirement-role-unknown", "/require/0/role", "sign"),
        ("requirement-algorithm-number", "/require/0/algorithm", 1),
        ("requirement-algorithm-missing", "/require/0/algorithm", DROP),
        ("keys-null", "/keys", None),
        ("key-text", "/keys/0", "recorder"),
        ("key-unknown-member", "/keys/0/comment", ""),
        ("key-name-null", "/keys/0/name", None),
        ("key-name-missing", "/keys/0/name", DROP),
        ("keyid-of-other-key", "/keys/0/keyid", SECOND.keyid),
        ("keyid-capital", "/keys/0/keyid", RECORDER.keyid.upper()),
        ("key-algorithm-other", "/keys/0/algorithm", "ml-dsa-44"),
        ("key-algorithm-unknown", "/keys/0/algorithm", "ecdsa-p256-sha256"),
        ("key-not-padded", "/keys/0/public_key", b64(RECORDER.spki).rstrip("=")),
        ("key-url-alphabet", "/keys/0/public_key", base64.urlsafe_b64encode(SECOND.spki + b"\xff\xff\xff").decode()),
        ("key-white-space", "/keys/0/public_key", b64(RECORDER.spki)[:20] + "\n" + b64(RECORDER.spki)[20:]),
        ("key-pem", "/keys/0/public_key", pem_of(RECORDER.spki).decode()),
        ("key-null", "/keys/0/public_key", None),
        ("roles-unknown", "/keys/0/roles", ["seal", "admin"]),
        ("roles-text", "/keys/0/roles", "seal"),
        ("not-before-no-timestamp", "/keys/0/not_before", "2026-11-22T16:00:30Z"),
        ("not-after-february-30", "/keys/0/not_after", "2026-02-30T00:00:00.000000Z"),
        ("not-after-missing", "/keys/0/not_after", DROP),
        ("revoked-text", "/keys/0/revoked", "compromised"),
        ("revoked-reason", "/keys/0/revoked", {"at": LONG_AGO, "reason": "lost"}),
        ("revoked-no-reason", "/keys/0/revoked", {"at": LONG_AGO}),
        ("revoked-no-time", "/keys/0/revoked", {"at": "2026", "reason": "retired"}),
        ("revoked-unknown-member", "/keys/0/revoked", {"at": LONG_AGO, "reason": "retired", "x": 1}),
    ]
    for what, place, value in edits:
        why = "a member is missing" if value is DROP else "not what §9 shows"
        corpus.refused_policy(what, pretty(edited(base, [(place, value)])), why, pointer=place)
    for role in ("checkpoint", "witness"):
        policy = trust(entry(RECORDER), require=[need(), need(role)])
        expected = {"code": "requirement-role", "pointer": "/require/1/role"}
        corpus.refused_policy(f"requirement-{role}", policy, "no record has such a signature", **expected)
    corpus.refused_policy(
        "key-twice", trust(entry(RECORDER), entry(RECORDER, name="again")), "a key stands once", pointer="/keys/1"
    )
    plain = pretty(base)
    texts = {
        "empty": (b"", "an empty file"),
        "no-json": (b"keys: []\n", "no JSON"),
        "array": (b"[]\n", "not an object"),
        "null": (b"null\n", "not an object"),
        "bom": (b"\xef\xbb\xbf" + plain, "a byte order mark"),
        "utf-16": (plain.decode().encode("utf-16"), "not UTF-8"),
        "latin-1": (plain.replace(b'"recorder"', b'"r\xe9"'), "not UTF-8"),
        "surrogate": (plain.replace(b'"recorder"', rb'"\ud800"'), "a lone surrogate"),
        "text-after": (plain + b"{}", "two values"),
        "comment": (b"// keys\n" + plain, "no JSON"),
        "comma-at-end": (plain.replace(b'"version": 1', b'"version": 1,'), "no JSON"),
        "duplicate-member": (plain.replace(b'"version": 1', b'"version": 1, "version": 1'), "a doubled member"),
        "duplicate-escaped": (
            plain.replace(b'"expires": null', rb'"expires": null, "\u0065xpires": null'),
            "a doubled member",
        ),
        "duplicate-in-key": (
            plain.replace(b'"not_after": null', b'"not_after": null, "not_after": null', 1),
            "a doubled member",
        ),
        "version-fraction": (plain.replace(b'"version": 1', b'"version": 1.0'), "a fraction"),
        "version-5000-digits": (plain.replace(b'"version": 1', b'"version": 1' + b"0" * 5000), "5,000 digits"),
        "depth-5000": (b"[" * 5000, "far too many levels"),
    }
    for what, (data, why) in texts.items():
        corpus.refused_policy(what, data, why)
    example = serialization.load_pem_public_key(EXAMPLE_KEY.read_bytes())
    published = b64(spki_of(example)), sha256(spki_of(example))
    known = entry(RECORDER, keyid=published[1], name="example", public_key=published[0])
    why = "a published example key: anybody can sign with it"
    corpus.refused_policy("key-example", trust(entry(SECOND), known), why, code="example-key", pointer="/keys/1")
    corpus.refused_keys("example", why, pem_of(spki_of(example)), code="example-key")
    refused = {"trust": "policies/refused/another-implementation.json"}
    corpus.refused(
        "another-implementation", refused, "a policy of an earlier design, with a threshold", pointer="/threshold"
    )


# ---- Cases: sizes --------------------------------------------------------------------------------

FIRST_EVENT, EVENT, CLOSING, FILE = 16 * 2**20, 2**20, 64 * 2**20, 2**30
Padded = tuple[bytes, Json]


def add_sizes(corpus: Corpus) -> None:
    """§1: lines of the largest size that is accepted, and of one byte more; a file that is too large.

    But for its size all is right with each line, so that a verifier without the limit finds nothing wrong.
    """
    too_large: Json = {"fails": ["canonical"], "code": "too-large"}
    for what, n, limit in (("event-0", 0, FIRST_EVENT), ("event", 2, EVENT)):
        data, padding = with_large_event(n, limit)
        corpus.case(f"size-{what}", data, f"an event of {limit:,} bytes", padding=padding)
        data, padding = with_large_event(n, limit + 1)
        why = "one byte more than this event may have"
        corpus.case(f"canonical--size-{what}", data, why, seq=n, padding=padding, **too_large)
    checked = ["evidence-not-checked"]
    data, padding = with_large_closing(CLOSING)
    corpus.case("size-closing", data, f"a closing line of {CLOSING:,} bytes", warnings=checked, padding=padding)
    data, padding = with_large_closing(CLOSING + 1)
    why = "one byte more than a closing line may have"
    corpus.case("canonical--size-closing", data, why, padding=padding, **too_large)
    data = sealed(small())
    padding = {"byte": 0, "count": FILE + 1 - len(data), "offset": len(data)}
    why = f"{FILE + 1:,} bytes, one more than a file may have"
    corpus.case("read--size-file", data, why, fails=["read"], code="too-large", padding=padding)


def add_sizes_of_tails(corpus: Corpus) -> None:
    """§7: torn tails, which may be as large as the line that they might have become."""
    first = journal(linked([start()]))
    table: list[tuple[str, bytes, int, list[str]]] = [
        ("event-0", OPENING, FIRST_EVENT, ["chain", "lifecycle"]),
        ("event", first + b",", EVENT, []),
        ("closing", first + b"]", CLOSING - 1, []),
    ]
    for what, data, limit, not_run in table:
        padding = {"byte": ord("x"), "count": limit, "offset": len(data)}
        torn: Json = {"fails": ["sealed"], "not_run": not_run, "warnings": ["torn-tail"]}
        corpus.case(f"sealed--size-torn-{what}", data, "as large as this line may be", padding=padding, **torn)
        padding = padding | {"count": limit + 1}
        why = "one byte more than this line may have"
        too_large: Json = {"fails": ["canonical"], "code": "too-large"}
        corpus.case(f"canonical--size-torn-{what}", data, why, padding=padding, **too_large)


def add_sizes_of_disclosed(corpus: Corpus) -> None:
    """§6: events whose size is that with what is disclosed of them."""
    for what, n, limit in (("event-0", 0, FIRST_EVENT), ("event", 2, EVENT)):
        data, padding = with_large_disclosure(n, limit)
        corpus.case(f"size-disclosed-{what}", data, f"an event of {limit:,} bytes, as disclosed", padding=padding)
        data, padding = with_large_disclosure(n, limit + 1)
        why = "as disclosed, one byte more than this event may have"
        corpus.case(f"disclosures--size-{what}", data, why, fails=["disclosures"], seq=n, padding=padding)


def without(data: bytes, run: str) -> Padded:
    """Return a file without a run of one character, and the padding that puts the run in again."""
    offset = data.index(run.encode())
    return data[:offset] + data[offset + len(run) :], {"byte": ord(run[0]), "count": len(run), "offset": offset}


def with_details(n: int, details: Json) -> list[Json]:
    """Return a small record with details in event `n`."""
    events = small()
    events[n] |= {"details": details}
    return events


def room(n: int, name: str, size: int) -> int:
    """Return how long a text of this name may be in the details of event `n`, for the event to be of a size."""
    return size - len(linked(with_details(n, {name: ""}))[n])


def with_large_event(n: int, size: int) -> Padded:
    """Return a record whose event `n` is of a size."""
    text = "x" * room(n, "text", size)
    return without(sealed(with_details(n, {"text": text})), text)


def with_large_disclosure(n: int, size: int) -> Padded:
    """Return a record whose event `n` is of a size when what is disclosed stands in it.

    In base64url three of `U` are four of `V`: before them stand, brackets and quotes included, a multiple of three.
    """
    name = "text-0"
    length = room(n, name, size)
    text = disclosure(name, "U" * length)
    data = sealed(with_details(n, holding(digest_of(text))), disclosures=[text])
    return without(data, "V" * (length // 3 * 4))


def with_large_closing(size: int) -> Padded:
    """Return a record whose closing line is of a size: for the most part evidence, in base64."""
    events = small()
    lines = linked(events)

    def closing(data: str, kind: str) -> bytes:
        return closing_of(events, lines, closing=[("/seal/evidence/-", {"data": data, "type": kind})])

    blocks, rest = divmod(size - len(closing("", "later")), 4)
    data = "A" * (4 * blocks)
    return without(framed(lines, closing(data, "later" + "r" * rest)), data)


# ---- Writing -------------------------------------------------------------------------------------


def build() -> Corpus:
    """Return the whole corpus, in memory."""
    corpus = Corpus()
    add_policies(corpus)
    valid = (add_valid_events, add_valid_security, add_valid_text, add_valid_values, add_warnings, add_valid_seals)
    more = (add_valid_trust, add_valid_disclosures, add_valid_reformatted)
    malformed = (add_read, add_frame, add_reformatted, add_profile, add_profile_typed)
    shapes = (add_versions, add_scalars, add_event_shapes, add_closing_shapes)
    wrong = (add_chain, add_lifecycle, add_disclosures, add_sealed, add_head)
    sizes = (add_sizes, add_sizes_of_tails, add_sizes_of_disclosed)
    untrusted = (
        add_signature,
        add_signatures,
        add_trust,
        add_trust_of_several,
        add_valid_timestamps,
        add_timestamp,
        add_timestamp_trust,
        add_refused_keys,
        add_refused_policies,
    )
    for add in concat(valid, more, malformed, shapes, wrong, sizes, untrusted):
        add(corpus)
    names = [case["name"] for case in corpus.cases]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise SystemExit(f"cases of the same name: {', '.join(sorted(doubled))}")
    cases = ",\n".join(jcs(case).decode() for case in sorted(corpus.cases, key=lambda case: str(case["name"])))
    head = jcs({"format": "hearth-vectors/1", "now": NOW}).decode()[1:-1]
    corpus.put(MANIFEST, f'{{"cases":[\n{cases}\n],{head}}}\n'.encode())
    corpus.put(".gitattributes", b"* -text\n")  # line breaks are what is tested
    for kept in (KEPT_SIGNATURES, KEPT_TIMESTAMPS):
        corpus.put(kept.file, pretty(dict(sorted(kept.used.items()))))
    return corpus


def difference(corpus: Corpus) -> list[str]:
    """Return what differs between the corpus in memory and the directory."""
    found = {str(path.relative_to(DIRECTORY)) for path in DIRECTORY.rglob("*") if not path.is_dir()}
    wrong = [f"unlisted: {name}" for name in found - corpus.files.keys() - KEPT.keys() - {README}]
    for name, data in corpus.files.items():
        path = DIRECTORY / name
        if name not in found:
            wrong.append(f"missing: {name}")
        elif path.read_bytes() != data:
            wrong.append(f"differs: {name}")
    for name, digest in KEPT.items():
        if name not in found or sha256((DIRECTORY / name).read_bytes()) != digest:
            wrong.append(f"differs: {name}")
    return sorted(wrong)


def write(corpus: Corpus) -> None:
    """Write what differs, and remove what is not listed."""
    for wrong in difference(corpus):
        what, name = wrong.split(": ")
        path = DIRECTORY / name
        print(wrong)
        if name in KEPT:
            raise SystemExit(f"{name} cannot be made again: restore it")
        if what == "unlisted":
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(corpus.files[name])


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="vectors.py", description="Write the corpus of test vectors, tests/vectors/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when anything differs")
    args = parser.parse_args()
    KEPT_SIGNATURES.may_make = KEPT_TIMESTAMPS.may_make = not args.check
    corpus = build()
    if not args.check:
        write(corpus)
        return 0
    wrong = difference(corpus)
    for line in wrong:
        print(line)
    print(f"{len(corpus.cases)} cases, {len(corpus.files)} files, {len(wrong)} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
