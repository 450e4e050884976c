"""What is exported, checked by programs and libraries of others, and refused by them once it was tampered with.

securesystemslib       DSSE envelopes                    from PyPI, in the test extra
in-toto-attestation    the statement                     from PyPI, in the test extra
@sigstore/verify       bundles, timestamps included      from npm, tests/package.json
openssl                the evidence's VERIFY.md; `openssl ts` is the timestamp authority
ssh-keygen             SSH signatures                    from openssh-client
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from authority import Authority, certify, forge, make_root, make_signer
from cryptography.hazmat.primitives import serialization
from google.protobuf import json_format
from helpers import (
    OTHER_SEED,
    SEALED_AT,
    needs_node_package,
    needs_program,
    observe,
    policy_for,
    private_key,
    randomness,
    signer,
    standard_record,
    standard_sealed,
)
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined] # not named in __all__

from hearth_records import Withholdable
from hearth_records.canonical import decode_closing, encode_closing
from hearth_records.countersignature import countersign
from hearth_records.disclosure import Disclosure, decode_disclosure, encode_disclosure
from hearth_records.export.dsse import export_dsse
from hearth_records.export.evidence import export_evidence
from hearth_records.export.sigstore_bundle import export_bundle
from hearth_records.export.sshsig import NAMESPACE, export_sshsig, verify_command
from hearth_records.model import Evidence
from hearth_records.profile import sha256_hex
from hearth_records.seal import seal_record
from hearth_records.trust import TrustPolicy
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hearth_records.keys import LocalSigner
    from hearth_records.model import SealedRecord

ONE, TWO, THREE = signer(), signer(OTHER_SEED), signer(bytes(range(64, 96)))


def sealed_from(data: bytes) -> SealedRecord:
    sealed = verify_record(data, None).sealed_record
    assert sealed is not None
    return sealed


def with_evidence(sealed: SealedRecord, *evidence: Evidence, place: int = 0) -> SealedRecord:
    """Return a record with evidence on one of its signatures."""
    events, _, line = sealed.data.removesuffix(b"\n").rpartition(b"\n")
    closing = decode_closing(line)
    signatures = list(closing.seal.signatures)
    signatures[place] = msgspec.structs.replace(signatures[place], evidence=evidence)
    seal = msgspec.structs.replace(closing.seal, signatures=tuple(signatures))
    closing = msgspec.structs.replace(closing, seal=seal)
    return sealed_from(b"%b\n%b" % (events, encode_closing(closing)))


def stamped(sealed: SealedRecord, *authorities: Authority, place: int = 0) -> SealedRecord:
    """Return a record with timestamps on one of its signatures."""
    message = sealed.seal.signatures[place].sig_bytes
    pieces = [
        Evidence(type="rfc3161", data=base64.b64encode(authority.stamp(message)).decode()) for authority in authorities
    ]
    return with_evidence(sealed, *pieces, place=place)


def policy_naming(authorities: Sequence[Authority], *signers: LocalSigner) -> TrustPolicy:
    document = policy_for(*signers).document
    certificates = tuple(authority.root.pem for authority in authorities)
    return TrustPolicy(msgspec.structs.replace(document, timestamp_authorities=certificates))


def flip(text: str, place: int) -> str:
    """Return base64 with one bit of what it holds turned."""
    data = bytearray(base64.b64decode(text))
    data[place] ^= 1
    return base64.b64encode(data).decode()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    needs_program("openssl")
    return Authority(tmp_path / "authority", fraction_digits=0)  # @sigstore/verify 2.1.1 reads none, or three


# --- DSSE: securesystemslib ------------------------------------------------------------------------------------------


def dsse_keys(*signers: LocalSigner) -> list[Any]:
    return [SSlibKey.from_crypto(serialization.load_der_public_key(one.public_key), one.keyid) for one in signers]


def accepted_by_securesystemslib(value: dict[str, Any], signers: Sequence[LocalSigner]) -> set[str]:
    envelope = Envelope.from_dict(json.loads(json.dumps(value)))
    return set(envelope.verify(dsse_keys(*signers), len(signers)))


def test_securesystemslib_verifies_the_envelope() -> None:
    data = countersign(seal_record(standard_record(), ONE, TWO, sealed_at=SEALED_AT).data, THREE)
    value = json.loads(export_dsse(sealed_from(data)))
    everybody = {ONE.keyid, TWO.keyid, THREE.keyid}
    assert accepted_by_securesystemslib(value, (ONE, TWO, THREE)) == everybody
    assert [one["keyid"] for one in value["signatures"]] == [ONE.keyid, TWO.keyid, THREE.keyid]


@pytest.mark.parametrize("member", ["payload", "payloadType", "sig"])
def test_securesystemslib_refuses_what_was_tampered_with(member: str) -> None:
    value = json.loads(export_dsse(standard_sealed()))
    if member == "payload":
        value["payload"] = flip(value["payload"], 100)
    elif member == "payloadType":
        value["payloadType"] = "application/vnd.in-toto.json"
    else:
        value["signatures"][0]["sig"] = flip(value["signatures"][0]["sig"], 40)
    with pytest.raises(VerificationError):
        accepted_by_securesystemslib(value, (ONE,))


# --- the statement: in-toto-attestation ------------------------------------------------------------------------------


def attest(payload: bytes) -> Any:
    """Return a payload as in-toto reads it, if it is valid."""
    statement = Statement.copy_from_pb(json_format.Parse(payload, StatementMessage()))
    statement.validate()
    return statement.pb


def test_in_toto_validates_the_statement() -> None:
    sealed = standard_sealed()
    found = attest(base64.b64decode(json.loads(export_dsse(sealed))["payload"]))
    assert found.predicate_type == "urn:hearth-records:execution-seal:1"
    assert found.subject[0].name == sealed.execution_id
    assert dict(found.subject[0].digest) == {"sha256": sealed.chain_head}
    assert found.predicate["chain"]["head"] == sealed.chain_head


@pytest.mark.parametrize("tampering", ["_type", "subject", "digest", "predicate", "predicateType", "unknown"])
def test_in_toto_refuses_what_is_no_statement(tampering: str) -> None:
    value = json.loads(base64.b64decode(json.loads(export_dsse(standard_sealed()))["payload"]))
    if tampering == "_type":
        value["_type"] = "https://in-toto.io/Statement/v2"
    elif tampering == "digest":
        value["subject"][0]["digest"] = {}
    elif tampering == "unknown":
        value["events"] = []
    else:
        del value[tampering]
    with pytest.raises((ValueError, json_format.ParseError)):
        attest(json.dumps(value).encode())


# --- Sigstore bundle: @sigstore/verify -------------------------------------------------------------------------------


def sigstore(bundle: Any, key: LocalSigner = ONE, *authorities: Authority, timestamps: int | None = None) -> Any:
    """Return null when the bundle verifies, else the code of the error."""
    job = {
        "bundle": bundle,
        "keys": {key.keyid: base64.b64encode(key.public_key).decode()},
        "authorities": [
            [base64.b64encode(holder.der).decode() for holder in (one.signer, one.root)] for one in authorities
        ],
        "timestamps": len(authorities) if timestamps is None else timestamps,
    }
    command = [needs_node_package("@sigstore/verify"), str(Path(__file__).with_name("sigstore.mjs"))]
    done = subprocess.run(command, input=json.dumps(job).encode(), capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)["code"]


def test_sigstore_verifies_the_bundle() -> None:
    bundle = json.loads(export_bundle(standard_sealed()))
    assert sigstore(bundle) is None
    assert sigstore(bundle, TWO) == "PUBLIC_KEY_ERROR"
    assert sigstore(bundle, timestamps=1) == "TIMESTAMP_ERROR"


@pytest.mark.parametrize("member", ["payload", "sig"])
def test_sigstore_refuses_a_bundle_that_was_tampered_with(member: str) -> None:
    bundle = json.loads(export_bundle(standard_sealed()))
    holder = bundle["dsseEnvelope"] if member == "payload" else bundle["dsseEnvelope"]["signatures"][0]
    holder[member] = flip(holder[member], 20)
    assert sigstore(bundle) == "SIGNATURE_ERROR"


def test_sigstore_takes_one_signature_only() -> None:
    bundle = json.loads(export_bundle(standard_sealed()))
    bundle["dsseEnvelope"]["signatures"] *= 2
    assert sigstore(bundle) == "ValidationError"


def test_sigstore_verifies_the_timestamps(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Other authority", fraction_digits=0)
    sealed = standard_sealed()
    bundle = json.loads(export_bundle(stamped(sealed, authority)))
    assert sigstore(bundle, ONE, authority) is None
    assert sigstore(bundle, ONE, other) == "TIMESTAMP_ERROR"
    two = json.loads(export_bundle(stamped(sealed, authority, other)))
    assert sigstore(two, ONE, authority, other) is None
    assert sigstore(two, ONE, authority) == "TIMESTAMP_ERROR"


def test_sigstore_refuses_a_timestamp_over_other_bytes(authority: Authority) -> None:
    response = authority.stamp(b"another signature")
    evidence = Evidence(type="rfc3161", data=base64.b64encode(response).decode())
    bundle = json.loads(export_bundle(with_evidence(standard_sealed(), evidence)))
    assert sigstore(bundle, ONE, authority) == "TIMESTAMP_ERROR"


# --- SSH: ssh-keygen -------------------------------------------------------------------------------------------------


def write(directory: Path, members: Mapping[str, bytes]) -> Path:
    directory.mkdir()
    for name, data in members.items():
        (directory / name).write_bytes(data)
    return directory


def ssh_verifies(directory: Path, keyid: str = TWO.keyid) -> bool:
    done = subprocess.run(["sh", "-c", verify_command(keyid)], cwd=directory, check=False, capture_output=True)
    assert done.returncode in (0, 255)
    return done.returncode == 0


def test_ssh_keygen_verifies_the_signature(tmp_path: Path) -> None:
    needs_program("ssh-keygen")
    directory = write(tmp_path / "ssh", export_sshsig(standard_sealed(), TWO))
    assert ssh_verifies(directory)
    assert not ssh_verifies(directory, ONE.keyid)


@pytest.mark.parametrize(("name", "place"), [("preimage", 100), ("preimage.sig", 150), ("allowed_signers", 150)])
def test_ssh_keygen_refuses_what_was_tampered_with(tmp_path: Path, name: str, place: int) -> None:
    needs_program("ssh-keygen")
    directory = write(tmp_path / "ssh", export_sshsig(standard_sealed(), TWO))
    data = bytearray((directory / name).read_bytes())
    data[place] = ord("A") if data[place] != ord("A") else ord("B")
    (directory / name).write_bytes(data)
    assert not ssh_verifies(directory)


def test_ssh_keygen_makes_the_same_signature(tmp_path: Path) -> None:
    needs_program("ssh-keygen")
    members = export_sshsig(standard_sealed(), TWO)
    key = tmp_path / "key"
    form = serialization.PrivateFormat.OpenSSH
    key.write_bytes(
        private_key(OTHER_SEED).private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    key.chmod(0o600)
    (tmp_path / "preimage").write_bytes(members["preimage"])
    command = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(tmp_path / "preimage")]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "preimage.sig").read_bytes() == members["preimage.sig"]


# --- evidence: VERIFY.md, openssl and the usual tools ----------------------------------------------------------------


def run_commands(directory: Path) -> list[int]:
    """Run every block of VERIFY.md in a plain shell, as if pasted there; returns how each ended."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (directory / "VERIFY.md").read_text(), re.DOTALL | re.MULTILINE)
    return [
        subprocess.run(
            ["sh", "-c", block],
            cwd=directory,
            check=False,
            capture_output=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            timeout=60,
        ).returncode
        for block in blocks
    ]


def failing_blocks(directory: Path) -> set[int]:
    return {place for place, code in enumerate(run_commands(directory)) if code}


@pytest.fixture
def evidence(authority: Authority, tmp_path: Path) -> Path:
    """Return evidence of a record with two signers, a countersigner and timestamps on two signatures."""
    data = countersign(seal_record(standard_record(), ONE, TWO, sealed_at=SEALED_AT).data, THREE)
    sealed = stamped(stamped(sealed_from(data), authority, place=0), authority, place=2)
    policy = policy_naming([authority], ONE, TWO, THREE)
    return write(tmp_path / "evidence", export_evidence(sealed, policy))


CHAIN, HEAD, SIGNED, FIRST = 0, 1, 2, 3
"""Blocks of VERIFY.md by what they are about; from the fourth on, each signature has two and each timestamp two."""
DISCLOSED = 3
"""The block about disclosures, where there are any."""


def test_the_commands_of_the_evidence_hold(evidence: Path) -> None:
    assert run_commands(evidence) == [0] * (3 + 3 * 2 + 2 * 2)
    assert sorted(path.name for path in evidence.iterdir()) == [
        "VERIFY.md",
        "exec-1.record.json",
        "head",
        "preimage",
        *(f"public_key-{n}.pem" for n in (1, 2, 3)),
        *(f"signature-{n}" for n in (1, 2, 3)),
        "timestamp-1-1.tsr",
        "timestamp-3-1.tsr",
        "timestamp_authorities.pem",
    ]


@pytest.mark.parametrize(
    ("name", "failing"),
    [
        ("head", {CHAIN, HEAD, SIGNED}),
        ("preimage", {SIGNED, FIRST + 1, FIRST + 5, FIRST + 7}),
        ("signature-1", {FIRST, FIRST + 1, FIRST + 3}),
        ("public_key-2.pem", {FIRST + 5}),
        ("timestamp-3-1.tsr", {FIRST + 9}),
        ("timestamp_authorities.pem", {FIRST + 3, FIRST + 9}),
    ],
)
def test_the_commands_find_what_was_tampered_with(evidence: Path, name: str, failing: set[int]) -> None:
    path = evidence / name
    data = bytearray(path.read_bytes())
    place = {"head": 10, "signature-1": 40, "timestamp-3-1.tsr": -1}.get(name, len(data) // 2)
    data[place] = data[place] ^ 1
    path.write_bytes(data)
    assert failing_blocks(evidence) == failing


def test_the_commands_find_a_record_that_was_tampered_with(evidence: Path) -> None:
    path = evidence / "exec-1.record.json"
    original = path.read_bytes()
    tampered = {
        "an event in the first line": original.replace(b"\n{", b"{}\n,{", 1),
        "an event in the last line": original.replace(b'\n],"dis', b'\n,{}],"dis', 1),
        "events once more": original.replace(b',"seal":', b',"events":[],"seal":', 1),
        "another seal": original.replace(b'"seal":{', b'"seal":{},"seal":{', 1),
        "disclosures": original.replace(b'"disclosures":[', b'"disclosures":["WyJBIiwiYiIsImMiXQ"', 1),
        "first event": original.replace(b'"reason":""', b'"reason":"x"', 1),
        "middle event": original.replace(b"rows written", b"rows read!!!", 1),
        "last event": original.replace(b"Migrate failed", b"Migrate worked", 1),
        "an event less": b"".join(original.splitlines(keepends=True)[:3] + original.splitlines(keepends=True)[4:]),
        "statement": original.replace(b'"status":"failed"}', b'"status":"completed"}', 1),
    }
    failing = {
        "an event in the first line": {CHAIN},
        "an event in the last line": {SIGNED},
        "events once more": {SIGNED},
        "another seal": {SIGNED},
        "disclosures": {SIGNED},
        "first event": {CHAIN},
        "middle event": {CHAIN},
        "last event": {CHAIN, HEAD},
        "an event less": {CHAIN},
        "statement": {SIGNED},
    }
    for what, data in tampered.items():
        assert data != original, what
        path.write_bytes(data)
        assert failing_blocks(evidence) == failing[what], what


def test_a_link_inside_details_is_none(tmp_path: Path) -> None:
    needs_program("openssl")
    first = standard_sealed().data.splitlines()[1]
    evil = first.replace(b'"reason":""', b'"reason":"approved"')
    observer = observe()
    observer.record_step_started(0, "Deploy", {"previous_event_hash": sha256_hex(evil), "z": "\N{EM DASH}"})
    observer.mark_failed("Deploy failed")
    sealed = observer.seal(ONE, sealed_at=SEALED_AT)
    assert sealed.data.splitlines()[1] == first
    directory = write(tmp_path / "evidence", export_evidence(sealed, policy_for(ONE)))
    assert run_commands(directory) == [0] * 5
    (directory / sealed.file_name).write_bytes(sealed.data.replace(first, evil))
    assert failing_blocks(directory) == {CHAIN}


@pytest.mark.parametrize("text", ['"', "\\", '","type":"x"},{"', ']}],"statement":{', "\n\x1f", "\N{EM DASH}"])
def test_evidence_of_any_type_may_stand_in_the_closing_line(tmp_path: Path, text: str) -> None:
    needs_program("openssl")
    pieces = (Evidence(type=text, data="AAAA"), Evidence(type="x", data="AP8/"))
    sealed = with_evidence(standard_sealed(), *pieces)
    assert run_commands(write(tmp_path / "evidence", export_evidence(sealed, policy_for(ONE)))) == [0] * 5


def test_what_is_disclosed_is_compared_with_the_events(tmp_path: Path) -> None:
    needs_program("openssl")
    observer = observe(randomness=randomness(), decoys=4)
    observer.record_step_started(0, "Deploy", {"A": 1, "host": Withholdable("db1"), "user": Withholdable("ann")})
    observer.record_security_observed("between", {"ticket": Withholdable({"id": [7]})})
    observer.mark_failed("Deploy failed")
    sealed = observer.seal(ONE, sealed_at=SEALED_AT)
    directory = write(tmp_path / "evidence", export_evidence(sealed, policy_for(ONE)))
    path = directory / sealed.file_name
    assert run_commands(directory) == [0] * 6
    held = json.loads(sealed.data)["disclosures"]
    salt = decode_disclosure(held[0]).salt
    other = encode_disclosure(Disclosure(salt=salt, name="host", value="db2"))
    swapped = [sealed.data.replace(text.encode(), other.encode()) for text in held]
    for data in (*swapped, sealed.data.replace(b'"disclosures":[', b'"disclosures":["%b",' % other.encode())):
        path.write_bytes(data)
        assert failing_blocks(directory) == {DISCLOSED}
    for kept in (held[:0], held[:1], held[1:]):
        texts = ",".join(f'"{text}"' for text in held).encode()
        path.write_bytes(sealed.data.replace(texts, ",".join(f'"{text}"' for text in kept).encode()))
        assert verify_record(path.read_bytes(), policy_for(ONE)).exit_code == 0
        assert failing_blocks(directory) == set()


def test_only_a_self_signed_certificate_ends_a_chain(tmp_path: Path) -> None:
    needs_program("openssl")
    root = make_root("Root")
    link = certify("Link", root, ca=True, key_usage=("key_cert_sign",))
    response = forge(standard_sealed().seal.signatures[0].sig_bytes, make_signer(link))
    sealed = with_evidence(standard_sealed(), Evidence(type="rfc3161", data=base64.b64encode(response).decode()))
    for number, (named, expected) in enumerate(
        [
            ((root, link), [0] * 7),
            ((link, make_root("Other"), root), [0] * 7),
            ((link,), [0] * 6),
            ((root,), [0] * 6 + [1]),
            ((link, make_root("Other")), [0] * 6 + [1]),
        ]
    ):
        document = msgspec.structs.replace(
            policy_for(ONE).document, timestamp_authorities=("no certificate", *(holder.pem for holder in named))
        )
        members = export_evidence(sealed, TrustPolicy(document))
        codes = run_commands(write(tmp_path / str(number), members))
        assert codes == expected, number
        (finding,) = verify_record(sealed.data, TrustPolicy(document)).signers
        assert (finding.evidence[0].status == "good") is (codes == [0] * 7)
        assert ("timestamp_authorities.pem" in members) is (len(codes) == 7)
        assert ("timestamp_links.pem" in members) is (len(codes) == 7 and link in named)


def test_an_authority_that_is_not_trusted_is_found(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Other authority", fraction_digits=0)
    sealed = stamped(standard_sealed(), authority)
    good, bad, none = (
        run_commands(write(tmp_path / name, export_evidence(sealed, policy_naming(named, ONE))))
        for name, named in (("good", [other, authority]), ("bad", [other]), ("none", []))
    )
    assert good == [0] * 7
    assert bad == [0] * 6 + [1]
    assert none == [0] * 6
