"""The corpus of test vectors, over the library and the independent verifier.

`vectors/manifest.json` says what has to come out; `tools/vectors.py` wrote it, with code of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from verifiers import MANIFEST, NOW, TOOLS, VECTORS, Case, of_library, of_tool, tool

from hearth_records.errors import TrustError
from hearth_records.verify import CHECKS, EXIT_CODES, VERDICTS, verify_file, verify_record

if TYPE_CHECKING:
    from verifiers import Outcome

CASES = [Case(members["name"], members) for members in MANIFEST["cases"]]
RECORDS = [case for case in CASES if case.checks is not None]
PADDED = [case for case in RECORDS if case.padding]
"""Up to 1 GiB each, and some take a second: `test_conformance` shows them to each verifier."""
FILES = [case for case in RECORDS if case.kind == "file" and case not in PADDED]
AS_THEY_ARE = [case for case in RECORDS if case not in PADDED]
REFUSED = [case for case in CASES if case.checks is None]


def names(cases: list[Case]) -> list[str]:
    return [case.name for case in cases]


def is_near(pointer: str | None, place: str) -> bool:
    """Whether a pointer is a place, or one above or below it; None is the whole document."""
    mine, other = (pointer or "").split("/"), place.split("/")
    shorter = min(len(mine), len(other))
    return mine[:shorter] == other[:shorter]


def check_outcome(case: Case, outcome: Outcome) -> None:
    assert outcome.statuses == case.checks
    assert (outcome.exit_code, outcome.verdict) == (case.exit_code, case.verdict)
    assert case.warnings is None or outcome.warnings == case.warnings
    if case.check is None:
        return
    finding = outcome.checks[case.check]
    assert case.code is None or finding.code == case.code
    assert case.seq is None or finding.seq == case.seq
    assert case.pointer is None or is_near(finding.pointer, case.pointer)
    assert finding.status == "not_run" or finding.code


@pytest.mark.parametrize("case", FILES, ids=names(FILES))
def test_the_library_says_of_the_bytes_what_the_manifest_says(case: Case) -> None:
    policy = case.library_policy()
    report = verify_record(case.path.read_bytes(), policy, now=NOW, allow_reformatted=case.allow_reformatted)
    check_outcome(case, of_library(report))
    assert (report.sealed_record is not None) is (not set(case.checks.values()) & {"fail"})


@pytest.mark.parametrize("case", AS_THEY_ARE, ids=names(AS_THEY_ARE))
def test_the_library_says_of_the_file_what_the_manifest_says(case: Case) -> None:
    policy = case.library_policy()
    report = verify_file(case.path, policy, now=NOW, allow_reformatted=case.allow_reformatted)
    check_outcome(case, of_library(report))
    assert report.sealed_record is None


@pytest.mark.parametrize("case", FILES, ids=names(FILES))
def test_the_independent_verifier_says_of_the_bytes_what_the_manifest_says(case: Case) -> None:
    policy = case.tool_policy()
    result = tool.verify_bytes(case.path.read_bytes(), policy, now=NOW, allow_reformatted=case.allow_reformatted)
    check_outcome(case, of_tool(result))


@pytest.mark.parametrize("case", AS_THEY_ARE, ids=names(AS_THEY_ARE))
def test_the_independent_verifier_says_of_the_file_what_the_manifest_says(case: Case) -> None:
    policy = case.tool_policy()
    result = tool.verify_file(str(case.path), policy, NOW, allow_reformatted=case.allow_reformatted)
    check_outcome(case, of_tool(result))


@pytest.mark.parametrize("case", REFUSED, ids=names(REFUSED))
def test_both_refuse_a_policy(case: Case) -> None:
    with pytest.raises(TrustError) as mine:
        case.library_policy()
    with pytest.raises(tool.PolicyError) as other:
        case.tool_policy()
    for code, pointer in ((mine.value.code, mine.value.pointer), (other.value.code, other.value.pointer)):
        assert case.code is None or code == case.code
        assert case.pointer is None or is_near(pointer, case.pointer)


COMMANDS = {
    "verify-record": [str(Path(sys.executable).with_name("verify-record"))],
    "verify_record.py": [sys.executable, str(TOOLS / "verify_record.py")],
}
SHARED: list[tuple[dict[str, str] | None, bool]] = [
    ({"trust": "policies/recorder.json"}, False),
    ({"trust": "policies/recorder.json"}, True),
    (None, False),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("shared", SHARED, ids=["recorder", "reformatted", "no-policy"])
def test_the_commands_say_it_as_well(command: str, shared: tuple[dict[str, str] | None, bool]) -> None:
    policy, allow = shared
    cases = [case for case in AS_THEY_ARE if (case.policy, case.allow_reformatted) == (policy, allow)]
    assert len(cases) > 2
    options = ["--trust", policy["trust"]] if policy else ["--no-trust"]
    options += ["--format", "json", *(["--allow-reformatted"] if allow else [])]
    files = [str(case.file) for case in cases]
    done = subprocess.run([*COMMANDS[command], *options, *files], capture_output=True, check=False, cwd=VECTORS)
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (report["exit_code"], b"")
    assert [result["file"] for result in report["results"]] == files
    for case, result in zip(cases, report["results"], strict=True):
        assert (result["exit_code"], result["verdict"]) == (case.exit_code, case.verdict)
        assert {check["check"]: check["status"] for check in result["checks"]} == case.checks


# --- the manifest itself ---------------------------------------------------------------------------------------------


def test_the_corpus_is_what_its_generator_writes() -> None:
    command = [sys.executable, str(TOOLS / "vectors.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_the_generator_owes_nothing_to_the_library() -> None:
    assert "import hearth_records" not in (TOOLS / "vectors.py").read_text("utf-8")
    assert "from hearth_records" not in (TOOLS / "vectors.py").read_text("utf-8")


def test_every_file_belongs_to_a_case() -> None:
    listed = {"README.md", "manifest.json", "signatures.json", "timestamps.json", ".gitattributes"}
    for case in CASES:
        listed.update({"file": [case.file], "directory": [f"{case.file}/README"], "missing": []}[case.kind])
        policy = case.policy or {}
        listed.update([policy["trust"]] if "trust" in policy else policy.get("keys", []))
    there = {str(path.relative_to(VECTORS)) for path in VECTORS.rglob("*") if path.is_file()}
    assert there == listed


def names_within(value: object) -> set[str]:
    """Return the names of members, at any level."""
    if isinstance(value, dict):
        return value.keys() | set().union(*map(names_within, value.values()))
    return set().union(*map(names_within, value)) if isinstance(value, list) else set()


def test_the_readme_names_every_field_of_the_manifest() -> None:
    readme = (VECTORS / "README.md").read_text("utf-8")
    table = {name for line in readme.splitlines() if line.startswith("| `") for name in line.split("|")[1].split("`")}
    assert names_within(MANIFEST) - table == set()
    for policy in ({"trust": "x"}, {"keys": ["x"]}):
        assert any(names_within(case.policy) == policy.keys() for case in CASES)


def test_padded_cases_stand_on_both_sides_of_each_limit() -> None:
    sizes = {case.name: case.path.stat().st_size + case.padding["count"] for case in PADDED}
    for accepted, refused in (
        ("valid/size-event-0", "invalid/canonical--size-event-0"),
        ("valid/size-event", "invalid/canonical--size-event"),
        ("valid/size-closing", "invalid/canonical--size-closing"),
        ("invalid/sealed--size-torn-event-0", "invalid/canonical--size-torn-event-0"),
        ("invalid/sealed--size-torn-event", "invalid/canonical--size-torn-event"),
        ("invalid/sealed--size-torn-closing", "invalid/canonical--size-torn-closing"),
    ):
        assert sizes[accepted] + 1 == sizes[refused]
    assert sizes["invalid/read--size-file"] == 2**30 + 1
    assert all(case.path.stat().st_size < 4096 for case in PADDED)


def test_names_say_what_is_expected() -> None:
    assert len(set(names(CASES))) == len(CASES) >= 150
    for case in CASES:
        folder, _, what = case.name.partition("/")
        if folder == "valid":
            assert (case.exit_code, case.check) == (0, None)
        elif folder == "invalid":
            assert what.partition("--")[0] == case.check
            assert case.exit_code != 0
        else:
            assert folder.startswith("policy--")
            assert (case.exit_code, case.check, case.verdict) == (3, None, None)
        assert case.why


def test_exit_codes_follow_from_the_checks() -> None:
    for case in RECORDS:
        assert tuple(case.checks) == tuple(sorted(CHECKS))
        failed = [check for check in CHECKS if case.checks[check] == "fail"]
        if failed:
            assert (case.check, case.exit_code) == (failed[0], EXIT_CODES[failed[0]])
        elif case.check is not None:
            assert (case.checks[case.check], case.exit_code) == ("not_run", 4)
        assert case.verdict == VERDICTS[case.exit_code]


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_passing_and_failing_vectors(check: str) -> None:
    decided = [case for case in RECORDS if case.check == check]
    passed = [case for case in RECORDS if case.checks[check] == "pass"]
    assert decided
    assert passed
    assert any(case.checks[check] == "fail" for case in decided)
    if check in ("signature", "trust"):
        assert any(case.checks[check] == "not_run" for case in RECORDS if case.exit_code == 4)
