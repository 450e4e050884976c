"""The conformance kit, and by it the three verifiers: `verify-record`, and `verify_record.py` and `.mjs` in `tools/`.

The long campaign is `python tools/conformance.py --mutations 10000 --seed 1`.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from hearth_records.verify import CHECKS

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / "tools"
VECTORS = Path(__file__).parent / "vectors"
sys.path.insert(0, str(TOOLS))  # where a program finds the file beside it

import conformance  # noqa: E402 - needs the path above
import mutate  # noqa: E402 - as above
import vectors as generator  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LIBRARY, TOOL, SCRIPT = "verify-record", "verify_record.py", "verify_record.mjs"
COMMANDS: Final = {
    LIBRARY: [str(Path(sysconfig.get_path("scripts"), "verify-record"))],
    TOOL: [sys.executable, str(TOOLS / "verify_record.py")],
    SCRIPT: ["node", str(TOOLS / "verify_record.mjs")],
}
RECORDER = VECTORS / "policies" / "recorder.json"
SMALL = VECTORS / "valid" / "small.json"
MANIFEST: Final = json.loads((VECTORS / "manifest.json").read_bytes())
MINIMAL: Final = next(case for case in MANIFEST["cases"] if case["name"] == "valid/minimal")
MUTANTS = 300
TIMEOUT = 60.0


@pytest.fixture(scope="session")
def node() -> None:
    """Node.js, which runs the third verifier: may be missing on a desk, never where a change is checked."""
    if shutil.which("node") is None:
        if os.environ.get("CI"):
            pytest.fail("needs node")
        pytest.skip("needs node")


@pytest.fixture(scope="module")
def verifiers(node: None) -> Iterator[list[conformance.Verifier]]:  # noqa: ARG001 - it has to be there
    """All three, each in one process for many files."""
    found = conformance.project_verifiers(TIMEOUT)
    yield found
    for verifier in found:
        verifier.close()


def judge(verifiers: Sequence[conformance.Verifier], file: Path, *words: str) -> dict[str, conformance.Outcome]:
    """Return what each says about a file; they agree, on what §8 demands and on what §11 does not leave free."""
    outcomes = {verifier.name: verifier.judge(words, str(file)) for verifier in verifiers}
    assert {outcome.problem for outcome in outcomes.values()} == {""}
    told = [conformance.compared(outcome, strict=True) for outcome in outcomes.values()]
    assert told[0] == told[1] == told[2], file
    return outcomes


def trust(policy: Path = RECORDER) -> list[str]:
    return ["--trust", str(policy)]


class Done(NamedTuple):
    code: int
    out: str
    err: str


def run(name: str, *words: str | bytes | Path, stdin: bytes = b"") -> Done:
    """Run one of the commands as a person does; it never shows a stack trace."""
    done = subprocess.run([*COMMANDS[name], *words], input=stdin, capture_output=True, check=False, timeout=TIMEOUT)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err
    assert "    at " not in err
    assert "\x1b" not in out + err
    return Done(done.returncode, out, err)


# --- the corpus ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [LIBRARY, TOOL, SCRIPT])
@pytest.mark.usefixtures("node")
def test_a_verifier_is_right_about_every_case(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (verifier,) = (one for one in conformance.project_verifiers(TIMEOUT) if one.name == name)
    cases, now = conformance.read_corpus(VECTORS)
    args = conformance.parse_arguments(["--strict"])
    try:
        rows = conformance.run_vectors(verifier, cases, now, args)
    finally:
        verifier.close()
    assert rows == []
    judged = int(capsys.readouterr().out.split(": ")[1].split()[0])
    assert len(cases) - 3 <= judged <= len(cases)  # a policy may expire between the time of the manifest and today


@pytest.mark.parametrize(("name", "part"), [(LIBRARY, 101), (TOOL, 101), (SCRIPT, 103)])
@pytest.mark.usefixtures("node")
def test_a_verifier_is_right_from_its_command_line(name: str, part: int) -> None:
    template = f"{shlex.join(COMMANDS[name])} {{policy}} --format json {{file}}"
    without = ["--without", "ml-dsa-44"] if name == SCRIPT else []
    assert conformance.main(["--verifier", template, "--json", "--strict", "--every", str(part), *without]) == 0
    assert conformance.main(["--verifier", template, "--json", "--strict", "--only", "read--", *without]) == 0
    assert conformance.main(["--verifier", template, "--strict", "--only", "requirement-role", *without]) == 0


def test_without_an_algorithm_a_verifier_trusts_nothing_that_needs_it(
    verifiers: list[conformance.Verifier],
) -> None:
    library, _tool, script = verifiers
    cases, _now = conformance.read_corpus(VECTORS)
    concerned = [case for case in cases if case.concerns(["ml-dsa-44"]) and case.members["checks"]]
    needed = [case for case in concerned if case.members["exit_code"] in (0, 1)]
    assert {case.members["exit_code"] for case in needed} == {0, 1}
    for case in needed:
        found = script.judge(case.words(), case.file)
        assert found.exit_code == 4
        assert found.checks is not None
        assert found.checks["trust"] == "fail"
        assert library.judge(case.words(), case.file).exit_code == case.members["exit_code"]
        assert conformance.differences(case, found, without=(), strict=False, report=True)


# --- mutated files ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("node")
def test_the_three_agree_on_mutated_files(capsys: pytest.CaptureFixture[str]) -> None:
    code = conformance.main(["--mutations", str(MUTANTS), "--seed", "1", "--strict"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert f"{MUTANTS} mutants of seed 1, 0 disagreements" in out


def test_mutants_follow_from_seed_and_index_and_reach_every_check(tmp_path: Path) -> None:
    one, other = mutate.Mutator(), mutate.Mutator()
    mutants = [one.mutant(3, index) for index in range(200)]
    assert [other.mutant(3, index) for index in reversed(range(200))] == mutants[::-1]
    assert [one.mutant(4, index) for index in range(200)] != mutants
    reached = set()
    verifier = conformance.project_verifiers(TIMEOUT)[0]
    for mutant in mutants:
        *words, file = mutate.write(mutant, tmp_path)
        reached |= {name for name, status in (verifier.judge(words, file).checks or {}).items() if status == "fail"}
    verifier.close()
    assert reached == set(CHECKS) - {"read", "timestamp"}


def test_a_mutant_can_be_written_to_look_at(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOLS / "mutate.py"), "--seed", "1", "--index", "5", "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "mutant.record.json").read_bytes() == mutate.Mutator().mutant(1, 5).record
    assert str(tmp_path / "mutant.record.json") in done.stdout.splitlines()


def test_mutants_are_signed_as_the_vectors_are() -> None:
    key = mutate.Key("recorder")
    seal = json.loads(b"{" + SMALL.read_bytes().split(b"\n")[-2][2:])["seal"]
    (signature,) = seal["signatures"]
    assert signature["keyid"] == key.keyid
    assert base64.b64decode(signature["sig"]) == key.sign(mutate.preimage_of(seal["statement"]))


# --- the kit finds what is wrong -------------------------------------------------------------------------------------

# A verifier that knows the answers: what it says about each file stands in a JSON file, {"codes": {file: exit code}}.
STUB: Final = """
import json, sys
answers = json.load(open(sys.argv[1]))
*policy, file = sys.argv[2:]
exec(answers.get("first", ""))
name = file.split("/vectors/")[1] + ("+" if "--allow-reformatted" in policy else "")
if name in answers["reports"]:
    print(json.dumps(answers["reports"][name]))
sys.exit(answers["codes"][name])
"""


@pytest.fixture
def stub(tmp_path: Path) -> Callable[..., int]:
    """Return a function that runs the kit with a verifier that says what it is told to say about `chain--` cases."""
    (tmp_path / "stub.py").write_text(STUB)

    def run_kit(change: Callable[[dict[str, Any]], object], *options: str) -> int:
        cases, _now = conformance.read_corpus(VECTORS)
        answers: dict[str, Any] = {"codes": {}, "reports": {}, "first": ""}
        for case in cases:
            if "chain--" in case.name:
                answers["codes"][case.members["file"]] = case.members["exit_code"]
                answers["reports"][case.members["file"]] = report_of(case.members)
        change(answers)
        (tmp_path / "answers.json").write_text(json.dumps(answers))
        words = [sys.executable, str(tmp_path / "stub.py"), str(tmp_path / "answers.json"), "{policy}", "{file}"]
        options = ("--only", "chain--s", *options)
        return conformance.main(["--verifier", shlex.join(words), *options])

    return run_kit


def report_of(case: dict[str, Any]) -> dict[str, Any]:
    """Return the report that a case demands."""
    checks = [
        {"check": name, "code": None, "pointer": None, "reason": None, "seq": None, "status": case["checks"][name]}
        for name in CHECKS
    ]
    for check in checks:
        if check["check"] == case["check"]:
            check |= {"code": case["code"] or "x", "pointer": case["pointer"], "seq": case["seq"]}
    warnings = [{"code": code, "count": 1, "reason": "", "seq": None} for code in case["warnings"] or ()]
    result = {"checks": checks, "exit_code": case["exit_code"], "verdict": case["verdict"], "warnings": warnings}
    result |= {"evidence": [], "signers": []}
    return {"exit_code": case["exit_code"], "format": "hearth-verification/1", "results": [result]}


GAP = "invalid/chain--seq-gap.json"


def test_the_kit_passes_what_is_right(stub: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert stub(lambda _answers: None, "--json", "--strict") == 0
    assert stub(lambda answers: answers.update(reports={})) == 0
    assert "0 disagreements" in capsys.readouterr().out


def result_of(answers: dict[str, Any]) -> dict[str, Any]:
    """Return what the report says on one case."""
    (result,) = answers["reports"][GAP]["results"]
    found: dict[str, Any] = result
    return found


def first_check(answers: dict[str, Any], **members: object) -> None:
    """Edit the check `chain` in the report on one case."""
    check_of(answers).update(members)


def check_of(answers: dict[str, Any]) -> dict[str, Any]:
    """Return the check `chain` in the report on one case."""
    (check,) = (check for check in result_of(answers)["checks"] if check["check"] == "chain")
    found: dict[str, Any] = check
    return found


TORN_TAIL: Final = {"code": "torn-tail", "count": 1, "seq": None}


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda answers: answers["codes"].update({GAP: 0}), []),
        (lambda answers: answers["codes"].update({GAP: 4}), []),
        (lambda answers: answers.update(reports={}, codes=answers["codes"] | {GAP: 0}), []),
        (lambda answers: answers["reports"].pop(GAP), ["--json"]),
        (lambda answers: answers["reports"].update({GAP: {"format": "hearth-verification/1"}}), []),
        (lambda answers: answers["reports"].update({GAP: {"format": "hearth-verification/2"}}), ["--json"]),
        (lambda answers: answers["reports"][GAP].update(exit_code=3), []),
        (lambda answers: answers["reports"][GAP]["results"][0].update(exit_code=3), []),
        (lambda answers: answers["reports"][GAP]["results"][0].update(verdict="verified"), []),
        (lambda answers: answers["reports"][GAP]["results"][0]["checks"].pop(), []),
        (lambda answers: first_check(answers, status="pass"), []),
        (lambda answers: first_check(answers, status="not_run"), []),
        (lambda answers: first_check(answers, code="link"), ["--strict"]),
        (lambda answers: first_check(answers, seq=0), ["--strict"]),
        (lambda answers: first_check(answers, pointer="/seal"), ["--strict"]),
        (lambda answers: result_of(answers)["warnings"].append(TORN_TAIL), ["--strict"]),
        (lambda answers: result_of(answers).pop("verdict"), []),
        (lambda answers: result_of(answers).pop("checks"), []),
        (lambda answers: result_of(answers).pop("warnings"), []),
        (lambda answers: result_of(answers).update(verdict="\ud800\x1b[31m"), []),
        (lambda answers: result_of(answers).update(warnings=[3]), []),
        (lambda answers: result_of(answers).update(signers={}), []),
        (lambda answers: result_of(answers).update(evidence=[{"type": "x"}]), []),
        (lambda answers: result_of(answers)["checks"].append(3), []),
        (lambda answers: answers["reports"][GAP].update(exit_code="1"), []),
        (lambda answers: answers["reports"][GAP].update(results={}), []),
        (lambda answers: answers["reports"][GAP].update(results=[]), []),
        (lambda answers: check_of(answers).pop("check"), []),
        (lambda answers: check_of(answers).pop("status"), []),
        (lambda answers: check_of(answers).pop("code"), ["--strict"]),
        (lambda answers: check_of(answers).pop("seq"), ["--strict"]),
        (lambda answers: check_of(answers).pop("pointer"), ["--strict"]),
        (lambda answers: answers.update(first="while 'seq-gap' in file: pass"), ["--timeout", "1"]),
        (lambda answers: answers.update(first="'seq-gap' in file and __import__('os').abort()"), []),
    ],
)
def test_the_kit_finds_what_is_wrong(
    stub: Callable[..., int],
    change: Callable[[dict[str, Any]], object],
    options: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert stub(change, *options) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("invalid/")] == ["invalid/chain--seq-gap"]
    assert ", 1 disagreements" in lines[-1]


def test_what_only_the_strict_kit_looks_at(stub: Callable[..., int]) -> None:
    assert stub(lambda answers: first_check(answers, code="other", seq=0, pointer="/seal")) == 0


BATCH_STUB: Final = """
import json, sys
for line in sys.stdin:
    words = json.loads(line)
    {answer}
"""


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("print('{\"exit_code\":0}', flush=True)", "0 -"),
        ("print('no JSON', flush=True)", "an answer of another shape"),
        ("print('[0]', flush=True)", "an answer of another shape"),
        ("print('{\"exit_code\":Infinity}', flush=True)", "an answer of another shape"),
        ("sys.exit()", "no answer"),
        ("__import__('time').sleep(60)", "time limit"),
    ],
)
def test_a_batch_verifier_that_is_wrong_is_found(
    answer: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stub.py").write_text(BATCH_STUB.format(answer=answer))
    command = shlex.join([sys.executable, str(tmp_path / "stub.py")])
    options = ["--only", "chain--seq-gap", "--timeout", "1"]
    assert conformance.main(["--batch", command, *options]) == 1
    assert found in capsys.readouterr().out


def test_verifiers_that_differ_on_a_mutant_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stub.py").write_text(BATCH_STUB.format(answer="print('{\"exit_code\":1}', flush=True)"))
    command = shlex.join([sys.executable, str(tmp_path / "stub.py")])
    server = shlex.join([sys.executable, str(TOOLS / "conformance.py"), "--serve", TOOL])
    keep = tmp_path / "kept"
    words = ["--batch", command, "--batch", server, "--mutations", "4", "--first", "5", "--keep", str(keep)]
    assert conformance.main(words) == 1
    assert "4 mutants of seed 1, 4 disagreements" in capsys.readouterr().out
    assert sorted(path.name for path in keep.iterdir()) == ["1-5", "1-6", "1-7", "1-8"]
    assert (keep / "1-5" / "mutant.record.json").read_bytes() == mutate.Mutator().mutant(1, 5).record


def test_all_verifiers_failing_in_the_same_way_is_no_agreement(tmp_path: Path) -> None:
    (tmp_path / "stub.py").write_text(BATCH_STUB.format(answer="print('{\"exit_code\":70}', flush=True)"))
    command = shlex.join([sys.executable, str(tmp_path / "stub.py")])
    assert conformance.main(["--batch", command, "--batch", command, "--mutations", "1"]) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--verifier", "true {file}"],
        ["--verifier", "true {policy}"],
        ["--verifier", "no-such-program {policy} {file}"],
        ["--batch", "no-such-program"],
        ["--verifier", ""],
        ["--batch", ""],
        ["--only", "no such case"],
        ["--corpus", "/no/such/directory"],
        ["--corpus", "/no/such/directory", "--mutations", "3"],
        ["--keep", str(SMALL), "--mutations", "3"],
        ["--keep", "/proc/no/such/directory", "--mutations", "3"],
    ],
)
def test_what_cannot_be_run_is_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(words) == 2
    assert "conformance.py: error: " in capsys.readouterr().err


def a_corpus(directory: Path, *edits: tuple[str, object]) -> Path:
    """Write a manifest of one case, edited."""
    manifest = {"cases": [dict(MINIMAL)], "format": "hearth-vectors/1", "now": "2026-12-01T00:00:00.000000Z"}
    (directory / "manifest.json").write_text(json.dumps(generator.edited(manifest, edits)))
    return directory


DROP = generator.DROP


@pytest.mark.parametrize("mutations", ["0", "1"])
@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("/format", DROP),
        ("/format", "hearth-vectors/2"),
        ("/now", DROP),
        ("/cases", DROP),
        ("/cases", {}),
        ("/cases", []),
        ("/cases/0", None),
        *((f"/cases/0/{name}", DROP) for name in MINIMAL if name not in ("verdict", "why")),
        ("/cases/0/policy", {}),
        ("/cases/0/policy", {"keys": "recorder.pem"}),
        ("/cases/0/policy", {"trust": "no-such-file.json"}),
        ("/cases/0/policy", {"keys": ["no-such-file.json"]}),
        ("/cases/0/file", "no-such-file.json"),
        ("/cases/0/padding", {"byte": 120, "count": 1}),
        ("/cases/0/padding", {"byte": 256, "count": 1, "offset": 0}),
    ],
)
def test_a_corpus_that_cannot_be_read_is_usage(
    place: str, value: object, mutations: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = a_corpus(tmp_path, (place, value))
    command = shlex.join([sys.executable, "-c", "0", "{policy}", "{file}"])
    words = ["--corpus", str(corpus), "--verifier", command, "--without", "x", "--mutations", mutations]
    assert conformance.main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("conformance.py: error: ")) == ("", True)
    assert str(tmp_path) in err or place.startswith("/cases/0/padding")


def test_what_is_no_manifest_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for data in (b"", b"\xff", b"[]", b"[" * 100_000):
        (tmp_path / "manifest.json").write_bytes(data)
        assert conformance.main(["--corpus", str(tmp_path)]) == 2
        assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("padding", "whole"),
    [
        ({"byte": 120, "count": 3, "offset": 0}, b"xxxabc"),
        ({"byte": 120, "count": 3, "offset": 2}, b"abxxxc"),
        ({"byte": 255, "count": 1, "offset": 3}, b"abc\xff"),
        ({"byte": 0, "count": 3, "offset": 1}, b"a\0\0\0bc"),
        ({"byte": 0, "count": 3, "offset": 3}, b"abc\0\0\0"),
        (None, b"abc"),
    ],
)
def test_padding_is_put_in_where_the_manifest_says(
    padding: dict[str, int] | None, whole: bytes, tmp_path: Path
) -> None:
    (tmp_path / "short").write_bytes(b"abc")
    case = conformance.Case({"file": "short", "padding": padding}, tmp_path)
    with case.on_disk() as file:
        assert Path(file).read_bytes() == whole
    assert Path(file).exists() is (padding is None)
    assert (tmp_path / "short").read_bytes() == b"abc"


def test_help_says_how_a_verifier_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        conformance.main(["--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    for word in ("`{policy}` becomes", "batch protocol", "Exit codes", "tests/vectors/README.md"):
        assert word in told


def test_an_expiry_between_then_and_now_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_text('{"expires":"2026-12-24T00:00:00.000000Z"}')
    case = conformance.Case({"policy": {"trust": "trust.json"}}, tmp_path)
    before, after = "2026-12-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"
    assert case.expires_between(before, after)
    assert case.expires_between(after, before)
    assert not case.expires_between(before, before)
    assert not case.expires_between(after, after)


# --- the third verifier ----------------------------------------------------------------------------------------------


def test_the_script_needs_nothing_but_node() -> None:
    source = (TOOLS / "verify_record.mjs").read_text("utf-8")
    imported = [line.rpartition("from ")[2] for line in source.splitlines() if line.startswith("import ")]
    assert imported == ['"node:crypto";', '"node:fs";', '"node:process";']
    for word in ("eval(", "Function(", "import(", "require(", "child_process"):
        assert word not in source


@pytest.mark.usefixtures("node")
def test_a_long_type_of_evidence_stands_apart_from_the_text(tmp_path: Path) -> None:
    types = ["x" * size for size in (1, 11, 12, 13, 14, 40)]
    pieces = ",".join(f'{{"data":"AAAA","type":"{kind}"}}' for kind in types)
    data = SMALL.read_text("utf-8").replace('"seal":{"evidence":[]', f'"seal":{{"evidence":[{pieces}]')
    (tmp_path / "r.json").write_text(data)
    for name in COMMANDS:
        words = [line.split() for line in run(name, *trust(), tmp_path / "r.json").out.splitlines()]
        assert [line[0] for line in words if line and line[0].startswith("x")] == types, name


@pytest.mark.usefixtures("node")
def test_the_reports_of_all_are_the_same_bytes() -> None:
    mine, other, script = (run(name, *trust(), "--format", "json", SMALL) for name in COMMANDS)
    assert mine == script
    because = json.loads(other.out)["results"][0]["checks"][-1]["reason"]  # why `timestamp` did not run: it may say so
    assert other.out.replace(json.dumps(because), "null") == mine.out


def cannot_judge(path: Path) -> dict[str, Path | str]:
    """Return names of what is no record file."""
    os.mkfifo(path / "fifo")
    (path / "loop").symlink_to("loop")
    with (path / "large").open("wb") as file:
        file.truncate(2**30 + 1)
    return {"fifo": path / "fifo", "loop": path / "loop", "large": path / "large", "device": "/dev/zero", "none": ""}


@pytest.mark.usefixtures("node")
def test_what_cannot_be_read(tmp_path: Path) -> None:
    names = [str(name) for name in cannot_judge(tmp_path).values()]
    done = run(SCRIPT, *trust(), "--format", "json", *names)
    results = json.loads(done.out)["results"]
    assert done.code == 3
    assert [result["file"] for result in results] == names
    for result in results:
        assert (result["verdict"], result["checks"][0]["status"], result["sha256"]) == ("unreadable", "fail", None)
    codes = [result["checks"][0]["code"] for result in results]
    assert codes == ["unreadable", "unreadable", "too-large", "unreadable", "unreadable"]


@pytest.mark.usefixtures("node")
def test_several_files_and_standard_input() -> None:
    bad, open_ = VECTORS / GAP, VECTORS / "invalid" / "sealed--torn-event.json"
    done = run(SCRIPT, *trust(), "--format=json", open_, "-", bad, "--", SMALL, stdin=SMALL.read_bytes())
    report = json.loads(done.out)
    assert [result["exit_code"] for result in report["results"]] == [5, 0, 1, 0]
    assert (done.code, report["exit_code"]) == (1, 1)
    text = run(SCRIPT, *trust(), open_, SMALL)
    assert (text.code, text.out.count("  verdict ")) == (5, 2)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        ([SMALL], 2),
        (["--no-trust"], 2),
        (["--no-trust", "--format", "xml", SMALL], 2),
        (["--no-trust", "--wrong", SMALL], 2),
        (["--no-trust", *trust(), SMALL], 2),
        ([*trust(), *trust(), SMALL], 2),
        ([*trust(), "--key", "x", SMALL], 2),
        (["--trust"], 2),
        (["--no-trust", "--min-policy-version", "1", SMALL], 2),
        ([*trust(), "--min-policy-version", "0", SMALL], 2),
        ([*trust(), "--min-policy-version", "9007199254740992", SMALL], 2),
        ([*trust(), "--min-policy-version", "2", SMALL], 3),
        ([*trust(), "--min-policy-version", "1", SMALL], 0),
        (["--trust", "/no/such/file", SMALL], 3),
        (["--trust", b"/no/such/\xff\x1b[31m", SMALL], 3),
        (["--no-trust", SMALL], 4),
        (["--help"], 0),
    ],
)
@pytest.mark.usefixtures("node")
def test_the_command_line_is_that_of_verify_record(words: list[str | Path], code: int) -> None:
    done = run(SCRIPT, *words)
    assert (done.code, done.err == "") == (code, code in (0, 4))
    assert run(LIBRARY, *words).code == code


@pytest.mark.usefixtures("node")
def test_names_that_are_no_text_are_spelled_out(tmp_path: Path) -> None:
    name = bytes(tmp_path) + b"/\xff\xc3\xa9\xf0\x9f\x98\x80\x1b[31m"
    Path(os.fsdecode(name)).write_bytes(SMALL.read_bytes())
    for one in COMMANDS:
        (result,) = json.loads(run(one, *trust(), "--format", "json", name).out)["results"]
        assert result["file"] == f"{tmp_path}/\\udcff\u00e9\U0001f600\x1b[31m"
        assert run(one, *trust(), name).code == 0


@pytest.mark.usefixtures("node")
def test_output_that_cannot_be_written_is_a_failure() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMANDS[SCRIPT], *trust(), str(SMALL)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (70, b"")


# --- where verifiers differed ----------------------------------------------------------------------------------------
#
# Each of these was found by the third verifier or by mutated files. Those that a vector can show are in `vectors/`.

RECORDER_KEY = mutate.Key("recorder")
SPKI: Final = base64.b64encode(mutate.spki(RECORDER_KEY.raw)).decode()
PAD_BITS: Final = f"{SPKI[:-2]}{chr(ord(SPKI[-2]) + 1)}="  # the same key, in base64 with other pad bits
BEGIN, END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
WIRE: Final = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + RECORDER_KEY.raw
OPENSSH: Final = base64.b64encode(WIRE).decode()


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (f"{BEGIN}\n{SPKI}\n{END}\n", True),
        (f"{BEGIN}\n{SPKI}\n{END}", True),
        (f"\x0b{BEGIN}\r{SPKI}\r\n{END}\x0c \t\r\n", True),
        (f"{BEGIN}\n{SPKI[:20]}\n\n{SPKI[20:]}\n{END}\n", True),
        (f"{BEGIN}\n{PAD_BITS}\n{END}\n", False),
        (f"{BEGIN}\n {SPKI}\n{END}\n", False),
        (f"{BEGIN}\n{SPKI} \n{END}\n", False),
        (f"{BEGIN}\n{SPKI}\x0b\n{END}\n", False),
        (f"{BEGIN} \n{SPKI}\n{END}\n", False),
        (f"{BEGIN} {SPKI} {END}\n", False),
        (f"{BEGIN}{SPKI}{END}\n", False),
        (f"{BEGIN}\n{SPKI}=\n{END}\n", False),
        (f"{BEGIN}\n{END}\n", False),
        (f"\xa0{BEGIN}\n{SPKI}\n{END}\n", False),
        (f"{BEGIN}\n{SPKI}\n{END}\xa0\n", False),
        (f"\x1c{BEGIN}\n{SPKI}\n{END}\n", False),
        (f"ssh-ed25519 {OPENSSH} me@host\n", True),
        (f"\n ssh-ed25519 {OPENSSH}\r\n", True),
        (f"ssh-ed25519 {OPENSSH} me\x0b \xff\n", True),
        (f"ssh-ed25519  {OPENSSH}\n", False),
        (f"ssh-ed25519\t{OPENSSH}\n", False),
        (f"ssh-ed25519 {OPENSSH}\tme\n", False),
        (f"ssh-ed25519 {OPENSSH}=\n", False),
        (f"ssh-ed25519 {OPENSSH[:-4]}\n", False),
        (f"ssh-ed25519 {OPENSSH}AAAA\n", False),
        (f"ssh-ed25519 {OPENSSH} me\rthee\n", False),
        (f"ssh-ed25519 {OPENSSH}\nssh-ed25519 {OPENSSH}\n", False),
        (f"no-pty ssh-ed25519 {OPENSSH}\n", False),
        (f"ssh-rsa {OPENSSH}\n", False),
        (f"SSH-ed25519 {OPENSSH}\n", False),
        (f"ssh-ed25519 {base64.b64encode(WIRE[:-32] + bytes(32)).decode()}\n", False),
        ("ssh-ed25519\n", False),
        ("ssh-ed25519 \n", False),
    ],
)
def test_key_files(text: str, taken: bool, verifiers: list[conformance.Verifier], tmp_path: Path) -> None:  # noqa: FBT001 - a column
    key = tmp_path / "key.pem"
    key.write_bytes(text.encode("latin-1"))
    outcomes = judge(verifiers, SMALL, "--key", str(key))
    assert {outcome.exit_code for outcome in outcomes.values()} == {0 if taken else 3}


@pytest.mark.parametrize(("least", "code"), [("1", 0), ("2", 3), ("9007199254740991", 3), ("0", 2), ("x", 2)])
def test_a_policy_that_is_too_old(least: str, code: int, verifiers: list[conformance.Verifier]) -> None:
    outcomes = judge(verifiers, SMALL, *trust(), "--min-policy-version", least)
    assert {outcome.exit_code for outcome in outcomes.values()} == {code}


def edited(edit: Callable[[mutate.Record], object], path: Path) -> Path:
    """Write the record `small` with an edit, linked, sealed and signed again."""
    record = mutate.Record.read(SMALL.read_bytes())
    assert record is not None
    assert record.closing is not None
    lines = mutate.linked(record.events, lambda _n, line: line, numbered=True)
    mutate.bring_to_agree(record.closing["seal"]["statement"], record.events, lines)
    mutate.sign_again(record.closing["seal"])
    edit(record)
    file = path / "edited.record.json"
    file.write_bytes(mutate.OPENING + b"\n,".join(lines) + b"\n]," + mutate.jcs(record.closing)[1:] + b"\n")
    return file


def test_signers_are_listed_one_a_signature_in_the_order_of_the_file(
    verifiers: list[conformance.Verifier], tmp_path: Path
) -> None:
    def add(record: mutate.Record) -> None:
        seal = (record.closing or {})["seal"]
        (own,) = seal["signatures"]
        seal["signatures"] = [own | {"keyid": "0" * 64}, own, own | {"sig": "MA=="}]

    outcomes = judge(verifiers, edited(add, tmp_path), *trust())
    for outcome in outcomes.values():
        assert outcome.exit_code == 1
        assert outcome.result is not None
        found = [(signer["keyid"], signer["role"], signer["status"]) for signer in outcome.result["signers"]]
        own = RECORDER_KEY.keyid
        assert found == [("0" * 64, "countersign", "not_run"), (own, "seal", "good"), (own, "seal", "not_run")]


def test_a_signer_that_has_not_signed_is_not_listed(verifiers: list[conformance.Verifier], tmp_path: Path) -> None:
    outcomes = judge(
        verifiers, edited(lambda record: (record.closing or {})["seal"]["signatures"].clear(), tmp_path), *trust()
    )
    for outcome in outcomes.values():
        assert outcome.result is not None
        assert outcome.result["signers"] == []


def test_warnings_count_what_they_are_about(verifiers: list[conformance.Verifier], tmp_path: Path) -> None:
    def attach(record: mutate.Record) -> None:
        seal = (record.closing or {})["seal"]
        pieces = [{"data": "MAA=", "type": kind} for kind in ("a", "b", "c")]
        seal["evidence"] = pieces
        seal["signatures"][0]["evidence"] = pieces[:2]

    def warnings(file: Path) -> list[list[dict[str, Any]]]:
        outcomes = judge(verifiers, file, *trust()).values()
        return [[warning | {"reason": None} for warning in (one.result or {})["warnings"]] for one in outcomes]

    five = {"code": "evidence-not-checked", "count": 5, "reason": None, "seq": None}
    assert warnings(edited(attach, tmp_path)) == [[five]] * 3
    torn = tmp_path / "torn"
    torn.write_bytes(b"\n".join(SMALL.read_bytes().split(b"\n")[:3]) + b"\n,{...")
    tail = {"code": "torn-tail", "count": 5, "reason": None, "seq": None}
    assert warnings(torn) == [[tail]] * 3
    early = {"code": "sealed-before-end", "count": 1, "reason": None, "seq": 4}
    assert warnings(VECTORS / "valid" / "warning-sealed-before-end.json") == [[early]] * 3


@pytest.mark.parametrize(
    "arguments", [["--verifier", "x ' {policy} {file}"], ["--batch", "x '"], ["--timeout", "nan"], ["--timeout", "inf"]]
)
def test_wrong_usage_of_the_kit_is_told_as_such(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, conformance.__file__, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "conformance.py: error: " in done.stderr
    assert "Traceback" not in done.stderr
