"""Trust policies on the command line: which one a command takes, and how `hearth-records trust` edits one."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from authority import make_root, make_signer
from cryptography.hazmat.primitives import serialization
from helpers import EXAMPLE_KEYS, OTHER_SEED, policy_for, private_key, signer, standard_sealed

from hearth_records import files, schema
from hearth_records.cli.common import CommandError
from hearth_records.cli.trust import find_key, fingerprint
from hearth_records.errors import TrustError
from hearth_records.keys import public_key_to_pem
from hearth_records.trust import TrustPolicy, encode_policy

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_VERSION = 2**53 - 1


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Call:
    """Runs a command in this process and directory, by the function that its script calls."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, name: str, *arguments: str | Path) -> Done:
        module = {"verify-record": "verify", "regenerate-scaffold": "scaffold"}.get(name, "main")
        words = [name, *arguments] if module != "main" else ["hearth-records", *name.split(), *arguments]
        self._monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        code = importlib.import_module(f"hearth_records.cli.{module}").main()
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        assert "internal error" not in err
        return Done(code, out, err)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    return Call(capsys, monkeypatch)


def write_policy(path: Path, **members: Any) -> Path:
    value = json.loads(encode_policy(policy_for(signer()).document)) | members
    path.write_text(json.dumps(value))
    return path


# --- an older policy -------------------------------------------------------------------------------------------------


def test_an_older_policy_is_refused(tmp_path: Path) -> None:
    data = write_policy(tmp_path / "trust.json", version=7).read_bytes()
    for least in (1, 6, 7):
        assert TrustPolicy.decode(data, min_version=least).document.version == 7
    for least in (8, MAX_VERSION):
        with pytest.raises(TrustError) as caught:
            TrustPolicy.decode(data, min_version=least)
        error = caught.value
        assert (error.code, error.pointer, error.expected, error.actual) == ("policy-version", "/version", least, 7)


@pytest.mark.parametrize("name", ["verify-record", "regenerate-scaffold", "show", "verify", "scaffold"])
def test_every_reader_of_records_can_refuse_an_older_policy(name: str, call: Call, tmp_path: Path) -> None:
    record = tmp_path / "exec-1.record.json"
    record.write_bytes(standard_sealed().data)
    policy = write_policy(tmp_path / "trust.json", version=7)
    for least, code in (("1", 0), ("7", 0), ("8", 3), (str(MAX_VERSION), 3)):
        done = call(name, "--trust", policy, "--min-policy-version", least, record)
        assert (done.code, done.err.count("error: ")) == (code, int(code != 0))
        assert call(name, "--trust", policy, f"--min-policy-version={least}", record).code == code
    for wrong in ("0", "-1", "", "x", "1.0", "٣", str(MAX_VERSION + 1), "1" * 5000):
        assert call(name, "--trust", policy, "--min-policy-version", wrong, record).code == 2
    assert call(name, record, "--trust", policy, "--min-policy-version").code == 2
    without = "--no-trust" if name in ("verify-record", "verify") else "--unverified"
    for other in (["--key", "x.pem"], [without]):
        assert call(name, *other, "--min-policy-version", "1", record).code == 2


def test_a_least_version_is_said_once(call: Call, tmp_path: Path) -> None:
    policy = write_policy(tmp_path / "trust.json")
    least = ["--min-policy-version", "1"]
    assert call("verify-record", "--trust", policy, *least, *least, tmp_path / "x").code == 2


# --- trust: a policy's life ------------------------------------------------------------------------------------------

ONE, TWO = signer(), signer(OTHER_SEED)
FAR, FARTHER = "2100-01-01T00:00:00.000000Z", "2100-01-02T03:04:05.000000Z"
PAST, LATER = "2020-01-01T00:00:00.000000Z", "2020-06-01T00:00:00.000000Z"


@pytest.fixture
def box(call: Call, tmp_path: Path) -> Path:
    """Return a directory with two public keys and a policy of version 2 that knows the first."""
    (tmp_path / "one.pem").write_bytes(public_key_to_pem(ONE.public_key))
    two = private_key(OTHER_SEED).public_key()
    form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    (tmp_path / "two.pub").write_bytes(two.public_bytes(*form) + b" somebody@host\n")
    assert call("trust init", "trust.json").code == 0
    assert call("trust add", "trust.json", "one.pem").code == 0
    return tmp_path


def load(path: str | Path = "trust.json") -> dict[str, Any]:
    """Return the policy in the current directory, as anybody's JSON reader sees it and our own reader takes it."""
    data = Path(path).read_bytes()
    TrustPolicy.decode(data)
    assert schema.validate("trust", data) == []
    value: dict[str, Any] = json.loads(data)
    return value


def test_a_new_policy_knows_nobody(call: Call) -> None:
    assert call("trust init", "trust.json").code == 0
    assert load() == {
        "format": "hearth-trust/1",
        "version": 1,
        "expires": None,
        "require_timestamp": False,
        "timestamp_authorities": [],
        "require": [{"role": "seal", "algorithm": None, "count": 1}],
        "keys": [],
    }
    before = Path("trust.json").read_bytes()
    assert call("trust init", "trust.json").code == 2
    assert Path("trust.json").read_bytes() == before


def test_a_policy_says_what_it_demands(call: Call, tmp_path: Path) -> None:
    certificate = make_root().pem
    (tmp_path / "tsa.pem").write_bytes(b"\n" + certificate.replace("\n", "\r\n").encode())
    terms = ["--require", "seal:ml-dsa-44=2", "--require=countersign=1", "--expires", "2100-01-01"]
    assert call("trust init", "trust.json", *terms).code == 0
    demanded = [
        {"role": "seal", "algorithm": "ml-dsa-44", "count": 2},
        {"role": "countersign", "algorithm": None, "count": 1},
    ]
    assert (load()["require"], load()["expires"], load()["version"]) == (demanded, FAR, 1)
    more = ["--require-timestamp", "--timestamp-authority", "tsa.pem"]
    assert call("trust set", "trust.json", "--expires", "2100-01-02T03:04:05Z", *more).code == 0
    value = load()
    assert (value["require"], value["expires"], value["version"]) == (demanded, FARTHER, 2)
    assert (value["require_timestamp"], value["timestamp_authorities"]) == (True, [certificate])
    assert call("trust set", "trust.json", "--no-expiry", "--no-require-timestamp", "--require", "seal=1").code == 0
    value = load()
    assert (value["version"], value["expires"], value["require_timestamp"]) == (3, None, False)
    assert value["require"] == [{"role": "seal", "algorithm": None, "count": 1}]
    assert value["timestamp_authorities"] == [certificate]


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        *((["--require", text], 2) for text in ("", "seal", "seal=0", "seal=-1", "seal=x", "seal:=1", "seal: =1")),
        *((["--require", text], 2) for text in ("witness=1", "checkpoint=1", "Seal=1", "seal=10000", "seal=01")),
        *((["--expires", text], 2) for text in ("", "never", "2100-02-30", "2100-1-1", "2100-01-01T00:00", FAR[:-1])),
        (["--expires", "2020-01-01"], 2),
        (["--expires", "2100-01-01", "--no-expiry"], 2),
        ([], 2),
        (["--no-expiry"], 2),
        (["--timestamp-authority", "missing"], 3),
        (["--timestamp-authority", "one.pem"], 3),
        (["--timestamp-authority", "."], 3),
        (["--timestamp-authority", "twice.pem"], 3),
        (["--timestamp-authority", "none.pem"], 3),
        (["--timestamp-authority", "signer.pem"], 2),
    ],
)
def test_terms_that_are_none(terms: list[str], code: int, call: Call, box: Path) -> None:
    root = make_root()
    (box / "twice.pem").write_text(root.pem * 2)
    (box / "none.pem").write_text("-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n")
    (box / "signer.pem").write_text(make_signer(root).pem)
    before = (box / "trust.json").read_bytes()
    assert call("trust set", "trust.json", *terms).code == code
    assert (box / "trust.json").read_bytes() == before
    if terms not in ([], ["--no-expiry"]):
        assert call("trust init", "new.json", *terms).code == code
        assert not (box / "new.json").exists()


def test_authorities_are_shown_and_checked(call: Call, box: Path) -> None:
    root = make_root("Root \u202e")
    (box / "root.pem").write_text(root.pem)
    (box / "link.pem").write_text(make_signer(root).pem)
    words = ["--timestamp-authority", "root.pem", "--timestamp-authority", "link.pem"]
    assert call("trust set", "trust.json", *words).code == 0
    shown = call("trust show", "trust.json").out
    assert hashlib.sha256(root.der).hexdigest() in shown
    assert "\u202e" not in shown
    assert call("trust check", "trust.json").code == 0
    value = load()
    value["timestamp_authorities"][1] = "no certificate"
    (box / "trust.json").write_text(json.dumps(value))
    assert call("trust show", "trust.json").code == 0
    done = call("trust check", "trust.json")
    assert done.code == 3
    assert "/timestamp_authorities/1" in done.err
    value["timestamp_authorities"], value["require_timestamp"] = [], True
    (box / "trust.json").write_text(json.dumps(value))
    assert "note: timestamps" in call("trust check", "trust.json").out


@pytest.mark.usefixtures("box")
def test_a_key_is_admitted_and_shown(call: Call) -> None:
    window = ["--not-before", "2026-01-01", "--not-after", "2027-01-01"]
    roles = ["--role", "witness", "--role", "countersign", "--role", "witness"]
    done = call("trust add", "trust.json", "two.pub", "--name", "plant 7 \u202eretsam", *roles, *window)
    assert done.code == 0
    assert TWO.keyid in done.out
    assert fingerprint(TWO.keyid) in done.out
    assert "\u202e" not in done.out
    value = load()
    assert (value["version"], [entry["keyid"] for entry in value["keys"]]) == (3, [ONE.keyid, TWO.keyid])
    first, second = value["keys"]
    assert (first["name"], first["roles"], first["not_before"], first["not_after"]) == ("one.pem", ["seal"], None, None)
    assert (second["name"], second["roles"]) == ("plant 7 \u202eretsam", ["countersign", "witness"])
    assert (second["not_before"], second["not_after"]) == ("2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z")
    shown = call("trust show", "trust.json")
    assert shown.code == 0
    assert "\u202e" not in shown.out
    for keyid in (ONE.keyid, TWO.keyid):
        assert shown.out.count(keyid) == shown.out.count(fingerprint(keyid)) == 1


def test_a_fingerprint_is_the_beginning_of_the_key_id() -> None:
    assert fingerprint(ONE.keyid).replace(" ", "") == ONE.keyid[:32]
    assert [len(group) for group in fingerprint(ONE.keyid).split(" ")] == [4] * 8


@pytest.mark.parametrize(
    ("key", "more", "code"),
    [
        ("one.pem", [], 2),
        ("missing", [], 3),
        (".", [], 3),
        ("weak.pem", [], 3),
        ("trust.json", [], 3),
        ("both.pem", [], 3),
        ("example.pem", [], 3),
        ("two.pub", ["--role", "sealer"], 2),
        ("two.pub", ["--not-before", "today"], 2),
        ("two.pub", ["--not-before", "2026-01-01", "--not-after", "2026-01-01"], 2),
        ("two.pub", ["--name", "\udcff"], 2),
        ("two.pub", ["--name", "x" * 65_537], 3),
    ],
)
def test_keys_that_are_not_admitted(key: str, more: list[str], code: int, call: Call, box: Path) -> None:
    prefix = ONE.public_key[:-32]
    (box / "weak.pem").write_bytes(public_key_to_pem(prefix + bytes(32)))
    (box / "both.pem").write_bytes((box / "one.pem").read_bytes() * 2)
    (box / "example.pem").write_bytes((EXAMPLE_KEYS / "example.pub.pem").read_bytes())
    before = (box / "trust.json").read_bytes()
    done = call("trust add", "trust.json", key, *more)
    assert (done.code, done.err.count("error: ")) == (code, 1)
    assert (box / "trust.json").read_bytes() == before


def test_an_example_key_is_admitted_by_name_alone(call: Call, box: Path) -> None:
    example = EXAMPLE_KEYS / "example.pub.pem"
    assert call("trust add", "trust.json", example, "--allow-example-keys").code == 0
    for name in ("show", "check"):
        assert call(f"trust {name}", "trust.json").code == 3
        assert call(f"trust {name}", "trust.json", "--allow-example-keys").code == 0
    assert call("trust add", "trust.json", "two.pub").code == 3
    assert json.loads((box / "trust.json").read_text())["version"] == 3


def revoked(index: int = 0) -> Any:
    return load()["keys"][index]["revoked"]


def test_a_key_is_retired(call: Call, box: Path) -> None:
    assert call("trust retire", "trust.json", ONE.keyid, "--at", "2026-11-22").code == 0
    assert revoked() == {"at": "2026-11-22T00:00:00.000000Z", "reason": "retired"}
    assert load()["version"] == 3
    assert call("trust add", "trust.json", "two.pub").code == 0
    assert call("trust retire", "trust.json", fingerprint(TWO.keyid).upper()).code == 0
    assert revoked(0)["reason"] == revoked(1)["reason"] == "retired"
    assert revoked(1)["at"] > "2026-01-01"
    (box / "exec-1.record.json").write_bytes(standard_sealed().data)
    assert call("verify-record", "--trust", "trust.json", "exec-1.record.json").code == 4


def test_a_revocation_only_gets_stricter(call: Call, box: Path) -> None:
    assert (box / "trust.json").exists()
    calls: list[tuple[str, str, int]] = [
        ("superseded", LATER, 0),
        ("superseded", LATER, 2),
        ("retired", FAR, 2),
        ("superseded", PAST, 0),
        ("retired", LATER, 2),
        ("compromised", FAR, 0),
        ("compromised", FAR, 2),
        ("retired", PAST, 2),
        ("compromised", LATER, 0),
        ("compromised", FAR, 2),
        ("superseded", PAST, 2),
        ("compromised", PAST, 0),
    ]
    expected = None
    for reason, at, code in calls:
        done = call("trust revoke", "trust.json", ONE.keyid[:8], "--reason", reason, "--at", at)
        assert (done.code, reason, at) == (code, reason, at)
        expected = {"at": at, "reason": reason} if code == 0 else expected
        assert revoked() == expected
    assert load()["version"] == 2 + sum(code == 0 for _, _, code in calls)


@pytest.mark.parametrize(
    "words",
    [
        [ONE.keyid],
        [ONE.keyid, "--reason", "stolen"],
        [ONE.keyid, "--reason", "compromised"],
        [ONE.keyid, "--reason", "retired", "--at", "now"],
        [ONE.keyid[:7], "--reason", "retired"],
        ["", "--reason", "retired"],
        [TWO.keyid, "--reason", "retired"],
        [ONE.keyid + "0", "--reason", "retired"],
    ],
)
def test_revocations_that_are_none(words: list[str], call: Call, box: Path) -> None:
    before = (box / "trust.json").read_bytes()
    assert call("trust revoke", "trust.json", *words).code == 2
    assert (box / "trust.json").read_bytes() == before


def test_a_beginning_names_one_key() -> None:
    (entry,) = policy_for(ONE).document.keys
    keyids = ["0" * 63 + "1", "0" * 8 + "1" * 56, "1" * 64]
    keys = tuple(msgspec.structs.replace(entry, keyid=keyid) for keyid in keyids)
    document = msgspec.structs.replace(policy_for(ONE).document, keys=keys)
    assert [find_key(document, keyid) for keyid in keyids] == [0, 1, 2]
    assert find_key(document, "0" * 9) == 0
    assert find_key(document, "0000 0000 1") == 1
    assert find_key(document, "1" * 8) == 2
    for text in ("0" * 8, "2" * 8, "1" * 7, "", " ", "0" * 65):
        with pytest.raises(CommandError) as caught:
            find_key(document, text)
        assert caught.value.exit_code == 2


# --- trust: check ----------------------------------------------------------------------------------------------------


def test_a_policy_is_checked(call: Call, box: Path) -> None:
    assert call("trust check", "trust.json").code == 0
    assert call("trust check", "trust.json", "--min-policy-version", "2").code == 0
    assert call("trust check", "trust.json", "--min-policy-version", "3").code == 3
    wrong: tuple[dict[str, Any], ...] = (
        {"version": 0},
        {"keys": load()["keys"] * 2},
        {"x": 1},
        {"expires": PAST},
        {"require": []},
    )
    for changes in wrong:
        write_policy(box / "other.json", **changes)
        assert call("trust check", "other.json").code == 3
    for name in ("missing", ".", "one.pem", "/dev/null"):
        assert call("trust check", name).code == 3


def test_what_nobody_can_meet_is_noted(call: Call, box: Path) -> None:
    def notes() -> int:
        done = call("trust check", "trust.json")
        assert done.code == 0
        return done.out.count("note: ")

    assert (box / "two.pub").exists()
    assert notes() == 0
    assert call("trust set", "trust.json", "--require", "seal=2", "--require", "countersign=1").code == 0
    assert notes() == 2
    assert call("trust add", "trust.json", "two.pub", "--role", "seal", "--role", "countersign").code == 0
    assert notes() == 0
    assert call("trust set", "trust.json", "--require", "seal:ml-dsa-44=1").code == 0
    assert notes() == 1
    assert call("trust set", "trust.json", "--require", "seal=2").code == 0
    assert call("trust retire", "trust.json", ONE.keyid, "--at", FAR).code == 0
    assert notes() == 0
    assert call("trust revoke", "trust.json", ONE.keyid, "--reason", "compromised", "--at", FAR).code == 0
    assert notes() == 1


# --- trust: an edit is whole or not at all ---------------------------------------------------------------------------


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_an_edit_keeps_mode_and_links(call: Call, box: Path) -> None:
    (box / "link.json").symlink_to("trust.json")
    (box / "trust.json").chmod(0o640)
    before = (box / "trust.json").stat()
    assert call("trust add", "link.json", "two.pub").code == 0
    after = (box / "trust.json").stat()
    assert (box / "link.json").is_symlink()
    assert len(load()["keys"]) == 2
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert names(box) == {"one.pem", "two.pub", "trust.json", "link.json"}


@pytest.mark.parametrize("what", ["write", "fsync", "rename", "fchmod", "open"])
def test_an_edit_that_fails_leaves_the_old_policy(
    what: str, call: Call, box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (box / "trust.json").read_bytes()

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "scratch")

    def on_new(real: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, *args: Any, **more: Any) -> int:
            if str(path).endswith(".new"):
                fail()
            return real(path, *args, **more)

        return opened

    with monkeypatch.context() as patch:
        if what == "open":
            patch.setattr(os, "open", on_new(os.open))
        elif what == "write":
            full = os.open("/dev/full", os.O_WRONLY)
            real = os.open
            patch.setattr(os, "open", lambda path, *args: _swapped(real(path, *args), full, path))
        else:
            patch.setattr(os, what, fail)
        done = call("trust add", "trust.json", "two.pub")
    if what == "write":
        os.close(full)
    assert done.code == 3
    assert "trust.json" in done.err
    assert (box / "trust.json").read_bytes() == before
    assert names(box) == {"one.pem", "two.pub", "trust.json"}
    assert call("trust add", "trust.json", "two.pub").code == 0


def _swapped(descriptor: int, full: int, path: object) -> int:
    """Return a descriptor of a full device in the place of that of a scratch file."""
    if str(path).endswith(".new"):
        os.dup2(full, descriptor)
    return descriptor


def test_an_edit_is_durable_before_it_is_reported(call: Call, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    assert call("trust add", "trust.json", "two.pub").code == 0
    file, directory = synced
    assert (Path(file).suffix, Path(file).parent) == (".new", box.resolve())
    assert Path(directory) == box.resolve()


def test_two_edits_at_a_time_do_not_lose_one(call: Call, box: Path) -> None:
    before = (box / "trust.json").read_bytes()
    with files.open_regular(box / "trust.json") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert call("trust add", "trust.json", "two.pub").code == 3
    assert (box / "trust.json").read_bytes() == before
    assert call("trust add", "trust.json", "two.pub").code == 0


def test_a_policy_that_was_replaced_in_between_is_not_overwritten(
    call: Call, box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, path = fcntl.flock, box / "trust.json"

    def lock(descriptor: int, how: int) -> None:  # whoever edited it was quicker
        path.rename(box / "old.json")
        write_policy(path, version=9)
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock)
    assert call("trust add", "trust.json", "two.pub").code == 3
    assert load()["version"] == 9


def test_there_is_a_last_version(call: Call, box: Path) -> None:
    write_policy(box / "trust.json", version=MAX_VERSION)
    assert call("trust add", "trust.json", "two.pub").code == 3
    write_policy(box / "trust.json", version=MAX_VERSION - 1)
    assert call("trust add", "trust.json", "two.pub").code == 0
    assert load()["version"] == MAX_VERSION


@pytest.mark.parametrize("words", ["", "sign", "add", "add x", "init", "show", "show a b", "check --json x"])
def test_wrong_calls(words: str, call: Call) -> None:
    assert call(f"trust {words}").code == 2


def test_every_call_explains_itself(call: Call) -> None:
    assert call("trust --help").code == 0
    for name in ("init", "set", "add", "revoke", "retire", "show", "check"):
        done = call(f"trust {name} --help")
        assert (done.code, done.err) == (0, "")


def test_as_processes(box: Path) -> None:
    (box / "exec-1.record.json").write_bytes(standard_sealed().data)
    program = str(Path(sys.executable).parent / "hearth-records")

    def run(*words: str) -> int:
        return subprocess.run([program, *words], cwd=box, check=False, capture_output=True, timeout=60).returncode

    assert run("verify", "--trust", "trust.json", "exec-1.record.json") == 0
    assert run("trust", "revoke", "trust.json", ONE.keyid, "--reason", "compromised", "--at", "2026-01-01") == 0
    assert run("verify", "--trust", "trust.json", "exec-1.record.json") == 4
    assert run("trust", "check", "trust.json", "--min-policy-version", "4") == 3
