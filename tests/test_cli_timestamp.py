"""`hearth-records timestamp`: a request, and its answer attached, with a real authority (`openssl ts`) on 127.0.0.1."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from authority import Authority, forge, make_root, make_signer, serve
from helpers import OTHER_SEED, needs_program, policy_for, private_key, signer, standard_sealed
from test_trust_cli import Call
from verifiers import TOOLS

from hearth_records import schema, timestamp
from hearth_records.cli import common
from hearth_records.cli import timestamp as command
from hearth_records.countersignature import countersign
from hearth_records.errors import HearthRecordsError, SealError
from hearth_records.evidence import attach_evidence
from hearth_records.keys import private_key_to_pem, public_key_to_pem
from hearth_records.trust import encode_policy
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEALED = standard_sealed().data
ONE, TWO = signer(), signer(OTHER_SEED)
GRANTED = {"Content-Type": "application/timestamp-reply"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    needs_program("openssl")
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    return Call(capsys, monkeypatch)


@pytest.fixture
def box(tmp_path: Path, authority: Authority, call: Call) -> Path:
    """Return a directory with a record, its key, the authority's root, and a policy that demands timestamps by it."""
    (tmp_path / "r.json").write_bytes(SEALED)
    (tmp_path / "one.pub.pem").write_bytes(public_key_to_pem(ONE.public_key))
    (tmp_path / "two.pem").write_bytes(private_key_to_pem(private_key(OTHER_SEED)))
    (tmp_path / "two.pem").chmod(0o600)
    (tmp_path / "root.pem").write_text(authority.root.pem)
    (tmp_path / "other.pem").write_text(make_root("Another").pem)
    (tmp_path / "plain.json").write_bytes(encode_policy(policy_for(ONE).document))
    (tmp_path / "trust.json").write_bytes((tmp_path / "plain.json").read_bytes())
    terms = ["--timestamp-authority", "root.pem", "--require-timestamp"]
    assert call("trust set", "trust.json", *terms).code == 0
    return tmp_path


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    with serve(lambda request: (200, GRANTED, authority.respond(request))) as served:
        yield served


def signatures(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(data)["seal"]["signatures"]
    return found


def pieces(data: bytes, place: int = 0) -> list[bytes]:
    return [base64.b64decode(item["data"]) for item in signatures(data)[place]["evidence"]]


# --- from request to verdict -----------------------------------------------------------------------------------------


def test_a_request_is_sent_by_whatever_means_exist(call: Call, box: Path, authority: Authority) -> None:
    assert call("verify-record", "--trust", "trust.json", "r.json").code == 4
    assert call("verify-record", "--key", "one.pub.pem", "--require-timestamp", "r.json").code == 4
    assert call("timestamp request", "r.json", "-o", "req.tsq").code == 0
    (box / "resp.tsr").write_bytes(authority.respond((box / "req.tsq").read_bytes()))
    (box / "r.json").chmod(0o640)
    done = call("timestamp attach", "r.json", "resp.tsr", "--trust", "trust.json")
    assert done.code == 0
    assert hashlib.sha256(authority.root.der).hexdigest() in done.out
    data = (box / "r.json").read_bytes()
    assert data.splitlines()[:-1] == SEALED.splitlines()[:-1]
    assert pieces(data) == [(box / "resp.tsr").read_bytes()]
    assert stat.S_IMODE((box / "r.json").stat().st_mode) == 0o640
    assert call("verify-record", "--trust", "trust.json", "r.json").code == 0
    shown = call("verify-record", "--trust", "plain.json", "r.json")
    assert shown.code == 0
    assert "evidence-not-checked" in shown.out
    for name in ("show", "regenerate-scaffold"):
        assert call(name, "--trust", "plain.json", "--require-timestamp", "r.json").code == 4
        assert call(name, "--trust", "trust.json", "--require-timestamp", "r.json").code == 0
    for policy, code in (("plain.json", 4), ("trust.json", 0)):
        terms = ["--trust", policy, "--require-timestamp"]
        assert call("export", "r.json", "--to", "dsse", "-o", f"{policy}.dsse", *terms).code == code
    for policy, code in (("plain.json", 4), ("trust.json", 0)):
        words = ["trust.json.dsse", "--events", "r.json", "-o", f"{policy}.back", "--trust", policy]
        assert call("import", *words, "--require-timestamp").code == code
    assert [path.name for path in sorted(box.glob("*.back")) + sorted(box.glob("*.dsse"))] == [
        "trust.json.back",
        "trust.json.dsse",
    ]


def test_the_report_lists_it(call: Call, box: Path, authority: Authority) -> None:
    raw = base64.b64decode(signatures(SEALED)[0]["sig"])
    data = SEALED
    for piece in (authority.stamp(raw), authority.stamp(b"other data")):
        data = attach_evidence(data, ONE.keyid, "rfc3161", piece)
    data = attach_evidence(data, ONE.keyid, "later\x1b", b"some")
    (box / "r.json").write_bytes(data)
    done = call("verify-record", "--trust", "trust.json", "--format", "json", "r.json")
    assert done.code == 0
    assert schema.validate("verification", done.out.encode()) == []
    (result,) = json.loads(done.out)["results"]
    found = result["signers"][0]["evidence"]
    assert [(item["type"], item["status"]) for item in found] == [
        ("rfc3161", "good"),
        ("rfc3161", "bad"),
        ("later\x1b", "not_run"),
    ]
    assert found[0]["authority"] == hashlib.sha256(authority.root.der).hexdigest()
    assert found[0]["time"] > "2026"
    assert (found[1]["time"], found[1]["authority"], found[1]["code"]) == (None, None, "timestamp-imprint")
    assert {warning["code"]: warning["count"] for warning in result["warnings"]} == {
        "evidence-invalid": 1,
        "evidence-not-checked": 1,
    }
    text = call("verify-record", "--trust", "trust.json", "r.json").out
    assert found[0]["time"] in text
    assert "/seal/signatures/0/evidence/1" in text
    assert "\x1b" not in text


def test_it_is_asked_for_and_attached_in_one_go(call: Call, box: Path, url: str) -> None:
    assert call("timestamp attach", "r.json", "--tsa", url, "--authority", "root.pem", "-o", "out.json").code == 0
    assert (box / "r.json").read_bytes() == SEALED
    assert call("verify-record", "--trust", "trust.json", "out.json").code == 0
    # Another one beside it; the same one twice is no use.
    assert call("timestamp attach", "out.json", "--tsa", url).code == 0
    data = (box / "out.json").read_bytes()
    assert len(pieces(data)) == 2
    (box / "resp.tsr").write_bytes(pieces(data)[0])
    assert call("timestamp attach", "out.json", "resp.tsr").code == 2
    assert (box / "out.json").read_bytes() == data


def test_who_vouches_is_said_when_nobody_asked(call: Call, box: Path, url: str) -> None:
    assert "not checked" in call("timestamp attach", "r.json", "--tsa", url, "-o", "a.json").out
    checked = call("timestamp attach", "r.json", "--tsa", url, "-o", "b.json", "--authority", "root.pem")
    assert "not checked" not in checked.out
    assert (box / "b.json").exists()


def test_a_countersignature_has_its_own(call: Call, box: Path, url: str) -> None:
    assert call("countersign", "r.json", "--key", "two.pem").code == 0
    assert call("timestamp attach", "r.json", "--tsa", url, "--keyid", TWO.keyid[:8]).code == 0
    data = (box / "r.json").read_bytes()
    assert [len(signature["evidence"]) for signature in signatures(data)] == [0, 1]
    assert call("verify-record", "--trust", "trust.json", "r.json").code == 4
    assert call("timestamp request", "r.json", "--keyid", TWO.keyid.upper(), "-o", "req.tsq").code == 0
    raw = base64.b64decode(signatures(data)[1]["sig"])
    assert hashlib.sha256(raw).digest() in (box / "req.tsq").read_bytes()


def test_openssl_takes_what_was_attached(box: Path, authority: Authority) -> None:
    openssl = needs_program("openssl")
    raw = base64.b64decode(signatures(SEALED)[0]["sig"])
    data = attach_evidence(SEALED, ONE.keyid, "rfc3161", authority.stamp(raw))
    (box / "sig").write_bytes(raw)
    words = [openssl, "ts", "-verify", "-data", "sig", "-in", "resp.tsr", "-CAfile", "root.pem"]
    for response, code in ((pieces(data)[0], 0), (pieces(data)[0][:-1] + b"\0", 1)):
        (box / "resp.tsr").write_bytes(response)
        done = subprocess.run(words, cwd=box, check=False, capture_output=True)
        assert done.returncode == code
    (box / "resp.tsr").write_bytes(pieces(data)[0])
    (box / "sig").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert subprocess.run(words, cwd=box, check=False, capture_output=True).returncode == 1


def test_the_independent_verifiers_take_it(call: Call, box: Path, url: str) -> None:
    node = needs_program("node")
    assert call("timestamp attach", "r.json", "--tsa", url, "-o", "out.json").code == 0
    for words in ([sys.executable, str(TOOLS / "verify_record.py")], [node, str(TOOLS / "verify_record.mjs")]):
        for policy, option, file, code in (
            ("trust.json", [], "out.json", 0),
            ("trust.json", [], "r.json", 4),
            ("plain.json", [], "out.json", 0),
            ("plain.json", ["--require-timestamp"], "out.json", 4),
        ):
            line = [*words, "--trust", policy, *option, file]
            assert subprocess.run(line, cwd=box, check=False, capture_output=True).returncode == code, line


@pytest.mark.usefixtures("box")
def test_a_compromise_is_survived_by_what_is_older(call: Call, url: str) -> None:
    assert call("timestamp attach", "r.json", "--tsa", url, "-o", "old.json").code == 0
    revoke = ["trust.json", ONE.keyid, "--reason", "compromised", "--at"]
    assert call("trust revoke", *revoke, "9000-01-01").code == 0
    assert call("verify-record", "--trust", "trust.json", "old.json").code == 0
    assert call("verify-record", "--trust", "trust.json", "r.json").code == 4
    assert call("trust revoke", *revoke, "2026-11-23").code == 0
    assert call("verify-record", "--trust", "trust.json", "old.json").code == 4


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["stamp"], 2),
        (["request", "r.json"], 2),
        (["request", "r.json", "-o", "root.pem"], 2),
        (["request", "r.json", "-o", "new", "--keyid", "00000000"], 2),
        (["request", "r.json", "-o", "new", "--keyid", ONE.keyid[:7]], 2),
        (["request", "r.json", "-o", "missing/new"], 3),
        (["request", "missing", "-o", "new"], 3),
        (["request", "altered.json", "-o", "new"], 1),
        (["request", "open.json", "-o", "new"], 5),
        (["request", "root.pem", "-o", "new"], 3),
        (["attach", "r.json"], 2),
        (["attach", "r.json", "good.tsr", "--tsa", "http://127.0.0.1:9/"], 2),
        (["attach", "-", "good.tsr"], 2),
        (["attach", "r.json", "good.tsr", "-o", "root.pem"], 2),
        (["attach", "r.json", "good.tsr", "--trust", "trust.json", "--authority", "root.pem"], 2),
        (["attach", "r.json", "good.tsr", "--trust", "plain.json"], 2),
        (["attach", "r.json", "good.tsr", "--min-policy-version", "1"], 2),
        (["attach", "r.json", "good.tsr", "--trust", "trust.json", "--min-policy-version", "9"], 3),
        (["attach", "r.json", "good.tsr", "--trust", "root.pem"], 3),
        (["attach", "r.json", "good.tsr", "--authority", "r.json"], 3),
        (["attach", "r.json", "good.tsr", "--authority", "other.pem"], 4),
        (["attach", "r.json", "missing.tsr"], 3),
        (["attach", "r.json", "root.pem"], 3),
        (["attach", "r.json", "rejected.tsr"], 3),
        (["attach", "r.json", "damaged.tsr"], 1),
        (["attach", "r.json", "damaged.tsr", "--trust", "trust.json"], 4),
        (["attach", "r.json", "elsewhere.tsr"], 1),
        (["attach", "r.json", "elsewhere.tsr", "--trust", "trust.json"], 1),
        (["attach", "altered.json", "good.tsr"], 1),
        (["attach", "open.json", "good.tsr"], 5),
        (["attach", "r.json", "--tsa", "ftp://127.0.0.1/"], 2),
        (["attach", "r.json", "--tsa", "file:///etc/passwd"], 2),
        (["attach", "r.json", "--tsa", "http://"], 2),
        (["attach", "r.json", "--tsa", "http://127.0.0.1:1/"], 3),
        (["attach", "r.json", "--tsa", "http://[/"], 2),
        (["attach", "r.json", "--tsa", "http://a b/"], 2),
        (["attach", "r.json", "--tsa", "http://127.0.0.1:abc/"], 2),
        (["attach", "r.json", "--tsa", "http://user:S3CRET@127.0.0.1:1/?apikey=S3CRET"], 2),
        (["attach", "r.json", "--tsa", "https://127.0.0.1:1/?apikey=S3CRET"], 3),
        (["attach", "r.json", "--tsa", "https://127.0.0.1:S3CRET/"], 2),
        (["attach", "r.json", "good.tsr", "--trust", "expired.json"], 4),
    ],
)
def test_refusals_write_nothing(words: list[str], code: int, call: Call, box: Path, authority: Authority) -> None:
    raw = base64.b64decode(signatures(SEALED)[0]["sig"])
    good = authority.stamp(raw)
    (box / "good.tsr").write_bytes(good)
    (box / "damaged.tsr").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    (box / "elsewhere.tsr").write_bytes(authority.stamp(b"elsewhere"))
    (box / "rejected.tsr").write_bytes(bytes.fromhex("30053003020102"))
    (box / "altered.json").write_bytes(SEALED.replace(b"Deploy", b"deploy", 1))
    (box / "open.json").write_bytes(SEALED[: SEALED.rindex(b"],")])
    policy = json.loads((box / "trust.json").read_bytes())
    (box / "expired.json").write_text(json.dumps({**policy, "expires": "2020-01-01T00:00:00.000000Z"}))
    before = {path.name: path.read_bytes() for path in box.iterdir()}
    done = call("timestamp", *words)
    assert done.code == code
    assert "S3CRET" not in done.err
    assert done.err.startswith("hearth-records timestamp: error: ")
    assert {path.name: path.read_bytes() for path in box.iterdir()} == before


def test_help(call: Call) -> None:
    assert call("timestamp", "--help").code == 0
    assert call("timestamp request", "--help").code == 0
    assert call("timestamp attach", "--help").code == 0


# --- the network -----------------------------------------------------------------------------------------------------


def test_a_redirect_is_not_followed(call: Call, box: Path, url: str) -> None:
    with serve(lambda _request: (307, {"Location": url}, b"")) as moved:
        assert call("timestamp attach", "r.json", "--tsa", moved).code == 3
    assert (box / "r.json").read_bytes() == SEALED


def test_no_proxy_is_taken_from_the_environment(
    call: Call, box: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert call("timestamp attach", "r.json", "--tsa", url).code == 0
    assert (box / "r.json").read_bytes() != SEALED


@pytest.mark.parametrize(
    ("status", "body"), [(404, b""), (500, b"x"), (200, b""), (200, b"x" * (timestamp.MAX_RESPONSE + 1))]
)
def test_what_is_no_answer(call: Call, box: Path, status: int, body: bytes) -> None:
    with serve(lambda _request: (status, GRANTED, body)) as served:
        assert call("timestamp attach", "r.json", "--tsa", served).code == 3
    assert (box / "r.json").read_bytes() == SEALED


def test_an_answer_to_another_request_is_refused(call: Call, box: Path, authority: Authority) -> None:
    kept = authority.stamp(base64.b64decode(signatures(SEALED)[0]["sig"]))
    with serve(lambda _request: (200, GRANTED, kept)) as served:
        assert call("timestamp attach", "r.json", "--tsa", served).code == 1
    assert (box / "r.json").read_bytes() == SEALED


def test_an_authority_has_so_much_time(call: Call, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_TIME_LIMIT", 0.2)

    def slow(_request: bytes) -> tuple[int, dict[str, str], bytes]:
        time.sleep(1)
        return 200, GRANTED, b""

    with serve(slow) as served:
        began = time.monotonic()
        assert call("timestamp attach", "r.json", "--tsa", served).code == 3
        assert time.monotonic() - began < 1
    assert (box / "r.json").read_bytes() == SEALED


def test_an_answer_that_trickles_ends_too(call: Call, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 1000.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks, 1000.0))
    monkeypatch.setattr(command, "_CHUNK", 10)
    with serve(lambda _request: (200, GRANTED, b"x" * 1000)) as served:
        assert call("timestamp attach", "r.json", "--tsa", served).code == 3
    assert (box / "r.json").read_bytes() == SEALED


# --- the library -----------------------------------------------------------------------------------------------------


def test_evidence_is_attached_to_what_holds_alone() -> None:
    with pytest.raises(HearthRecordsError):
        attach_evidence(SEALED.replace(b"Deploy", b"deploy", 1), ONE.keyid, "x", b"some")
    with pytest.raises(SealError) as caught:
        attach_evidence(SEALED, TWO.keyid, "x", b"some")
    assert caught.value.code == "keyid"
    once = attach_evidence(SEALED, ONE.keyid, "x", b"some")
    with pytest.raises(SealError) as caught:
        attach_evidence(once, ONE.keyid, "x", b"some")
    assert caught.value.code == "duplicate-evidence"
    with pytest.raises(HearthRecordsError):
        attach_evidence(SEALED, ONE.keyid, "", b"some")
    twice = attach_evidence(once, ONE.keyid, "x", b"more")
    assert pieces(twice) == [b"some", b"more"]
    both = countersign(twice, TWO)
    assert verify_record(both, policy_for(ONE)).exit_code == 0
    assert pieces(both) == [b"some", b"more"]


def test_a_record_is_not_replaced_where_it_cannot_be(box: Path) -> None:
    with pytest.raises(common.CommandError):
        common.replace_record("r.json", SEALED[:-1], SEALED)
    with pytest.raises(OSError, match="No such file"):
        common.replace_record("missing", SEALED, SEALED)
    assert (box / "r.json").read_bytes() == SEALED


def test_an_expired_certificate_counts_at_its_time() -> None:
    root = make_root()
    raw = base64.b64decode(signatures(SEALED)[0]["sig"])
    response = forge(raw, make_signer(root), time="20261122180000Z")
    assert timestamp.verify_response(response, raw, [root.pem]).time == "2026-11-22T18:00:00.000000Z"
