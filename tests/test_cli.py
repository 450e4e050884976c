"""The commands, as processes: what they print, where, and what they end with (FORMAT §8, §9).

`run` looks at everything that any command prints here: no traceback, and no character that a terminal acts on or hides.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import importlib
import json
import os
import pty
import re
import select
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import termios
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from helpers import OTHER_SEED, policy_for, private_key, signer, standard_record, standard_sealed
from jsonschema import Draft202012Validator
from test_hestia import HOSTILE, hostile_record

from hearth_records.cli import common
from hearth_records.errors import SealError
from hearth_records.keys import (
    LocalSigner,
    keyid_of,
    load_private_key,
    load_public_key,
    private_key_to_pem,
    public_key_to_pem,
)
from hearth_records.schema import SCHEMAS, encode_schema
from hearth_records.seal import seal_record
from hearth_records.trust import encode_policy
from hearth_records.verify import CHECKS, EXIT_CODES, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BIN: Final = Path(sys.executable).parent
ROOT: Final = Path(__file__).parent.parent
EXAMPLE: Final = ROOT / "keys_example"
MODULES: Final = {
    "verify-record": "verify",
    "validate-record": "validate",
    "regenerate-scaffold": "scaffold",
    "hearth-records": "main",
}
TIMEOUT: Final = 60
"""Seconds after which a process is taken to hang."""
SPKI_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")

Argument = str | bytes | Path
Case = tuple[str, list[Argument]]
NO_CHANGE: Final[Mapping[str, str]] = {}


# --- running ---------------------------------------------------------------------------------------------------------


class Done(NamedTuple):
    """What came of a process."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.out.isascii()
        value: dict[str, Any] = json.loads(self.out)
        return value


def command(name: str) -> list[str]:
    """Return how a command is started: its script where one is installed, else its function."""
    if (script := BIN / name).exists():
        return [str(script)]
    start = f"import sys; from hearth_records.cli.{MODULES[name]} import main; sys.exit(main())"
    return [sys.executable, "-c", start]


def environment(env: Mapping[str, str] = NO_CHANGE) -> dict[str, str]:
    names = (
        "NO_COLOR",
        "TERM",
        "LANG",
        "LC_ALL",
        "PYTHONIOENCODING",
        "PYTHONUTF8",
        "PYTHONUNBUFFERED",
        "COVERAGE_PROCESS_START",
    )
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return kept | {"LC_ALL": "C.UTF-8", "TERM": "xterm", "PYTHONDONTWRITEBYTECODE": "1", **env}


def is_safe(text: str) -> bool:
    """Whether nothing in `text` acts on a terminal or cannot be seen there; written apart from `errors.escape`."""
    blank = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    return all(
        char in " \n" or (unicodedata.category(char)[0] in "LMNPS" and char not in blank)
        for char in text
        if not char.isascii() or not char.isprintable()
    )


def look_at(code: int, out: bytes, err: bytes, encoding: str = "utf-8") -> Done:
    assert b"Traceback" not in out + err
    assert b"Exception ignored" not in err
    done = Done(code, out.decode(encoding), err.decode(encoding))
    assert is_safe(done.out)
    assert is_safe(done.err)
    return done


def run(
    name: str,
    *arguments: Argument,
    stdin: bytes = b"",
    cwd: Path | None = None,
    umask: int = -1,
    encoding: str = "utf-8",
    env: Mapping[str, str] = NO_CHANGE,
) -> Done:
    done = subprocess.run(
        [*command(name), *arguments],
        check=False,
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT,
        cwd=cwd,
        umask=umask,
        env=environment(env),
    )
    return look_at(done.returncode, done.stdout, done.stderr, encoding)


class Call:
    """Runs a command in this process, by the function that its script calls: for what does not need a process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, name: str, *arguments: str | Path, cwd: Path | None = None) -> Done:
        self._monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        if cwd is not None:
            self._monkeypatch.chdir(cwd)
        code = importlib.import_module(f"hearth_records.cli.{MODULES[name]}").main()
        out, err = self._capsys.readouterr()
        return look_at(code, out.encode(), err.encode())


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    return Call(capsys, monkeypatch)


def run_shell(redirection: str, name: str, *arguments: Argument, env: Mapping[str, str] = NO_CHANGE) -> Done:
    """Run a command with streams that only a shell can make."""
    line = " ".join(shlex.quote(os.fsdecode(part)) for part in [*command(name), *arguments])
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {line} {redirection}"],
        check=False,
        capture_output=True,
        timeout=TIMEOUT,
        env=environment(env),
    )
    return look_at(done.returncode, done.stdout, done.stderr)


def take_terminal() -> None:
    """Make standard input the controlling terminal, so that Ctrl-C and /dev/tty work."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def run_on_terminal(
    name: str, *arguments: Argument, dialogue: Sequence[tuple[bytes, bytes]] = (), env: Mapping[str, str] = NO_CHANGE
) -> Done:
    """Run a command on a terminal of its own; each answer is typed after its question was seen."""
    controller, device = pty.openpty()
    process = subprocess.Popen(
        [*command(name), *arguments],
        stdin=device,
        stdout=device,
        stderr=device,
        env=environment(env),
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - there are no threads here
    )
    os.close(device)
    shown, looked_at = b"", 0
    waiting = list(dialogue)
    while select.select([controller], [], [], TIMEOUT)[0]:
        try:
            shown += os.read(controller, 65536)
        except OSError:  # the last process that held the terminal is gone
            break
        if waiting and waiting[0][0] in shown[looked_at:]:
            looked_at = len(shown)
            os.write(controller, waiting.pop(0)[1])
    os.close(controller)
    code = process.wait(TIMEOUT)
    assert b"Traceback" not in shown
    return Done(code, shown.decode("utf-8", "replace").replace("\r\n", "\n"), "")


# --- files -----------------------------------------------------------------------------------------------------------


class Box(NamedTuple):
    """A directory with records and keys."""

    path: Path
    key: Path
    other_key: Path
    trust: Path

    def __getitem__(self, name: str) -> Path:  # type: ignore[override]
        return self.path / f"{name}.record.json"


def pem(spki: bytes) -> bytes:
    return public_key_to_pem(spki)


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    path = tmp_path_factory.mktemp("box")
    made = Box(path, path / "key.pem", path / "other.pem", path / "trust.json")
    made.key.write_bytes(pem(signer().public_key))
    made.other_key.write_bytes(pem(signer(OTHER_SEED).public_key))
    made.trust.write_bytes(encode_policy(policy_for(signer()).document))
    good = standard_sealed().data
    journal = good[: good.rindex(b'],"disclosures"')]
    example = LocalSigner(load_private_key((EXAMPLE / "example.pem").read_bytes()))
    for name, data in {
        "good": good,
        "altered": good.replace(b'"Deploy"', b'"Depl0y"', 1),
        "stranger": seal_record(standard_record(), signer(OTHER_SEED)).data,
        "journal": journal,
        "torn": journal[:-20],
        "opened": b'{"format":"hearth-record/1","events":[\n',
        "garbage": b"garbage\n",
        "empty": b"",
        "indented": json.dumps(json.loads(good), indent=1).encode(),
        "example": seal_record(standard_record(), example, allow_example_keys=True).data,
        "hostile": seal_record(hostile_record(f"a{HOSTILE}\nVERIFIED\n`# b"), signer()).data,
        "accents": seal_record(hostile_record("é ś ①"), signer()).data,
    }.items():
        made[name].write_bytes(data)
    return made


CODES: Final = {
    "good": 0,
    "altered": 1,
    "stranger": 4,
    "journal": 5,
    "torn": 5,
    "garbage": 3,
    "empty": 3,
    "indented": 3,
}
"""What `verify-record --key` ends with."""


def special_files(directory: Path) -> dict[str, Path]:
    """Make what cannot be read as a record file, or not at once."""
    os.mkfifo(directory / "fifo")
    (directory / "file").write_bytes(b"x")
    (directory / "loop").symlink_to("loop")
    with (directory / "huge").open("wb") as stream:
        stream.truncate(1024**3 + 1)
    return {
        "directory": directory,
        "fifo": directory / "fifo",
        "missing": directory / "missing",
        "below a file": directory / "file" / "x",
        "loop": directory / "loop",
        "device": Path("/dev/zero"),
        "huge": directory / "huge",
    }


# --- usage -----------------------------------------------------------------------------------------------------------

USAGE: Final = [
    ("verify-record", "FILE"),
    ("verify-record", ""),
    ("verify-record", "--no-trust"),
    ("verify-record", "--no-trust --key KEY FILE"),
    ("verify-record", "--trust TRUST --key KEY FILE"),
    ("verify-record", "--no-trus FILE"),
    ("verify-record", "--format xml --no-trust FILE"),
    ("verify-record", "--key KEY --unverified FILE"),
    ("verify-record", "--key"),
    ("verify-record", "--no-trust --format"),
    ("verify-record", "--no-trust --format=xml FILE"),
    ("verify-record", "--no-trust=yes FILE"),
    ("verify-record", "--trust TRUST --trust TRUST FILE"),
    ("verify-record", "--trust= FILE"),
    ("verify-record", "--no-trust -v FILE"),
    ("verify-record", "--no-trust --"),
    ("regenerate-scaffold", "FILE"),
    ("regenerate-scaffold", "--key KEY"),
    ("regenerate-scaffold", "--unverified --key KEY FILE"),
    ("regenerate-scaffold", "--no-trust FILE"),
    ("regenerate-scaffold", "--unverified FILE FILE"),
    ("regenerate-scaffold", "--unverified --format html FILE"),
    ("validate-record", ""),
    ("validate-record", "--key KEY FILE"),
    ("hearth-records", ""),
    ("hearth-records", "sign"),
    ("hearth-records", "show FILE"),
    ("hearth-records", "keygen"),
    ("hearth-records", "keygen --algorithm rsa NEW"),
    ("hearth-records", "schema"),
    ("hearth-records", "schema show"),
    ("hearth-records", "schema show nothing"),
    ("hearth-records", "schema export"),
]


@pytest.mark.parametrize(("name", "arguments"), USAGE)
def test_a_wrong_command_line_ends_with_2_and_a_hint(
    call: Call, box: Box, tmp_path: Path, name: str, arguments: str
) -> None:
    files = {"FILE": str(box["good"]), "KEY": str(box.key), "TRUST": str(box.trust), "NEW": "new.pem"}
    done = call(name, *(files.get(word, word) for word in arguments.split()), cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith(name)
    assert ": error: " in first
    assert second.startswith("hint: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        *("verify-record", "validate-record", "regenerate-scaffold", "hearth-records"),
        *(f"hearth-records {name}" for name in ["demo", "keygen", "show", "verify", "validate", "scaffold", "schema"]),
    ],
)
def test_help_ends_with_0(words: str) -> None:
    name, *rest = words.split()
    done = run(name, *rest, "--help")
    assert (done.code, done.err) == (0, "")
    assert words in done.out


def test_the_command_lists_its_commands_and_its_version() -> None:
    listed = run("hearth-records", "-h").out
    assert all(
        f"  {name} " in listed for name in ["demo", "keygen", "show", "verify", "validate", "scaffold", "schema"]
    )
    assert re.fullmatch(r"hearth-records [0-9]+\.[0-9]+\.\S+\n", run("hearth-records", "--version").out)


def test_options_may_stand_anywhere_and_files_may_look_like_options(box: Box, tmp_path: Path) -> None:
    for name in ("-x", "--help"):
        shutil.copy(box["good"], tmp_path / name)
    done = run("verify-record", box["good"], f"--key={box.key}", "--format=json", "--", "-x", "--help", cwd=tmp_path)
    assert (done.code, [entry["file"] for entry in done.json["results"]]) == (0, [str(box["good"]), "-x", "--help"])
    scaffold = run("regenerate-scaffold", f"--key={box.key}", "--format=json", "--", "-x", cwd=tmp_path)
    assert (scaffold.code, scaffold.json["made_from"]["verdict"]) == (0, "verified")
    assert run("validate-record", "--", "-x", "--help", cwd=tmp_path).code == 0


def test_both_ways_to_start_a_command_do_the_same(box: Box) -> None:
    cases: list[tuple[str, str, list[Argument]]] = [
        ("verify-record", "verify", ["--key", box.key, "--format", "json", box["good"], box["altered"]]),
        ("validate-record", "validate", [box["good"]]),
        ("regenerate-scaffold", "scaffold", ["--key", box.key, box["good"]]),
    ]
    for one, other, arguments in cases:
        assert run(one, *arguments) == run("hearth-records", other, *arguments)


# --- verify-record ---------------------------------------------------------------------------------------------------


def check_lines(text: str) -> list[tuple[str, str]]:
    """Return the checks that a report in text names, with their status."""
    lines = [line.split() for line in text.splitlines()]
    status = ("pass", "fail", "not")
    return [(words[0], words[1]) for words in lines if words[:1] and words[0] in CHECKS and words[1] in status]


def test_the_text_has_one_line_a_check_in_order_and_the_facts(box: Box) -> None:
    done = run("verify-record", "--key", box.key, box["good"])
    sealed = standard_sealed()
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == str(box["good"])
    assert check_lines(done.out) == [*((name, "pass") for name in CHECKS[:-1]), ("timestamp", "not")]
    assert done.out.splitlines()[-1].split()[:2] == ["verdict", "VERIFIED:"]
    for fact in (
        hashlib.sha256(box["good"].read_bytes()).hexdigest(),
        "exec-1",
        sealed.record.get_execution_hash(),
        sealed.statement.predicate.sealed_at,
        str(box.key),
        signer().keyid,
    ):
        assert fact in done.out


def test_the_text_names_the_check_that_failed_and_the_place(box: Box) -> None:
    done = run("verify-record", "--trust", box.trust, box["altered"], box["journal"])
    assert done.code == 1
    found = check_lines(done.out)
    assert [name for name, _status in found] == [*CHECKS, *CHECKS]
    assert [name for name, status in found if status == "fail"] == ["chain", "sealed"]
    (line,) = [line for line in done.out.splitlines() if line.split()[:2] == ["chain", "fail"]]
    assert "/events/1/previous_event_hash" in line


def verification_errors(document: Any) -> list[str]:
    schema = json.loads((ROOT / "schemas" / SCHEMAS["verification"]).read_bytes())
    return [error.message for error in Draft202012Validator(schema).iter_errors(document)]


def test_the_report_in_json(box: Box) -> None:
    done = run("verify-record", "--trust", box.trust, "--format", "json", box["good"])
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    assert verification_errors(done.json) == []
    (entry,) = done.json["results"]
    assert done.json == {"exit_code": 0, "format": "hearth-verification/1", "results": [entry]}
    assert [(check["check"], check["status"]) for check in entry.pop("checks")] == [
        *((name, "pass") for name in CHECKS[:-1]),
        ("timestamp", "not_run"),
    ]
    assert entry == {
        "chain_head": standard_sealed().record.get_execution_hash(),
        "events": 8,
        "execution_id": "exec-1",
        "evidence": [],
        "exit_code": 0,
        "file": str(box["good"]),
        "disclosures": [],
        "reformatted": False,
        "sealed_at": "2026-11-22T17:00:00.000000Z",
        "sha256": hashlib.sha256(box["good"].read_bytes()).hexdigest(),
        "signers": [
            {
                "algorithm": "ed25519",
                "evidence": [],
                "keyid": signer().keyid,
                "name": "key 0",
                "role": "seal",
                "status": "good",
            }
        ],
        "verdict": "verified",
        "warnings": [],
    }


def test_every_kind_of_file_has_its_code_and_each_is_reported(box: Box) -> None:
    done = run("verify-record", "--key", box.key, "--format", "json", *(box[name] for name in CODES))
    assert verification_errors(done.json) == []
    assert done.code == done.json["exit_code"] == 1
    for (name, code), entry in zip(CODES.items(), done.json["results"], strict=True):
        assert (entry["file"], entry["exit_code"]) == (str(box[name]), code)
        assert entry["verdict"] == VERDICTS[code]  # type: ignore[index]
        assert entry["sha256"] == hashlib.sha256(box[name].read_bytes()).hexdigest()
        failed = [check for check in entry["checks"] if check["status"] == "fail"]
        assert [EXIT_CODES[check["check"]] for check in failed[:1]] == ([code] if code else [])
        assert all(check["code"] and check["reason"] for check in failed)
    places = {Path(entry["file"]).name.split(".")[0]: entry for entry in done.json["results"]}
    chain = places["altered"]["checks"][CHECKS.index("chain")]
    assert (chain["code"], chain["seq"], chain["pointer"]) == ("link", 1, "/events/1/previous_event_hash")
    assert [warning["code"] for warning in places["torn"]["warnings"]] == ["torn-tail"]
    assert places["stranger"]["signers"][0]["name"] is None


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ("good good", 0),
        ("good stranger", 4),
        ("stranger journal good", 5),
        ("journal garbage stranger", 3),
        ("garbage altered journal", 1),
    ],
)
def test_the_worst_code_wins(box: Box, names: str, code: int) -> None:
    files = [box[name] for name in names.split()]
    done = run("verify-record", "--key", box.key, "--format", "json", *files)
    assert (done.code, done.json["exit_code"]) == (code, code)
    assert [entry["exit_code"] for entry in done.json["results"]] == [CODES[name] for name in names.split()]
    assert run("verify-record", "--key", box.key, *files).code == code


def test_without_trust_the_best_is_4(box: Box) -> None:
    done = run("verify-record", "--no-trust", "--format", "json", *(box[name] for name in CODES))
    codes = {name: entry["exit_code"] for name, entry in zip(CODES, done.json["results"], strict=True)}
    assert codes == CODES | {"good": 4}
    checks = {check["check"]: check["status"] for check in done.json["results"][0]["checks"]}
    assert {name for name, status in checks.items() if status != "pass"} == {"signature", "trust", "timestamp"}
    assert run("verify-record", "--no-trust", box["good"]).code == 4


def test_several_keys_are_one_policy(box: Box) -> None:
    done = run("verify-record", "--key", box.key, "--key", box.other_key, box["good"], box["stranger"])
    assert done.code == 0


def test_standard_input_is_a_file_too(box: Box) -> None:
    data = box["good"].read_bytes()
    done = run("verify-record", "--key", box.key, "--format", "json", "-", box["garbage"], stdin=data)
    first, second = done.json["results"]
    assert (first["file"], first["exit_code"], first["sha256"]) == ("-", 0, hashlib.sha256(data).hexdigest())
    assert (done.code, second["exit_code"]) == (3, 3)
    assert run("verify-record", "--key", box.key, "-").code == 3  # nothing there


def test_a_closed_standard_input_is_reported_like_any_file_that_cannot_be_read(box: Box) -> None:
    done = run_shell("<&-", "verify-record", "--key", box.key, "--format", "json", "-", box["altered"])
    assert (done.code, [entry["exit_code"] for entry in done.json["results"]]) == (1, [3, 1])
    read = done.json["results"][0]["checks"][0]
    assert (read["check"], read["status"], read["code"]) == ("read", "fail", "unreadable")
    for name, arguments in [
        ("validate-record", ["-"]),
        ("regenerate-scaffold", ["--unverified", "-"]),
        ("hearth-records", ["show", "--unverified", "-"]),
    ]:
        assert run_shell("<&-", name, *arguments).code == 3


def test_a_reformatted_file_is_only_taken_when_asked_for(box: Box) -> None:
    arguments: list[Argument] = ["--key", box.key, "--format", "json", box["indented"]]
    done = run("verify-record", *arguments)
    check = done.json["results"][0]["checks"][1]
    assert (done.code, check["check"], check["code"]) == (3, "canonical", "reformatted")
    allowed = run("verify-record", "--allow-reformatted", *arguments)
    (entry,) = allowed.json["results"]
    assert (allowed.code, entry["reformatted"], entry["warnings"][0]["code"]) == (0, True, "reformatted")
    assert entry["sha256"] == hashlib.sha256(box["indented"].read_bytes()).hexdigest()
    assert verification_errors(allowed.json) == []
    piped = run("verify-record", "--allow-reformatted", *arguments[:-1], "-", stdin=box["indented"].read_bytes())
    assert piped.json["results"][0] == entry | {"file": "-"}
    assert "reformatted" in run("verify-record", "--allow-reformatted", "--key", box.key, box["indented"]).out


def test_what_is_no_regular_file_fails_read_and_never_blocks(box: Box, tmp_path: Path) -> None:
    files = special_files(tmp_path)
    done = run("verify-record", "--key", box.key, "--format", "json", *files.values())
    assert verification_errors(done.json) == []
    for name, entry in zip(files, done.json["results"], strict=True):
        read = entry["checks"][0]
        assert (read["check"], read["status"]) == ("read", "fail")
        assert read["code"] == ("too-large" if name == "huge" else "unreadable")
        assert {check["status"] for check in entry["checks"][1:]} == {"not_run"}
        assert (entry["exit_code"], entry["sha256"]) == (3, None)
    assert done.code == 3
    assert run("verify-record", "--key", box.key, *files.values()).code == 3


@pytest.mark.parametrize(("expires", "code"), [("2020-01-01T00:00:00.000000Z", 4), ("9999-01-01T00:00:00.000000Z", 0)])
def test_a_policy_expires(box: Box, tmp_path: Path, expires: str, code: int) -> None:
    policy = json.loads(box.trust.read_bytes()) | {"expires": expires}
    (tmp_path / "trust.json").write_text(json.dumps(policy))
    done = run("verify-record", "--trust", tmp_path / "trust.json", "--format", "json", box["good"])
    trust = done.json["results"][0]["checks"][CHECKS.index("trust")]
    assert (done.code, trust["code"]) == (code, "policy-expired" if code else None)
    assert run("regenerate-scaffold", "--trust", tmp_path / "trust.json", box["good"]).code == code


def test_the_fast_path_imports_only_what_it_needs(box: Box) -> None:
    unwanted = [
        *("jsonschema", "argparse", "asyncio", "ssl", "socket", "subprocess", "multiprocessing", "threading", "urllib"),
        *(
            f"hearth_records.{name}"
            for name in ["schema", "observer", "seal", "hestia", "rollback", "documents", "journal", "demo"]
        ),
    ]
    for trust in (["--key", str(box.key)], ["--trust", str(box.trust)]):
        program, *start = command("verify-record")
        start = start or [program]
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *start, *trust, box["good"]],
            check=True,
            capture_output=True,
            timeout=TIMEOUT,
            env=environment(),
        )
        imported = [line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()]
        assert "hearth_records.verify" in imported
        assert [name for name in imported for base in unwanted if name == base or name.startswith(f"{base}.")] == []


# --- whose signature is accepted -------------------------------------------------------------------------------------


def policy_with(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode_policy(policy_for(signer()).document)) | changes).encode()


def key_with(**changes: Any) -> bytes:
    key = json.loads(encode_policy(policy_for(signer()).document))["keys"][0]
    return policy_with(keys=[key | changes])


def key_of(raw: bytes) -> dict[str, str]:
    """Return the members of a policy's key that tell which Ed25519 key it is."""
    spki = SPKI_PREFIX + raw
    return {"public_key": base64.b64encode(spki).decode(), "keyid": keyid_of(spki)}


def foreign_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form)


BAD_POLICIES: Final[dict[str, Callable[[], bytes]]] = {
    "empty": lambda: b"",
    "no JSON": lambda: b"trust me",
    "a list": lambda: b"[]",
    "another format": lambda: policy_with(format="hearth-trust/2"),
    "unknown member": lambda: policy_with(extra=1),
    "duplicate member": lambda: policy_with().replace(b"{", b'{"version":1,', 1),
    "missing member": lambda: policy_with().replace(b'"expires": null,', b""),
    "no requirement": lambda: policy_with(require=[]),
    "counts 0": lambda: policy_with(require=[{"role": "seal", "algorithm": None, "count": 0}]),
    "role of no record": lambda: policy_with(require=[{"role": "witness", "algorithm": None, "count": 1}]),
    "one key twice": lambda: policy_with(keys=json.loads(policy_with())["keys"] * 2),
    "another key id": lambda: key_with(keyid="0" * 64),
    "small order": lambda: key_with(**key_of(bytes(32))),
    "not canonical": lambda: key_with(**key_of((2**255 - 16).to_bytes(32, "little"))),
    "off the curve": lambda: key_with(**key_of((2).to_bytes(32, "little"))),
    "RSA": lambda: key_with(public_key=base64.b64encode(b"\x30\x82" + bytes(292)).decode()),
    "too large": lambda: policy_with() + b" " * (16 * 1024 * 1024),
}
BAD_KEYS: Final[dict[str, Callable[[], bytes]]] = {
    "empty": lambda: b"",
    "text": lambda: b"ssh-ed25519 AAAA me@here\n",
    "DER": lambda: signer().public_key,
    "private": lambda: private_key_to_pem(private_key()),
    "two": lambda: pem(signer().public_key) + pem(signer(OTHER_SEED).public_key),
    "text around it": lambda: b"my key\n" + pem(signer().public_key),
    "cut": lambda: pem(signer().public_key)[:-10],
    "no base64": lambda: pem(signer().public_key).replace(b"MCow", b"MC*w"),
    "RSA": lambda: foreign_pem(rsa.generate_private_key(65537, 2048)),
    "P-256": lambda: foreign_pem(ec.generate_private_key(ec.SECP256R1())),
    "small order": lambda: pem(SPKI_PREFIX + bytes(32)),
    "not canonical": lambda: pem(SPKI_PREFIX + (2**255 - 16).to_bytes(32, "little")),
    "too large": lambda: pem(signer().public_key) + b"\n" * (16 * 1024 * 1024),
}
REFUSED: Final = [
    *(("--trust", name, make) for name, make in BAD_POLICIES.items()),
    *(("--key", name, make) for name, make in BAD_KEYS.items()),
]


@pytest.mark.parametrize(
    ("option", "make"), [(option, make) for option, _name, make in REFUSED], ids=[r[1] for r in REFUSED]
)
def test_a_policy_or_a_key_that_is_refused_ends_with_3(
    call: Call, box: Box, tmp_path: Path, option: str, make: Callable[[], bytes]
) -> None:
    path = tmp_path / "given"
    path.write_bytes(make())
    done = call("verify-record", option, path, box["good"])
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"verify-record: error: {path}: ")


@pytest.mark.parametrize("option", ["--trust", "--key"])
@pytest.mark.parametrize("name", ["directory", "fifo", "missing", "below a file", "device", "huge"])
def test_a_policy_that_cannot_be_read_ends_with_3_and_never_blocks(
    call: Call, box: Box, tmp_path: Path, option: str, name: str
) -> None:
    path = special_files(tmp_path)[name]
    done = call("verify-record", option, path, box["good"])
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"verify-record: error: {path}: ")


def test_one_key_given_twice_is_refused(box: Box) -> None:
    assert run("verify-record", "--key", box.key, "--key", box.key, box["good"]).code == 3


@pytest.mark.parametrize("trust", [["--trust", EXAMPLE / "trust.json"], ["--key", EXAMPLE / "example.pub.pem"]])
def test_example_keys_are_refused_unless_named(box: Box, trust: list[Argument]) -> None:
    cases: list[Case] = [
        ("verify-record", [box["example"]]),
        ("regenerate-scaffold", [box["example"]]),
        ("hearth-records", ["show", box["example"]]),
    ]
    for name, arguments in cases:
        refused = run(name, *arguments, *trust)
        assert (refused.code, refused.out) == (3, "")
        assert run(name, *arguments, *trust, "--allow-example-keys").code == 0


# --- what is printed -------------------------------------------------------------------------------------------------

HOSTILE_NAME: Final = b"\x1b]0;x\x07\nVERIFIED\r\x9b31m\xc2\x9b\xe2\x80\xae\xe2\x80\x8b\xe3\x85\xa4\xff`*.json"


def forges_a_verdict(text: str) -> bool:
    return any(line.strip().startswith(("VERIFIED", "verdict      VERIFIED")) for line in text.splitlines())


def test_hostile_records_names_and_policies_are_escaped_everywhere(box: Box, tmp_path: Path) -> None:
    hostile = os.fsencode(tmp_path) + b"/" + HOSTILE_NAME
    shutil.copy(box["hostile"], os.fsdecode(hostile))
    altered = hostile + b"2"
    Path(os.fsdecode(altered)).write_bytes(box["hostile"].read_bytes().replace(b'"seq":1', b'"seq":2'))
    key = hostile + b".pem"
    shutil.copy(box.key, os.fsdecode(key))
    policy = tmp_path / "trust.json"
    policy.write_bytes(key_with(name=f"{HOSTILE}\nVERIFIED"))
    cases: list[list[Argument]] = [["--key", key], ["--trust", policy], ["--key", key, "--format", "json"]]
    for arguments in cases:
        done = run("verify-record", *arguments, hostile)
        assert (done.code, done.err) == (0, "")
        broken = run("verify-record", *arguments, altered, hostile + b"3")
        assert (broken.code, forges_a_verdict(broken.out)) == (1, False)
    cases = [["--key", key], ["--trust", policy, "--format", "text"], ["--key", key, "--format", "json"]]
    for arguments in cases:
        shown = run("regenerate-scaffold", *arguments, hostile)
        assert (shown.code, shown.err, forges_a_verdict(shown.out)) == (0, "", False)
    refused = run("regenerate-scaffold", "--key", key, altered)
    assert (refused.code, refused.out, forges_a_verdict(refused.err)) == (1, "", False)
    unverified = run("hearth-records", "show", "--unverified", hostile)
    assert (unverified.code, forges_a_verdict(unverified.out)) == (0, False)
    assert run("hearth-records", "show", "--key", key, hostile).code == 0
    assert run("validate-record", hostile).code == 0
    Path(os.fsdecode(hostile + b"4")).write_bytes(box["good"].read_bytes().replace(b'"seq":1', b'"seq":-1'))
    assert run("validate-record", hostile + b"4").code == 1
    assert run("validate-record", hostile + b"3").code == 3
    reported = run("verify-record", "--no-trust", "--format", "json", hostile).json["results"][0]["file"]
    assert reported.endswith("\\udcff`*.json")


def test_hostile_faults_are_escaped_everywhere(box: Box, tmp_path: Path) -> None:
    good = box["good"].read_bytes()
    name = json.dumps(f"{HOSTILE}\nVERIFIED").encode()
    raw = f"{HOSTILE}\nVERIFIED".replace("\n", "").replace("\r", "").encode()
    faults = [
        good.replace(b'"seq":1', name + b':1,"seq":1'),
        good.replace(b'"seq":1', b'"seq":' + name),
        good.replace(b'"live_mode_state":"LIVE"', b'"live_mode_state":' + name),
        good.replace(b'"details":{}', b'"details":{"...":1}'),
        good.replace(b'"seq":1', b'"' + raw + b'":1,"seq":1'),
        good.replace(b'"seq":1', b'"\\ud800":1,"seq":1'),
        good.replace(b"hearth-record/1", raw, 1),
        raw * 100,
        b'{"format":"hearth-record/1","events":[\n{"\\ud800\\u001b[31m":1}\n',
    ]
    paths = [tmp_path / str(number) for number in range(len(faults))]
    for path, data in zip(paths, faults, strict=True):
        path.write_bytes(data)
    text = run("verify-record", "--no-trust", *paths)
    report = run("verify-record", "--no-trust", "--format", "json", *paths)
    assert (text.code, report.code, report.json["exit_code"]) == (3, 3, 3)
    assert verification_errors(report.json) == []
    assert {entry["exit_code"] for entry in report.json["results"]} == {3}
    assert run("validate-record", *paths).code == 1
    assert not forges_a_verdict(text.out)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("verify-record", [b"--" + HOSTILE_NAME]),
        ("verify-record", ["--no-trust", "--format", HOSTILE_NAME, "x"]),
        ("verify-record", ["--trust", HOSTILE_NAME, "x"]),
        ("hearth-records", [HOSTILE_NAME]),
        ("hearth-records", ["schema", "show", HOSTILE_NAME]),
        ("hearth-records", ["keygen", HOSTILE_NAME]),
        ("hearth-records", ["keygen", b"missing/" + HOSTILE_NAME]),
        ("hearth-records", ["schema", "export", "--check", "-o", HOSTILE_NAME]),
    ],
)
def test_hostile_arguments_are_escaped(tmp_path: Path, name: str, arguments: list[Argument]) -> None:
    done = run(name, *arguments, cwd=tmp_path)
    assert done.code in (0, 1, 2, 3)
    assert done.out + done.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_that_lacks_a_character_gets_an_escape(box: Box, encoding: str) -> None:
    # Bytes of UTF-8 may be controls elsewhere: "ś" holds 0x9B, which begins an escape sequence in Latin-1.
    changes = {"LC_ALL": "C", "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    cases: list[Case] = [
        ("verify-record", ["--key", box.key, box["accents"], box["journal"], box["indented"]]),
        ("regenerate-scaffold", ["--key", box.key, box["accents"]]),
        ("regenerate-scaffold", ["--key", box.key, "--format", "text", box["accents"]]),
        ("hearth-records", ["show", "--key", box.key, box["accents"]]),
        ("hearth-records", ["show", "--key", box.key, box["accents"]]),
        ("hearth-records", ["--help"]),
        ("hearth-records", ["é"]),
        ("validate-record", ["ś①.json"]),
    ]
    for name, arguments in cases:
        done = run(name, *arguments, encoding=encoding, env=changes)
        assert done.code in (0, 2, 3)
        if "accents" in str(arguments[-1]):
            assert "\\u015b \\u2460" in done.out


def test_an_output_file_is_utf_8_whatever_the_terminal_is(box: Box, tmp_path: Path) -> None:
    done = run(
        "regenerate-scaffold",
        "--key",
        box.key,
        "-o",
        tmp_path / "out.md",
        box["accents"],
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert done.code == 0
    assert "é ś ①" in (tmp_path / "out.md").read_text(encoding="utf-8")


def test_colours_need_a_terminal_that_wants_them(box: Box) -> None:
    arguments: list[Argument] = ["--key", box.key, box["good"], box["altered"], box["journal"]]
    plain = run("verify-record", *arguments)
    coloured = run_on_terminal("verify-record", *arguments)
    assert (plain.code, coloured.code) == (1, 1)
    assert "\x1b[32m" in coloured.out
    assert "\x1b[31m" in coloured.out
    assert re.sub("\x1b\\[[0-9]+m", "", coloured.out) == plain.out
    for changes in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert run_on_terminal("verify-record", *arguments, env=changes) == Done(1, plain.out, "")
    assert run_on_terminal("verify-record", *arguments, env={"NO_COLOR": ""}).out == coloured.out  # empty is unset
    assert "\x1b" not in run_on_terminal("verify-record", "--format", "json", *arguments).out
    assert "\x1b" not in run_on_terminal("hearth-records", "show", *arguments[:3]).out


# --- output that nobody reads ----------------------------------------------------------------------------------------


def printing(box: Box) -> list[Case]:
    """Commands that print and end with 0."""
    trust: list[Argument] = ["--key", box.key, box["good"]]
    return [
        ("verify-record", trust),
        ("verify-record", [*trust, "--format", "json"]),
        ("validate-record", [box["good"]]),
        ("regenerate-scaffold", trust),
        ("regenerate-scaffold", [*trust, "--format", "json"]),
        ("hearth-records", ["show", *trust]),
        ("hearth-records", ["schema", "show", "record"]),
        ("hearth-records", ["verify", "--help"]),
        ("hearth-records", ["--version"]),
    ]


def test_a_reader_that_went_away_is_no_success_and_no_traceback(box: Box) -> None:
    for number, (name, arguments) in enumerate(printing(box)):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as stdout:
            done = subprocess.run(
                [*command(name), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT,
                env=environment({"PYTHONUNBUFFERED": "1" if number % 2 else ""}),
            )
        assert (done.returncode, done.stderr) == (70, b"")


def test_output_that_cannot_be_written_is_no_success(box: Box) -> None:
    for number, (name, arguments) in enumerate(printing(box)):
        done = run_shell(">/dev/full", name, *arguments, env={"PYTHONUNBUFFERED": "1" if number % 2 else ""})
        assert done.code == 70
        assert done.err.startswith(name)
        assert done.err.count("\n") == 1


def test_output_that_is_closed_changes_no_code(box: Box) -> None:
    for name, arguments in printing(box):
        assert run_shell(">&-", name, *arguments) == Done(0, "", "")
    assert run_shell(">&-", "verify-record", "--key", box.key, box["altered"]) == Done(1, "", "")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_errors_that_nobody_reads_change_no_code(box: Box, redirection: str) -> None:
    assert run_shell(redirection, "verify-record", box["good"]) == Done(2, "", "")
    assert run_shell(redirection, "verify-record", "--key", "missing", box["good"]) == Done(3, "", "")
    assert run_shell(redirection, "regenerate-scaffold", "--key", box.key, box["altered"]) == Done(1, "", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (common.CommandError("wrong\x1b", exit_code=5, hint="do it\x1b"), 5),
        (SealError("wrong"), 3),
        (OSError(5, "wrong", "\x1b"), 3),
        (BrokenPipeError(), 70),
        (KeyboardInterrupt(), 130),
        (RecursionError("\x1b"), 70),
        (MemoryError(), 70),
        (SystemExit(0), 0),
        (SystemExit("wrong"), 70),
    ],
)
def test_whatever_goes_wrong_has_its_code(capsys: pytest.CaptureFixture[str], error: BaseException, code: int) -> None:
    def fail(_arguments: Sequence[str]) -> int:
        raise error

    assert common.run("prog", fail, []) == code
    out, err = capsys.readouterr()
    done = look_at(code, out.encode(), err.encode())
    assert done.out == ""
    assert done.err.startswith("prog: error: ") or isinstance(error, (BrokenPipeError, SystemExit))


def test_input_is_limited(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abcd")
    assert common.read_input(str(tmp_path / "f"), 4) == b"abcd"
    with pytest.raises(OSError, match="larger"):
        common.read_input(str(tmp_path / "f"), 3)
    script = "import sys; from hearth_records.cli.common import read_input; sys.stdout.buffer.write(read_input('-', 4))"
    for data, code in ((b"abcd", 0), (b"abcde", 1)):
        done = subprocess.run(
            [sys.executable, "-c", script], check=False, input=data, capture_output=True, timeout=TIMEOUT
        )
        assert (done.returncode, done.stdout) == (code, b"" if code else data)


# --- validate-record -------------------------------------------------------------------------------------------------


def test_a_valid_record_ends_with_0(box: Box) -> None:
    done = run("validate-record", box["good"], box["altered"], box["indented"], "-", stdin=box["good"].read_bytes())
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 5
    assert "verify-record" in done.out.splitlines()[-1]  # valid is not authentic


@pytest.mark.parametrize(
    ("old", "new", "pointer", "keyword"),
    [
        (b'"step_index":1,', b'"step_index":-1,', "/events/4/step_index", "minimum"),
        (b'"step_name":"Deploy",', b"", "/events/1", "required"),
        (b'"seq":2', b'"seq":2,"extra":1', "/events/2", "additionalProperties"),
        (b'"seq":2', b'"seq":"2"', "/events/2/seq", "type"),
        (b'"status":"failed"', b'"status":"done"', "/events/7/status", "enum"),
        (b"T16:00:01.", b"T25:00:01.", "/events/0/timestamp", "format"),
        (b'"timestamp":"2026-11-22', b'"timestamp":"2026-02-30', "/events/0/timestamp", "format"),
        (b'"signatures":[', b'"signatures":[{"keyid":1},', "/seal/signatures/0", "required"),
    ],
)
def test_what_is_wrong_is_pointed_at(
    box: Box, tmp_path: Path, *, old: bytes, new: bytes, pointer: str, keyword: str
) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(new.join(box["good"].read_bytes().split(old)))
    done = run("validate-record", path)
    assert done.code == 1
    assert [line for line in done.out.splitlines() if f" {pointer}: " in line and line.endswith(f"[{keyword}]")]


def test_what_is_no_json_cannot_be_judged(box: Box, tmp_path: Path) -> None:
    good = box["good"].read_bytes()
    faults = {
        "twice": good.replace(b'"seq":1', b'"seq":1,"seq":1'),
        "twice by an escape": good.replace(b'"seq":1', b'"seq":1,"\\u0073eq":1'),
        "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "deep list": b"[" * 100_000,
        "BOM": b"\xef\xbb\xbf" + good,
        "Latin-1": good.replace(b"Deploy", b"D\xe9ploy"),
        "NaN": good.replace(b'"seq":1', b'"seq":NaN'),
        "cut": good[:-10],
        "empty": b"",
    }
    for name, data in faults.items():
        (tmp_path / name).write_bytes(data)
    paths = [tmp_path / name for name in faults]
    done = run("validate-record", *paths, box["journal"], box["torn"])
    assert done.code == 3
    assert [line for line in done.err.splitlines() if " error: " in line] == [
        line for path in [*paths, box["journal"], box["torn"]] for line in done.err.splitlines() if f"{path}: " in line
    ]
    assert run("validate-record", paths[0]).code == 3
    assert run("validate-record", paths[2]).code == 3
    assert run("validate-record", box["good"], paths[0]).code == 3
    odd = tmp_path / "odd"
    odd.write_bytes(b"[1" + b"0" * 5000 + b", 1234567890123456789012345678901e5, 1e999]")
    assert run("validate-record", odd, paths[0]).code == 1


def test_validating_never_blocks(tmp_path: Path) -> None:
    files = special_files(tmp_path)
    done = run("validate-record", *files.values())
    assert done.code == 3
    for path in files.values():
        assert f"{path}: " in done.err


def test_nothing_is_fetched(box: Box, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        documents: list[Any] = [{"$schema": address, "$ref": address, "$id": address, "$dynamicRef": f"{address}#x"}]
        documents += [json.loads(box["good"].read_bytes()) | documents[0]]
        documents[1]["events"][1]["details"] = {"$ref": address, "a": [{"$schema": address, "$ref": address}]}
        documents[1]["events"][2] = {"$ref": address}
        for number, document in enumerate(documents):
            (tmp_path / str(number)).write_text(json.dumps(document))
        paths = [tmp_path / "0", tmp_path / "1"]
        assert run("validate-record", *paths).code == 1
        assert run("verify-record", "--key", box.key, "--allow-reformatted", *paths).code == 3
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


# --- regenerate-scaffold ---------------------------------------------------------------------------------------------


def scaffold_errors(document: Any) -> list[str]:
    schema = json.loads((ROOT / "schemas" / SCHEMAS["scaffold"]).read_bytes())
    return [error.message for error in Draft202012Validator(schema).iter_errors(document)]


def test_the_scaffold_says_what_it_was_made_from(box: Box) -> None:
    head = standard_sealed().record.get_execution_hash()
    done = run("regenerate-scaffold", "--trust", box.trust, "--format", "json", box["good"])
    assert (done.code, done.err) == (0, "")
    assert scaffold_errors(done.json) == []
    assert done.json["made_from"] == {
        "chain_head": head,
        "events": 8,
        "file_sha256": hashlib.sha256(box["good"].read_bytes()).hexdigest(),
        "sealed_at": "2026-11-22T17:00:00.000000Z",
        "signers": [
            {
                "algorithm": "ed25519",
                "keyid": signer().keyid,
                "name": "key 0",
                "role": "seal",
                "status": "good",
            }
        ],
        "verdict": "verified",
    }
    assert done.json["scaffold"]["reason_code"] == "failed-with-hints"
    for form in ("md", "text"):
        shown = run("regenerate-scaffold", "--trust", box.trust, "--format", form, box["good"])
        assert (shown.code, shown.err) == (0, "")
        for fact in (head, signer().keyid, "key 0", "verified", "DROP TABLE t2", "executed"):
            assert fact in shown.out
        assert "NOT VERIFIED" not in shown.out
    assert run("regenerate-scaffold", "--key", box.key, box["good"]).out.startswith("# ")  # Markdown by default


@pytest.mark.parametrize("name", [name for name, code in CODES.items() if code])
def test_no_scaffold_comes_from_what_does_not_verify(call: Call, box: Box, tmp_path: Path, name: str) -> None:
    done = call("regenerate-scaffold", "--key", box.key, "-o", tmp_path / "out", box[name])
    assert (done.code, done.out) == (CODES[name], "")
    assert done.err.startswith(f"regenerate-scaffold: error: {box[name]}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("good", "untrusted"), ("stranger", "untrusted"), ("journal", "incomplete"), ("torn", "incomplete")],
)
def test_what_is_consistent_is_shown_unverified_and_marked(call: Call, box: Box, name: str, verdict: str) -> None:
    done = call("regenerate-scaffold", "--unverified", "--format", "json", box[name])
    assert (done.code, done.json["made_from"]["verdict"], scaffold_errors(done.json)) == (0, verdict, [])
    for form in ("md", "text"):
        shown = call("regenerate-scaffold", "--unverified", "--format", form, box[name])
        assert (shown.code, "NOT VERIFIED" in shown.out) == (0, True)


@pytest.mark.parametrize(("name", "code"), [("altered", 1), ("garbage", 3), ("indented", 3), ("opened", 5)])
def test_what_is_not_even_consistent_is_refused(call: Call, box: Box, tmp_path: Path, name: str, code: int) -> None:
    done = call("regenerate-scaffold", "--unverified", "-o", tmp_path / "out", box[name])
    assert (done.code, done.out, list(tmp_path.iterdir())) == (code, "", [])
    assert call("hearth-records", "show", "--unverified", box[name]).code == code


@pytest.mark.parametrize("form", ["md", "text", "json"])
def test_the_output_file_holds_what_would_be_printed(box: Box, tmp_path: Path, form: str) -> None:
    arguments: list[Argument] = ["--key", box.key, "--format", form, box["good"]]
    assert run("regenerate-scaffold", *arguments, "-o", tmp_path / "out") == Done(0, "", "")
    assert (tmp_path / "out").read_text() == run("regenerate-scaffold", *arguments).out
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_output_file_never_replaces_anything(call: Call, box: Box, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "directory").mkdir()
    before = sorted(tmp_path.iterdir())
    for path in before:
        done = call("regenerate-scaffold", "--key", box.key, "-o", path, box["good"])
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"regenerate-scaffold: error: {path}: ")
    done = call("regenerate-scaffold", "--key", box.key, "-o", tmp_path / "file" / "below", box["good"])
    assert (done.code, done.out) == (3, "")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_scaffold_from_standard_input(box: Box) -> None:
    done = run("regenerate-scaffold", "--key", box.key, "-", stdin=box["good"].read_bytes())
    assert (done.code, done.out) == (0, run("regenerate-scaffold", "--key", box.key, box["good"]).out)


@pytest.mark.parametrize("name", ["directory", "fifo", "missing", "huge"])
def test_a_scaffold_from_what_cannot_be_read(call: Call, box: Box, tmp_path: Path, name: str) -> None:
    path = special_files(tmp_path)[name]
    for program, more in (("regenerate-scaffold", []), ("hearth-records", ["show"])):
        done = call(program, *more, "--key", box.key, path)
        assert (done.code, done.out) == (3, "")
        assert f" error: {path}: " in done.err


CODE_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)")


def test_no_markup_gets_out_of_the_markdown(box: Box, tmp_path: Path) -> None:
    policy = tmp_path / "trust.json"
    policy.write_bytes(key_with(name="``x`\n# Title\n<script>[a](http://b)"))
    plain = run("regenerate-scaffold", "--trust", box.trust, box["accents"]).out
    tricky = run("regenerate-scaffold", "--trust", policy, box["hostile"]).out
    assert CODE_SPAN.sub("CODE", tricky) == CODE_SPAN.sub("CODE", plain)


# --- show ------------------------------------------------------------------------------------------------------------


def test_show_says_first_whether_it_was_verified(box: Box) -> None:
    done = run("hearth-records", "show", "--key", box.key, box["good"])
    assert (done.code, done.err, done.out.splitlines()[0]) == (0, "", "VERIFIED")
    for fact in ("exec-1", "Migrate", "Constraint violation", "rows written", "DROP TABLE t2"):
        assert fact in done.out
    for name in ("good", "journal"):
        unverified = run("hearth-records", "show", "--unverified", box[name])
        assert (unverified.code, unverified.out.startswith("NOT VERIFIED")) == (0, True)
    for name in ("altered", "garbage", "stranger", "journal"):
        refused = run("hearth-records", "show", "--key", box.key, box[name])
        assert (refused.code, refused.out) == (CODES[name], "")


# --- keygen ----------------------------------------------------------------------------------------------------------


def openssl(*arguments: Argument, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], check=False, input=stdin, capture_output=True, timeout=TIMEOUT)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_new_key_pair(box: Box, tmp_path: Path) -> None:
    done = run("hearth-records", "keygen", "k.pem", cwd=tmp_path, umask=0)
    private, public = tmp_path / "k.pem", tmp_path / "k.pub.pem"
    assert (done.code, done.err, names(tmp_path)) == (0, "", ["k.pem", "k.pub.pem"])
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert private.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    der = openssl("pkey", "-pubin", "-in", public, "-outform", "DER").stdout
    assert hashlib.sha256(der).hexdigest() in done.out
    assert load_public_key(public.read_bytes()).spki == der
    assert openssl("pkey", "-in", private, "-pubout").stdout == public.read_bytes()
    record = tmp_path / "r.record.json"
    record.write_bytes(seal_record(standard_record(), LocalSigner(load_private_key(private.read_bytes()))).data)
    assert run("verify-record", "--key", public, record).code == 0
    assert run("verify-record", "--key", box.key, record).code == 4


def test_every_key_is_another_one(tmp_path: Path) -> None:
    for name in ("a", "b.pem"):
        assert run("hearth-records", "keygen", name, cwd=tmp_path).code == 0
    assert names(tmp_path) == ["a", "a.pub.pem", "b.pem", "b.pub.pem"]
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b.pem").read_bytes()


def test_a_key_for_the_time_after_quantum_computers(box: Box, tmp_path: Path) -> None:
    done = run("hearth-records", "keygen", "--algorithm", "ml-dsa-44", "k.pem", cwd=tmp_path)
    key = load_public_key((tmp_path / "k.pub.pem").read_bytes())
    assert (done.code, key.algorithm, key.keyid in done.out) == (0, "ml-dsa-44", True)
    record = tmp_path / "r.record.json"
    signer_of_it = LocalSigner(load_private_key((tmp_path / "k.pem").read_bytes()))
    record.write_bytes(seal_record(standard_record(), signer_of_it, signer()).data)
    assert run("verify-record", "--key", box.key, "--key", tmp_path / "k.pub.pem", record).code == 0


@pytest.mark.parametrize("taken", ["k.pem", "k.pub.pem"])
@pytest.mark.parametrize("kind", ["file", "link to nowhere", "directory"])
def test_a_key_never_replaces_anything(call: Call, tmp_path: Path, taken: str, kind: str) -> None:
    path = tmp_path / taken
    if kind == "file":
        path.write_bytes(b"old")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("missing")
    done = call("hearth-records", "keygen", "k.pem", cwd=tmp_path)
    assert (done.code, done.out, names(tmp_path)) == (2, "", [taken])
    assert done.err.startswith(f"hearth-records keygen: error: {taken}: ")
    assert kind != "file" or path.read_bytes() == b"old"


def test_a_key_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    done = run("hearth-records", "keygen", "missing/k.pem", cwd=tmp_path)
    assert (done.code, done.out, names(tmp_path)) == (3, "", [])
    assert done.err.startswith("hearth-records keygen: error: missing/k.pem: ")
    # The private key can be written and the public one, whose name is longer, cannot.
    done = run("hearth-records", "keygen", "k" * (255 - len(".pem")), cwd=tmp_path)
    assert (done.code, done.out, names(tmp_path)) == (3, "", [])


@pytest.mark.parametrize(
    ("written", "phrase"), [(b"secret\nmore\n", b"secret"), (b"se cret\r\n", b"se cret\r"), (b"x" * 1023, b"x" * 1023)]
)
def test_a_passphrase_from_a_file(tmp_path: Path, written: bytes, phrase: bytes) -> None:
    (tmp_path / "phrase").write_bytes(written)
    done = run("hearth-records", "keygen", "k.pem", "--passphrase-file", "phrase", cwd=tmp_path)
    private = tmp_path / "k.pem"
    assert (done.code, done.err) == (0, "")
    assert private.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert LocalSigner(load_private_key(private.read_bytes(), phrase)).keyid in done.out
    assert openssl("pkey", "-in", private, "-passin", f"file:{tmp_path}/phrase", "-noout").returncode == 0
    assert openssl("pkey", "-in", private, "-passin", "pass:wrong", "-noout").returncode != 0


@pytest.mark.parametrize(
    ("written", "code"), [(b"", 2), (b"\nsecret\n", 2), (b"x" * 1024, 2), (b"x\n" * 4000, 3), (None, 3)]
)
def test_a_passphrase_that_is_refused(call: Call, tmp_path: Path, written: bytes | None, code: int) -> None:
    if written is not None:
        (tmp_path / "phrase").write_bytes(written)
    before = names(tmp_path)
    done = call("hearth-records", "keygen", "k.pem", "--passphrase-file", "phrase", cwd=tmp_path)
    assert (done.code, done.out, names(tmp_path)) == (code, "", before)


@pytest.mark.parametrize("kind", ["directory", "fifo", "huge"])
def test_a_passphrase_file_that_cannot_be_read(call: Call, tmp_path: Path, kind: str) -> None:
    path = special_files(tmp_path)[kind]
    before = names(tmp_path)
    done = call("hearth-records", "keygen", "k.pem", "--passphrase-file", path, cwd=tmp_path)
    assert (done.code, done.out, names(tmp_path)) == (3, "", before)


def test_a_passphrase_needs_a_terminal(tmp_path: Path) -> None:
    done = run("hearth-records", "keygen", "k.pem", "--encrypt", cwd=tmp_path, stdin=b"secret\nsecret\n")
    assert (done.code, done.out, names(tmp_path)) == (2, "", [])
    closed = run_shell("<&-", "hearth-records", "keygen", tmp_path / "k.pem", "--encrypt")
    assert (closed.code, names(tmp_path)) == (2, [])


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (b"secret\n", b"secret\n", 0),
        (b"secret\n", b"Secret\n", 2),
        (b"\n", b"\n", 2),
        (b"\x04", b"", 2),
        (b"secret\n", b"\x04", 2),
        (b"\xff\n", b"\xff\n", 2),
        (b"\x03", b"", 130),
    ],
)
def test_a_passphrase_is_asked_for_twice_on_a_terminal(tmp_path: Path, first: bytes, second: bytes, code: int) -> None:
    path = tmp_path / "k.pem"
    done = run_on_terminal("hearth-records", "keygen", path, "--encrypt", dialogue=[(b": ", first), (b": ", second)])
    assert "secret" not in done.out
    assert done.code == code
    assert names(tmp_path) == ([] if code else ["k.pem", "k.pub.pem"])
    if not code:
        assert LocalSigner(load_private_key(path.read_bytes(), b"secret")).keyid in done.out


# --- schema ----------------------------------------------------------------------------------------------------------


def test_schemas_are_listed_and_shown() -> None:
    listed = run("hearth-records", "schema", "list")
    assert listed.code == 0
    assert [(line.split()[0], line.split()[-1]) for line in listed.out.splitlines()] == list(SCHEMAS.items())
    for name, path in SCHEMAS.items():
        shown = run("hearth-records", "schema", "show", name)
        assert (shown.code, shown.out.encode()) == (0, (ROOT / "schemas" / path).read_bytes())


def test_the_committed_schemas_are_those_of_the_model() -> None:
    assert run("hearth-records", "schema", "export", "--check", "-o", ROOT / "schemas") == Done(0, "", "")


def test_schemas_are_exported_and_a_drift_is_found(tmp_path: Path) -> None:
    check: list[Argument] = ["schema", "export", "--check", "-o", tmp_path]
    missing = run("hearth-records", *check)
    assert (missing.code, len(missing.out.splitlines()), names(tmp_path)) == (1, len(SCHEMAS) + 1, [])
    assert run("hearth-records", "schema", "export", "-o", tmp_path).code == 0
    for name, path in SCHEMAS.items():
        assert (tmp_path / path).read_bytes() == encode_schema(name)
    assert run("hearth-records", *check) == Done(0, "", "")
    changed = tmp_path / SCHEMAS["event"]
    changed.write_bytes(changed.read_bytes() + b"\n")
    drifted = run("hearth-records", *check)
    assert (drifted.code, drifted.out.count("\n")) == (1, 1)
    assert drifted.out.startswith(f"{changed}: ")
    assert changed.read_bytes() == encode_schema("event") + b"\n"  # checking writes nothing
    assert run("hearth-records", "schema", "export", "-o", tmp_path).out.count("\n") == 1
    assert changed.read_bytes() == encode_schema("event")
    assert names(changed.parent) == sorted(Path(path).name for path in SCHEMAS.values() if "hearth-record" in path)
    changed.unlink()
    os.mkfifo(changed)
    assert run("hearth-records", *check).code == 3
