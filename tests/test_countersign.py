"""Countersignatures: added later, over the same bytes, without touching the seal (FORMAT §5, §6, §9)."""

from __future__ import annotations

import fcntl
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from helpers import (
    EXAMPLE_KEYS,
    OTHER_SEED,
    SEALED_AT,
    private_key,
    signer,
    standard_record,
    standard_sealed,
    write_key,
)
from test_trust_cli import Call

from hearth_records import countersignature
from hearth_records.countersignature import blocking_check, countersign
from hearth_records.errors import HearthRecordsError
from hearth_records.keys import (
    ML_DSA_44,
    LocalSigner,
    generate_private_key,
    load_private_key,
    public_key,
    public_key_to_pem,
)
from hearth_records.seal import seal_record
from hearth_records.trust import Requirement, TrustPolicy, encode_policy, trusted_key
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records.keys import Signer
    from hearth_records.trust import RoleName

ONE, TWO, THREE = signer(), signer(OTHER_SEED), signer(bytes(range(64, 96)))
SEALED = standard_sealed().data
NOW = "2026-11-23T00:00:00.000000Z"


def policy(*others: Signer, count: int = 1, roles: tuple[RoleName, ...] = ("countersign",)) -> TrustPolicy:
    """Return a policy that demands a seal by the first key and so many countersignatures by others."""
    document = TrustPolicy.from_keys([("one", public_key(ONE.public_key))]).document
    entries = tuple(
        trusted_key(public_key(one.public_key), f"other {number}", roles=roles) for number, one in enumerate(others)
    )
    require = (*document.require, Requirement(role="countersign", algorithm=None, count=count))
    return TrustPolicy(msgspec.structs.replace(document, keys=(*document.keys, *entries), require=require))


def seal_of(data: bytes) -> Any:
    return json.loads(data)["seal"]


def keyids(data: bytes) -> list[str]:
    return [signature["keyid"] for signature in seal_of(data)["signatures"]]


# --- what comes of it ------------------------------------------------------------------------------------------------


def test_a_policy_is_met_by_it() -> None:
    held = policy(TWO)
    assert verify_record(SEALED, held)["trust"].code == "requirement"
    data = countersign(SEALED, TWO)
    report = verify_record(data, held)
    assert report.exit_code == 0
    assert [(finding.role, finding.status) for finding in report.signers] == [("seal", "good"), ("countersign", "good")]
    assert verify_record(data, policy(THREE))["trust"].code == "requirement"
    assert verify_record(data, policy(TWO, roles=("seal",)))["trust"].code == "requirement"


def test_the_seal_is_not_touched() -> None:
    data = countersign(SEALED, TWO)
    before, after = seal_of(SEALED), seal_of(data)
    assert data.splitlines()[:-1] == SEALED.splitlines()[:-1]
    assert after["statement"] == before["statement"]
    assert after["signatures"][:1] == before["signatures"]
    assert after["signatures"][1]["evidence"] == []
    assert json.loads(data)["disclosures"] == json.loads(SEALED)["disclosures"]
    assert len(data.splitlines()) == len(SEALED.splitlines())


def test_what_stands_there_already_stays() -> None:
    evidence = [{"data": "AAAA", "type": "x"}]
    data = SEALED.replace(b'"seal":{"evidence":[]', b'"seal":{"evidence":[{"data":"AAAA","type":"x"}]')
    data = data.replace(b'"signatures":[{"evidence":[]', b'"signatures":[{"evidence":[{"data":"AAAA","type":"x"}]')
    after = seal_of(countersign(data, TWO))
    assert after["evidence"] == after["signatures"][0]["evidence"] == evidence


def test_they_stand_by_key_id_whatever_the_order() -> None:
    signers = [TWO, THREE, LocalSigner(generate_private_key(ML_DSA_44))]
    expected = [ONE.keyid, *sorted(one.keyid for one in signers)]
    at_once = countersign(SEALED, *signers)
    one_by_one = SEALED
    for one in reversed(signers):
        one_by_one = countersign(one_by_one, one)
    for data in (at_once, one_by_one):
        assert keyids(data) == expected
        assert verify_record(data, policy(*signers, count=3)).exit_code == 0


def test_the_signers_stay_in_front() -> None:
    signers = sorted([ONE, TWO, THREE], key=lambda one: one.keyid)
    last, *others = reversed(signers)
    data = seal_record(standard_record(), last, others[0], sealed_at=SEALED_AT).data
    assert keyids(countersign(data, others[1])) == [last.keyid, others[0].keyid, others[1].keyid]


def test_the_second_verifier_takes_it(tmp_path: Path) -> None:
    held = policy(TWO, THREE, count=2)
    path = tmp_path / "trust.json"
    path.write_bytes(encode_policy(held.document))
    tool = [sys.executable, str(Path(__file__).parent.parent / "tools" / "verify_record.py"), "--trust", str(path)]
    for number, (data, code) in enumerate(
        [(SEALED, 4), (countersign(SEALED, TWO), 4), (countersign(SEALED, THREE, TWO), 0)]
    ):
        file = tmp_path / f"{number}.record.json"
        file.write_bytes(data)
        done = subprocess.run([*tool, file], check=False, capture_output=True, timeout=60)
        assert done.returncode == code == verify_record(data, held).exit_code


# --- what is refused -------------------------------------------------------------------------------------------------


def refused(data: bytes, *signers: Signer, **arguments: Any) -> str:
    with pytest.raises(HearthRecordsError) as caught:
        countersign(data, *signers, **arguments)
    return caught.value.code


def test_a_key_signs_once() -> None:
    assert refused(SEALED, ONE) == "duplicate-signer"
    assert refused(SEALED, TWO, TWO) == "duplicate-signer"
    assert refused(countersign(SEALED, TWO), TWO) == "duplicate-signer"
    assert refused(SEALED) == "signers"


def test_there_is_room_for_64() -> None:
    signers = [signer(bytes([number]) * 32) for number in range(1, 66)]
    data = SEALED
    for start in range(0, 64, 16):
        data = countersign(data, *signers[start : start + 16])
    assert len(keyids(data)) == 65
    assert refused(data, signers[64]) == "countersignatures"
    assert refused(SEALED, *signers[:17]) == "signers"


def strip(data: bytes) -> bytes:
    """Return the record without its signatures."""
    start = data.rindex(b'"signatures":[') + len(b'"signatures":[')
    return data[:start] + data[data.rindex(b'],"statement"') :]


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda data: data.replace(b"Deploy", b"deploy", 1), "link"),
        (lambda data: data.replace(b'"status":"failed"}', b'"status":"completed"}'), "status"),
        (lambda data: data[: data.rindex(b"],")], "not-sealed"),
        (lambda data: data[:-1], "frame"),
        (lambda data: data.replace(b"\n", b"\r\n"), "frame"),
        (lambda _data: b"", "empty"),
        (lambda data: data.replace(b"hearth-record/1", b"hearth-record/2", 1), "unsupported-version"),
        (strip, "signature-missing"),
    ],
)
def test_what_does_not_hold_is_not_countersigned(damage: Callable[[bytes], bytes], code: str) -> None:
    asked = []

    class Counting:
        algorithm, public_key = TWO.algorithm, TWO.public_key

        def sign(self, message: bytes) -> bytes:
            asked.append(message)
            return TWO.sign(message)

    assert damage(SEALED) != SEALED
    assert refused(damage(SEALED), Counting()) == code
    assert asked == []
    countersign(SEALED, Counting())
    assert len(asked) == 1


def test_a_report_on_other_bytes_is_not_believed() -> None:
    good = verify_record(SEALED, None)
    assert refused(SEALED.replace(b"Deploy", b"deploy", 1), TWO, report=good) == "link"
    bad = verify_record(SEALED, TrustPolicy.from_keys([("x", public_key(TWO.public_key))]))
    assert refused(SEALED, TWO, report=bad) == "unknown-signer"
    assert keyids(countersign(SEALED, TWO, report=good)) == [ONE.keyid, TWO.keyid]


class Broken:
    """A signer that does not do what it should."""

    def __init__(
        self, sign: Callable[[bytes], Any], algorithm: str = "ed25519", public: bytes = TWO.public_key
    ) -> None:
        self.algorithm = algorithm
        self.public_key = public
        self.sign = sign


def fail(_message: bytes) -> bytes:
    raise OSError(5, "token is gone")


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (Broken(THREE.sign), "signing-failed"),
        (Broken(fail), "signing-failed"),
        (Broken(lambda _message: b""), "signing-failed"),
        (Broken(TWO.sign, algorithm="ml-dsa-44"), "algorithm"),
        (Broken(TWO.sign, public=b"x"), "key-unsupported"),
        (Broken(TWO.sign, public=TWO.public_key[:-32] + bytes(32)), "key-small-order"),
    ],
)
def test_signers_that_fail(one: Signer, code: str) -> None:
    assert refused(SEALED, one) == code


class Changing:
    """A signer that says another key each time."""

    algorithm = "ed25519"

    def __init__(self) -> None:
        self._keys = [THREE.public_key, TWO.public_key]

    @property
    def public_key(self) -> bytes:
        return self._keys.pop()

    def sign(self, message: bytes) -> bytes:
        return TWO.sign(message)


def test_a_signer_that_changes_its_key_fails() -> None:
    assert refused(SEALED, Changing()) == "signing-failed"


def test_an_example_key_countersigns_by_name_alone() -> None:
    example = LocalSigner(load_private_key((EXAMPLE_KEYS / "example.pem").read_bytes()))
    assert refused(SEALED, example) == "example-key"
    assert len(keyids(countersign(SEALED, example, allow_example_keys=True))) == 2


def test_only_what_may_still_come_does_not_block() -> None:
    assert blocking_check(verify_record(SEALED, None)) is None
    assert blocking_check(verify_record(SEALED, policy(TWO))) is None
    unknown = blocking_check(verify_record(SEALED, TrustPolicy.from_keys([("x", public_key(TWO.public_key))])))
    assert unknown is not None
    assert (unknown.check, unknown.code) == ("trust", "unknown-signer")
    expired = msgspec.structs.replace(policy(TWO).document, expires=SEALED_AT)
    blocked = blocking_check(verify_record(SEALED, TrustPolicy(expired), now=NOW))
    assert blocked is not None
    assert blocked.code == "policy-expired"
    demanding = msgspec.structs.replace(policy(TWO).document.require[0], role="seal", count=2)
    more = msgspec.structs.replace(policy(TWO).document, require=(*policy(TWO).document.require, demanding))
    blocked = blocking_check(verify_record(SEALED, TrustPolicy(more)))
    assert blocked is not None
    assert (blocked.check, blocked.code) == ("trust", "requirement")


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    return Call(capsys, monkeypatch)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Return a directory with a record, the keys and a policy that demands a countersignature by the second."""
    for name, seed in (("one", None), ("two", OTHER_SEED), ("three", bytes(range(64, 96)))):
        key = private_key() if seed is None else private_key(seed)
        write_key(tmp_path / f"{name}.pem", key)
    (tmp_path / "one.pub.pem").write_bytes(public_key_to_pem(ONE.public_key))
    (tmp_path / "r.json").write_bytes(SEALED)
    (tmp_path / "trust.json").write_bytes(encode_policy(policy(TWO).document))
    only = TrustPolicy.from_keys([("three", public_key(THREE.public_key))]).document
    (tmp_path / "other.json").write_bytes(encode_policy(only))
    return tmp_path


def test_a_record_is_countersigned(call: Call, box: Path) -> None:
    assert call("verify-record", "--trust", "trust.json", "r.json").code == 4
    done = call("countersign", "r.json", "--key", "two.pem", "--role", "countersign", "-o", "out.json")
    assert done.code == 0
    assert TWO.keyid in done.out
    assert (box / "r.json").read_bytes() == SEALED
    assert call("verify-record", "--trust", "trust.json", "out.json").code == 0
    assert call("verify-record", "--key", "one.pub.pem", "out.json").code == 0
    more = call("countersign", "out.json", "--key", "three.pem", "-o", "more.json", "--trust", "trust.json")
    assert more.code == 0
    assert len(more.out.splitlines()) == 2
    assert call("verify-record", "--trust", "trust.json", "more.json").code == 0
    assert keyids((box / "more.json").read_bytes())[1:] == sorted([TWO.keyid, THREE.keyid])


def test_without_an_output_the_record_is_replaced(call: Call, box: Path) -> None:
    (box / "link.json").symlink_to("r.json")
    (box / "r.json").chmod(0o640)
    assert call("countersign", "link.json", "--key", "two.pem").code == 0
    assert call("countersign", "r.json", "--key", "three.pem").code == 0
    data = (box / "r.json").read_bytes()
    assert data.splitlines()[:-1] == SEALED.splitlines()[:-1]
    assert keyids(data)[1:] == sorted([TWO.keyid, THREE.keyid])
    assert stat.S_IMODE((box / "r.json").stat().st_mode) == 0o640
    assert (box / "link.json").is_symlink()
    assert not list(box.glob(".*"))
    assert call("verify-record", "--trust", "trust.json", "r.json").code == 0


def test_a_record_that_changed_meanwhile_is_not_replaced(
    call: Call, box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = countersign(SEALED, THREE)

    def slow(data: bytes, *signers: Signer, **more: Any) -> bytes:
        (box / "r.json").write_bytes(other)
        return countersign(data, *signers, **more)

    with monkeypatch.context() as patch:
        patch.setattr(countersignature, "countersign", slow)
        assert call("countersign", "r.json", "--key", "two.pem").code == 3
    assert (box / "r.json").read_bytes() == other
    with (box / "r.json").open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert call("countersign", "r.json", "--key", "two.pem").code == 3
    assert (box / "r.json").read_bytes() == other
    assert not list(box.glob(".*"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["r.json"], 2),
        (["r.json", "-o", "out.json"], 2),
        (["-", "--key", "two.pem"], 2),
        (["--key", "two.pem", "-o", "out.json"], 2),
        (["r.json", "--key", "two.pem", "-o", "out.json", "--role", "seal"], 2),
        (["r.json", "--key", "two.pem", "-o", "r.json"], 2),
        (["r.json", "--key", "two.pem", "-o", "one.pem"], 2),
        (["r.json", "--key", "one.pem", "-o", "out.json"], 2),
        (["r.json", "--key", "two.pem", "--key", "two.pem", "-o", "out.json"], 2),
        (["r.json", "--key", "two.pem", "-o", "out.json", "--min-policy-version", "1"], 2),
        (["r.json", "--key", "two.pem", "-o", "out.json", "--accept-rotation", "x"], 2),
        (["r.json", "--key", "two.pem", "-o", "out.json", "--trust", "trust.json", "--min-policy-version", "2"], 3),
        (["r.json", "--key", "two.pem", "-o", "out.json", "--trust", "missing"], 3),
        (["r.json", "--key", "two.pem", "-o", "out.json", "--trust", "other.json"], 4),
        (["r.json", "--key", "missing", "-o", "out.json"], 3),
        (["r.json", "--key", "one.pub.pem", "-o", "out.json"], 3),
        (["r.json", "--key", "example.pem", "-o", "out.json"], 3),
        (["r.json", "--key", "two.pem", "-o", "missing/out.json"], 3),
        (["missing", "--key", "two.pem", "-o", "out.json"], 3),
        (["trust.json", "--key", "two.pem", "-o", "out.json"], 3),
        (["altered.json", "--key", "two.pem", "-o", "out.json"], 1),
        (["altered.json", "--key", "two.pem", "-o", "out.json", "--trust", "trust.json"], 1),
        (["stripped.json", "--key", "two.pem", "-o", "out.json"], 1),
        (["open.json", "--key", "two.pem", "-o", "out.json"], 5),
    ],
)
def test_refusals_write_nothing(words: list[str], code: int, call: Call, box: Path) -> None:
    (box / "example.pem").write_bytes((EXAMPLE_KEYS / "example.pem").read_bytes())
    (box / "example.pem").chmod(0o600)
    (box / "altered.json").write_bytes(SEALED.replace(b"Deploy", b"deploy", 1))
    (box / "stripped.json").write_bytes(strip(SEALED))
    (box / "open.json").write_bytes(SEALED[: SEALED.rindex(b"],")])
    before = {path.name: path.read_bytes() for path in box.iterdir()}
    assert call("countersign", *words).code == code
    assert {path.name: path.read_bytes() for path in box.iterdir()} == before


def test_as_a_process(box: Path) -> None:
    program = str(Path(sys.executable).parent / "hearth-records")
    words = [program, "countersign", "-", "--key", "two.pem", "-o", "out.json"]
    done = subprocess.run(words, cwd=box, input=SEALED, check=False, capture_output=True, timeout=60)
    assert done.returncode == 0
    assert (box / "out.json").read_bytes() == countersign(SEALED, TWO)
