"""Every command and every example of the README is run, in order, in one directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from helpers import needs_program

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python|sh setup)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
SETUP = [text.strip() for kind, text in BLOCKS if kind == "sh setup"]


def environment() -> dict[str, str]:
    """Return an environment in which the commands are those of this interpreter, as an activated venv has it."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert len(SETUP) == 2
    assert README.count("```") == 2 * len(BLOCKS)
    assert {kind for kind, _text in BLOCKS} == {"sh", "python", "sh setup"}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert SETUP[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_examples_run_in_order(tmp_path: Path) -> None:
    needs_program("openssl")
    needs_program("ssh-agent")
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    outputs: dict[str, str] = {}
    for kind, text in BLOCKS:
        if kind == "sh setup":
            continue
        command = ["bash", "-eu", "-o", "pipefail", "-c", text] if kind == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (text, done)
        assert not re.search("error|Traceback", done.stderr), (text, done.stderr)
        outputs[text] = done.stdout
    by_hand = next(output for text, output in outputs.items() if "pkeyutl" in text)
    digests = re.findall(r"[0-9a-f]{64}", by_hand)
    assert len(digests) == 2
    assert digests[0] == digests[1]
    assert "failed-with-hints" in next(output for text, output in outputs.items() if "plan_rollback" in text)


def test_the_main_command_runs_on_a_fresh_checkout(tmp_path: Path) -> None:
    if not os.environ.get("CI"):
        pytest.skip("needs a package index: run with CI=true to install into a fresh environment")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listing.decode().split("\0"):
        if name and (ROOT / name).is_file():
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    done = subprocess.run(
        ["bash", "-c", SETUP[0]],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    assert "Everything came out as it says" in done.stdout
    # The schemas are in the wheel.
    installed = list(
        tmp_path.glob(".venv/lib/*/site-packages/hearth_records/schemas/hearth-record/1/record.schema.json")
    )
    assert len(installed) == 1
