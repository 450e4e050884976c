"""`hearth-records record`: calls of one execution, as a script makes them, and the one command that `record run` runs.

What needs no process of its own is called in this one, by the function that the script calls.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from helpers import OTHER_SEED, json_events, needs_program, private_key, signer, write_key
from test_cli import BIN, EXAMPLE, TIMEOUT, Call, Done, command, environment, look_at, run, run_on_terminal, run_shell

from hearth_records.cli.running import Runner
from hearth_records.journal import Journal
from hearth_records.kernel import HearthKernel
from hearth_records.keys import public_key_to_pem
from hearth_records.observer import ExecutionObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from test_cli import Argument

SCRIPTS: Final = Path(__file__).parent / "scripts"
PROGRAM: Final = "hearth-records"
PASSPHRASE: Final = b"correct horse"
SECURE: Final = ("--security-state", "OPERATIONAL", "--boundary-state", "NOMINAL")
WORSE: Final = ("--security-state", "DEGRADED", "--boundary-state", "NOMINAL")
PLAN: Final[dict[str, Any]] = {
    "format": "hearth-plan/1",
    "plan_id": "plan-deploy",
    "steps": [
        {"step_index": 0, "step_name": "Unpack"},
        {"step_index": 1, "step_name": "Switch"},
        {"step_index": 2, "step_name": "Check"},
    ],
    "declared_side_effects": [
        {"category": "configuration", "description": "current moves", "reversible": True, "step_index": 1}
    ],
    "rollback_hints": [
        {
            "step_index": 1,
            "description": "Point back",
            "actions": ["ln -sfn releases/41 current"],
            "required_inputs": {},
            "risks": [],
            "estimated_duration": None,
        }
    ],
}


class Shell:
    """Makes recording calls in one directory, in this process."""

    def __init__(self, call: Call, path: Path) -> None:
        self._call = call
        self.path = path
        self.journal = path / "exec-1.journal"
        self.record_file = path / "exec-1.record.json"
        write_key(path / "key.pem", private_key())
        (path / "key.pub.pem").write_bytes(public_key_to_pem(signer().public_key))

    def call(self, name: str, *arguments: str | Path) -> Done:
        """Run `hearth-records NAME ARGUMENTS` in the directory."""
        return self._call(PROGRAM, name, *arguments, cwd=self.path)

    def record(self, name: str, *arguments: str | Path) -> Done:
        """Make a call that takes the journal first."""
        return self.call("record", name, self.journal, *arguments)

    def start(self, *arguments: str) -> None:
        """Begin the journal."""
        done = self.call("record", "start", ".", "--id", "exec-1", "--plan-id", "plan-1", *arguments)
        assert (done.code, done.err) == (0, "")

    def make(self, *calls: str) -> None:
        """Make calls, each in one text, that are taken without a word."""
        for words in calls:
            assert self.record(*words.split()) == Done(0, "", "")

    def verify(self) -> Done:
        """Run `verify-record` over the sealed record."""
        return self._call("verify-record", "--key", self.path / "key.pub.pem", self.record_file)

    @property
    def bytes(self) -> bytes:
        return self.journal.read_bytes()

    @property
    def events(self) -> list[dict[str, Any]]:
        return journal_events(self.journal)

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]


def journal_events(path: Path) -> list[dict[str, Any]]:
    """Return the whole events of a journal, as plain JSON."""
    _opening, *lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line.removeprefix(b",")) for line in lines]


def recorded_plan(data: bytes) -> dict[str, Any]:
    """Return what a record says of the plan `PLAN`, whose document has these bytes."""
    members = {name: value for name, value in PLAN.items() if name != "format"}
    return {**members, "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    (tmp_path / "here").mkdir()
    return Shell(Call(capsys, monkeypatch), tmp_path / "here")


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


# --- a script --------------------------------------------------------------------------------------------------------


class Deployment:
    """A directory in which `deploy.sh 42` finds what it needs."""

    def __init__(self, path: Path, *, states: Sequence[str] = (), index: str = "index.html") -> None:
        self.path = path
        (path / "plan.json").write_text(json.dumps(PLAN))
        write_key(path / "key.pem", private_key())
        (path / "key.pub.pem").write_bytes(public_key_to_pem(signer().public_key))
        with tarfile.open(path / "release-42.tar", "w") as archive:
            archive.addfile(tarfile.TarInfo(index), io.BytesIO())
        for number, state in enumerate([*states, "OPERATIONAL NOMINAL"]):
            (path / f"state.{number}").write_text(f"{state}\n")
        program = path / "host-security"  # says each state once, the last one for ever
        program.write_text("#!/bin/sh\ncat state.0\nif [ -e state.1 ]; then mv state.1 state.0; fi\n")
        program.chmod(0o755)

    def run(self) -> Done:
        env = environment({"PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"})
        done = subprocess.run(
            [needs_program("bash"), SCRIPTS / "deploy.sh", "42"],
            check=False,
            cwd=self.path,
            env=env,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT,
        )
        return look_at(done.returncode, done.stdout, done.stderr)

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the record, which verifies, and is all that is left."""
        record = self.path / "deploy-42.record.json"
        assert run("verify-record", "--key", self.path / "key.pub.pem", record).code == 0
        assert not list(self.path.glob("*.journal"))
        return json_events(record.read_bytes())


def test_a_script_records_a_deployment(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    assert deployment.run() == Done(0, "./deploy-42.record.json\n", "")
    events = deployment.events()
    assert [(event["type"], event.get("step_index")) for event in events] == [
        ("execution_started", None),
        ("step_started", 0),
        ("side_effect_observed", 0),
        ("step_completed", 0),
        ("security_observed", None),
        ("step_started", 1),
        ("side_effect_observed", 1),
        ("step_completed", 1),
        ("step_started", 2),
        ("step_completed", 2),
        ("execution_finished", None),
    ]
    plan = (tmp_path / "plan.json").read_bytes()
    assert events[0]["plan"] == recorded_plan(plan)
    assert events[1]["details"] == {"release": 42}
    assert (events[-1]["status"], events[-1]["unknown_effects"]) == ("completed", True)


def test_a_script_that_fails_leaves_a_sealed_record_that_says_where(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    (tmp_path / "release-42.tar").unlink()
    done = deployment.run()
    assert (done.code, done.out) == (1, "./deploy-42.record.json\n")
    started, step, failed, finished = deployment.events()
    assert kinds([started, step, failed]) == ["execution_started", "step_started", "step_failed"]
    assert "tar -xf" in failed["error_message"]
    assert (finished["status"], finished["cause"]) == ("failed", None)


def test_a_command_of_a_script_that_fails_is_recorded_once(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, index="something.else")
    assert deployment.run().code == 1
    *_before, step, failed, finished = deployment.events()
    assert (step["type"], step["step_name"]) == ("step_started", "Check")
    assert (failed["type"], failed["details"]["exit_status"]) == ("step_failed", 1)
    assert finished["status"] == "failed"


def test_a_script_stops_when_the_security_state_gets_worse(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, states=["OPERATIONAL NOMINAL", "DEGRADED NOMINAL"])
    assert deployment.run().code == 1
    *_before, seen, refused, finished = deployment.events()
    assert (seen["type"], seen["security_snapshot"]["security_state"]) == ("security_observed", "DEGRADED")
    assert refused["details"]["refused"]["call"] == "mark_failed"
    assert (finished["status"], finished["cause"]) == ("incomplete", "security_escalation")
    assert not (tmp_path / "current").exists()


# --- what each call records ------------------------------------------------------------------------------------------


def test_every_call_records_what_it_was_told(shell: Shell) -> None:
    plan = json.dumps(PLAN, indent=1).encode()
    (shell.path / "plan.json").write_bytes(plan)
    started = shell.call(
        *("record", "start", shell.path, "--id", "exec-1", "--plan", "plan.json", "--mode", "DRY_RUN"),
        *("--actor", "ann", "--actor-type", "human", "--reason", "release 42", "--change-ref", "CHG-7", *SECURE),
        *("--detail", "host=db1", "--detail", "tries:=[1,null,true]"),
    )
    assert started == Done(0, f"{shell.journal}\n", "")
    shell.make(
        "step-start --step 0 --name Unpack --detail a=b",
        "effect --category file_system --name unpacked --step 0 --reversible --detail files:=3",
        "effect --category network --name told --irreversible",
        "effect --category other --name something",
        "security --name midway --security-state OPERATIONAL --boundary-state NOMINAL --detail who=ann",
        "step-complete --step 0 --detail rows:=5",
        "step-start --step 3 --name Switch",
        "step-fail --step 3 --name Switch --error gone --detail code:=7",
        "step-start --step 4 --name Tidy --phase cleanup",
        "step-complete --step 4 --name Tidy",
    )
    shell.make("finish --status failed --reason no --all-effects-observed --detail x=y " + " ".join(SECURE))
    sealed = shell.record("seal", "--key", "key.pem")
    assert sealed == Done(0, f"{shell.record_file}\n", "")
    assert shell.verify().code == 0
    events = json_events(shell.record_file.read_bytes())
    first, last = events[0], events[-1]
    assert first["plan"] == recorded_plan(plan)
    assert (first["live_mode_state"], first["reason"], first["change_ref"]) == ("DRY_RUN", "release 42", "CHG-7")
    assert first["actor"] == {"id": "ann", "type": "human", "display_name": None, "on_behalf_of": None}
    assert first["details"] == {"host": "db1", "tries": [1, None, True]}
    assert first["security_snapshot"]["security_state"] == "OPERATIONAL"
    assert [
        (event["step_index"], event["step_name"], event["phase"], event["error_message"], event["details"])
        for event in events
        if event["type"].startswith("step")
    ] == [
        (0, "Unpack", "plan", None, {"a": "b"}),
        (0, "Unpack", "plan", None, {"rows": 5}),
        (3, "Switch", "plan", None, {}),
        (3, "Switch", "plan", "gone", {"code": 7}),
        (4, "Tidy", "cleanup", None, {}),
        (4, "Tidy", "cleanup", None, {}),
    ]
    assert [
        (event["category"], event["description"], event["reversible"], event["step_index"], event["details"])
        for event in events
        if event["type"] == "side_effect_observed"
    ] == [
        ("file_system", "unpacked", True, 0, {"files": 3}),
        ("network", "told", False, None, {}),
        ("other", "something", None, None, {}),
    ]
    (seen,) = [event for event in events if event["type"] == "security_observed"]
    assert (seen["security_snapshot"]["context"], seen["details"]) == ("midway", {"who": "ann"})
    assert (last["status"], last["cause"], last["unknown_effects"]) == ("failed", None, False)
    assert (last["completion_reason"], last["details"]) == ("no", {"x": "y"})
    assert last["security_snapshot"]["boundary_state"] == "NOMINAL"


def test_what_was_not_said_is_not_known(shell: Shell) -> None:
    shell.start()
    (first,) = shell.events
    assert (first["live_mode_state"], first["actor"], first["reason"], first["change_ref"]) == ("LIVE", None, "", None)
    assert first["security_snapshot"]["security_state"] == first["security_snapshot"]["boundary_state"] == "UNKNOWN"
    shell.make("step-start --step 0 --name a", "finish --status incomplete --reason gone")
    assert (shell.last["status"], shell.last["cause"], shell.last["unknown_effects"]) == (
        "incomplete",
        "abandoned",
        True,
    )
    assert shell.last["security_snapshot"]["security_state"] == "UNKNOWN"


def test_a_step_ends_under_the_name_it_started_with(shell: Shell) -> None:
    shell.start()
    assert shell.record("step-start", "--step", "5", "--name", "a  name\n").code == 0
    shell.make("step-complete --step 5")
    assert shell.last["step_name"] == "a  name\n"


def test_the_word_after_an_option_is_its_value_whatever_it_looks_like(shell: Shell) -> None:
    shell.start("--reason", "--help")
    assert shell.events[0]["reason"] == "--help"
    assert shell.record("step-start", "--name", "--step", "--step", "0", "--detail", "-k=-v") == Done(0, "", "")
    assert shell.record("step-fail", "--step=0", "--error", "-1") == Done(0, "", "")
    assert shell.record("effect", "--category", "other", "--name", "--", "--step", "0") == Done(0, "", "")
    assert shell.record("finish", "--status", "failed", "--reason", "") == Done(0, "", "")
    _start, step, failed, effect, finished = shell.events
    assert (step["step_name"], step["details"]) == ("--step", {"-k": "-v"})
    assert (failed["error_message"], effect["description"]) == ("-1", "--")
    assert finished["completion_reason"] == ""


def test_bytes_that_are_no_text_break_nothing(shell: Shell) -> None:
    bad = os.fsdecode(b"caf\xe9")
    shell.start("--reason", bad, "--actor", bad, "--detail", f"note={bad}")
    assert shell.record("effect", "--category", "other", "--name", "x", "--detail", f'list:=["{bad}"]').code == 2
    shell.record("step-start", "--step", "0", "--name", bad, "--detail", f"{bad}=x")
    shell.record("step-fail", "--step", "0", "--error", bad)
    first, step, failed = shell.events
    assert first["reason"] == first["actor"]["id"] == step["step_name"] == failed["error_message"] == "caf\\udce9"
    assert first["details"]["note"] == {"hearth_unrecordable": "str"}
    assert step["details"] == {"hearth_unrecordable": "member name"}


def test_details_as_json(shell: Shell) -> None:
    cases = {
        "1.5": "1.5",
        "1e3": "1000.0",
        "-0.25": "-0.25",
        "123456789012345678901234567890": "123456789012345678901234567890",
        "-0": 0,
        "null": None,
        '""': "",
        '"\\ud800"': {"hearth_unrecordable": "str"},
        '{"b":{"c":1.5},"a":[]}': {"a": [], "b": {"c": "1.5"}},
        '{"_sd":1}': {"hearth_unrecordable": "member name"},
        "[" * 40 + "]" * 40: None,
    }
    shell.start(*(word for number, value in enumerate(cases) for word in ("--detail", f"k{number}:={value}")))
    details = shell.events[0]["details"]
    for number, value in enumerate(list(cases.values())[:-1]):
        assert details[f"k{number}"] == value
    assert "hearth_unrecordable" in json.dumps(details["k10"])


def test_secrets_are_masked_in_every_call(shell: Shell) -> None:
    secret = "hunter2-8f1c"
    plain, nested = f"dbPassword={secret}", json.dumps({"list": [{"API_KEY": secret}], "user": "ada"})
    details = ("--detail", plain, "--detail", f"nested:={nested}")
    shell.start(*SECURE, *details)
    for words in (
        "step-start --step 0 --name a",
        "effect --category other --name x",
        "step-complete --step 0",
        "step-start --step 1 --name b",
        "step-fail --step 1 --error no",
    ):
        assert shell.record(*words.split(), *details).code == 0
    assert shell.record("security", *WORSE, *details).code == 5
    assert shell.record("step-start", "--step", "2", "--name", "c", "--phase", "cleanup", *details).code == 5
    assert shell.record("finish", "--status", "failed", "--reason", "r", *WORSE, *details).code == 5
    assert shell.record("finish", "--status", "incomplete", "--reason", "r", *WORSE, *details).code == 0
    events = shell.events
    assert len(events) == 10
    masked = {"dbPassword": "[masked]", "nested": {"list": [{"API_KEY": "[masked]"}], "user": "ada"}}
    assert [event["details"].get("refused", event)["details"] for event in events] == [masked] * 10
    assert shell.record("seal", "--key", "key.pem").code == 0
    assert secret.encode() not in shell.record_file.read_bytes()


# --- wrong calls -----------------------------------------------------------------------------------------------------

BAD_IDENTIFIERS: Final = ["../x", "a/b", "/tmp/x", "", ".x", "-x", "x\n", "x y", "é", "x" * 129, "\x1b[31m", "a\\..\\b"]
WRONG: Final = [
    [],
    ["nothing"],
    ["--nothing"],
    ["start"],
    ["start", "."],
    ["start", ".", "--id", "new"],
    ["start", ".", "--id", "new", "--plan", "plan.json", "--plan-id", "p"],
    ["start", ".", "--id", "new", "--plan-id", "p", "--mode", "live"],
    ["start", ".", "--id", "new", "--plan-id", "p", "--actor-type", "robot"],
    ["start", ".", "--id", "new", "--plan-id", "p", "--security-state", "NOMINAL"],
    ["start", ".", "--id", "new", "--plan-id", "p", "--detail", "x=1", "--detail", "x=2"],
    ["start", ".", "--i", "new", "--plan-id", "p"],
    ["start", ".", "other", "--id", "new", "--plan-id", "p"],
    *(["start", ".", "--id", name, "--plan-id", "p"] for name in BAD_IDENTIFIERS),
    *(["start", ".", "--id", "new", "--plan-id", name] for name in BAD_IDENTIFIERS),
    ["step-start"],
    ["step-start", "J", "--name", "a"],
    ["step-start", "J", "--step", "0"],
    *(
        ["step-start", "J", "--name", "a", "--step", text]
        for text in ["-1", "1.0", "", "²", "\u0661", "0x1", " 1", "9007199254740992", "9" * 17, "1" * 5000]
    ),
    ["step-start", "J", "--step", "0", "--name", "a", "--phase", "rollback"],
    ["step-start", "J", "--step", "0", "--name"],
    ["step-start", "J", "--step", "0", "--name", "a", "extra"],
    ["step-complete", "J"],
    ["step-complete", "J", "--step", "0", "--phase", "plan"],
    ["step-fail", "J", "--step", "0"],
    ["effect", "J", "--category", "other"],
    ["effect", "J", "--name", "a"],
    ["effect", "J", "--name", "a", "--category", "disk"],
    ["effect", "J", "--name", "a", "--category", "other", "--reversible", "--irreversible"],
    ["effect", "J", "--name", "a", "--category", "other", "--reversible=yes"],
    *(
        ["effect", "J", "--name", "a", "--category", "other", "--detail", text]
        for text in ["x", "", "=x", ":=1", "x:=", "x:=1.", "x:=NaN", "x:={", 'x:={"a":1,"a":2}', "x:='a'", "x:=1 2"]
    ),
    ["effect", "J", "--name", "a", "--category", "other", "--detail", "x=1", "--detail", "x:=1"],
    ["security", "J", "--security-state", "FINE"],
    ["finish", "J", "--status", "completed"],
    ["finish", "J", "--reason", "x"],
    ["finish", "J", "--status", "done", "--reason", "x"],
    ["seal", "J"],
    ["status"],
    ["status", "J", "--verbose"],
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: " ".join(words)[:60].encode("unicode_escape").decode())
def test_a_wrong_call_ends_with_2_and_changes_nothing(shell: Shell, words: list[str]) -> None:
    shell.start()
    before = snapshot(shell.path)
    done = shell.call("record", *(str(shell.journal) if word == "J" else word for word in words))
    assert (done.code, done.out) == (2, "")
    first, *rest = done.err.splitlines()
    assert first.startswith("hearth-records record: error: ")
    assert [line.startswith("hint: ") for line in rest] in ([], [True])
    assert snapshot(shell.path) == before


def snapshot(path: Path) -> dict[str, bytes | None]:
    """Return every file below a directory and beside it, with its bytes."""
    found = sorted(path.parent.rglob("*"))
    return {str(file): file.read_bytes() if file.is_file() else None for file in found}


def test_an_error_does_not_repeat_a_detail(shell: Shell) -> None:
    shell.start()
    for detail in ("password:=hunter2", "hunter2", 'token:={"a":"hunter2"', "=hunter2"):
        done = shell.record("effect", "--category", "other", "--name", "x", "--detail", detail)
        assert done.code == 2
        assert "hunter2" not in done.err


CALLS: Final = (
    "start",
    "step-start",
    "step-complete",
    "step-fail",
    "effect",
    "security",
    "finish",
    "run",
    "seal",
    "status",
)


def test_help_says_what_there_is(shell: Shell) -> None:
    done = shell.call("record", "--help")
    assert (done.code, done.err) == (0, "")
    assert all(f"  {name} " in done.out for name in CALLS)
    for name in CALLS:
        done = shell.call("record", name, "--help")
        assert (done.code, done.err) == (0, "")
        assert f"hearth-records record {name}" in done.out
    assert "-- COMMAND" in shell.call("record", "run", "-h").out


REFUSED: Final = [
    ([], "step-complete --step 0"),
    ([], "step-fail --step 0 --error x"),
    ([], "effect --category other --name x --step 0"),
    (["step-start --step 1 --name a"], "step-complete --step 0"),
    (["step-start --step 1 --name a"], "step-complete --step 1 --name b"),
    (["step-start --step 1 --name a"], "step-start --step 2 --name b"),
    (["step-start --step 1 --name a"], "effect --category other --name x --step 0"),
    (["step-start --step 1 --name a"], "finish --status completed --reason x"),
    (["step-start --step 1 --name a", "step-complete --step 1"], "step-start --step 1 --name a"),
    (["step-start --step 1 --name a", "step-complete --step 1"], "step-start --step 0 --name a"),
    (["step-start --step 1 --name a", "step-complete --step 1"], "step-complete --step 1 --name a"),
    (["step-start --step 1 --name a", "step-fail --step 1 --error x"], "step-start --step 2 --name b"),
    (["step-start --step 1 --name a", "step-fail --step 1 --error x"], "finish --status completed --reason x"),
    (["finish --status completed --reason x"], "step-start --step 1 --name a"),
    (["finish --status completed --reason x"], "effect --category other --name x"),
    (["finish --status completed --reason x"], "security --name x"),
    (["finish --status completed --reason x"], "finish --status incomplete --reason x"),
    ([], "seal --key key.pem"),
]


@pytest.mark.parametrize(("before", "words"), REFUSED)
def test_the_lifecycle_holds_across_calls(shell: Shell, before: list[str], words: str) -> None:
    shell.start()
    shell.make(*before)
    data = shell.bytes
    done = shell.record(*words.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("hearth-records record: error: ")
    assert shell.bytes == data
    shell.make(*(["finish --status incomplete --reason x"] if "finish" not in " ".join(before) else []))


@pytest.mark.parametrize("call", ["finish --status completed --reason x", "security --name x"])
@pytest.mark.parametrize("given", [(), SECURE[:2], SECURE[2:]])
def test_what_is_known_of_the_security_has_to_be_stated_anew(shell: Shell, call: str, given: tuple[str, ...]) -> None:
    shell.start(*SECURE)
    data = shell.bytes
    assert shell.record(*call.split(), *given).code == 2
    assert shell.bytes == data
    assert shell.record(*call.split(), *SECURE).code == 0
    assert shell.last["security_snapshot"]["boundary_state"] == "NOMINAL"


# --- escalation ------------------------------------------------------------------------------------------------------


def test_after_an_escalation_only_incomplete_is_left(shell: Shell) -> None:
    shell.start(*SECURE)
    shell.make("step-start --step 0 --name a")
    assert shell.record("security", "--name", "alarm", *WORSE).code == 5
    assert shell.last["security_snapshot"]["security_state"] == "DEGRADED"
    shell.make("effect --category other --name late --step 0", "step-complete --step 0")
    refused = {
        "record_step_started": ("step-start", "--step", "1", "--name", "b", "--detail", "x=y"),
        "mark_completed": ("finish", "--status", "completed", "--reason", "r", *SECURE),
        "mark_failed": ("finish", "--status", "failed", "--reason", "r", *WORSE),
    }
    for call, words in refused.items():
        count = len(shell.events)
        done = shell.record(*words)
        assert (done.code, done.out) == (5, "")
        assert len(shell.events) == count + 1
        assert (shell.last["type"], shell.last["details"]["refused"]["call"]) == ("security_observed", call)
    assert shell.events[5]["details"]["refused"] == {
        "call": "record_step_started",
        "details": {"x": "y"},
        "phase": "plan",
        "step_index": 1,
        "step_name": "b",
    }
    assert shell.record("finish", "--status", "incomplete", "--reason", "alarm", *SECURE).code == 0
    assert (shell.last["status"], shell.last["cause"]) == ("incomplete", "security_escalation")
    assert shell.record("seal", "--key", "key.pem").code == 0
    assert shell.verify().code == 0


@pytest.mark.parametrize(
    ("start", "now"),
    [
        ("OPERATIONAL NOMINAL", "UNKNOWN NOMINAL"),
        ("OPERATIONAL NOMINAL", "OPERATIONAL ELEVATED"),
        ("DEGRADED NOMINAL", "LOCKDOWN NOMINAL"),
        ("UNKNOWN UNKNOWN", "DEGRADED UNKNOWN"),
    ],
)
def test_a_step_is_refused_for_what_is_stated_with_it(shell: Shell, start: str, now: str) -> None:
    def states(text: str) -> tuple[str, ...]:
        security, boundary = text.split()
        return "--security-state", security, "--boundary-state", boundary

    shell.start(*states(start))
    assert shell.record("step-start", "--step", "0", "--name", "a", *states(now)).code == 5
    assert shell.last["details"]["refused"]["call"] == "record_step_started"
    assert shell.record("step-start", "--step", "0", "--name", "a", *states(start)).code == 5  # for good
    assert shell.record("finish", "--status", "incomplete", "--reason", "r", *states(start)).code == 0


# --- start -----------------------------------------------------------------------------------------------------------

BAD_PLANS: Final[dict[str, Callable[[Path], object]]] = {
    "missing": lambda path: path,
    "a directory": lambda path: path.mkdir(),
    "a FIFO": os.mkfifo,
    "empty": lambda path: path.write_bytes(b""),
    "no JSON": lambda path: path.write_bytes(b"plan"),
    "another format": lambda path: path.write_text(json.dumps({**PLAN, "format": "hearth-plan/2"})),
    "a member too many": lambda path: path.write_text(json.dumps({**PLAN, "x": 1})),
    "a member missing": lambda path: path.write_text(json.dumps({"format": "hearth-plan/1", "plan_id": "p"})),
    "a bad identifier": lambda path: path.write_text(json.dumps({**PLAN, "plan_id": "../p"})),
    "a doubled member": lambda path: path.write_bytes(json.dumps(PLAN).encode().replace(b"{", b'{"plan_id":"p",', 1)),
    "too large": lambda path: path.write_bytes(json.dumps(PLAN).encode() + bytes(16 * 1024**2)),
    "hostile": lambda path: path.write_text(json.dumps({**PLAN, "\x1b[31m\nVERIFIED\u202e": 1})),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_bad_plan_begins_nothing(shell: Shell, name: str) -> None:
    BAD_PLANS[name](shell.path / "plan.json")
    done = shell.call("record", "start", ".", "--id", "exec-1", "--plan", "plan.json")
    assert (done.code, done.out) == (3, "")
    assert "plan.json" in done.err
    assert list(shell.path.glob("exec-1*")) == []


@pytest.mark.parametrize("directory", ["missing", "missing/deeper", "key.pem", "fifo", "\x1b[31m"])
def test_a_directory_that_is_none_ends_with_3(shell: Shell, directory: str) -> None:
    os.mkfifo(shell.path / "fifo")
    before = snapshot(shell.path / "x")
    done = shell.call("record", "start", directory, "--id", "exec-1", "--plan-id", "p")
    assert (done.code, done.out) == (3, "")
    assert snapshot(shell.path / "x") == before


def test_an_execution_is_recorded_once(shell: Shell) -> None:
    shell.start()
    data = shell.bytes
    again = ("record", "start", ".", "--id", "exec-1", "--plan-id", "plan-2")
    assert shell.call(*again).code == 3
    assert shell.bytes == data
    shell.make("finish --status completed --reason x")
    assert shell.record("seal", "--key", "key.pem").code == 0
    sealed = shell.record_file.read_bytes()
    assert shell.call(*again).code == 3
    assert shell.record_file.read_bytes() == sealed
    assert not shell.journal.exists()


def test_a_dangling_link_is_not_followed(shell: Shell) -> None:
    outside = shell.path / "outside"
    shell.journal.symlink_to(outside)
    assert shell.call("record", "start", ".", "--id", "exec-1", "--plan-id", "p").code == 3
    assert not outside.exists()


def limited(size: int) -> Callable[[], None]:
    """Return what lets a process write files of at most `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run_limited(size: int, *arguments: Argument, **keywords: Any) -> Done:
    done = subprocess.run(
        [*command(PROGRAM), "record", *arguments],
        check=False,
        capture_output=True,
        timeout=TIMEOUT,
        env=environment(),
        preexec_fn=limited(size),
        **keywords,
    )
    return look_at(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("size", [10, 100])
def test_a_start_that_cannot_be_written_leaves_nothing(tmp_path: Path, size: int) -> None:
    done = run_limited(size, "start", tmp_path, "--id", "exec-1", "--plan-id", "p")
    assert (done.code, done.out) == (3, "")
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_printed_byte_for_byte_but_not_to_a_terminal(tmp_path: Path) -> None:
    directory = os.fsencode(tmp_path) + b"/\x1b[31m\xff caf\xc3\xa9"
    os.mkdir(directory)  # noqa: PTH102 - a name that is no text
    words: list[Argument] = ["record", "start", directory, "--plan-id", "p", "--id"]
    piped = subprocess.run([*command(PROGRAM), *words, "a"], check=True, capture_output=True, env=environment())
    assert piped.stdout == directory + b"/a.journal\n"
    shown = run_on_terminal(PROGRAM, *words, "b")
    assert (shown.code, shown.out) == (0, f"{tmp_path}/\\x1b[31m\\udcff café/b.journal\n")


# --- seal ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ended(shell: Shell) -> Shell:
    shell.start()
    shell.make("finish --status completed --reason x")
    write_key(shell.path / "locked.pem", private_key(), PASSPHRASE)
    (shell.path / "passphrase").write_bytes(PASSPHRASE + b"\nsecond line\n")
    write_key(shell.path / "other.pem", private_key(OTHER_SEED))
    return shell


def test_a_locked_key_is_unlocked_by_a_file(ended: Shell) -> None:
    done = ended.record("seal", "--key", "locked.pem", "--passphrase-file", "passphrase")
    assert (done.code, ended.verify().code) == (0, 0)


def test_two_keys_seal_together(ended: Shell) -> None:
    assert ended.record("seal", "--key", "key.pem", "--key", "other.pem").code == 0
    assert ended.verify().code == 4  # both have to be trusted


UNSEALED: Final = {
    "no terminal": (2, ["--key", "locked.pem"]),
    "wrong passphrase": (3, ["--key", "locked.pem", "--passphrase-file", "wrong"]),
    "empty passphrase": (3, ["--key", "locked.pem", "--passphrase-file", "empty"]),
    "no passphrase file": (3, ["--key", "locked.pem", "--passphrase-file", "missing"]),
    "public key": (3, ["--key", "key.pub.pem"]),
    "no key": (3, ["--key", "missing.pem"]),
    "garbage": (3, ["--key", "wrong"]),
    "directory": (3, ["--key", "."]),
    "the same twice": (3, ["--key", "key.pem", "--key", "key.pem"]),
    "example key": (3, ["--key", str(EXAMPLE / "example.pem")]),
}


@pytest.mark.parametrize("name", UNSEALED)
def test_a_seal_that_fails_can_be_made_later(ended: Shell, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (ended.path / "wrong").write_bytes(b"wrong horse\n")
    (ended.path / "empty").write_bytes(b"")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, keys = UNSEALED[name]
    before = snapshot(ended.path)
    done = ended.record("seal", *keys)
    assert (done.code, done.out) == (code, "")
    assert snapshot(ended.path) == before
    assert ended.record("seal", "--key", "key.pem").code == 0
    assert ended.verify().code == 0


def test_the_passphrase_is_asked_for_on_a_terminal(ended: Shell) -> None:
    words: list[Argument] = ["record", "seal", ended.journal, "--key", ended.path / "locked.pem"]
    gone = run_on_terminal(PROGRAM, *words, dialogue=[(b"Passphrase of", b"\x04")])
    assert (gone.code, ended.record_file.exists()) == (2, False)
    wrong = run_on_terminal(PROGRAM, *words, dialogue=[(b"Passphrase of", b"wrong horse\n")])
    assert (wrong.code, ended.record_file.exists()) == (3, False)
    done = run_on_terminal(PROGRAM, *words, dialogue=[(b"Passphrase of", PASSPHRASE + b"\n")])
    assert (done.code, PASSPHRASE.decode() in done.out) == (0, False)
    assert ended.verify().code == 0


def test_example_keys_seal_when_they_are_allowed(ended: Shell) -> None:
    assert ended.record("seal", "--key", str(EXAMPLE / "example.pem"), "--allow-example-keys").code == 0


def test_a_record_is_sealed_once(ended: Shell) -> None:
    assert ended.record("seal", "--key", "key.pem").code == 0
    sealed = snapshot(ended.path)
    for words in ("seal --key key.pem", "effect --category other --name x", "finish --status failed --reason x"):
        done = ended.record(*words.split())
        assert (done.code, done.out) == (2, "")
        assert str(ended.record_file) in done.err
    assert snapshot(ended.path) == sealed


def test_a_seal_replaces_no_file(ended: Shell) -> None:
    ended.record_file.write_bytes(b"mine")
    before = snapshot(ended.path)
    assert ended.record("seal", "--key", "key.pem").code == 3
    assert snapshot(ended.path) == before


# --- status ----------------------------------------------------------------------------------------------------------


def state_of(shell: Shell) -> str:
    done = shell.record("status")
    assert (done.code, done.err) == (0, "")
    path, state, _meaning = done.out.splitlines()[0].split(": ", 2)
    assert path == str(shell.journal)
    return state


def test_the_status_of_a_journal(shell: Shell) -> None:
    shell.start()
    assert state_of(shell) == "open"
    shell.make("step-start --step 0 --name a")
    data = shell.bytes
    shell.journal.write_bytes(data + b',{"torn')
    torn = shell.record("status")
    assert (torn.code, state_of(shell)) == (0, "open")
    assert "7 bytes" in torn.out
    assert shell.record("step-complete", "--step", "0").code == 3  # recover first
    shell.journal.write_bytes(data)
    with Journal.open(shell.journal):
        assert state_of(shell) == "recording"
    shell.make("finish --status incomplete --reason x")
    assert state_of(shell) == "open"
    ended = shell.bytes
    assert shell.record("seal", "--key", "key.pem").code == 0
    assert state_of(shell) == "published"
    sealed = shell.record_file.read_bytes()
    shell.record_file.unlink()
    shell.journal.write_bytes(sealed)
    assert state_of(shell) == "closed"
    assert shell.record("effect", "--category", "other", "--name", "x").code == 3
    shell.journal.write_bytes(ended.replace(b'"seq":1', b'"seq":2'))
    assert shell.record("status").code == 3


@pytest.mark.parametrize("path", ["missing.journal", "key.pem", ".", "fifo.journal", "../exec-1", "-.journal", ""])
def test_what_is_no_journal_ends_with_3(shell: Shell, path: str) -> None:
    os.mkfifo(shell.path / "fifo.journal")
    for words in ("status", "effect --category other --name x", "finish --status failed --reason x"):
        name, *rest = words.split()
        done = shell.call("record", name, *rest, "--", path)
        assert (done.code, done.out) == (3, "")


# --- one writer ------------------------------------------------------------------------------------------------------


def test_a_journal_that_somebody_writes_is_refused_and_the_writer_named(shell: Shell) -> None:
    shell.start()
    data = shell.bytes
    with Journal.open(shell.journal):
        for words in (
            "step-start --step 0 --name a",
            "step-complete --step 0",
            "step-fail --step 0 --error x",
            "effect --category other --name x",
            "security --name x",
            "finish --status failed --reason x",
            "seal --key key.pem",
        ):
            done = shell.record(*words.split())
            assert (done.code, done.out) == (3, "")
            assert f"process {os.getpid()}" in done.err
        elsewhere = run(PROGRAM, "record", "run", shell.journal, "--step", "0", "--name", "a", "--", "touch", "ran")
        assert elsewhere.code == 125
        assert f"process {os.getpid()}" in elsewhere.err
    assert shell.bytes == data
    shell.make("step-start --step 0 --name a")


# --- record run ------------------------------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return new_journal(tmp_path)


def new_journal(directory: Path) -> Path:
    """Begin a journal with one event, whose states are those of `SECURE`."""
    with Journal.create(directory, "exec-1") as journal:
        ExecutionObserver("exec-1", "p", HearthKernel(), journal=journal)
    return Path(journal.path)


def run_words(journal: Path, step: int = 0, *options: str) -> list[Argument]:
    """Return the words of `record run` before its command."""
    return [*command(PROGRAM), "record", "run", journal, "--step", str(step), "--name", "Load", *options, "--"]


def run_command(
    journal: Path, *words: Argument, step: int = 0, options: Sequence[str] = (), **keywords: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run `record run … -- words`."""
    keywords = {"capture_output": True, "env": environment(), "cwd": journal.parent, **keywords}
    command_line = [*run_words(journal, step, *options), *words]
    done: subprocess.CompletedProcess[bytes] = subprocess.run(command_line, check=False, timeout=TIMEOUT, **keywords)
    return done


def python(script: str) -> list[str]:
    """Return the command that runs a script."""
    return [sys.executable, "-c", textwrap.dedent(script)]


def output_of(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


TALK: Final = """
    import os, threading
    def talk(target, seed):
        for number in range(300):
            data = bytes((seed + number + k * k) % 256 for k in range(997)) * 4
            while data:
                data = data[os.write(target, data):]
    threads = [threading.Thread(target=talk, args=pair) for pair in ((1, 1), (2, 100))]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def talked(seed: int) -> bytes:
    return b"".join(bytes((seed + number + k * k) % 256 for k in range(997)) * 4 for number in range(300))


def test_both_outputs_go_through_byte_for_byte(journal: Path) -> None:
    done = run_command(journal, *python(TALK))
    assert done.returncode == 0
    assert done.stdout == talked(1)
    assert done.stderr == talked(100)
    _start, started, ended = journal_events(journal)
    assert (started["type"], started["step_name"], started["details"]) == ("step_started", "Load", {})
    assert ended["type"] == "step_completed"
    duration = ended["details"].pop("duration_ms")
    assert 0 <= duration < TIMEOUT * 1000
    assert ended["details"] == {
        "exit_status": 0,
        "signal": None,
        "stdout": output_of(done.stdout),
        "stderr": output_of(done.stderr),
    }


def test_exit_statuses_are_passed_on_and_recorded(journal: Path) -> None:
    (journal.parent / "data").write_bytes(b"#!/bin/sh\n")
    cases: list[tuple[list[str], int, int | None]] = [
        (["true"], 0, None),
        (["sh", "-c", "exit 3"], 3, None),
        (["sh", "-c", "exit 125"], 125, None),
        (["sh", "-c", "exit 255"], 255, None),
        (["sh", "-c", "kill -9 $$"], 137, 9),
        (["sh", "-c", "kill -15 $$"], 143, 15),
        (["sh", "-c", "kill -13 $$"], 141, 13),  # which Python itself ignores
    ]
    for step, (words, status, killed_by) in enumerate(cases):
        options = ["--phase", "cleanup"]
        assert run_command(journal, *words, step=step, options=options).returncode == status
        event = journal_events(journal)[-1]
        assert (event["type"], event["phase"]) == ("step_failed" if status else "step_completed", "cleanup")
        assert (event["details"]["exit_status"], event["details"]["signal"]) == (status, killed_by)
    for step, (word, status) in enumerate({"missing": 127, "./missing": 127, "./data": 126, "..": 126}.items(), 10):
        done = run_command(journal, word, step=step, options=["--phase", "cleanup"])
        assert (done.returncode, done.stdout) == (status, b"")
        assert done.stderr.startswith(b"hearth-records record: error: ")
        event = journal_events(journal)[-1]
        assert (event["type"], event["step_index"], event["details"]) == ("step_failed", step, {})


def test_the_command_gets_its_words_input_and_surroundings_as_they_are(journal: Path) -> None:
    words = [b"--", b"--help", b"", b"-x", b"a b\n", b"$(touch pwned)", b"`x`;*", b"caf\xe9", b"--step"]
    script = python(
        "import os, sys; print([os.fsencode(w) for w in sys.argv[1:]], os.environ['X'], os.getcwd(), input())"
    )
    done = run_command(
        journal,
        *script,
        *words,
        input=b"typed\nrest",
        env=environment({"X": "y"}),
        options=["--detail", "password=pw1"],
    )
    assert done.stdout.decode() == f"{words} y {journal.parent} typed\n"
    assert sorted(file.name for file in journal.parent.iterdir()) == ["exec-1.journal"]
    assert b"--help" not in journal.read_bytes()
    assert b"pw1" not in journal.read_bytes()
    secret = ["--detail", "password=pw1", "--record-command"]
    run_command(journal, "printf", "%s", "a b", b"caf\xe9", step=1, options=secret)
    started = journal_events(journal)[-2]
    words_recorded = ["printf", "%s", "a b", {"hearth_unrecordable": "str"}]
    assert started["details"] == {"password": "[masked]", "command": words_recorded}


def test_the_command_may_record_too(journal: Path) -> None:
    effect: list[Argument] = [
        *command(PROGRAM),
        "record",
        "effect",
        journal,
        "--category",
        "network",
        "--name",
        "told",
        "--step",
        "0",
    ]
    assert run_command(journal, *effect).returncode == 0
    assert kinds(journal_events(journal))[1:] == ["step_started", "side_effect_observed", "step_completed"]


def test_what_the_command_recorded_for_the_step_is_not_overwritten(journal: Path) -> None:
    done = run_command(journal, *command(PROGRAM), "record", "step-fail", journal, "--step", "0", "--error", "mine")
    assert done.returncode == 125
    assert b"the command ended with 0" in done.stderr
    assert kinds(journal_events(journal))[1:] == ["step_started", "step_failed"]


def test_own_failures_before_the_command_end_with_125_and_nothing_ran(shell: Shell) -> None:
    def fails(*words: str | Path) -> None:
        done = shell.call("record", "run", *words)
        assert (done.code, done.out) == (125, "")
        assert done.err.startswith("hearth-records record: error: ")

    touch = ("--", "touch", "ran")
    step = ("--step", "0", "--name", "a")
    shell.start(*SECURE)
    data = shell.bytes
    fails(shell.journal, *step)
    fails(shell.journal, *step, "--")
    fails(shell.journal, *step, "touch", "ran")
    fails(shell.journal, *step, "touch", *touch)
    fails(shell.journal, "--step", "0", *touch)
    fails(shell.journal, "--step", "x", "--name", "a", *touch)
    fails(shell.journal, *step, "--unknown", *touch)
    fails(shell.journal, *step, "--detail", "x=1", "--detail", "x=2", *touch)
    fails(*step, *touch)
    fails("missing.journal", *step, *touch)
    fails("key.pem", *step, *touch)
    with Journal.open(shell.journal):
        fails(shell.journal, *step, *touch)
    assert shell.bytes == data
    shell.journal.write_bytes(data + b",")
    fails(shell.journal, *step, *touch)
    shell.journal.write_bytes(data)
    shell.make("step-start --step 5 --name b")
    fails(shell.journal, *step, *touch)
    shell.make("step-complete --step 5")
    fails(shell.journal, "--step", "5", "--name", "b", *touch)
    fails(shell.journal, "--step", "6", "--name", "a", *WORSE, *touch)
    assert shell.last["details"]["refused"]["step_index"] == 6
    fails(shell.journal, "--step", "7", "--name", "a", *touch)
    assert shell.record("finish", "--status", "incomplete", "--reason", "x", *SECURE).code == 0
    fails(shell.journal, "--step", "8", "--name", "a", *touch)
    assert shell.record("seal", "--key", "key.pem").code == 0
    fails(shell.journal, "--step", "9", "--name", "a", *touch)
    assert not (shell.path / "ran").exists()


def test_a_start_that_cannot_be_recorded_runs_nothing(journal: Path) -> None:
    size = journal.stat().st_size
    done = run_limited(size + 10, *run_words(journal)[2:], "touch", "ran", cwd=journal.parent)
    assert done.code == 125
    assert not (journal.parent / "ran").exists()


@pytest.mark.parametrize(("status", "code"), [(0, 125), (3, 3)])
def test_an_outcome_that_cannot_be_recorded_is_no_success(journal: Path, status: int, code: int) -> None:
    started = len(journal_events(journal))
    twin = journal.parent / "twin"
    twin.mkdir()
    run_command(new_journal(twin), "sh", "-c", f"exit {status}")
    lines = (twin / journal.name).read_bytes().splitlines(keepends=True)
    size = len(b"".join(lines[:-1]))  # as it is when the command runs
    done = run_limited(size + 10, *run_words(journal)[2:], "sh", "-c", f"exit {status}", cwd=journal.parent)
    assert done.code == code
    assert f"the command ended with {status}" in done.err
    assert journal.stat().st_size == size + 10
    assert len(journal_events(journal)) == started + 1
    write_key(journal.parent / "key.pem", private_key())
    closed = run(PROGRAM, "recover", journal, "--close", "--reason", "disk full", "--key", journal.parent / "key.pem")
    assert closed.code == 0


# -- signals


SIGNALS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


@contextlib.contextmanager
def started(
    journal: Path, script: str, *, ignored: Sequence[signal.Signals] = (), **keywords: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `record run` with a command that says when it is ready; its processes end with the `with`."""

    def prepare() -> None:  # whatever started the tests may ignore signals
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    with subprocess.Popen(
        [*run_words(journal), *python(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - there are no threads here
        **keywords,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    out, err = process.communicate(timeout=TIMEOUT)
    assert err == b""
    return process.returncode, out


WAIT: Final = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); print('ready', flush=True); signal.pause()"
ANSWER: Final = """
    import os, signal, sys
    def answer(number, frame):
        os.write(1, b"tidied\\n")  # print may be what the signal interrupts
        sys.exit(7)
    signal.signal(signal.SIGTERM, answer)
    signal.signal(signal.SIGINT, answer)
    print("ready", flush=True)
    signal.pause()
"""


@pytest.mark.parametrize(
    ("send", "number"),
    [
        (os.kill, signal.SIGINT),
        (os.killpg, signal.SIGINT),
        (os.kill, signal.SIGTERM),
        (os.killpg, signal.SIGTERM),
        (os.kill, signal.SIGHUP),
        (os.killpg, signal.SIGQUIT),
    ],
)
def test_a_signal_ends_the_command_and_is_recorded(
    journal: Path, send: Callable[[int, int], None], number: signal.Signals
) -> None:
    with started(journal, WAIT) as process:
        send(process.pid, number)
        assert end_of(process) == (128 + number, b"")
    event = journal_events(journal)[-1]
    assert (event["type"], event["details"]["signal"]) == ("step_failed", number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_may_answer_a_signal(journal: Path, number: signal.Signals) -> None:
    with started(journal, ANSWER) as process:
        process.send_signal(number)
        assert end_of(process) == (7, b"tidied\n")
    event = journal_events(journal)[-1]
    assert (event["type"], event["details"]["exit_status"]) == ("step_failed", 7)
    assert event["details"]["stdout"] == output_of(b"ready\ntidied\n")


def test_a_signal_that_is_ignored_stays_ignored(journal: Path) -> None:
    script = """
        import signal, sys
        print("ready", flush=True)
        sys.stdin.read()
        print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)
    """

    with started(journal, script, ignored=[signal.SIGHUP], stdin=subprocess.PIPE) as process:  # as nohup does
        os.killpg(process.pid, signal.SIGHUP)
        assert end_of(process) == (0, b"True\n")


def test_what_is_typed_at_a_terminal_reaches_the_command_once(journal: Path) -> None:
    script = """
        import signal, sys
        seen = []
        signal.signal(signal.SIGINT, lambda *_: seen.append("interrupted"))
        print("ready", flush=True)
        sys.stdin.readline()
        print(*seen, flush=True)
        sys.exit(9)
    """
    words = [*run_words(journal)[len(command(PROGRAM)) :], *python(script)]
    done = run_on_terminal(PROGRAM, *words, dialogue=[(b"ready", b"\x03\n")])
    assert done.code == 9
    assert done.out.split()[-1] == "interrupted"
    assert done.out.count("interrupted") == 1
    assert journal_events(journal)[-1]["details"]["exit_status"] == 9


def test_no_signal_ends_the_process_before_the_outcome_is_recorded() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with Runner():
        for number in SIGNALS:
            signal.raise_signal(number)
    assert signal.getsignal(signal.SIGTERM) == handler


# -- outputs that nobody takes


def test_a_reader_that_went_away_ends_the_command_as_it_would_without_us(journal: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run_command(journal, "yes", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
    event = journal_events(journal)[-1]
    assert (event["type"], event["details"]["signal"]) == ("step_failed", signal.SIGPIPE)


def test_a_command_that_went_well_did_so_whoever_reads_it(journal: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run_command(journal, "echo", "x", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
    event = journal_events(journal)[-1]
    assert (event["type"], event["details"]["stdout"]) == ("step_completed", output_of(b"x\n"))


@pytest.mark.parametrize(("status", "code"), [(0, 125), (3, 3)])
def test_output_that_cannot_be_written_is_no_success(journal: Path, status: int, code: int) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = run_command(
            journal, "sh", "-c", f"echo x; exit {status}", capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == code
    assert f"the command ended with {status}, and not all of its output could be written".encode() in done.stderr
    event = journal_events(journal)[-1]
    assert (event["type"], event["details"]["exit_status"]) == ("step_failed" if status else "step_completed", status)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_take_no_file_of_ours(journal: Path, redirection: str) -> None:
    words = [*run_words(journal)[len(command(PROGRAM)) :], "sh", "-c", "echo out; echo err >&2"]
    done = run_shell(redirection, PROGRAM, *words)
    assert (done.code, done.out) == (0, "" if ">&-" in redirection.replace("2>&-", "") else "out\n")
    event = journal_events(journal)[-1]
    assert (event["details"]["stdout"], event["details"]["stderr"]) == (output_of(b"out\n"), output_of(b"err\n"))
    assert run(PROGRAM, "record", "status", journal).code == 0


def test_a_pipe_that_does_not_block_gets_everything(journal: Path) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    got: list[bytes] = []

    def read() -> None:
        with os.fdopen(reader, "rb") as stream:
            got.append(stream.read())

    thread = threading.Thread(target=read)
    thread.start()
    done = run_command(journal, *python(TALK), capture_output=False, stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    thread.join()
    assert (done.returncode, got) == (0, [talked(1)])


# --- nothing is executed ---------------------------------------------------------------------------------------------

EVIL: Final = "$(touch pwned); `touch pwned`; touch pwned | sh\ntouch pwned\n{{7*7}} %s %(x)s {0}"


def test_nothing_of_a_plan_or_a_record_is_executed(tmp_path: Path) -> None:
    hint = {**PLAN["rollback_hints"][0], "actions": ["touch pwned", EVIL], "required_inputs": {EVIL: EVIL}}
    plan = {**PLAN, "rollback_hints": [hint], "steps": [{"step_index": 1, "step_name": EVIL}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    write_key(tmp_path / "key.pem", private_key())
    (tmp_path / "key.pub.pem").write_bytes(public_key_to_pem(signer().public_key))
    journal = "e.journal"
    calls = [
        ["record", "start", ".", "--id", "e", "--plan", "plan.json", "--reason", EVIL, "--detail", f"a={EVIL}"],
        ["record", "step-start", journal, "--step", "1", "--name", EVIL],
        ["record", "effect", journal, "--category", "system", "--name", EVIL, "--step", "1"],
        ["record", "step-fail", journal, "--step", "1", "--error", EVIL],
        ["record", "status", journal],
        ["recover", journal, "--close", "--reason", EVIL, "--key", "key.pem"],
        ["verify", "--key", "key.pub.pem", "e.record.json"],
        ["show", "--key", "key.pub.pem", "e.record.json"],
        ["scaffold", "--key", "key.pub.pem", "e.record.json"],
        ["validate", "e.record.json"],
    ]
    script = f"""
        import sys
        from hearth_records.cli.main import main
        def watch(event, arguments):
            if event.startswith(("subprocess.", "os.system", "os.exec", "os.posix", "os.spawn", "os.fork", "pty.")):
                print("STARTED", event, file=sys.stderr)
        sys.addaudithook(watch)
        for words in {calls!r}:
            sys.argv = ["hearth-records", *words]
            assert main() == 0, words
        import subprocess
        subprocess.run(["true"])
    """
    done = subprocess.run(
        python(script), check=False, cwd=tmp_path, env=environment(), capture_output=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr.decode()
    assert {line.split()[1] for line in done.stderr.decode().splitlines()} == {"subprocess.Popen"}  # the watch watches
    assert len(done.stderr.splitlines()) == 1
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["e.record.json", "key.pem", "key.pub.pem", "plan.json"]
