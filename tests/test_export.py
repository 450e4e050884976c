"""A sealed record in other forms, and back from DSSE (FORMAT §15). `test_export_third_party` asks others about them."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from helpers import (
    EXAMPLE_KEYS,
    OTHER_SEED,
    SEALED_AT,
    observe,
    policy_for,
    private_key,
    run_standard,
    signer,
    standard_record,
    standard_sealed,
)
from test_trust_cli import Call, write_policy

from hearth_records import files
from hearth_records.canonical import decode_closing, encode_closing
from hearth_records.countersignature import countersign
from hearth_records.errors import FormatError, HearthRecordsError
from hearth_records.export.dsse import export_dsse, read_envelope, restore
from hearth_records.export.evidence import export_evidence
from hearth_records.export.sigstore_bundle import export_bundle
from hearth_records.export.sshsig import export_sshsig
from hearth_records.keys import (
    ML_DSA_44,
    LocalSigner,
    generate_private_key,
    load_private_key,
    private_key_to_pem,
    public_key_to_pem,
)
from hearth_records.model import Evidence
from hearth_records.rotation import make_rotation
from hearth_records.seal import seal_record
from hearth_records.statement import preimage
from hearth_records.trust import encode_policy
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records.model import SealedRecord

ONE, TWO, THREE = signer(), signer(OTHER_SEED), signer(bytes(range(64, 96)))
SEALED = standard_sealed()
JOURNAL = b"".join(SEALED.data.splitlines(keepends=True)[:-1])
ENVELOPE = export_dsse(SEALED)
STAMP = Evidence(type="rfc3161", data="AAAA")
OTHER = Evidence(type="x", data="BBBB")


def sealed_from(data: bytes) -> SealedRecord:
    sealed = verify_record(data, None).sealed_record
    assert sealed is not None
    return sealed


def with_evidence(data: bytes, *, on_seal: bool = True) -> bytes:
    """Return a record with evidence on every signature and, if that is asked for, on the seal."""
    events, _, line = data.removesuffix(b"\n").rpartition(b"\n")
    closing = decode_closing(line)
    signatures = tuple(msgspec.structs.replace(one, evidence=(OTHER, STAMP)) for one in closing.seal.signatures)
    seal = msgspec.structs.replace(closing.seal, signatures=signatures, evidence=(OTHER,) if on_seal else ())
    return b"%b\n%b" % (events, encode_closing(msgspec.structs.replace(closing, seal=seal)))


def refused(call: Callable[..., object], *arguments: Any, **named: Any) -> tuple[str, str | None]:
    with pytest.raises(HearthRecordsError) as caught:
        call(*arguments, **named)
    return caught.value.code, caught.value.pointer


def countersigned() -> bytes:
    """Return a record of two signers and a countersigner, whose key ids are not in the order of the signatures."""
    first, second, third = sorted([ONE, TWO, THREE], key=lambda one: one.keyid, reverse=True)
    return countersign(seal_record(standard_record(), first, second, sealed_at=SEALED_AT).data, third)


# --- DSSE ------------------------------------------------------------------------------------------------------------


def test_an_envelope_holds_body_and_signatures() -> None:
    sealed = sealed_from(countersigned())
    value = json.loads(export_dsse(sealed))
    assert list(value) == ["payload", "payloadType", "signatures"]
    body = base64.b64decode(value["payload"], validate=True)
    assert preimage(sealed.statement) == b"DSSEv1 28 %b %d %b" % (value["payloadType"].encode(), len(body), body)
    assert value["signatures"] == [{"keyid": one.keyid, "sig": one.sig} for one in sealed.seal.signatures]


def test_an_envelope_and_its_events_give_the_file_back() -> None:
    for data in (SEALED.data, countersigned(), with_evidence(countersigned())):
        envelope = read_envelope(export_dsse(sealed_from(data)))
        assert restore(envelope, data) == data
    assert restore(read_envelope(ENVELOPE), JOURNAL) == SEALED.data
    assert restore(read_envelope(ENVELOPE), JOURNAL + SEALED.data.splitlines()[-1][:40]) == SEALED.data


def test_only_evidence_that_fits_comes_back() -> None:
    held = with_evidence(SEALED.data)
    again = seal_record(standard_record(), TWO, sealed_at=SEALED_AT)
    seal = decode_closing(restore(read_envelope(export_dsse(again)), held).splitlines()[-1]).seal
    assert (seal.evidence, [one.evidence for one in seal.signatures]) == ((), [()])
    more = countersign(SEALED.data, TWO)
    seal = decode_closing(restore(read_envelope(export_dsse(sealed_from(more))), held).splitlines()[-1]).seal
    assert seal.evidence == (OTHER,)
    assert [one.evidence for one in seal.signatures] == [(OTHER, STAMP), ()]


def test_the_signatures_are_those_of_the_envelope() -> None:
    assert restore(read_envelope(ENVELOPE), countersign(SEALED.data, TWO)) == SEALED.data


def test_disclosures_come_back_from_a_record() -> None:
    path = Path(__file__).parent / "vectors" / "valid" / "disclosures-all.json"
    data = path.read_bytes()
    assert json.loads(data)["disclosures"]
    envelope = read_envelope(export_dsse(sealed_from(data)))
    assert restore(envelope, data) == data
    journal = b"".join(data.splitlines(keepends=True)[:-1])
    restored = restore(envelope, journal)
    assert json.loads(restored)["disclosures"] == []
    assert verify_record(restored, None).sealed_record is not None


def turned(value: Any) -> Any:
    value["signatures"].reverse()
    return value


def url_safe(value: Any) -> Any:
    for holder, member in ((value, "payload"), *((one, "sig") for one in value["signatures"])):
        holder[member] = base64.urlsafe_b64encode(base64.b64decode(holder[member])).decode().rstrip("=")
    return value


def with_unknown(value: Any) -> Any:
    value["extension"] = {"kind": "x"}
    value["signatures"][0]["cert"] = None
    return value


@pytest.mark.parametrize("change", [turned, url_safe, with_unknown])
def test_an_envelope_may_have_been_through_other_tools(change: Callable[[Any], Any]) -> None:
    data = countersigned()
    value = change(json.loads(export_dsse(sealed_from(data))))
    assert restore(read_envelope(json.dumps(value, indent=2).encode()), data) == data


def test_url_safe_base64_differs() -> None:
    assert {"-", "_"} & set(json.dumps(url_safe(json.loads(export_dsse(sealed_from(countersigned())))))) == {"-", "_"}


def payload_of(body: bytes) -> str:
    return base64.b64encode(body).decode()


BODY = base64.b64decode(json.loads(ENVELOPE)["payload"])


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"payloadType": "application/json"}, ("envelope-payload-type", "/payloadType")),
        ({"payload": payload_of(BODY.replace(b'{"_type"', b'{ "_type"'))}, ("not-canonical", "/payload")),
        ({"payload": payload_of(BODY + b"\n")}, ("not-canonical", "/payload")),
        ({"payload": payload_of(b"{}")}, ("missing", "/payload")),
        ({"payload": payload_of(BODY[:-1])}, ("not-json", "/payload")),
        ({"payload": payload_of(BODY.replace(b'"status"', b'"more":1,"status"'))}, ("unknown", "/payload")),
        ({"payload": payload_of(BODY.replace(b'"length":8', b'"length":8.0'))}, ("not-integer", "/payload")),
        ({"payload": ""}, ("base64", "/payload")),
        ({"payload": "A"}, ("base64", "/payload")),
        ({"payload": "AA==\n"}, ("base64", "/payload")),
        ({"payload": None}, ("type", "/payload")),
        ({"signatures": {}}, ("type", "/signatures")),
        ({"signatures": [{"sig": "AAAA"}]}, ("digest", "/signatures/0/keyid")),
        ({"signatures": [{"keyid": "", "sig": "AAAA"}]}, ("digest", "/signatures/0/keyid")),
        ({"signatures": [{"keyid": "K", "sig": "AAAA"}]}, ("digest", "/signatures/0/keyid")),
        ({"signatures": [{"keyid": "0" * 64}]}, ("missing", "/signatures/0/sig")),
        ({"signatures": [{"keyid": "0" * 64, "sig": "A*=="}]}, ("base64", "/signatures/0/sig")),
    ],
)
def test_what_is_no_envelope_of_a_seal_is_refused(members: dict[str, Any], expected: tuple[str, str]) -> None:
    assert refused(read_envelope, json.dumps(json.loads(ENVELOPE) | members).encode()) == expected


def test_a_rotation_is_no_envelope_of_a_seal() -> None:
    assert refused(read_envelope, make_rotation(ONE, TWO, at=SEALED_AT))[1] == "/payload"


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b"\xff", ENVELOPE[:-3], b"[" * 10_000, ENVELOPE * 2])
def test_bytes_that_are_no_envelope_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_envelope(data)


def test_a_statement_over_the_limit_is_refused() -> None:
    value = json.loads(BODY)
    value["predicate"]["plan_id"] = "p" * 128
    value["predicate"]["signers"] = [{"algorithm": "a" * 128, "keyid": f"{n:064x}"} for n in range(16)]
    body = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    assert len(body) > 4096
    envelope = json.loads(ENVELOPE) | {"payload": payload_of(body)}
    assert refused(read_envelope, json.dumps(envelope).encode()) == ("statement-too-large", "/payload")


@pytest.mark.parametrize("source", [b"", JOURNAL[:20], JOURNAL.splitlines(keepends=True)[0], ENVELOPE])
def test_what_holds_no_events_is_refused(source: bytes) -> None:
    with pytest.raises(FormatError):
        restore(read_envelope(ENVELOPE), source)


# --- Sigstore bundle -------------------------------------------------------------------------------------------------


def test_a_bundle_holds_the_envelope_the_hint_and_the_timestamps() -> None:
    for data, expected in ((SEALED.data, []), (with_evidence(SEALED.data), [{"signedTimestamp": STAMP.data}])):
        bundle = json.loads(export_bundle(sealed_from(data)))
        assert bundle == {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "dsseEnvelope": json.loads(ENVELOPE),
            "verificationMaterial": {
                "publicKey": {"hint": ONE.keyid},
                "timestampVerificationData": {"rfc3161Timestamps": expected},
                "tlogEntries": [],
            },
        }


def test_a_bundle_holds_exactly_one_signature() -> None:
    assert refused(export_bundle, sealed_from(countersigned()))[0] == "bundle-signatures"
    assert refused(export_bundle, sealed_from(countersign(SEALED.data, TWO)))[0] == "bundle-signatures"


# --- SSH signature ---------------------------------------------------------------------------------------------------


class BrokenSigner:
    """Returns what is no signature of its key over what it was given."""

    algorithm = "ed25519"
    public_key = ONE.public_key

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or TWO.sign(message)


@pytest.mark.parametrize("answer", [b"", b"x", bytes(64), OSError("gone")])
def test_what_the_signer_returns_is_verified(answer: bytes | Exception) -> None:
    assert refused(export_sshsig, SEALED, BrokenSigner(answer))[0] == "signing-failed"


def test_an_ssh_signature_is_made_with_an_ed25519_key_that_may_sign() -> None:
    assert refused(export_sshsig, SEALED, LocalSigner(generate_private_key(ML_DSA_44)))[0] == "sshsig-algorithm"
    example = LocalSigner(load_private_key((EXAMPLE_KEYS / "example.pem").read_bytes()))
    assert refused(export_sshsig, SEALED, example)[0] == "example-key"
    assert export_sshsig(SEALED, example, allow_example_keys=True)["preimage"] == preimage(SEALED.statement)


# --- evidence --------------------------------------------------------------------------------------------------------


def test_evidence_holds_what_the_record_and_the_policy_hold() -> None:
    data = with_evidence(countersigned())
    sealed = sealed_from(data)
    keys = {one.keyid: one for one in (ONE, TWO, THREE)}
    known = [keys[signature.keyid] for signature in sealed.seal.signatures[:2]]
    members = export_evidence(sealed, policy_for(*known))
    assert sorted(members) == [
        *("VERIFY.md", "exec-1.record.json", "head", "preimage", "public_key-1.pem", "public_key-2.pem"),
        *(f"signature-{n}" for n in (1, 2, 3)),
        *(f"timestamp-{n}-1.tsr" for n in (1, 2, 3)),
    ]
    assert members["exec-1.record.json"] == data
    assert members["head"] == sealed.chain_head.encode() + b"\n"
    assert members["preimage"] == preimage(sealed.statement)
    assert members["public_key-2.pem"] == public_key_to_pem(known[1].public_key)
    assert members["signature-3"] == sealed.seal.signatures[2].sig_bytes
    assert members["timestamp-3-1.tsr"] == base64.b64decode(STAMP.data)
    text = members["VERIFY.md"].decode()
    assert text.count("-in timestamp-") == 2 * 3
    assert f"Signature 3: countersignature, key {sealed.seal.signatures[2].keyid}" in text
    assert "-inkey public_key-3.pem" not in text


def test_the_commands_say_what_ml_dsa_needs() -> None:
    young = LocalSigner(generate_private_key(ML_DSA_44))
    sealed = seal_record(standard_record(), ONE, young, sealed_at=SEALED_AT)
    text = export_evidence(sealed, policy_for(ONE, young))["VERIFY.md"].decode()
    assert text.count("OpenSSL 3.5") == 2
    assert text.index("OpenSSL 3.5") < text.index("```")
    assert "OpenSSL 3.5" not in export_evidence(SEALED, policy_for(ONE))["VERIFY.md"].decode()


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Return a caller in a directory with records, keys and a policy."""
    monkeypatch.chdir(tmp_path)
    for name, one, seed in (("one", ONE, None), ("two", TWO, OTHER_SEED)):
        Path(f"{name}.pub.pem").write_bytes(public_key_to_pem(one.public_key))
        Path(f"{name}.pem").write_bytes(private_key_to_pem(private_key(*([seed] if seed else []))))
        Path(f"{name}.pem").chmod(0o600)
    Path("pq.pem").write_bytes(private_key_to_pem(generate_private_key(ML_DSA_44)))
    Path("pq.pem").chmod(0o600)
    Path("good").write_bytes(SEALED.data)
    Path("countersigned").write_bytes(countersign(SEALED.data, TWO))
    Path("altered").write_bytes(SEALED.data.replace(b"rows written", b"rows read!!!"))
    Path("indented").write_text(json.dumps(json.loads(SEALED.data), indent=1))
    Path("journal").write_bytes(JOURNAL)
    Path("good.dsse").write_bytes(ENVELOPE)
    write_policy(Path("trust.json"))
    return Call(capsys, monkeypatch)


TRUST = ("--trust", "trust.json")
FORMS = ("dsse", "sigstore-bundle", "sshsig", "evidence")


def listing() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def export(call: Call, form: str, *arguments: str) -> int:
    key = ("--key", "two.pem") if form == "sshsig" else ()
    return call("export", "--to", form, *key, *arguments).code


def test_each_form_is_written(call: Call) -> None:
    for form in FORMS:
        assert export(call, form, "good", "-o", form, *TRUST) == 0
    assert Path("dsse").read_bytes() == ENVELOPE
    assert Path("sigstore-bundle").read_bytes() == export_bundle(SEALED)
    for form, members in (
        ("sshsig", export_sshsig(SEALED, TWO)),
        ("evidence", export_evidence(SEALED, policy_for(ONE))),
    ):
        assert {path.name: path.read_bytes() for path in Path(form).iterdir()} == members
    assert call("export", "good", "--to=dsse", "-o", "again", "--key", "one.pub.pem").code == 0


def test_going_without_a_key_is_said(call: Call) -> None:
    for form in FORMS[:3]:
        key = ("--key", "two.pem") if form == "sshsig" else ()
        done = call("export", "good", "--to", form, *key, "-o", form, "--unverified")
        assert done.code == 0
        assert "NOT VERIFIED" in done.out
    assert export(call, "evidence", "good", "-o", "evidence", "--unverified") == 2
    assert not Path("evidence").exists()


@pytest.mark.parametrize("form", FORMS)
def test_what_does_not_verify_is_not_exported(call: Call, form: str) -> None:
    Path("stranger.json").write_bytes(encode_policy(policy_for(TWO).document))
    before = listing()
    cases = (("altered", 1), ("journal", 5), ("indented", 3), ("good.dsse", 3), ("missing", 3))
    for name, code in cases:
        assert export(call, form, name, "-o", "out", *TRUST) == code, name
        if form != "evidence":
            assert export(call, form, name, "-o", "out", "--unverified") == code, name
    assert export(call, form, "good", "-o", "out", "--trust", "stranger.json") == 4
    assert listing() == before


@pytest.mark.parametrize("form", FORMS)
def test_a_timestamp_that_is_demanded_and_missing_is_not_exported(call: Call, form: str) -> None:
    before = listing()
    for options in (TRUST, ("--unverified",) if form != "evidence" else TRUST):
        assert export(call, form, "good", "-o", "out", "--require-timestamp", *options) == 4
    assert listing() == before


def test_a_timestamp_that_is_demanded_and_missing_is_not_imported(call: Call) -> None:
    before = listing()
    words = ("import", "good.dsse", "--events", "journal", "-o", "out", "--require-timestamp")
    assert [call(*words, *options).code for options in (TRUST, ("--unverified",))] == [4, 4]
    assert listing() == before


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_replaced(call: Call, form: str) -> None:
    Path("file").write_text("mine")
    Path("empty").mkdir()
    Path("dangling").symlink_to("nowhere")
    before = listing()
    for name in ("file", "empty", "dangling"):
        assert export(call, form, "good", "-o", name, *TRUST) == 2
    assert export(call, form, "good", "-o", "nowhere/out", *TRUST) == 3
    assert listing() == before
    assert Path("file").read_text() == "mine"
    assert list(Path("empty").iterdir()) == []


def test_a_bundle_of_more_signatures_is_refused(call: Call) -> None:
    assert export(call, "sigstore-bundle", "countersigned", "-o", "out", *TRUST) == 2
    assert export(call, "dsse", "countersigned", "-o", "out", *TRUST) == 0


def test_wrong_usage(call: Call) -> None:
    before = listing()
    for arguments in (
        ("good", "-o", "out", *TRUST),
        ("good", "--to", "dsse", *TRUST),
        ("--to", "dsse", "-o", "out", *TRUST),
        ("good", "--to", "pdf", "-o", "out", *TRUST),
        ("good", "--to", "dsse", "-o", "out"),
        ("good", "--to", "dsse", "-o", "out", "--unverified", *TRUST),
        ("good", "--to", "sshsig", "-o", "out", *TRUST),
        ("good", "--to", "sshsig", "-o", "out", "--key", "two.pem"),
        ("good", "--to", "sshsig", "-o", "out", "--key", "two.pem", "--key", "one.pem", *TRUST),
        ("good", "--to", "sshsig", "-o", "out", "--key", "pq.pem", *TRUST),
        ("good", "--to", "sshsig", "-o", "out", "--key", "two.pem", "--unverified", *TRUST),
    ):
        done = call("export", *arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert "hint: " in done.err
    for arguments in (
        ("good", "--to", "sshsig", "-o", "out", "--key", "two.pub.pem", *TRUST),
        ("good", "--to", "sshsig", "-o", "out", "--key", str(EXAMPLE_KEYS / "example.pem"), *TRUST),
    ):
        assert call("export", *arguments).code == 3, arguments
    assert listing() == before


def test_a_directory_that_appears_meanwhile_is_not_replaced(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    write = files.write_new_directory

    def late(path: str, members: dict[str, bytes]) -> None:
        Path(path).mkdir()
        write(path, members)

    monkeypatch.setattr(files, "write_new_directory", late)
    assert export(call, "evidence", "good", "-o", "out", *TRUST) == 2
    assert list(Path("out").iterdir()) == []


def test_help_depends_on_the_form(call: Call) -> None:
    for form in ("dsse", "sshsig"):
        done = call("export", "--to", form, "--help")
        assert done.code == 0
        assert ("--passphrase-file" in done.out) is (form == "sshsig")
        assert ("PUBLIC.pem" in done.out) is (form == "dsse")
    assert call("export", "--help").code == call("import", "--help").code == 0


def test_a_record_comes_from_standard_input(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SEALED.data)))
    assert export(call, "evidence", "-", "-o", "out", *TRUST) == 0
    assert Path("out/exec-1.record.json").read_bytes() == SEALED.data


def test_the_way_back(call: Call) -> None:
    for number, (source, options) in enumerate(
        [
            ("journal", TRUST),
            ("good", TRUST),
            ("countersigned", ("--key", "one.pub.pem")),
            ("journal", ("--unverified",)),
        ]
    ):
        done = call("import", "good.dsse", "--events", source, "-o", f"back-{number}", *options)
        assert done.code == 0
        assert ("NOT VERIFIED" in done.out) is ("--unverified" in options)
        assert Path(f"back-{number}").read_bytes() == SEALED.data


def test_what_does_not_verify_is_not_imported(call: Call) -> None:
    other = run_standard(observe("exec-2")).seal(ONE, sealed_at=SEALED_AT)
    two = seal_record(standard_record(), ONE, TWO, sealed_at=SEALED_AT)
    envelope = json.loads(export_dsse(two))
    bad = json.loads(ENVELOPE)
    bad["signatures"][0]["sig"] = json.loads(export_dsse(other))["signatures"][0]["sig"]
    twice = json.loads(ENVELOPE)
    twice["signatures"] *= 2
    written = {
        "other.journal": b"".join(other.data.splitlines(keepends=True)[:-1]),
        "short.journal": b"".join(JOURNAL.splitlines(keepends=True)[:-1]),
        "altered.journal": JOURNAL.replace(b"rows written", b"rows read!!!"),
        "stripped.dsse": json.dumps(envelope | {"signatures": envelope["signatures"][:1]}).encode(),
        "none.dsse": json.dumps(envelope | {"signatures": []}).encode(),
        "bad.dsse": json.dumps(bad).encode(),
        "twice.dsse": json.dumps(twice).encode(),
        "no.dsse": b"{}",
    }
    for name, data in written.items():
        Path(name).write_bytes(data)
    before = listing()
    for envelope_name, source, code in (
        ("good.dsse", "other.journal", 1),
        ("good.dsse", "short.journal", 1),
        ("good.dsse", "altered.journal", 1),
        ("stripped.dsse", "journal", 1),
        ("none.dsse", "journal", 1),
        ("twice.dsse", "journal", 1),
        ("no.dsse", "journal", 3),
        ("good.dsse", "good.dsse", 3),
        ("good.dsse", "indented", 3),
        ("good.dsse", "missing", 3),
        ("missing", "journal", 3),
    ):
        for options in (TRUST, ("--unverified",)):
            done = call("import", envelope_name, "--events", source, "-o", "out", *options)
            assert done.code == code, (envelope_name, source, done)
    assert call("import", "bad.dsse", "--events", "journal", "-o", "out", *TRUST).code == 1
    assert call("import", "good.dsse", "--events", "journal", "-o", "out", "--key", "two.pub.pem").code == 4
    assert call("import", "good.dsse", "--events", "journal", "-o", "out").code == 2
    assert call("import", "good.dsse", "-o", "out", *TRUST).code == 2
    assert call("import", "good.dsse", "--events", "journal", "-o", "good", *TRUST).code == 2
    assert listing() == before
