"""The programs in tools/ that stand alone, run as an auditor runs them; and against the library, byte for byte."""

from __future__ import annotations

import ast
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import rfc8785
from helpers import (
    DATA,
    OTHER_SEED,
    json_events,
    observe,
    relink,
    run_standard,
    seal_lines,
    signer,
    standard_sealed,
)
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry

import hearth_records
from hearth_records import canonical, profile
from hearth_records.cli import common
from hearth_records.cli import scaffold as scaffold_command
from hearth_records.cli import validate as validate_command
from hearth_records.errors import FormatError, escape
from hearth_records.kernel import HearthKernel
from hearth_records.keys import generate_private_key, keyid_of, public_key_to_pem
from hearth_records.model import Plan, PlanStep, RollbackHint, SideEffect, SideEffectCategory
from hearth_records.rollback import REASONS, RollbackPlanner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hearth_records.model import ExecutionRecord
    from hearth_records.observer import ExecutionObserver

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / "tools"
VECTORS = Path(__file__).parent / "vectors"
STANDALONE = ("verify_record.py", "validate_record.py", "regenerate_scaffold.py")
EXAMPLE = DATA / "exec-example-001.record.json"
EXAMPLE_KEY = DATA / "exec-example-001.public.pem"
HOSTILE = '\x1b[31m \u202e\u200b\u2028 \U0001f600 \u00e9 \x7f "\\ \n'

sys.path.insert(0, str(TOOLS))  # where a program finds the file beside it

import regenerate_scaffold  # noqa: E402 - needs the path above
import validate_record  # noqa: E402 - as above
import verify_record  # noqa: E402 - as above


class Done(NamedTuple):
    """What came of a process."""

    code: int
    out: str
    err: str


def run_tool(
    name: str | Path,
    *args: str | Path | bytes,
    stdin: bytes | None = b"",
    without: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    shell: str = "",
) -> Done:
    """Run a tool as a process; `without` names packages that are not there, `shell` stands before the command."""
    path = str(TOOLS / name)
    start = [sys.executable, "-B", path]
    if without:
        blocked = "".join(f"sys.modules[{package!r}] = None; " for package in without)
        code = f"import sys, runpy; {blocked}sys.argv[0] = {path!r}; runpy.run_path({path!r}, run_name='__main__')"
        start = [sys.executable, "-B", "-c", code]
    if shell:
        start = ["/bin/sh", "-c", f'{shell}; exec "$@"', "sh", *start]
    done = subprocess.run(
        [*start, *args],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
        cwd="/",
        env={**os.environ, "PYTHONUTF8": "1", **(env or {})},
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err
    assert_printable(out + err)
    for line in err.splitlines():
        assert line.startswith((f"{Path(name).name}: error: ", "hint: "))
    assert ("error: " in err) == ("hint: " in err)
    return Done(done.returncode, out, err)


def assert_printable(text: str) -> None:
    """Fail when a terminal would act on what was printed."""
    assert all(char.isprintable() or char == "\n" for char in text), ascii(text)


# --- files to work on ------------------------------------------------------------------------------------------------


class Files(NamedTuple):
    """A file for each exit code, and what is needed to verify them."""

    directory: Path
    key: Path
    good: Path
    altered: Path
    forged: Path
    junk: Path
    untrusted: Path
    journal: Path

    def by_code(self) -> dict[int, Path]:
        """Return a file for each exit code, with `key`."""
        return {0: self.good, 1: self.altered, 3: self.junk, 4: self.untrusted, 5: self.journal}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    directory = tmp_path_factory.mktemp("files")
    good = standard_sealed().data
    sig = json.loads(good)["seal"]["signatures"][0]["sig"]
    raw = bytearray(base64.b64decode(sig))
    raw[5] ^= 1
    contents = {
        "key": public_key_to_pem(signer().public_key),
        "good": good,
        "altered": good.replace(b"Constraint violation", b"Constraint Violation"),
        "forged": good.replace(sig.encode(), base64.b64encode(raw)),
        "junk": bytes(range(256)) * 8,
        "untrusted": observed().seal(signer(OTHER_SEED)).data,
        "journal": good[: good.rindex(b"],")],
    }
    assert len(set(contents.values())) == len(contents)
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    return Files(directory, *(directory / name for name in contents))


def observed(**arguments: Any) -> ExecutionObserver:
    return run_standard(observe(**arguments))


# --- every tool ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*STANDALONE, "examples.py"])
def test_metadata_names_every_package_that_is_imported(name: str) -> None:
    text = (TOOLS / name).read_text()
    block = re.search(r"^# /// script\n((?:# .*\n)+)# ///$", text, re.MULTILINE)
    assert block
    metadata = tomllib.loads(re.sub("^# ", "", block[1], flags=re.MULTILINE))
    assert metadata["requires-python"] == ">=3.11"
    named = {re.split("[>=<]", each)[0].replace("-", "_") for each in metadata["dependencies"]}
    # jsonschema stands on referencing; rfc3339-validator is found by jsonschema, which imports it.
    allowed = named | ({"referencing"} if "jsonschema" in named else set()) | set(sys.stdlib_module_names)
    if name == "regenerate_scaffold.py":
        allowed.add("verify_record")
    tree = ast.parse(text)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {each.partition(".")[0] for each in imported} <= allowed
    assert ("hearth_records" in allowed) == (name == "examples.py")
    assert os.access(TOOLS / name, os.X_OK)


@pytest.mark.parametrize("name", STANDALONE)
def test_wrong_usage(name: str, files: Files) -> None:
    trust = {"verify_record.py": ["--no-trust"], "regenerate_scaffold.py": ["--unverified"]}.get(name, [])
    wrong: list[list[str | Path]] = [[*trust], [*trust, "--no-such-option", files.good]]
    if trust:
        wrong += [[files.good], [*trust, "--key", files.key, files.good], [*trust, "--format", "xml", files.good]]
    for args in wrong:
        done = run_tool(name, *args)
        assert (done.code, done.out) == (2, "")
        assert "hint: " in done.err


@pytest.mark.parametrize("name", STANDALONE)
def test_help(name: str) -> None:
    done = run_tool(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert "FILE" in done.out


def test_all_programs_escape_the_same_characters() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert verify_record.escape(every) == escape(every)
    assert validate_record.escape(every) == escape(every)


NO_KEY = {"verify_record.py": "--no-trust", "regenerate_scaffold.py": "--unverified", "validate_record.py": "--"}


@pytest.mark.parametrize("name", STANDALONE)
@pytest.mark.parametrize("what", ["directory", "fifo", "missing", "empty", "junk", "device", "not-utf-8"])
def test_what_is_no_record(name: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / f"{HOSTILE.replace('/', '')}{what}"
    named: Path | bytes = path
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what in ("empty", "junk"):
        path.write_bytes(b"" if what == "empty" else os.urandom(999))
    elif what == "device":
        named = Path("/dev/zero")
    elif what == "not-utf-8":
        named = os.fsencode(tmp_path) + b"/\xff\x1b[31m"
    done = run_tool(name, NO_KEY[name], named, shell="ulimit -v 800000")  # KiB: an endless file is not read
    assert done.code == 3
    assert done.err or name == "verify_record.py"  # whose report is its answer


@pytest.mark.parametrize("name", STANDALONE)
def test_standard_input(name: str, files: Files) -> None:
    for path, code in ((files.good, 0), (files.junk, 3)):
        trust = ["--key", str(files.key)] if name != "validate_record.py" else []
        assert run_tool(name, *trust, "-", stdin=path.read_bytes()).code == code
    assert run_tool(name, NO_KEY[name], "-", shell="exec <&-").code == 3


@pytest.mark.parametrize("name", STANDALONE)
def test_output_that_cannot_be_written_is_no_success(name: str, files: Files) -> None:
    assert run_tool(name, NO_KEY[name], files.good, shell="exec >/dev/full").code == 70
    reader, writer = os.pipe()
    os.close(reader)
    args = [sys.executable, "-B", str(TOOLS / name), NO_KEY[name], str(files.good)]
    done = subprocess.run(args, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.returncode == 70
    assert all(line.startswith((f"{name}: error: ".encode(), b"hint: ")) for line in done.stderr.splitlines())


# --- verify_record.py ------------------------------------------------------------------------------------------------


def test_verify_says_each_exit_code(files: Files) -> None:
    for code, path in files.by_code().items():
        done = run_tool("verify_record.py", "--key", files.key, path)
        assert (done.code, done.err) == (code, "")
        words = re.findall("[a-z_]+", done.out)
        assert [check for check in verify_record.CHECKS if check not in words] == []
        assert verify_record.VERDICTS[code] in words
    assert run_tool("verify_record.py", "--no-trust", files.good).code == 4
    assert run_tool("verify_record.py", "--key", files.key, files.forged).code == 1


@pytest.mark.parametrize(
    ("codes", "decides"), [((0, 4), 4), ((4, 5), 5), ((3, 5), 3), ((3, 1), 1), ((5, 4, 0, 3, 1), 1), ((0, 0), 0)]
)
def test_verify_reports_every_file_and_ends_with_the_gravest(
    codes: tuple[int, ...], decides: int, files: Files, schema: Draft202012Validator
) -> None:
    paths = [files.by_code()[code] for code in codes]
    done = run_tool("verify_record.py", "--format", "json", "--key", files.key, *paths)
    report = json.loads(done.out)
    schema.validate(report)
    assert (done.code, report["exit_code"]) == (decides, decides)
    assert [entry["exit_code"] for entry in report["results"]] == list(codes)
    assert [entry["file"] for entry in report["results"]] == [str(path) for path in paths]


def test_an_internal_error_in_one_file_decides(
    files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], schema: Draft202012Validator
) -> None:
    check = verify_record.check_lifecycle
    broken = verify_record.read_record(files.good.read_bytes(), allow_reformatted=False)[0].hashes

    def fail(record: verify_record.Record) -> None:
        if record.hashes == broken:
            raise RuntimeError
        check(record)

    monkeypatch.setattr(verify_record, "check_lifecycle", fail)  # a fault, put in by hand
    args = ["--format", "json", "--no-trust", str(files.altered), str(files.junk), str(files.good)]
    assert verify_record.main(args) == 70
    report = json.loads(capsys.readouterr().out)
    schema.validate(report)
    assert [entry["exit_code"] for entry in report["results"]] == [1, 3, 70]


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    return validator_of("hearth-verification/1/verification.schema.json")


def validator_of(path: str) -> Draft202012Validator:
    registry: Registry[Any] = Registry()
    document = json.loads((ROOT / "schemas" / path).read_bytes())
    return Draft202012Validator(document, registry=registry, format_checker=FormatChecker())


def policy(*keys: tuple[str, bytes], **members: Any) -> bytes:
    """Return a policy file of named keys."""
    entries = [
        {
            "keyid": keyid_of(spki),
            "name": name,
            "algorithm": "ed25519" if len(spki) < 100 else "ml-dsa-44",
            "public_key": base64.b64encode(spki).decode(),
            "roles": ["seal", "countersign"],
            "not_before": None,
            "not_after": None,
            "revoked": None,
        }
        for name, spki in keys
    ]
    whole = {
        "format": "hearth-trust/1",
        "version": 1,
        "expires": None,
        "require_timestamp": False,
        "timestamp_authorities": [],
        "require": [{"role": "seal", "algorithm": None, "count": 1}],
        "keys": entries,
    }
    return json.dumps(whole | members).encode()


def test_names_of_files_and_keys_are_escaped(tmp_path: Path, files: Files, schema: Draft202012Validator) -> None:
    trust = tmp_path / "trust.json"
    trust.write_bytes(policy((HOSTILE, signer().public_key)))
    record = tmp_path / f"{HOSTILE}.record.json"
    record.write_bytes(files.good.read_bytes())
    assert run_tool("verify_record.py", "--trust", trust, record).code == 0  # run_tool looks at what is printed
    done = run_tool("verify_record.py", "--trust", trust, "--format", "json", record)
    (entry,) = json.loads(done.out)["results"]
    schema.validate(json.loads(done.out))
    assert entry["file"] == str(record)
    assert entry["signers"][0]["name"] == HOSTILE
    done = run_tool("regenerate_scaffold.py", "--trust", trust, record)
    assert done.code == 0
    assert "\\x1b[31m" in done.out


@pytest.mark.parametrize("name", ["verify_record.py", "regenerate_scaffold.py"])
def test_refused_policies_and_keys(name: str, tmp_path: Path, files: Files) -> None:
    path = tmp_path / "trust.json"
    twice = [("a", signer().public_key), ("b", signer().public_key)]
    for data in (b"", b"[]", policy(*twice), policy(require=[]), policy(HOSTILE=1), b'{"format":1,"format":1}'):
        path.write_bytes(data)
        done = run_tool(name, "--trust", path, files.good)
        assert (done.code, done.out) == (3, "")
    for keys in ([path], [files.directory], [files.key, files.key], [tmp_path / "missing"]):
        args: list[str | Path] = [each for key in keys for each in ("--key", key)]
        done = run_tool(name, *args, files.good)
        assert (done.code, done.out) == (3, "")


def test_example_keys_are_refused_unless_named(tmp_path: Path) -> None:
    pem = ROOT / "keys_example/example.pub.pem"
    from hearth_records.keys import LocalSigner, load_private_key  # noqa: PLC0415 - only here

    example = LocalSigner(load_private_key((ROOT / "keys_example/example.pem").read_bytes()))
    record = tmp_path / "record"
    record.write_bytes(observed().seal(example, allow_example_keys=True).data)
    for name in ("verify_record.py", "regenerate_scaffold.py"):
        assert run_tool(name, "--key", pem, record).code == 3
        assert run_tool(name, "--key", pem, "--allow-example-keys", record).code == 0


def test_reformatted_files_pass_only_when_allowed(tmp_path: Path, files: Files) -> None:
    path = tmp_path / "record"
    path.write_bytes(json.dumps(json.loads(files.good.read_bytes()), indent=2).encode())
    assert run_tool("verify_record.py", "--key", files.key, path).code == 3
    done = run_tool("verify_record.py", "--key", files.key, "--allow-reformatted", "--format", "json", path)
    assert done.code == 0
    assert json.loads(done.out)["results"][0]["reformatted"] is True


# --- without the package cryptography --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def openssl() -> str:
    """Return where openssl is; only a machine of somebody's own may lack it."""
    path = shutil.which("openssl")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("the program openssl is not installed")
        pytest.skip("the program openssl is not installed")
    return path


def test_openssl_gives_the_same_verdicts(openssl: str, files: Files) -> None:
    assert openssl
    args = ["--format", "json", "--key", str(files.key)]
    paths = [files.good, files.altered, files.forged, files.untrusted]
    by_package = run_tool("verify_record.py", *args, *paths)
    by_program = run_tool("verify_record.py", *args, *paths, without=["cryptography"])
    assert by_package == by_program
    entries = json.loads(by_program.out)["results"]
    assert [entry["exit_code"] for entry in entries] == [0, 1, 1, 4]
    assert [entry["signers"][0]["status"] for entry in entries] == ["good", "good", "bad", "not_run"]


def test_a_signature_that_nothing_can_check_is_never_good(files: Files, tmp_path: Path) -> None:
    done = run_tool("verify_record.py", "--key", files.key, files.good, without=["cryptography"], env={"PATH": "/none"})
    assert done.code == 4
    liar = tmp_path / "openssl"  # a program that says yes to everything, but not in the words of openssl
    liar.write_text("#!/bin/sh\nexit 0\n")
    liar.chmod(0o755)
    env = {"PATH": str(tmp_path)}
    done = run_tool("verify_record.py", "--key", files.key, files.good, without=["cryptography"], env=env)
    assert done.code == 4


def test_ml_dsa_is_checked_by_the_package_alone(tmp_path: Path) -> None:
    from hearth_records.keys import LocalSigner  # noqa: PLC0415 - only here

    quantum = LocalSigner(generate_private_key("ml-dsa-44"))
    record, key = tmp_path / "record", tmp_path / "key"
    record.write_bytes(observed().seal(quantum).data)
    key.write_bytes(public_key_to_pem(quantum.public_key))
    assert run_tool("verify_record.py", "--key", key, record).code == 0
    assert run_tool("verify_record.py", "--key", key, record, without=["cryptography"]).code == 4


# --- validate_record.py ----------------------------------------------------------------------------------------------


LAST_LINE = "valid is not authentic: only verify_record.py checks links and signatures"


def with_events(change: Callable[[list[dict[str, Any]]], object]) -> bytes:
    """Return the good record with its events changed and the links left as they were."""
    document = json.loads(standard_sealed().data)
    change(document["events"])
    return json.dumps(document).encode()


def put(seq: int, **members: Any) -> bytes:
    return with_events(lambda events: events[seq].update(members))


GOOD = standard_sealed().data
JUDGED: dict[str, tuple[bytes, int, str]] = {
    "good": (GOOD, 0, ""),
    "example": (EXAMPLE.read_bytes(), 0, ""),
    "re-indented": (json.dumps(json.loads(GOOD), indent=3).encode(), 0, ""),
    "altered": (GOOD.replace(b"Constraint", b"constraint"), 0, ""),
    "no-such-day": (put(2, timestamp="2026-02-30T16:00:00.000000Z"), 1, "/events/2/timestamp"),
    "leap-second": (put(2, timestamp="2026-12-31T23:59:60.000000Z"), 1, "/events/2/timestamp"),
    "line-break": (put(2, timestamp="2026-12-31T23:59:59.00000Z\n"), 1, "/events/2/timestamp"),
    "digest": (put(2, previous_event_hash="F" * 64), 1, "/events/2/previous_event_hash"),
    "unknown-member": (put(2, **{HOSTILE: HOSTILE}), 1, "/events/2"),
    "missing-member": (with_events(lambda events: events[3].pop("phase")), 1, "/events/3"),
    "no-such-type": (put(4, type="step_paused"), 1, "/events/4/type"),
    "no-such-category": (put(2, category=HOSTILE), 1, "/events/2/category"),
    "fraction": (put(1, details={"a/b~c": [0, 1.5]}), 1, "/events/1/details/a~1b~0c/1"),
    "too-large-integer": (put(1, details={"n": 2**53}), 1, "/events/1/details/n"),
    "5,000-digits": (GOOD.replace(b'"seq":1', b'"seq":' + b"1" * 5000), 1, "/events/1/seq"),
    "infinite": (GOOD.replace(b'"seq":1', b'"seq":1e999'), 1, "/events/1/seq"),
    "no-events": (with_events(lambda events: events.clear()), 1, "/events"),
    "array": (b"[]", 1, "the top"),
    "null": (b"null", 1, "the top"),
    "duplicate": (GOOD.replace(b'"seq":1', b'"seq":1,"seq":1'), 3, "/events/1/seq"),
    "duplicate-escaped": (GOOD.replace(b'"seq":1', rb'"seq":1,"s\u0065q":1'), 3, "/events/1/seq"),
    "duplicate-within-duplicate": (b'{"a":{"x":1,"x":1},"a":2}', 3, "/a"),
    "duplicate-in-array": (b'[0,[{"a~":1,"a~":2}]]', 3, "/1/0/a~0"),
    "not-json": (GOOD[:-3], 3, ""),
    "journal": (GOOD[: GOOD.rindex(b"],")], 3, ""),
    "nan": (GOOD.replace(b'"seq":1', b'"seq":NaN'), 3, ""),
    "byte-order-mark": (b"\xef\xbb\xbf" + GOOD, 3, ""),
    "not-utf-8": (GOOD.replace(b"Deploy", b"Deplo\xff"), 3, ""),
    "lone-surrogate": (GOOD.replace(b'"Deploy"', rb'"\ud800"'), 0, ""),
    "deep": (GOOD.replace(b'"details":{}', b'"details":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 1), 3, ""),
    "empty": (b"", 3, ""),
}


@pytest.mark.parametrize("what", JUDGED)
def test_validation(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, code, pointer = JUDGED[what]
    path = tmp_path / f"{HOSTILE}.json"
    path.write_bytes(data)
    assert common.run("validate-record", validate_command.command, [str(path)]) == code
    by_library = capsys.readouterr()
    assert validate_record.main([str(path)]) == code
    done = capsys.readouterr()
    assert done.out.splitlines()[-1] == LAST_LINE
    assert_printable(done.out + done.err)
    assert_printable(by_library.out + by_library.err)
    findings = [line for line in done.out.splitlines() if ": invalid at " in line]
    assert bool(findings) == (code == 1)
    assert bool(done.err) == (code == 3)
    if pointer:
        assert any(f" {pointer}" in line for line in findings or done.err.splitlines())


def test_validation_as_a_process(files: Files, tmp_path: Path) -> None:
    invalid = tmp_path / "invalid"
    invalid.write_bytes(JUDGED["no-such-day"][0])
    link = tmp_path / "link.py"
    link.symlink_to(TOOLS / "validate_record.py")
    assert run_tool("validate_record.py", files.good, EXAMPLE).code == 0
    assert run_tool("validate_record.py", files.good, invalid).code == 1
    assert run_tool("validate_record.py", files.junk, invalid, files.good).code == 1
    done = run_tool("validate_record.py", files.good, files.junk)
    assert done.code == 3
    assert done.out.splitlines()[-1] == LAST_LINE
    assert subprocess.run([sys.executable, "-B", link, files.good], capture_output=True, check=True).stdout


@pytest.mark.parametrize("package", ["jsonschema", "rfc3339_validator", "referencing"])
def test_validation_never_checks_less(package: str, files: Files) -> None:
    done = run_tool("validate_record.py", files.good, without=[package])
    assert (done.code, done.out) == (70, "")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of the tool, beside which there is no schema yet."""
    tool = tmp_path / "tools" / "validate_record.py"
    for path in (tool, tmp_path / SCHEMA_PATH):
        path.parent.mkdir(parents=True)
    shutil.copy(TOOLS / "validate_record.py", tool)
    return tool


SCHEMA_PATH = "schemas/hearth-record/1/record.schema.json"


def test_validation_needs_its_schema(copied: Path, files: Files) -> None:
    assert run_tool(copied, files.good).code == 70
    beside = copied.parent.parent / SCHEMA_PATH
    shutil.copy(ROOT / "schemas/hearth-record/1/event.schema.json", beside)
    assert run_tool(copied, files.good).code == 70
    shutil.copy(ROOT / SCHEMA_PATH, beside)
    assert run_tool(copied, files.good).code == 0


def test_validation_fetches_nothing(copied: Path, files: Files) -> None:
    schema = json.loads((ROOT / SCHEMA_PATH).read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as server:
        schema["properties"]["events"] = {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"}
        (copied.parent.parent / SCHEMA_PATH).write_text(json.dumps(schema))
        assert run_tool(copied, files.good).code == 70
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_validation_checks_formats_and_not_only_patterns(copied: Path, tmp_path: Path) -> None:
    text = (ROOT / SCHEMA_PATH).read_text()
    without = re.sub(r'("format": "date-time"),\s*"pattern": "[^"]*"', r"\1", text)
    assert without.count('"pattern"') < text.count('"pattern"')
    (copied.parent.parent / SCHEMA_PATH).write_text(without)
    record = tmp_path / "record"
    for what, code in (("good", 0), ("no-such-day", 1)):
        record.write_bytes(JUDGED[what][0])
        assert run_tool(copied, record).code == code


# --- regenerate_scaffold.py ------------------------------------------------------------------------------------------


class Scaffolds:
    """Runs the library's command and the tool, in this process, and compares all that they say."""

    def __init__(self, capture: pytest.CaptureFixture[bytes]) -> None:
        self._capture = capture

    def __call__(self, *args: str | Path) -> tuple[int, bytes]:
        """Return exit code and output, which are the same for both."""
        words = ["--format", "json", *map(str, args)]
        code = common.run("regenerate-scaffold", scaffold_command.command, words)
        by_library = self._capture.readouterr()
        assert regenerate_scaffold.main(words) == code
        by_tool = self._capture.readouterr()
        assert by_tool.out == by_library.out
        assert bool(by_tool.err) == (code != 0)
        return code, by_tool.out


@pytest.fixture
def scaffolds(capsysbinary: pytest.CaptureFixture[bytes]) -> Scaffolds:
    return Scaffolds(capsysbinary)


def hint(step_index: int, **members: Any) -> RollbackHint:
    return RollbackHint(step_index=step_index, description=f"undo {step_index}{HOSTILE}", **members)


def effect(
    description: str, *, reversible: bool | None, step_index: int | None, category: str = "system"
) -> SideEffect:
    return SideEffect(
        category=SideEffectCategory(category), description=description, reversible=reversible, step_index=step_index
    )


RICH = Plan(
    plan_id="plan-rich",
    steps=tuple(PlanStep(step_index=index, step_name=f"step {index}") for index in range(6)),
    declared_side_effects=(
        effect("seen as declared", reversible=True, step_index=0),
        effect("seen in another step", reversible=False, step_index=0),
        effect("seen, for any step", reversible=None, step_index=None),
        effect("never seen, for any step", reversible=False, step_index=None),
        effect("never seen, of a step that did not run", reversible=False, step_index=5),
        effect("of another category", reversible=None, step_index=1, category="network"),
        effect("seen twice", reversible=True, step_index=1),
    ),
    rollback_hints=(
        hint(1, actions=("b", HOSTILE, "a"), risks=("r2", HOSTILE, "r1"), estimated_duration=HOSTILE),
        hint(0, required_inputs={"z": HOSTILE, "Z": "", "\ue000": "p", "\u00e9": "e", "a\x7f": "d", "\uffff": "last"}),
        hint(5, risks=("not taken",)),
        hint(1, actions=("again",), estimated_duration=""),
        hint(0, required_inputs={}, risks=()),
    ),
)


def run_rich(observer: ExecutionObserver) -> ExecutionObserver:
    """Record effects of every kind, a failure, a cleanup step with a hint, and a step that stays open."""
    observer.record_side_effect("system", "never declared for no step", reversible=True)
    observer.record_step_started(0, HOSTILE)
    observer.record_side_effect("system", "seen as declared", reversible=True, step_index=0)
    observer.record_side_effect("system", "never declared", reversible=None)
    observer.record_step_completed(0, HOSTILE)
    observer.record_step_started(1, "second")
    observer.record_side_effect("system", "seen in another step", reversible=True, step_index=1)
    observer.record_side_effect("system", "seen, for any step", reversible=True, step_index=0)
    observer.record_side_effect("system", "of another category", reversible=True, step_index=1)
    for _ in range(2):
        observer.record_side_effect("system", "seen twice", reversible=True, step_index=1)
    observer.record_side_effect("other", HOSTILE, reversible=False, step_index=0)
    observer.record_step_failed(1, "second", HOSTILE)
    observer.record_step_started(3, "clean", phase="cleanup")
    observer.record_step_completed(3, "clean")
    observer.record_step_started(4, "clean more", phase="cleanup")
    return observer


def degraded() -> HearthKernel:
    kernel = HearthKernel()
    kernel.escalate("DEGRADED")
    return kernel


class BrokenKernel:
    """A kernel that cannot say how it is."""

    def get_security_state(self) -> str:
        raise RuntimeError

    def get_boundary_state(self) -> str:
        return "no such state"


def end_failed(observer: ExecutionObserver) -> ExecutionObserver:
    observer.mark_failed(HOSTILE, unknown_effects=False)
    return observer


def end_completed(observer: ExecutionObserver) -> ExecutionObserver:
    observer.record_step_started(0, "only")
    observer.record_step_completed(0, "only")
    observer.mark_completed("done")
    return observer


def end_abandoned(observer: ExecutionObserver) -> ExecutionObserver:
    observer.mark_abandoned("nobody goes on")
    return observer


def end_escalated(observer: ExecutionObserver, kernel: HearthKernel) -> ExecutionObserver:
    observer.record_step_started(0, "first")
    kernel.trigger_kill_switch("stop")
    observer.mark_incomplete_security_escalation("stopped")
    return observer


def with_cause(cause: str | None) -> bytes:
    """Return a sealed record with a cause that only recovery writes, or with none."""
    record = end_abandoned(run_rich(observe(plan=RICH))).get_execution_record("LIVE")
    events = [json.loads(canonical.encode_event(event)) for event in record.events]
    events[-1]["cause"] = cause
    if cause:
        origin = {"host": HOSTILE, "software": "", "clock": {"source": None, "synchronized": None}}
        events[-1]["recovery"] = {"torn_bytes": 7, "torn_sha256": "0" * 64, "origin": origin}
    return seal_lines(relink(events), record)


def sealed_file(observer: ExecutionObserver) -> bytes:
    return observer.seal(signer()).data


def journal_file(record: ExecutionRecord) -> bytes:
    return canonical.OPENING + b"\n,".join(map(canonical.encode_event, record.events)) + b"\n"


def make_rows() -> dict[str, tuple[str, bytes]]:
    """Return for every row of the table a file and the reason_code that it leads to."""
    kernel = HearthKernel()
    not_run = Plan(plan_id="p", rollback_hints=(hint(5),))
    return {
        "completed": ("completed", sealed_file(end_completed(observe(plan=RICH)))),
        "completed-nothing-ran": ("completed", sealed_file(mark(observe(plan=RICH)))),
        "escalated": ("security_escalation", sealed_file(end_escalated(observe(plan=RICH, kernel=kernel), kernel))),
        "recovered": ("recovered", with_cause("recovered")),
        "abandoned": ("abandoned", sealed_file(end_abandoned(run_rich(observe(plan=RICH))))),
        "incomplete": ("incomplete", with_cause(None)),
        "degraded": ("security-state", sealed_file(end_failed(run_rich(observe(plan=RICH, kernel=degraded()))))),
        "unknown": ("security-state", sealed_file(end_failed(run_rich(observe(plan=RICH, kernel=BrokenKernel()))))),
        "no-hint": ("no-hint", sealed_file(end_failed(run_rich(observe(plan="plan-id-alone"))))),
        "no-hint-of-a-step-that-ran": ("no-hint", sealed_file(end_failed(run_rich(observe(plan=not_run))))),
        "no-step-ran": ("no-hint", sealed_file(end_failed(observe(plan=RICH)))),
        "hints": ("failed-with-hints", sealed_file(end_failed(run_rich(observe(plan=RICH))))),
        "standard": ("failed-with-hints", standard_sealed().data),
        "dry-run": ("failed-with-hints", sealed_file(observed(live_mode_state="DRY_RUN"))),
        "example": ("failed-with-hints", EXAMPLE.read_bytes()),
    }


def mark(observer: ExecutionObserver) -> ExecutionObserver:
    observer.mark_completed("nothing to do", unknown_effects=False)
    return observer


ROWS = make_rows()


@pytest.mark.parametrize("row", ROWS)
def test_scaffold_equals_the_library_s_byte_for_byte(row: str, tmp_path: Path, scaffolds: Scaffolds) -> None:
    reason_code, data = ROWS[row]
    path, trust, key = tmp_path / "record", tmp_path / "trust.json", tmp_path / f"key\u202e{HOSTILE}.pem"
    path.write_bytes(data)
    spki = base64.b64decode(b"".join(EXAMPLE_KEY.read_bytes().splitlines()[1:-1]))
    trust.write_bytes(policy((HOSTILE, signer().public_key), ("", spki)))
    key.write_bytes(public_key_to_pem(signer().public_key))
    for args in (["--trust", str(trust)], ["--key", str(key), "--key", str(EXAMPLE_KEY)]):
        code, out = scaffolds(*args, path)
        document = json.loads(out)
        assert code == 0
        assert document["scaffold"]["reason_code"] == reason_code
        assert document["scaffold"]["is_rollback_possible"] == (reason_code == "failed-with-hints")
        assert document["made_from"]["verdict"] == "verified"
        # What stands in it, but for the escapes, is canonical in the eyes of a third program.
        assert out.isascii()
        assert (
            rfc8785.dumps(document)
            == json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        )
        validator_of("hearth-scaffold/1/scaffold.schema.json").validate(document)
    code, out = scaffolds("--unverified", path)
    assert (code, json.loads(out)["made_from"]["verdict"]) == (0, "untrusted")


def test_every_row_of_the_table_is_tried() -> None:
    assert {reason_code for reason_code, _data in ROWS.values()} | {"still-running"} == set(REASONS)


@pytest.mark.parametrize("tail", [b"", b',{"details":', b'],"disclosures":[]'], ids=["whole", "torn", "torn-closing"])
def test_scaffold_of_a_journal(tail: bytes, tmp_path: Path, scaffolds: Scaffolds) -> None:
    path = tmp_path / "exec.journal"
    record = run_rich(observe(plan=RICH)).get_execution_record("LIVE")
    for length in (1, 2, len(record.events)):
        whole = journal_file(type(record)(record.events[:length]))
        path.write_bytes(whole + tail)
        code, out = scaffolds("--unverified", path)
        document = json.loads(out)
        assert (code, document["made_from"]["verdict"], document["made_from"]["events"]) == (0, "incomplete", length)
        assert document["scaffold"]["reason_code"] == "still-running"
        assert scaffolds("--key", EXAMPLE_KEY, path)[0] == 5
    path.write_bytes(canonical.OPENING)
    assert scaffolds("--unverified", path) == (5, b"")


def test_scaffold_of_a_finished_journal(tmp_path: Path, scaffolds: Scaffolds) -> None:
    path = tmp_path / "exec.journal"
    path.write_bytes(journal_file(end_failed(run_rich(observe(plan=RICH))).get_execution_record("LIVE")))
    code, out = scaffolds("--unverified", path)
    assert (code, json.loads(out)["scaffold"]["reason_code"]) == (0, "failed-with-hints")


def test_scaffold_with_several_signers(tmp_path: Path, scaffolds: Scaffolds) -> None:
    path = tmp_path / "record"
    two = (signer(OTHER_SEED), signer())
    path.write_bytes(observed().seal(*two).data)
    keys = []
    for number, one in enumerate(two):
        pem = tmp_path / f"{number}.pem"
        pem.write_bytes(public_key_to_pem(one.public_key))
        keys.append(pem)
    code, out = scaffolds("--key", keys[1], "--key", keys[0], path)
    names = [entry["name"] for entry in json.loads(out)["made_from"]["signers"]]
    assert (code, names) == (0, [str(key) for key in keys])
    assert scaffolds("--key", keys[0], path)[0] == 4


def test_refusals_have_the_same_exit_code(files: Files, scaffolds: Scaffolds, tmp_path: Path) -> None:
    for code, path in files.by_code().items():
        assert scaffolds("--key", files.key, path)[0] == code
    assert scaffolds("--unverified", files.altered)[0] == 1
    assert scaffolds("--unverified", files.junk)[0] == 3
    assert scaffolds("--unverified", files.directory)[0] == 3
    assert scaffolds("--unverified", tmp_path / "missing")[0] == 3
    assert scaffolds("--key", tmp_path / "missing", files.good)[0] == 3
    assert scaffolds("--key", files.good, files.good)[0] == 3
    assert scaffolds("--key", files.key, "--key", files.key, files.good)[0] == 3
    assert scaffolds("--trust", files.junk, files.good)[0] == 3
    assert scaffolds("--trust", "", files.good)[0] == 2
    assert scaffolds(files.good)[0] == 2
    expired = tmp_path / "expired.json"
    expired.write_bytes(policy(("old", signer().public_key), expires="2020-01-01T00:00:00.000000Z"))
    assert scaffolds("--trust", expired, files.good)[0] == 4
    stamped = tmp_path / "stamped.json"
    stamped.write_bytes(policy(("k", signer().public_key), require_timestamp=True))
    assert scaffolds("--trust", stamped, files.good)[0] == 4


# --- regenerate_scaffold.py on whatever may be recorded --------------------------------------------------------------


_TEXT = st.sampled_from(["a", "b", HOSTILE])
_STEP = st.integers(0, 4)
_EFFECT = st.tuples(
    st.sampled_from(["system", "network"]), _TEXT, st.sampled_from([True, False, None]), st.none() | _STEP
)


@st.composite
def recorded(draw: st.DrawFn) -> ExecutionRecord:
    """Draw a record: any plan, any steps, effects between them, any end or none."""
    plan = Plan(
        plan_id="p",
        declared_side_effects=tuple(
            effect(text, reversible=known, step_index=index, category=category)
            for category, text, known, index in draw(st.lists(_EFFECT, max_size=6))
        ),
        rollback_hints=tuple(hint(index) for index in draw(st.lists(_STEP, max_size=4))),
    )
    kernel = HearthKernel()
    observer = observe(plan=plan, kernel=kernel)
    ran: list[int] = []
    failed = opened = False
    for index in sorted(draw(st.sets(_STEP))):
        observer.record_step_started(index, f"step {index}", phase="cleanup" if failed else "plan")
        ran.append(index)
        for category, text, known, where in draw(st.lists(_EFFECT, max_size=3)):
            observer.record_side_effect(category, text, known, where if where in ran else None)
        end = draw(st.sampled_from(["completed", "completed", "failed", "open"]))
        if end == "open":
            opened = True
            break
        if end == "failed":
            observer.record_step_failed(index, f"step {index}", "no")
            failed = True
        else:
            observer.record_step_completed(index, f"step {index}")
    ends: list[Callable[[], object]] = [
        lambda: None,
        lambda: observer.mark_failed("f", unknown_effects=False),
        lambda: observer.mark_abandoned("a"),
        lambda: end_by_kill_switch(observer, kernel),
    ]
    if not failed and not opened:
        ends.append(lambda: observer.mark_completed("c"))
    draw(st.sampled_from(ends))()
    return observer.get_execution_record("LIVE")


def end_by_kill_switch(observer: ExecutionObserver, kernel: HearthKernel) -> None:
    kernel.trigger_kill_switch("stop")
    observer.mark_incomplete_security_escalation("stopped")


@given(recorded())
@examples(max_examples=60)
def test_two_programs_come_to_the_same_guidance(record: ExecutionRecord) -> None:
    events = json_events(journal_file(record) + b"]}")
    made = regenerate_scaffold.make_scaffold(events, record.get_execution_hash())
    assert profile.encode(made) == profile.encode(RollbackPlanner.plan_rollback(record))


# --- regenerate_scaffold.py: what it writes --------------------------------------------------------------------------


def test_scaffold_as_a_process(files: Files) -> None:
    key = ["--key", str(files.key)]
    done = run_tool("regenerate_scaffold.py", *key, "--format", "json", files.good)
    program = Path(sys.executable).parent / "regenerate-scaffold"
    by_library = subprocess.run([program, *key, "--format", "json", files.good], capture_output=True, check=True)
    assert done.out.encode() == by_library.stdout
    done = run_tool("regenerate_scaffold.py", *key, files.good)
    assert done.code == 0
    assert "NOT VERIFIED" not in done.out
    assert "DROP TABLE t2" in done.out
    done = run_tool("regenerate_scaffold.py", "--unverified", files.good)
    assert done.code == 0
    assert "NOT VERIFIED" in done.out
    for code, path in files.by_code().items():
        done = run_tool("regenerate_scaffold.py", *key, path)
        assert done.code == code
        assert bool(done.out) == (code == 0)


@pytest.mark.parametrize("row", ROWS)
def test_scaffold_as_text_is_escaped(row: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "record"
    path.write_bytes(ROWS[row][1])
    assert regenerate_scaffold.main(["--unverified", str(path)]) == 0
    assert_printable(capsys.readouterr().out)


def test_scaffold_as_text_leaves_nothing_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "record"
    path.write_bytes(ROWS["hints"][1])
    assert regenerate_scaffold.main(["--unverified", "--format", "json", str(path)]) == 0
    scaffold = json.loads(capsys.readouterr().out)["scaffold"]
    assert regenerate_scaffold.main(["--unverified", str(path)]) == 0
    text = capsys.readouterr().out
    lines = [line.strip() for line in text.splitlines()]
    for item in scaffold["manual_checklist"]:
        (line,) = [each for each in lines if each.startswith(f"[ ] step {item['step_index']} ")]
        assert item["outcome"] in line
        assert ("NO HINT" in line, "IRREVERSIBLE" in line) == (not item["has_hint"], item["irreversible"])
        assert ("(cleanup)" in line) == (item["phase"] == "cleanup")
    texts = [
        each["description"] for name in ("irreversible_effects", "observed_not_declared") for each in scaffold[name]
    ]
    texts += [each["description"] for name in ("declared_not_observed", "required_inputs") for each in scaffold[name]]
    texts += [each["risk"] for each in scaffold["risks"]]
    for each in scaffold["hints"]:
        texts += [each["hint"]["description"], each["hint"]["estimated_duration"] or "", *each["hint"]["actions"]]
    assert [each for each in texts if verify_record.escape(each) not in text] == []
    assert scaffold["reason"] in text


def test_output_file(files: Files, tmp_path: Path) -> None:
    key, out = ["--key", str(files.key), "--format", "json"], tmp_path / "out"
    for code, path in files.by_code().items():
        if code:
            assert run_tool("regenerate_scaffold.py", *key, "-o", out, path).code == code
    assert run_tool("regenerate_scaffold.py", *key, "-o", tmp_path / "missing" / "out", files.good).code == 3
    assert run_tool("regenerate_scaffold.py", *key, "-o", out, files.good, shell="ulimit -f 0").code == 3
    assert list(tmp_path.iterdir()) == []
    done = run_tool("regenerate_scaffold.py", *key, "-o", out, files.good)
    assert (done.code, done.out) == (0, "")
    assert json.loads(out.read_bytes())["format"] == "hearth-scaffold/1"
    before = out.stat()
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "target")
    for there in (out, tmp_path, dangling):
        assert run_tool("regenerate_scaffold.py", *key, "-o", there, files.good).code == 2
    assert out.stat() == before
    assert {each.name for each in tmp_path.iterdir()} == {"out", "dangling"}


def test_scaffold_without_the_file_beside_it(files: Files, tmp_path: Path) -> None:
    alone = tmp_path / "regenerate_scaffold.py"
    shutil.copy(TOOLS / "regenerate_scaffold.py", alone)
    done = run_tool(alone, "--unverified", files.good)
    assert (done.code, done.out) == (70, "")
    assert "verify_record" in done.err


# --- every vector ----------------------------------------------------------------------------------------------------


def vectors() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((VECTORS / "manifest.json").read_bytes())["cases"]
    return [case for case in cases if not case["padding"]]


def test_scaffolds_of_every_vector_agree(scaffolds: Scaffolds) -> None:
    disagree, reasons = [], set()
    for case in vectors():
        given, path = case["policy"], VECTORS / case["file"]
        trust: list[str | Path] = ["--unverified"]
        if given is not None:
            trust = ["--trust", VECTORS / given["trust"]] if "trust" in given else []
            trust += [each for key in given.get("keys", ()) for each in ("--key", VECTORS / key)]
        try:
            code, out = scaffolds(*trust, path)
            if given is not None and not case["allow_reformatted"]:
                assert code == case["exit_code"]
            if code == 0:
                reasons.add(json.loads(out)["scaffold"]["reason_code"])
            if given is not None and case["checks"] is not None:
                scaffolds("--unverified", path)
        except AssertionError:
            disagree.append(case["name"])
    assert disagree == []
    assert "failed-with-hints" in reasons


def test_every_vector_is_judged_by_both_or_by_none() -> None:
    validator = validate_record.load_validator()
    verified = {case["file"] for case in vectors() if case["exit_code"] == 0}
    disagree, invalid = [], []
    for file in {case["file"] for case in vectors() if case["kind"] == "file"}:
        data = (VECTORS / file).read_bytes()
        judged = {"library": True, "tool": True}
        try:
            profile.decode_any(data)
        except FormatError:
            judged["library"] = False
        try:
            document = validate_record.decode(data)
        except validate_record.CannotJudge:
            judged["tool"] = False
        if judged["library"] != judged["tool"]:
            disagree.append(file)
        if file in verified and (not judged["tool"] or validate_record.find_faults(validator, document)):
            invalid.append(file)
    assert disagree == []
    assert invalid == []  # what verifies is valid


# --- examples.py -----------------------------------------------------------------------------------------------------


SCENARIOS = ["basic", "failure", "side-effects", "escalation", "scaffold", "operator"]


def test_examples() -> None:
    done = run_tool("examples.py")
    assert (done.code, done.err) == (0, "")
    assert re.findall("^==== (.*) ====$", done.out, re.MULTILINE) == SCENARIOS
    done = run_tool("examples.py", "--only", "escalation")
    assert done.code == 0
    assert re.findall("^==== (.*) ====$", done.out, re.MULTILINE) == ["escalation"]


def test_examples_know_no_other_name() -> None:
    done = subprocess.run(
        [sys.executable, "-B", TOOLS / "examples.py", "--only", "x"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize(
    "fault",
    [
        "hearth_records.HearthKernel.trigger_kill_switch = lambda *_: None",
        "hearth_records.Hestia.confirm_manual_rollback = lambda *_: (True, '')",
        "hearth_records.RollbackPlanner.plan_rollback = lambda _: (_ for _ in ()).throw(hearth_records.ChainError(''))",
    ],
)
def test_examples_fail_when_the_library_does(fault: str) -> None:
    path = str(TOOLS / "examples.py")
    code = f"import runpy, hearth_records; {fault}; runpy.run_path({path!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert done.stderr.startswith(b"examples.py: error: ")


def test_examples_use_public_names_only() -> None:
    tree = ast.parse((TOOLS / "examples.py").read_text())
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in froms if (node.module or "").startswith("hearth_records") for alias in node.names}
    assert {node.module for node in froms if (node.module or "").startswith("hearth_records")} == {"hearth_records"}
    assert names <= set(hearth_records.__all__)


def test_every_public_name_is_there() -> None:
    assert set(hearth_records.__all__) == set(dir(hearth_records))
    assert all(getattr(hearth_records, name) is not None for name in hearth_records.__all__)
