"""Trust policies on the command line: which one a command takes, and how `hearth-records trust` edits one."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from helpers import policy_for, signer, standard_sealed

from hearth_records.errors import TrustError
from hearth_records.trust import TrustPolicy, encode_policy

if TYPE_CHECKING:
    from pathlib import Path

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
