"""`hearth-records recover`: what it says of a journal, that it changes nothing unasked, and closing it."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from helpers import OTHER_SEED, json_events, private_key, signer, write_key
from recorder import record_in_memory
from test_cli import EXAMPLE, Call, Done
from test_cli_record import WAIT, new_journal, snapshot, started

from hearth_records.journal import Journal
from hearth_records.keys import public_key_to_pem
from hearth_records.verify import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLOSED: Final = record_in_memory().seal(signer()).data
"""A record as its journal holds it when it was closed and not yet published."""
EVENTS: Final = json_events(CLOSED)
ENDED: Final = CLOSED[: CLOSED.index(b"\n]") + 1]
OPEN: Final = ENDED[: ENDED[:-1].rindex(b"\n") + 1]
"""The same without its closing line, and without its last event."""
EXECUTION_ID: Final = EVENTS[0]["execution_id"]


class Place:
    """A directory with a journal and keys, in which `recover` is called."""

    def __init__(self, call: Call, path: Path) -> None:
        self.call = call
        self.path = path
        self.journal = path / f"{EXECUTION_ID}.journal"
        self.record = path / f"{EXECUTION_ID}.record.json"
        write_key(path / "key.pem", private_key())
        (path / "key.pub.pem").write_bytes(public_key_to_pem(signer().public_key))
        write_key(path / "other.pem", private_key(OTHER_SEED))
        write_key(path / "locked.pem", private_key(), b"correct horse")
        (path / "passphrase").write_bytes(b"correct horse\n")

    def recover(self, *arguments: str) -> Done:
        return self.call("hearth-records", "recover", self.journal, *arguments, cwd=self.path)

    def close(self, *arguments: str, key: str = "key.pem") -> Done:
        return self.recover("--close", "--reason", "the host crashed", "--key", key, *arguments)

    def verify(self, file: Path) -> Done:
        return self.call("verify-record", "--key", self.path / "key.pub.pem", "--format", "json", file)


@pytest.fixture
def place(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    (tmp_path / "here").mkdir()
    return Place(Call(capsys, monkeypatch), tmp_path / "here")


def damaged(data: bytes) -> bytes:
    return data.replace(b'"seq":2', b'"seq":3')


LEFT: Final = {
    "open": (OPEN, "open", 5, len(EVENTS) - 1, 0),
    "ended": (ENDED, "open", 5, len(EVENTS), 0),
    "torn": (OPEN + b',{"cause', "open", 5, len(EVENTS) - 1, 8),
    "torn in a line that would be whole": (OPEN[:-1], "open", 5, len(EVENTS) - 2, None),
    "closed": (CLOSED, "closed", 5, len(EVENTS), 0),
    "closed but for the line break": (CLOSED[:-1], "closed", 5, len(EVENTS), 0),
    "no event": (OPEN[: OPEN.index(b"\n") + 1], "open", 5, 0, 0),
    "no line": (b'{"format":"hearth', "open", 5, 0, 17),
    "nothing": (b"", "open", 5, 0, 0),
}
"""What a crash leaves: bytes, the state that is named, the exit code, whole events, bytes of a torn tail."""


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_is_said_and_nothing_changes(place: Place, name: str) -> None:
    data, state, code, events, torn = LEFT[name]
    place.journal.write_bytes(data)
    before = snapshot(place.path)
    done = place.recover()
    assert (done.code, done.err) == (code, "")
    first, whole, tail = done.out.splitlines()
    assert first.startswith(f"{place.journal}: {state}: ")
    assert whole.replace(",", " ").split()[:3] == ["whole", "events", str(events)]
    assert ("ends the execution" in whole) == (name in ("ended", "closed", "closed but for the line break"))
    assert torn is None or tail.split() == ["torn", "tail", str(torn), "bytes"]
    assert snapshot(place.path) == before


DAMAGED: Final[dict[str, bytes]] = {
    "altered": damaged(OPEN),
    "altered and torn": damaged(OPEN) + b",{",
    "altered and closed": damaged(CLOSED),
    "a line gone": b"".join(OPEN.splitlines(keepends=True)[:2] + OPEN.splitlines(keepends=True)[3:]),
    "a line twice": OPEN + OPEN.splitlines(keepends=True)[-1],
    "not canonical": OPEN.replace(b'"seq":2', b'"seq": 2'),
    "another version": OPEN.replace(b"hearth-record/1", b"hearth-record/2"),
    "something after the end": CLOSED + b"x",
    "another execution": OPEN.replace(f'"execution_id":"{EXECUTION_ID}"'.encode(), b'"execution_id":"other"'),
    "garbage": b"\x1b[31mVERIFIED\n",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named_and_refused(place: Place, name: str) -> None:
    place.journal.write_bytes(DAMAGED[name])
    before = snapshot(place.path)
    done = place.recover()
    assert done.code == 3
    assert done.out.splitlines()[0].startswith(f"{place.journal}: ")
    assert done.err.startswith(f"hearth-records recover: error: {place.journal}: damaged: ")
    closed = place.close()
    assert (closed.code, closed.out) == (3, "")
    assert snapshot(place.path) == before


def test_a_published_record_needs_no_recovery(place: Place) -> None:
    place.record.write_bytes(CLOSED)
    before = snapshot(place.path)
    done = place.recover()
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{place.journal}: published: ")
    assert str(place.record) in done.out
    assert place.close() == Done(0, f"{place.record}\n", "")
    assert snapshot(place.path) == before


def test_a_crash_between_the_two_names_is_finished(place: Place) -> None:
    place.journal.write_bytes(CLOSED)
    os.link(place.journal, place.record)
    done = place.recover()
    assert (done.code, done.out.split(": ")[1]) == (0, "published")
    assert place.close() == Done(0, f"{place.record}\n", "")
    assert (place.journal.exists(), place.record.read_bytes()) == (False, CLOSED)


@pytest.mark.parametrize("name", [name for name, found in LEFT.items() if found[3]])
def test_what_is_left_is_closed_sealed_and_published(place: Place, name: str) -> None:
    data, state, _code, events, torn = LEFT[name]
    place.journal.write_bytes(data)
    assert place.close() == Done(0, f"{place.record}\n", "")
    assert not place.journal.exists()
    assert place.verify(place.record).code == 0
    sealed = place.record.read_bytes()
    assert json_events(sealed)[:events] == EVENTS[:events]
    if state == "closed":
        assert sealed == CLOSED
    elif events < len(EVENTS):
        *_before, last = json_events(sealed)
        assert len(_before) == events
        assert (last["status"], last["cause"], last["completion_reason"]) == (
            "incomplete",
            "recovered",
            "the host crashed",
        )
        aside = place.path / f"{EXECUTION_ID}.torn"
        assert aside.exists() == (torn != 0)
        assert last["recovery"]["torn_bytes"] == (aside.stat().st_size if aside.exists() else 0)
    after = snapshot(place.path)
    assert place.close() == Done(0, f"{place.record}\n", "")  # once is enough
    assert snapshot(place.path) == after


def test_nothing_that_was_acknowledged_is_nothing_to_close(place: Place) -> None:
    for name in ("no event", "no line", "nothing"):
        place.journal.write_bytes(LEFT[name][0])
        before = snapshot(place.path)
        done = place.close()
        assert (done.code, done.out) == (3, "")
        assert snapshot(place.path) == before


def test_a_journal_that_is_written_is_left_alone(place: Place) -> None:
    place.journal.write_bytes(OPEN + b',{"torn')
    before = snapshot(place.path)
    with Journal.open(place.journal):
        done = place.recover()
        assert (done.code, done.out.split(": ")[1]) == (5, "recording")
        closed = place.close()
        assert (closed.code, closed.out) == (3, "")
        assert f"process {os.getpid()}" in closed.err
    assert snapshot(place.path) == before
    assert place.close().code == 0


def test_a_process_that_was_killed_leaves_what_it_recorded(place: Place) -> None:
    place.journal = new_journal(place.path)
    with started(place.journal, WAIT) as process:
        os.killpg(process.pid, signal.SIGKILL)
    assert place.recover().code == 5
    assert place.close().code == 0
    *_before, step, finished = json_events((place.path / "exec-1.record.json").read_bytes())
    assert (step["type"], finished["status"]) == ("step_started", "incomplete")


def test_a_record_of_the_same_name_is_not_replaced(place: Place) -> None:
    for data in (OPEN, CLOSED):
        place.journal.write_bytes(data)
        place.record.write_bytes(b"mine")
        before = snapshot(place.path)
        assert place.recover().code == 5
        done = place.close()
        assert (done.code, done.out) == (3, "")
        assert snapshot(place.path) == before


WRONG: Final = [
    [],
    ["JOURNAL", "--close"],
    ["JOURNAL", "--close", "--reason", "x"],
    ["JOURNAL", "--close", "--key", "key.pem"],
    ["JOURNAL", "--reason", "x"],
    ["JOURNAL", "--key", "key.pem"],
    ["JOURNAL", "JOURNAL"],
    ["JOURNAL", "--force"],
    ["JOURNAL", "--close", "--reason", "x", "--key"],
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_wrong_command_line_ends_with_2(place: Place, words: list[str]) -> None:
    place.journal.write_bytes(OPEN)
    before = snapshot(place.path)
    journal = str(place.journal)
    done = place.call("hearth-records", "recover", *(journal if word == "JOURNAL" else word for word in words))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("hearth-records recover: error: ")
    assert snapshot(place.path) == before


@pytest.mark.parametrize("name", ["missing.journal", "key.pem", "here.journal", ".journal", "fifo.journal"])
def test_what_is_no_journal_ends_with_3(place: Place, name: str) -> None:
    (place.path / "here.journal").mkdir()
    os.mkfifo(place.path / "fifo.journal")
    place.journal = place.path / name
    before = snapshot(place.path)
    assert (place.recover().code, place.close().code) == (3, 3)
    assert snapshot(place.path) == before


UNSEALED: Final[dict[str, tuple[int, list[str]]]] = {
    "public": (3, ["key.pub.pem"]),
    "missing": (3, ["missing.pem"]),
    "garbage": (3, ["passphrase"]),
    "locked": (2, ["locked.pem"]),
    "wrong passphrase": (3, ["locked.pem", "--passphrase-file", "key.pub.pem"]),
}


@pytest.mark.parametrize("name", UNSEALED)
def test_a_key_that_cannot_be_read_changes_nothing(place: Place, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    place.journal.write_bytes(OPEN + b",{")
    before = snapshot(place.path)
    code, (key, *options) = UNSEALED[name]
    assert place.close(*options, key=key).code == code
    assert snapshot(place.path) == before


def test_an_example_key_closes_and_does_not_seal(place: Place) -> None:
    place.journal.write_bytes(OPEN)
    assert place.close(key=str(EXAMPLE / "example.pem")).code == 3
    assert not place.record.exists()
    assert place.journal.read_bytes().startswith(OPEN)
    assert place.close().code == 0
    assert len(json_events(place.record.read_bytes())) == len(EVENTS)


def test_two_keys_and_a_passphrase_close_it(place: Place) -> None:
    place.journal.write_bytes(OPEN)
    assert place.close("--passphrase-file", "passphrase", "--key", "other.pem", key="locked.pem").code == 0
    (entry,) = place.verify(place.record).json["results"]
    assert [found["keyid"] for found in entry["signers"]] == [signer().keyid, signer(OTHER_SEED).keyid]


def test_the_reason_is_recorded_as_it_is_given(place: Place) -> None:
    place.journal.write_bytes(OPEN)
    reason = "--close \x1b[31m\nVERIFIED\u202e"
    assert place.recover("--close", "--reason", reason, "--key", "key.pem") == Done(0, f"{place.record}\n", "")
    assert json_events(place.record.read_bytes())[-1]["completion_reason"] == reason


# --- what the verifier says meanwhile --------------------------------------------------------------------------------


def checks_of(done: Done) -> dict[str, dict[str, Any]]:
    (entry,) = done.json["results"]
    return {check["check"]: check for check in entry["checks"]}


@pytest.mark.parametrize("cut", [lambda data: data, lambda data: data + b',{"torn'], ids=["whole", "torn"])
def test_an_open_journal_is_verified_as_far_as_it_goes(place: Place, cut: Callable[[bytes], bytes]) -> None:
    place.journal.write_bytes(cut(OPEN))
    done = place.verify(place.journal)
    checks = checks_of(done)
    assert done.code == 5
    assert {name for name in CHECKS if checks[name]["status"] == "pass"} == {
        "read",
        "canonical",
        "shape",
        "chain",
        "lifecycle",
    }
    assert (checks["sealed"]["status"], checks["sealed"]["seq"]) == ("fail", len(EVENTS) - 2)
    (entry,) = done.json["results"]
    assert ("torn-tail" in [warning["code"] for warning in entry["warnings"]]) == (cut(OPEN) != OPEN)


def test_an_open_journal_that_was_altered_is_altered_before_it_is_incomplete(place: Place) -> None:
    place.journal.write_bytes(damaged(OPEN))
    done = place.verify(place.journal)
    assert (done.code, checks_of(done)["chain"]["status"]) == (1, "fail")
