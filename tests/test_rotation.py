"""Rotation: what a statement has to be, whom a policy admits by it, and the commands (FORMAT §9)."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from helpers import EXAMPLE_KEYS, OTHER_SEED, private_key, signer, standard_record, write_key
from test_trust_cli import Call

from hearth_records.errors import SealError, TrustError
from hearth_records.keys import (
    ML_DSA_44,
    LocalSigner,
    generate_private_key,
    load_private_key,
    load_public_key,
    public_key,
    public_key_to_pem,
)
from hearth_records.model import ScalarError
from hearth_records.rotation import MAX_ROTATION, admit, make_rotation, read_rotation
from hearth_records.seal import seal_record
from hearth_records.trust import Requirement, Revocation, TrustPolicy, encode_policy
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records.keys import Signer

OLD, NEW, THIRD = signer(), signer(OTHER_SEED), signer(bytes(range(64, 96)))
EARLY, AT, LATE = "2026-11-22T16:59:59.999999Z", "2026-11-22T17:00:00.000000Z", "2026-11-22T17:00:00.000001Z"
ENVELOPE = make_rotation(OLD, NEW, at=AT)
WEAK = bytes.fromhex("302a300506032b6570032100") + bytes(32)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def statement_of(data: bytes = ENVELOPE) -> Any:
    return json.loads(base64.b64decode(json.loads(data)["payload"]))


def wrap(body: bytes, *signers: Signer, kind: str = "application/vnd.in-toto+json") -> bytes:
    """Return an envelope of whatever bytes, with good signatures; written without the library."""
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(body), body)
    signatures = [
        {"keyid": public_key(one.public_key).keyid, "sig": b64(one.sign(message))} for one in signers or (OLD, NEW)
    ]
    return json.dumps({"payload": b64(body), "payloadType": kind, "signatures": signatures}).encode()


def refused(data: bytes) -> str:
    with pytest.raises(TrustError) as caught:
        read_rotation(data)
    return caught.value.code


# --- the statement ---------------------------------------------------------------------------------------------------


def test_a_rotation_is_made_and_read() -> None:
    found = read_rotation(ENVELOPE)
    assert (found.at, found.old.spki, found.new.spki) == (AT, OLD.public_key, NEW.public_key)
    assert rfc8785.dumps(json.loads(ENVELOPE)) + b"\n" == ENVELOPE
    assert wrap(rfc8785.dumps(statement_of())) != ENVELOPE
    assert json.loads(wrap(rfc8785.dumps(statement_of()))) == json.loads(ENVELOPE)
    assert read_rotation(json.dumps(json.loads(ENVELOPE), indent=3).encode()) == found


@pytest.mark.parametrize("turned", [False, True])
def test_between_algorithms(turned: bool) -> None:  # noqa: FBT001 - a parameter
    pair: tuple[LocalSigner, LocalSigner] = (OLD, LocalSigner(generate_private_key(ML_DSA_44)))
    old, new = reversed(pair) if turned else pair
    data = make_rotation(old, new, at=AT)
    assert len(data) < MAX_ROTATION
    assert (read_rotation(data).old.keyid, read_rotation(data).new.keyid) == (old.keyid, new.keyid)


def edited(edit: Callable[[Any], object], *signers: Signer) -> bytes:
    value = statement_of()
    edit(value)
    return wrap(rfc8785.dumps(value), *signers)


def put(*path: str | int, value: Any) -> Callable[[Any], None]:
    def edit(target: Any) -> None:
        for name in path[:-1]:
            target = target[name]
        target[path[-1]] = value

    return edit


def as_key(one: Signer) -> dict[str, str]:
    key = public_key(one.public_key)
    return {"algorithm": key.algorithm, "keyid": key.keyid, "public_key": b64(key.spki)}


WRONG_STATEMENTS: list[tuple[Callable[[Any], object], str]] = [
    (put("_type", value="https://in-toto.io/Statement/v0.1"), "value"),
    (put("predicateType", value="urn:hearth-records:execution-seal:1"), "value"),
    (put("predicate", "at", value="2026-11-31T17:00:00.000000Z"), "timestamp"),
    (put("predicate", "at", value=None), "type"),
    (put("predicate", "x", value=1), "unknown"),
    (put("x", value=1), "unknown"),
    (lambda value: value["predicate"].pop("at"), "missing"),
    (lambda value: value["predicate"].pop("from"), "missing"),
    (put("subject", value=[]), "type"),
    (lambda value: value["subject"].append(value["subject"][0]), "type"),
    (put("subject", 0, "name", value=OLD.keyid), "rotation-subject"),
    (put("subject", 0, "digest", "sha256", value=OLD.keyid), "rotation-subject"),
    (put("predicate", "to", "keyid", value=OLD.keyid), "keyid"),
    (put("predicate", "from", "keyid", value=NEW.keyid), "keyid"),
    (put("predicate", "to", "algorithm", value="ml-dsa-44"), "algorithm"),
    (put("predicate", "from", "algorithm", value="x"), "algorithm"),
    (put("predicate", "to", "public_key", value="AB=="), "base64"),
    (put("predicate", "to", "public_key", value=b64(WEAK)), "key-small-order"),
    (put("predicate", "from", "public_key", value=b64(WEAK)), "key-small-order"),
    (put("predicate", "to", "public_key", value=b64(b"x")), "key-unsupported"),
    (put("predicate", "to", value=as_key(OLD)), "rotation-same-key"),
    (put("predicate", "to", value=as_key(THIRD)), "rotation-subject"),
    (put("predicate", "from", value=as_key(THIRD)), "rotation-signatures"),
]


@pytest.mark.parametrize(("edit", "code"), WRONG_STATEMENTS)
def test_statements_that_are_none(edit: Callable[[Any], object], code: str) -> None:
    assert refused(edited(edit)) == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (rfc8785.dumps(statement_of()) + b"\n", "not-canonical"),
        (json.dumps(statement_of()).encode(), "not-canonical"),
        (json.dumps(dict(reversed(statement_of().items())), separators=(",", ":")).encode(), "not-canonical"),
        (rfc8785.dumps(statement_of()).replace(b'"at":', b'"at":"x","at":'), "duplicate-member"),
        (rfc8785.dumps(statement_of()).replace(b"2026", b"\\u0032026"), "not-canonical"),
        (b"[]", "type"),
        (b"\xff", "invalid-utf8"),
        (b"x", "not-json"),
    ],
)
def test_what_is_signed_has_one_form(body: bytes, code: str) -> None:
    assert refused(wrap(body)) == code


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ((OLD,), "rotation-signatures"),
        ((NEW,), "rotation-signatures"),
        ((NEW, OLD), "rotation-signatures"),
        ((OLD, OLD), "rotation-signatures"),
        ((OLD, NEW, THIRD), "rotation-signatures"),
        ((OLD, THIRD), "rotation-signatures"),
    ],
)
def test_both_keys_have_to_sign(signers: tuple[Signer, ...], code: str) -> None:
    assert refused(wrap(rfc8785.dumps(statement_of()), *signers)) == code


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (put("payloadType", value="application/json"), "rotation-payload-type"),
        (put("payload", value=""), "type"),
        (put("payload", value="AB=="), "base64"),
        (put("payload", value=None), "type"),
        (put("signatures", value=[]), "rotation-signatures"),
        (put("signatures", 0, "sig", value=b64(bytes(64))), "rotation-signature"),
        (put("signatures", 1, "sig", value=b64(bytes(64))), "rotation-signature"),
        (put("signatures", 1, "sig", value=json.loads(ENVELOPE)["signatures"][0]["sig"]), "rotation-signature"),
        (put("signatures", 1, "sig", value=b64(b"x")), "rotation-signature"),
        (put("signatures", 0, "sig", value="AB=="), "base64"),
        (put("signatures", 0, "keyid", value="x" * 64), "digest"),
        (put("signatures", 0, "x", value=1), "unknown"),
        (put("x", value=1), "unknown"),
        (lambda value: value.pop("payload"), "missing"),
    ],
)
def test_envelopes_that_are_none(edit: Callable[[Any], object], code: str) -> None:
    value = json.loads(ENVELOPE)
    edit(value)
    assert refused(json.dumps(value).encode()) == code


def test_no_byte_of_a_statement_can_change() -> None:
    envelope = json.loads(ENVELOPE)
    body = base64.b64decode(envelope["payload"])
    for place in range(len(body)):
        damaged = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        refused(json.dumps({**envelope, "payload": b64(damaged)}).encode())


# --- making ----------------------------------------------------------------------------------------------------------


class Broken:
    """A signer that does not do what it should."""

    algorithm = "ed25519"

    def __init__(self, public: bytes, sign: Callable[[bytes], Any]) -> None:
        self.public_key = public
        self.sign = sign


def fail(_message: bytes) -> bytes:
    raise OSError(5, "token is gone")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (OLD, OLD, "rotation-same-key"),
        (Broken(OLD.public_key, THIRD.sign), NEW, "signing-failed"),
        (OLD, Broken(NEW.public_key, THIRD.sign), "signing-failed"),
        (OLD, Broken(NEW.public_key, fail), "signing-failed"),
        (OLD, Broken(NEW.public_key, lambda _message: None), "signing-failed"),
        (OLD, Broken(NEW.public_key, lambda _message: b""), "signing-failed"),
        (OLD, Broken(WEAK, NEW.sign), "key-small-order"),
        (Broken(b"x", OLD.sign), NEW, "key-unsupported"),
    ],
)
def test_what_cannot_be_signed(old: Signer, new: Signer, code: str) -> None:
    with pytest.raises(SealError) as caught:
        make_rotation(old, new, at=AT)
    assert caught.value.code == code


def test_example_keys_rotate_by_name_alone() -> None:
    example = LocalSigner(load_private_key((EXAMPLE_KEYS / "example.pem").read_bytes()))
    for pair in ((example, NEW), (OLD, example)):
        with pytest.raises(SealError) as caught:
            make_rotation(*pair, at=AT)
        assert caught.value.code == "example-key"
        assert read_rotation(make_rotation(*pair, at=AT, allow_example_keys=True)).at == AT
    into = read_rotation(make_rotation(OLD, example, at=AT, allow_example_keys=True))
    with pytest.raises(TrustError) as refusal:
        admit(policy(), into)
    assert refusal.value.code == "example-key"
    assert len(admit(policy(), into, allow_example_keys=True).keys) == 2


def test_a_time_that_is_none() -> None:
    with pytest.raises(ScalarError):
        make_rotation(OLD, NEW, at="now")


# --- admitting -------------------------------------------------------------------------------------------------------


def policy(**members: Any) -> TrustPolicy:
    """Return a policy that knows the old key with these members."""
    import msgspec  # noqa: PLC0415 - here alone

    made = TrustPolicy.from_keys([("plant 7", public_key(OLD.public_key))]).document
    (entry,) = made.keys
    require = members.pop("require", made.require)
    return TrustPolicy(
        msgspec.structs.replace(made, keys=(msgspec.structs.replace(entry, **members),), require=require)
    )


def verdict(held: TrustPolicy, *signers: Signer, sealed_at: str = AT) -> str:
    sealed = seal_record(standard_record(), *signers, sealed_at=sealed_at)
    report = verify_record(sealed.data, held, now=LATE)
    return report["trust"].code or report.verdict


def test_the_new_key_counts_from_then_on() -> None:
    held = policy()
    assert verdict(held, NEW) == "unknown-signer"
    admitted = admit(held, read_rotation(ENVELOPE))
    assert verdict(admitted, NEW) == verdict(admitted, NEW, sealed_at=LATE) == "verified"
    assert verdict(admitted, NEW, sealed_at=EARLY) == "outside-window"
    for sealed_at in (EARLY, AT, LATE):  # the old key is not ended by it
        assert verdict(admitted, OLD, sealed_at=sealed_at) == "verified"
    assert list(held.keys) == [OLD.keyid]
    entry, _key = admitted.keys[NEW.keyid]
    assert (entry.not_before, entry.not_after, entry.revoked, entry.roles) == (AT, None, None, ("seal",))


def test_the_old_key_ends_when_the_policy_says_so() -> None:
    admitted = admit(policy(revoked=Revocation(at=AT, reason="superseded")), read_rotation(ENVELOPE))
    assert verdict(admitted, OLD, sealed_at=EARLY) == "verified"
    assert verdict(admitted, OLD) == "revoked"
    assert verdict(admitted, NEW) == "verified"


def test_the_new_key_may_what_the_old_one_might() -> None:
    admitted = admit(policy(roles=("witness", "countersign")), read_rotation(ENVELOPE))
    assert admitted.keys[NEW.keyid][0].roles == ("witness", "countersign")
    assert verdict(admitted, NEW) == "role"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, None),
        ({"not_before": AT, "not_after": LATE}, None),
        ({"not_before": EARLY, "not_after": AT}, None),
        ({"not_before": LATE}, "rotation-time"),
        ({"not_after": EARLY}, "rotation-time"),
        *(({"revoked": Revocation(at=AT, reason=reason)}, None) for reason in ("superseded", "retired")),
        *(({"revoked": Revocation(at=LATE, reason=reason)}, None) for reason in ("superseded", "retired")),
        *(({"revoked": Revocation(at=EARLY, reason=reason)}, "rotation-time") for reason in ("superseded", "retired")),
        *(({"revoked": Revocation(at=at, reason="compromised")}, "rotation-compromised") for at in (EARLY, AT, LATE)),
        ({"revoked": Revocation(at="9999-12-31T23:59:59.999999Z", reason="compromised")}, "rotation-compromised"),
        ({"revoked": Revocation(at=LATE, reason="retired"), "not_after": EARLY}, "rotation-time"),
    ],
)
def test_when_a_key_may_pass_its_place_on(members: dict[str, Any], code: str | None) -> None:
    if code is None:
        assert NEW.keyid in admit(policy(**members), read_rotation(ENVELOPE)).keys
        return
    with pytest.raises(TrustError) as caught:
        admit(policy(**members), read_rotation(ENVELOPE))
    assert caught.value.code == code


def test_whom_the_policy_does_not_know_passes_nothing_on() -> None:
    with pytest.raises(TrustError) as caught:
        admit(policy(), read_rotation(make_rotation(THIRD, NEW, at=AT)))
    assert caught.value.code == "rotation-unknown-key"
    again = read_rotation(ENVELOPE)
    with pytest.raises(TrustError) as caught:
        admit(admit(policy(), again), again)
    assert caught.value.code == "duplicate-key"


def test_a_place_is_passed_on_again_but_not_to_before() -> None:
    first = admit(policy(), read_rotation(ENVELOPE))
    assert verdict(admit(first, read_rotation(make_rotation(NEW, THIRD, at=LATE))), THIRD, sealed_at=LATE) == "verified"
    with pytest.raises(TrustError) as caught:
        admit(first, read_rotation(make_rotation(NEW, THIRD, at=EARLY)))
    assert caught.value.code == "rotation-time"


def test_a_key_and_its_successors_are_counted_once() -> None:
    held = policy(require=(Requirement(role="seal", algorithm=None, count=2),))
    admitted = admit(held, read_rotation(ENVELOPE))
    admitted = admit(admitted, read_rotation(make_rotation(NEW, THIRD, at=AT)))
    for signers in ((OLD, NEW), (NEW, THIRD), (OLD, THIRD), (OLD, NEW, THIRD)):
        assert verdict(admitted, *signers) == "requirement"


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    return Call(capsys, monkeypatch)


@pytest.fixture
def box(call: Call, tmp_path: Path) -> Path:
    """Return a directory with the old key, a policy of it, and a rotation to a new key that sealed a record."""
    write_key(tmp_path / "old.pem", private_key())
    (tmp_path / "old.pub.pem").write_bytes(public_key_to_pem(OLD.public_key))
    (tmp_path / "trust.json").write_bytes(encode_policy(policy().document))
    done = call("keys rotate", "--key", "old.pem", "--new", "new.pem", "-o", "rotation.json", "--at", AT)
    assert done.code == 0
    assert (tmp_path / "new.pem").stat().st_mode & 0o777 == 0o600
    new = LocalSigner(load_private_key((tmp_path / "new.pem").read_bytes()))
    assert load_public_key((tmp_path / "new.pub.pem").read_bytes()).keyid == new.keyid
    assert new.keyid in done.out
    (tmp_path / "new.record.json").write_bytes(seal_record(standard_record(), new, sealed_at=AT).data)
    (tmp_path / "old.record.json").write_bytes(seal_record(standard_record(), OLD, sealed_at=AT).data)
    return tmp_path


@pytest.mark.parametrize("name", ["verify-record", "regenerate-scaffold", "show"])
@pytest.mark.parametrize("trust", [["--trust", "trust.json"], ["--key", "old.pub.pem"]])
@pytest.mark.usefixtures("box")
def test_records_of_both_keys_are_read(name: str, trust: list[str], call: Call) -> None:
    assert call(name, *trust, "new.record.json").code == 4
    for record in ("old.record.json", "new.record.json"):
        assert call(name, *trust, "--accept-rotation", "rotation.json", record).code == 0
    assert call(name, *trust, "--accept-rotation", "missing", "new.record.json").code == 3
    assert call(name, *trust, "--accept-rotation", "old.pem", "new.record.json").code == 3
    twice = ["--accept-rotation", "rotation.json"] * 2
    assert call(name, *trust, *twice, "new.record.json").code == 3
    without = "--no-trust" if name == "verify-record" else "--unverified"
    assert call(name, without, "--accept-rotation", "rotation.json", "new.record.json").code == 2


@pytest.mark.usefixtures("box")
def test_a_compromised_key_passes_nothing_on(call: Call) -> None:
    revoke = ["--reason", "compromised", "--at", "2100-01-01"]
    assert call("trust revoke", "trust.json", OLD.keyid, *revoke).code == 0
    done = call("verify-record", "--trust", "trust.json", "--accept-rotation", "rotation.json", "new.record.json")
    assert done.code == 3
    assert call("trust add", "trust.json", "--rotation", "rotation.json").code == 3


@pytest.mark.parametrize("supersede", [False, True])
def test_a_rotation_is_admitted_for_good(supersede: bool, call: Call, box: Path) -> None:  # noqa: FBT001 - a parameter
    words = ["--rotation", "rotation.json", "--name", "plant 7, 2027", *(["--supersede"] if supersede else [])]
    assert call("trust add", "trust.json", *words).code == 0
    assert call("verify-record", "--trust", "trust.json", "new.record.json").code == 0
    assert call("verify-record", "--trust", "trust.json", "old.record.json").code == (4 if supersede else 0)
    old, new = json.loads((box / "trust.json").read_text())["keys"]
    assert old["revoked"] == ({"at": AT, "reason": "superseded"} if supersede else None)
    assert (new["name"], new["not_before"], new["roles"]) == ("plant 7, 2027", AT, ["seal"])
    before = (box / "trust.json").read_bytes()
    assert call("trust add", "trust.json", "--rotation", "rotation.json").code == 3
    assert (box / "trust.json").read_bytes() == before


def test_a_policy_keeps_how_a_key_ended(call: Call, box: Path) -> None:
    assert call("trust retire", "trust.json", OLD.keyid, "--at", LATE).code == 0
    assert call("trust add", "trust.json", "--rotation", "rotation.json", "--supersede").code == 0
    old, new = json.loads((box / "trust.json").read_text())["keys"]
    assert (old["revoked"], new["name"]) == ({"at": LATE, "reason": "retired"}, "plant 7 (rotated)")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["old.pub.pem", "--rotation", "rotation.json"],
        ["--rotation", "rotation.json", "--role", "seal"],
        ["--rotation", "rotation.json", "--not-before", AT],
        ["--rotation", "rotation.json", "--not-after", AT],
        ["old.pub.pem", "--supersede"],
    ],
)
def test_a_key_is_added_in_one_of_two_ways(words: list[str], call: Call, box: Path) -> None:
    before = (box / "trust.json").read_bytes()
    assert call("trust add", "trust.json", *words).code == 2
    assert (box / "trust.json").read_bytes() == before


def test_a_key_that_exists_takes_the_place(call: Call, box: Path) -> None:
    (box / "phrase").write_bytes(b"secret\n")
    write_key(box / "third.pem", private_key(bytes(range(64, 96))), b"secret")
    words = ["--key", "old.pem", "--to", "third.pem", "-o", "third.json"]
    assert call("keys rotate", *words).code == 2
    assert call("keys rotate", *words, "--passphrase-file", "old.pem").code == 3
    assert not (box / "third.json").exists()
    assert call("keys rotate", *words, "--passphrase-file", "phrase").code == 0
    found = read_rotation((box / "third.json").read_bytes())
    assert (found.old.keyid, found.new.keyid) == (OLD.keyid, THIRD.keyid)
    assert found.at > "2026"


def test_a_new_key_is_of_the_kind_that_is_asked_for(call: Call, box: Path) -> None:
    (box / "phrase").write_bytes(b"secret\n")
    more = ["--algorithm", "ml-dsa-44", "--new-passphrase-file", "phrase"]
    assert call("keys rotate", "--key", "old.pem", "--new", "pq.pem", "-o", "pq.json", *more).code == 0
    assert read_rotation((box / "pq.json").read_bytes()).new.algorithm == ML_DSA_44
    assert b"ENCRYPTED" in (box / "pq.pem").read_bytes()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--key", "old.pem", "--new", "n.pem"], 2),
        (["--key", "old.pem", "-o", "n.json"], 2),
        (["--new", "n.pem", "-o", "n.json"], 2),
        (["--key", "old.pem", "--new", "n.pem", "--to", "new.pem", "-o", "n.json"], 2),
        (["--key", "old.pem", "--new", "n.pem", "-o", "rotation.json"], 2),
        (["--key", "old.pem", "--new", "new.pem", "-o", "n.json"], 2),
        (["--key", "old.pem", "--new", "old", "-o", "n.json"], 2),
        (["--key", "old.pem", "--new", "n.pem", "-o", "n.json", "--at", "soon"], 2),
        (["--key", "missing", "--new", "n.pem", "-o", "n.json"], 3),
        (["--key", "old.pub.pem", "--new", "n.pem", "-o", "n.json"], 3),
        (["--key", "old.pem", "--to", "missing", "-o", "n.json"], 3),
        (["--key", "old.pem", "--to", "old.pem", "-o", "n.json"], 3),
        (["--key", "example.pem", "--new", "n.pem", "-o", "n.json"], 3),
        (["--key", "old.pem", "--new", "n.pem", "-o", "missing/n.json"], 3),
        (["--key", "old.pem", "--new", "missing/n.pem", "-o", "n.json"], 3),
    ],
)
def test_a_rotation_that_fails_leaves_nothing(words: list[str], code: int, call: Call, box: Path) -> None:
    (box / "example.pem").write_bytes((EXAMPLE_KEYS / "example.pem").read_bytes())
    before = {path.name: path.read_bytes() for path in box.iterdir()}
    assert call("keys rotate", *words).code == code
    assert {path.name: path.read_bytes() for path in box.iterdir()} == before


@pytest.mark.parametrize("words", ["", "make", "rotate", "rotate --key", "public", "public a b"])
def test_wrong_calls(words: str, call: Call) -> None:
    assert call(f"keys {words}").code == 2


def test_the_calls_explain_themselves(call: Call) -> None:
    assert call("keys --help").code == call("keys rotate --help").code == call("keys public --help").code == 0


def test_as_processes(box: Path) -> None:
    folder = Path(sys.executable).parent

    def run(name: str, *words: str) -> int:
        return subprocess.run([folder / name, *words], cwd=box, check=False, capture_output=True, timeout=60).returncode

    accept = ["--trust", "trust.json", "--accept-rotation=rotation.json"]
    assert run("verify-record", *accept, "new.record.json", "old.record.json") == 0
    assert run("hearth-records", "keys", "rotate", "--key", "new.pem", "--new", "n.pem", "-o", "n.json") == 0
    assert run("verify-record", *accept, "--accept-rotation", "n.json", "new.record.json") == 0
    assert run("verify-record", *accept[:2], "--accept-rotation", "n.json", "new.record.json") == 3
