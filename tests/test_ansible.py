"""Real runs of `ansible-playbook` on this machine, recorded by the callback and verified."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from helpers import needs_program, policy_for, signer, write_key

from hearth_records import verify_record
from hearth_records.journal import Journal
from hearth_records.kernel import HearthKernel
from hearth_records.keys import generate_private_key
from hearth_records.observer import ExecutionObserver
from hearth_records.profile import sha256_hex
from hearth_records.recovery import inspect, recover

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hearth_records.trust import TrustPolicy

SCRIPTS: Final = Path(sysconfig.get_path("scripts"))
PLAYBOOKS: Final = Path(__file__).parent / "playbooks"
KEY: Final = signer()

if importlib.util.find_spec("ansible") is None:
    if os.environ.get("CI"):
        pytest.fail("needs ansible-core")
    pytest.skip("needs ansible-core", allow_module_level=True)


def environment(directory: Path, **more: str) -> dict[str, str]:
    """Return an environment in which Ansible finds the callback, and nothing of this machine's own settings."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    return {
        "ANSIBLE_CALLBACKS_ENABLED": "hearth_records",
        "ANSIBLE_CALLBACK_PLUGINS": plugin_path(),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{SCRIPTS}:{os.environ.get('PATH', os.defpath)}",
        **more,
    }


_found: list[str] = []


def plugin_path() -> str:
    """Return what the documented command prints."""
    if not _found:
        command = [sys.executable, "-m", "hearth_records.integrations.ansible", "--path"]
        _found.append(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip())
    return _found[0]


def arguments(directory: Path, playbooks: Sequence[str], hosts: str, options: Iterable[str]) -> list[str]:
    return [
        str(SCRIPTS / "ansible-playbook"),
        *("-i", f"{hosts},", "-c", "local"),
        *("-e", f"ansible_python_interpreter={sys.executable}", "-e", f"target={directory}"),
        *options,
        *(str(PLAYBOOKS / name) for name in playbooks),
    ]


class Run:
    """A run that has ended, and what it left in the directory `records`."""

    def __init__(self, directory: Path, done: subprocess.CompletedProcess[str]) -> None:
        self.directory = directory
        self.code = done.returncode
        self.output = done.stdout
        self.errors = done.stderr

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "records").iterdir())

    def data(self, name: str = "run.record.json") -> bytes:
        return (self.directory / "records" / name).read_bytes()

    def events(self, name: str = "run.record.json", policy: TrustPolicy | None = None) -> list[dict[str, Any]]:
        """Return the events of a record, after it was verified."""
        data = self.data(name)
        assert verify_record(data, policy or policy_for(KEY)).verdict == "verified"
        found: list[dict[str, Any]] = json.loads(data)["events"]
        return found


def run(
    directory: Path,
    *playbooks: str,
    hosts: str = "a",
    options: Iterable[str] = (),
    sealed: bool = True,
    prefix: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Run:
    """Run playbooks with the callback; `settings` are added to the environment, an empty text is left out of it."""
    records = directory / "records"
    records.mkdir(exist_ok=True)
    variables = {"HEARTH_RECORDS_DIRECTORY": str(records), "HEARTH_RECORDS_EXECUTION_ID": "run"}
    if sealed:
        key = directory / "key.pem"
        write_key(key, KEY._key)  # noqa: SLF001 - the test's own key
        variables["HEARTH_RECORDS_KEY"] = str(key)
    variables |= settings or {}
    done = subprocess.run(
        [*prefix, *arguments(directory, playbooks, hosts, options)],
        env=environment(directory, **{name: value for name, value in variables.items() if value}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=directory,
    )
    return Run(directory, done)


def ends(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return name, phase and outcome of each step in order."""
    return [
        (event["step_name"], event["phase"], event["type"].removeprefix("step_"))
        for event in events
        if event["type"] in {"step_completed", "step_failed"}
    ]


def end_of(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the details with which the only step of that name ended."""
    (found,) = [event for event in events if event.get("step_name") == name and event["type"] != "step_started"]
    details: dict[str, Any] = found["details"]
    return details


def start_of(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [event for event in events if event.get("step_name") == name and event["type"] == "step_started"]
    details: dict[str, Any] = found["details"]
    return details


def effects(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == "side_effect_observed"]


# --- a run over two hosts --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two hosts: failures that are ignored, rescued, and one that takes a host out while the other goes on."""
    return run(
        tmp_path_factory.mktemp("deploy"),
        "deploy.yml",
        hosts="a,b",
        settings={
            "HEARTH_RECORDS_CHANGE_REF": "CHG-7",
            "HEARTH_RECORDS_REASON": "upgrade",
            "HEARTH_RECORDS_MASK": r"tok-\d+",
        },
    )


@pytest.fixture(scope="module")
def events(deployed: Run) -> list[dict[str, Any]]:
    return deployed.events()


def test_the_play_ends_as_it_does_without_a_recorder(deployed: Run) -> None:
    assert deployed.code == 2
    assert deployed.names() == ["run.record.json"]
    assert "run.record.json" in deployed.errors
    assert "run.record.json" not in deployed.output
    assert "WARNING" not in deployed.errors


def test_the_start_says_which_playbook_runs_and_why(events: list[dict[str, Any]]) -> None:
    start = events[0]
    unknown = {"boundary_state": "UNKNOWN", "context": "Pre-execution", "security_state": "UNKNOWN"}
    assert start["execution_id"] == "run"
    assert start["plan"] == {
        "declared_side_effects": [],
        "plan_id": "deploy.yml",
        "rollback_hints": [],
        "sha256": sha256_hex((PLAYBOOKS / "deploy.yml").read_bytes()),
        "steps": [],
    }
    assert (start["live_mode_state"], start["reason"], start["change_ref"]) == ("LIVE", "upgrade", "CHG-7")
    assert start["security_snapshot"] == unknown
    assert start["details"].keys() == {"playbook", "ansible_core"}


def test_each_task_is_one_step_over_all_its_hosts(events: list[dict[str, Any]]) -> None:
    assert ends(events) == [
        ("web : Install the page", "plan", "completed"),
        ("web : Add a line", "plan", "completed"),
        ("web : Restart now", "plan", "completed"),
        ("web : Restart", "plan", "completed"),
        ("Read the setting", "plan", "completed"),
        ("Make both files", "plan", "completed"),
        ("Skipped everywhere", "plan", "completed"),
        ("Migrate", "plan", "completed"),
        ("Inner always", "cleanup", "completed"),
        ("Only where it went well", "plan", "completed"),
        ("Undo", "cleanup", "completed"),
        ("Undo more", "cleanup", "completed"),
        ("Included", "cleanup", "completed"),
        ("Included", "cleanup", "completed"),
        ("Tidy up", "cleanup", "completed"),
        ("ansible.builtin.include_role : tidy", "cleanup", "completed"),
        ("tidy : Sweep", "cleanup", "completed"),
        ("tidy : Sweep", "cleanup", "completed"),
        ("Nothing wrong here", "plan", "completed"),
        ("Always, after nothing", "plan", "completed"),
        ("tidy : Sweep", "plan", "completed"),
        ("One host is out", "plan", "completed"),
        ("The other goes on", "plan", "completed"),
        ("web : Restart", "cleanup", "completed"),
        ("Look", "plan", "completed"),
    ]
    started = [event["step_index"] for event in events if event["type"] == "step_started"]
    assert started == list(range(25))


def test_a_step_says_where_its_task_stands(events: list[dict[str, Any]]) -> None:
    assert start_of(events, "web : Add a line") == {
        "action": "ansible.builtin.lineinfile",
        "at": "roles/web/tasks/main.yml:7",
        "play": "Deploy",
        "section": "tasks",
    }
    assert start_of(events, "web : Restart now")["meta"] == "flush_handlers"
    sections = [event["details"]["section"] for event in events if event["type"] == "step_started"]
    assert sections == [
        *("tasks", "tasks", "tasks", "handlers", "tasks", "tasks", "tasks", "tasks", "always", "tasks"),
        *("rescue", "rescue", "rescue", "rescue", "always", "always", "always", "always"),
        *("tasks", "always", "always", "tasks", "tasks", "handlers", "tasks"),
    ]
    assert start_of(events, "Look")["play"] == "Check"


def test_the_hosts_stand_with_the_end_of_a_step(events: list[dict[str, Any]]) -> None:
    assert {name: sorted(hosts) for name, hosts in end_of(events, "web : Install the page").items()} == {
        "changed": ["a", "b"]
    }
    assert end_of(events, "Skipped everywhere") == {"skipped": ["a", "b"]}
    assert sorted(end_of(events, "Always, after nothing")["ok"]) == ["a", "b"]
    assert end_of(events, "Undo") == {"ok": ["a"]}
    assert end_of(events, "Look") == {"ok": ["b"]}


def test_an_ignored_failure_completes_its_step(events: list[dict[str, Any]]) -> None:
    details = end_of(events, "Read the setting")
    assert details.keys() == {"ignored"}
    assert sorted((trouble["host"], trouble["rc"]) for trouble in details["ignored"]) == [("a", 1), ("b", 1)]


def test_a_rescued_failure_completes_its_step_and_is_masked(events: list[dict[str, Any]]) -> None:
    assert end_of(events, "Migrate") == {
        "rescued": [{"host": "a", "message": "no room for [masked] left"}],
        "skipped": ["b"],
    }


def test_where_the_play_goes_on_the_failure_of_a_host_is_in_the_details(events: list[dict[str, Any]]) -> None:
    assert end_of(events, "One host is out") == {
        "failed": [{"host": "a", "message": "non-zero return code", "rc": 3, "stderr": "out of order"}],
        "skipped": ["b"],
    }


def test_changed_files_are_side_effects_nobody_knows_how_to_undo(deployed: Run, events: list[dict[str, Any]]) -> None:
    files = [event for event in effects(events) if event["category"] == "file_system"]
    expected = [f"{name}-{host}" for host in "ab" for name in ("page", "page", "one", "two")]
    assert sorted(event["details"]["path"] for event in files) == sorted(f"{deployed.directory}/{e}" for e in expected)
    assert all(Path(event["details"]["path"]).exists() for event in files)
    assert {event["reversible"] for event in effects(events)} == {None}
    assert [(event["step_index"], event["details"]["host"]) for event in files] == [
        (index, event["details"]["host"]) for index, event in zip((0, 0, 1, 1, 5, 5, 5, 5), files, strict=True)
    ]
    assert {event["details"]["action"] for event in effects(events) if event["category"] == "other"} == {
        "ansible.builtin.command",
        "ansible.builtin.debug",
        "ansible.builtin.shell",
    }
    assert [event["details"]["host"] for event in effects(events) if "delegated_to" in event["details"]] == ["b"]


def test_the_execution_failed_because_a_host_did(events: list[dict[str, Any]]) -> None:
    end = events[-1]
    assert (end["type"], end["status"], end["unknown_effects"]) == ("execution_finished", "failed", True)
    assert end["security_snapshot"]["security_state"] == "UNKNOWN"
    assert [(host["host"], host["failures"], host["rescued"], host["ignored"]) for host in end["details"]["hosts"]] == [
        ("a", 1, 1, 1),
        ("b", 0, 0, 1),
    ]


# --- failures that end the plan --------------------------------------------------------------------------------------


def test_after_a_failure_for_good_there_is_only_cleanup(tmp_path: Path) -> None:
    """Also: an encrypted key, and no execution id."""
    key = generate_private_key()
    write_key(tmp_path / "encrypted.pem", key, b"open sesame")
    (tmp_path / "passphrase").write_text("open sesame\n")
    done = run(
        tmp_path,
        "stop.yml",
        settings={
            "HEARTH_RECORDS_EXECUTION_ID": "",
            "HEARTH_RECORDS_KEY": str(tmp_path / "encrypted.pem"),
            "HEARTH_RECORDS_PASSPHRASE_FILE": str(tmp_path / "passphrase"),
            "HEARTH_RECORDS_PLAN_ID": "stop-plan",
        },
    )
    assert done.code == 2
    assert "WARNING" not in done.errors
    (name,) = done.names()
    assert name.startswith("stop-plan-20")
    events = done.events(name, policy_for(type(KEY)(key)))
    assert events[0]["plan"]["plan_id"] == "stop-plan"
    assert ends(events) == [
        ("Prepare", "plan", "completed"),
        ("Migrate", "plan", "completed"),
        ("Undo", "cleanup", "failed"),
        ("Tidy up", "cleanup", "completed"),
        ("Restart", "cleanup", "completed"),
    ]
    (rescued,) = end_of(events, "Migrate")["rescued"]
    assert rescued["items"] == [{"item": 1, "message": "no two"}]
    (error,) = [event["error_message"] for event in events if event["type"] == "step_failed"]
    text = "again " * 500 + "!"
    assert error == f"a: {text[:2000]}…[cut: 3001 code points, sha256 {sha256_hex(text.encode())}]"
    assert events[-1]["status"] == "failed"


def test_hosts_that_cannot_be_reached_and_errors_that_are_fatal_for_all(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("a\nb\naway ansible_connection=ssh\n")
    (tmp_path / "ssh").write_text("#!/bin/sh\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    done = run(
        tmp_path,
        "reach.yml",
        options=["-i", str(tmp_path / "hosts"), "--limit", "a,b,away"],
        settings={"ANSIBLE_SSH_EXECUTABLE": str(tmp_path / "ssh")},
    )
    assert done.code == 4
    events = done.events()
    assert events[0]["details"]["limit"] == "a,b,away"
    assert ends(events) == [
        ("Try", "plan", "completed"),
        ("Try again", "plan", "completed"),
        ("All or nothing", "plan", "failed"),
    ]
    ((ignored,), (away,)) = end_of(events, "Try")["ignored"], end_of(events, "Try again")["unreachable"]
    assert (ignored["host"], ignored["unreachable"]) == ("away", True)
    assert away["host"] == "away"
    assert [trouble["host"] for trouble in end_of(events, "All or nothing")["failed"]] == ["b"]
    assert [event["error_message"] for event in events if event["type"] == "step_failed"] == ["b: not on b"]
    assert events[-1]["completion_reason"].startswith("2 of 3 ")


def test_a_batch_that_is_out_ends_the_plan(tmp_path: Path) -> None:
    done = run(tmp_path, "batches.yml", hosts="a,b")
    assert done.code == 2
    assert ends(done.events()) == [("Fails", "plan", "failed"), ("Tidy up", "cleanup", "completed")]


def test_what_starts_after_a_failed_step_nevertheless_is_cleanup(tmp_path: Path) -> None:
    """Ansible goes on with another play when a play lost its hosts one play after another."""
    done = run(tmp_path, "groups.yml", hosts="a,b,c")
    assert done.code == 2
    events = done.events()
    assert ends(events) == [
        ("First", "plan", "completed"),
        ("Second", "plan", "failed"),
        ("Tidy up", "cleanup", "completed"),
        ("Third", "cleanup", "completed"),
    ]
    assert [trouble["host"] for trouble in end_of(events, "First")["failed"]] == ["a"]
    assert start_of(events, "Third")["section"] == "tasks"
    assert events[-1]["status"] == "failed"
    assert events[-1]["completion_reason"].startswith("2 of 3 ")


def test_a_handler_and_an_include_that_fail_are_rescued_like_any_task(tmp_path: Path) -> None:
    """Ansible's recap counts the host as failed by the include, and goes on with it."""
    done = run(tmp_path, "rescue.yml")
    assert done.code == 0
    events = done.events()
    assert ends(events) == [
        ("Tell", "plan", "completed"),
        ("Now", "plan", "completed"),
        ("Restart", "plan", "completed"),
        ("Undo", "cleanup", "completed"),
        ("Include", "plan", "completed"),
        ("Undo again", "cleanup", "completed"),
        ("After", "plan", "completed"),
    ]
    assert end_of(events, "Restart") == {"rescued": [{"host": "a", "message": "it does not start"}]}
    assert end_of(events, "Include").keys() == {"rescued"}
    assert events[-1]["status"] == "completed"


def test_tasks_that_overlap_are_one_step(tmp_path: Path) -> None:
    done = run(tmp_path, "free.yml", hosts="a,b")
    assert done.code == 2
    events = done.events()
    assert ends(events) == [("Each on its own", "plan", "completed"), ("Look", "plan", "completed")]
    assert start_of(events, "Each on its own") == {"play": "Each on its own", "section": "play", "strategy": "free"}
    assert end_of(events, "Each on its own")["failed"] == [{"host": "a", "message": "not here", "task": "Fail on one"}]
    assert sorted(
        (event["details"]["host"], event["details"]["task"], event["step_index"]) for event in effects(events)
    ) == [
        ("a", "Write", 0),
        ("b", "Write", 0),
    ]


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_no_log_leaves_nothing_but_names(tmp_path: Path) -> None:
    done = run(tmp_path, "secret.yml")
    assert done.code == 2
    events = done.events()
    assert b"hunter2" not in done.data()
    assert [name for name, _phase, _outcome in ends(events)] == [
        "Given and returned",
        "Written to a file",
        "In a loop",
        "In one item of a loop",
        "In a failure",
    ]
    assert end_of(events, "In one item of a loop") == {"ignored": [{"host": "a", "no_log": True}]}
    assert end_of(events, "In a failure") == {"failed": [{"host": "a", "no_log": True}]}
    assert [event["error_message"] for event in events if event["type"] == "step_failed"] == ["a: failed"]
    assert (tmp_path / "hunter2-path").exists()
    assert {event["step_index"] for event in effects(events)} == {0, 1, 2, 3}
    for event in effects(events):
        assert event["category"] == "other"
        assert event["details"] == {"action": event["details"]["action"], "host": "a", "no_log": True}


# --- modes, keys, settings -------------------------------------------------------------------------------------------


def test_check_mode_changes_nothing_but_what_is_not_in_it(tmp_path: Path) -> None:
    """Also: settings from `ansible.cfg`, two playbooks in one command, and a journal that is sealed later."""
    (tmp_path / "ansible.cfg").write_text(
        "[callback_hearth_records]\ndirectory = records\nexecution_id = from-file\nreason = from file\n"
    )
    done = run(
        tmp_path,
        "check.yml",
        "short.yml",
        options=["--check"],
        sealed=False,
        settings={
            "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
            "HEARTH_RECORDS_DIRECTORY": "",
            "HEARTH_RECORDS_EXECUTION_ID": "",
        },
    )
    assert done.code == 0
    assert done.names() == ["from-file-2.journal", "from-file.journal"]
    journal = tmp_path / "records" / "from-file.journal"
    found = inspect(journal)
    assert (found.state, found.finished, found.damage) == ("open", True, None)
    with Journal.open(journal) as opened:
        ExecutionObserver.resume(opened, HearthKernel()).seal(KEY)
    events = done.events("from-file.record.json")
    assert (events[0]["live_mode_state"], events[0]["reason"]) == ("DRY_RUN", "from file")
    assert end_of(events, "Would write") == {"would_change": ["a"]}
    assert end_of(events, "Writes all the same") == {"changed": ["a"]}
    assert [event["details"]["path"] for event in effects(events)] == [f"{tmp_path}/other"]
    assert (tmp_path / "other").exists()
    assert not (tmp_path / "page").exists()
    assert events[-1]["status"] == "completed"


def test_the_options_are_documented_where_ansible_looks(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(SCRIPTS / "ansible-doc"), "-t", "callback", "-j", "hearth_records"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    options = json.loads(done.stdout)["hearth_records"]["doc"]["options"]
    assert options.keys() == {
        *("directory", "execution_id", "plan_id", "key", "passphrase_file", "mask", "reason", "change_ref")
    }
    for name, option in options.items():
        assert [found["name"] for found in option["env"]] == [f"HEARTH_RECORDS_{name.upper()}"]
        assert [(found["section"], found["key"]) for found in option["ini"]] == [("callback_hearth_records", name)]


# --- a recorder that fails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"HEARTH_RECORDS_DIRECTORY": "/nonexistent"},
        {"HEARTH_RECORDS_DIRECTORY": ""},
        {"HEARTH_RECORDS_EXECUTION_ID": "../outside"},
        {"HEARTH_RECORDS_MASK": "("},
    ],
)
def test_a_recorder_that_cannot_begin_says_so_once(tmp_path: Path, settings: dict[str, str]) -> None:
    done = run(tmp_path, "short.yml", settings=settings)
    assert done.code == 0
    assert "failed=0" in done.output
    assert done.errors.count("[WARNING]") == 1
    assert "hearth" in done.errors
    assert done.names() == []


def test_a_record_that_cannot_be_sealed_stays_whole(tmp_path: Path) -> None:
    done = run(tmp_path, "short.yml", settings={"HEARTH_RECORDS_KEY": str(tmp_path / "none.pem")})
    assert done.code == 0
    assert done.errors.count("[WARNING]") == 1
    assert done.names() == ["run.journal"]
    assert inspect(tmp_path / "records" / "run.journal").finished


def test_a_recorder_that_fails_in_the_middle_does_not_stop_the_play(tmp_path: Path) -> None:
    """The recorder's own process may not make its journal longer: EFBIG, which poisons it."""
    needs_program("prlimit")
    done = run(tmp_path, "limit.yml", prefix=["sh", "-c", 'exec "$0" -e "recorder=$$" "$@"'])
    assert done.code == 0
    assert "the play has ended" in done.output
    assert done.errors.count("[WARNING]") == 1
    assert done.names() == ["run.journal"]
    left = recovered(tmp_path)
    assert [event["type"] for event in left] == ["execution_started", "step_started", "execution_finished"]
    assert (left[-1]["status"], left[-1]["cause"]) == ("incomplete", "recovered")


def recovered(directory: Path) -> list[dict[str, Any]]:
    """Recover the journal of a run, and return its events after the record was verified."""
    journal = directory / "records" / "run.journal"
    found = inspect(journal)
    assert (found.state, found.finished, found.damage) == ("open", False, None)
    data = Path(recover(journal, KEY, reason="the recorder is gone")).read_bytes()
    assert verify_record(data, policy_for(KEY)).verdict == "verified"
    events: list[dict[str, Any]] = json.loads(data)["events"]
    return events


def test_an_error_of_ansibles_own_leaves_a_journal(tmp_path: Path) -> None:
    done = run(tmp_path, "broken.yml")
    assert done.code not in {0, 2}
    assert done.names() == ["run.journal"]
    assert [event["type"] for event in recovered(tmp_path)] == [
        "execution_started",
        "step_started",
        "execution_finished",
    ]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda stop: stop.name)
def test_an_interrupted_run_leaves_a_journal(tmp_path: Path, stop: signal.Signals) -> None:
    """The worker that Ansible forked is alive when the journal is recovered: it holds no lock."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "records").mkdir()
    settings = {"HEARTH_RECORDS_DIRECTORY": str(tmp_path / "records"), "HEARTH_RECORDS_EXECUTION_ID": "run"}
    process = subprocess.Popen(
        arguments(tmp_path, ["wait.yml"], "a", ["-e", f"pipe={pipe}"]),
        env=environment(tmp_path, **settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        with pipe.open("wb"):  # opens when the second task reads from it
            process.send_signal(stop)
            assert process.wait(60) != 0
            events = recovered(tmp_path)
    finally:
        process.kill()
        process.wait()
    assert ends(events) == [("First", "plan", "completed")]
    assert [event["type"] for event in events[-2:]] == ["step_started", "execution_finished"]
    assert (events[-1]["status"], events[-1]["cause"]) == ("incomplete", "recovered")
