"""What can be withheld: made, kept, sealed, withheld, and then found nowhere (FORMAT §3, §6, §7)."""

from __future__ import annotations

import base64
import dataclasses
import enum
import hashlib
import itertools
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from helpers import OTHER_SEED, SEALED_AT, TickingClock, facts, needs_program, observe, policy_for, randomness, signer
from recorder import EXECUTION_ID, WITHHOLDING, Recorder, record_in_memory
from test_cli import Call, run
from test_cli_record import Shell
from test_journal import documented, listing, made
from verifiers import generator, tool

from hearth_records import ExecutionObserver, HearthKernel, Journal, Withholdable, observer, seal_record
from hearth_records.canonical import OPENING, decode_record, encode_event
from hearth_records.countersignature import countersign
from hearth_records.disclosure import Withholder, decode_disclosure, digest_of
from hearth_records.errors import HearthRecordsError, JournalError, RecordingError, SealError, SecurityEscalationError
from hearth_records.hestia import Hestia
from hearth_records.journal import journal_path, record_path
from hearth_records.keys import public_key, public_key_to_pem
from hearth_records.recordable import WithholdableDetails, mark_withholdable, to_details
from hearth_records.recovery import DisclosuresLeft, inspect, recover
from hearth_records.trust import TrustPolicy, encode_policy
from hearth_records.verify import verify_file, verify_record
from hearth_records.withholding import withhold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hearth_records.verify import VerificationReport

TOOLS = Path(__file__).parent.parent / "tools"
POLICY = policy_for(signer())
PIN = "4711"
MARK = {"hearth_unrecordable": "Withholdable"}


def recorded(details: Any, **arguments: Any) -> bytes:
    """Return a sealed record whose event 1 has these details."""
    arguments.setdefault("randomness", randomness())
    seen = observe(**arguments)
    seen.record_security_observed("looked", details)
    seen.mark_completed("Success")
    return seen.seal(signer(), sealed_at=SEALED_AT).data


def verified(data: bytes) -> VerificationReport:
    report = verify_record(data, POLICY)
    assert report.exit_code == 0, report.decisive
    return report


def shown(data: bytes, seq: int = 1) -> dict[str, Any]:
    """Return an event's details with what is disclosed in its place, as another reader finds it."""
    value = json.loads(data)
    details: dict[str, Any] = value["events"][seq]["details"]
    for digest in details.pop("_sd", ()):
        for text in value["disclosures"]:
            if base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode() == digest:
                _salt, name, member = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
                details[name] = member
    return details


def digests(data: bytes, seq: int = 1) -> list[str]:
    found: list[str] = json.loads(data)["events"][seq]["details"].get("_sd", [])
    return found


# --- the brute force -------------------------------------------------------------------------------------------------


def hashes(data: bytes) -> set[bytes]:
    """Return every 32 bytes that stand in a file in any usual spelling."""
    found = {bytes.fromhex(word.decode()) for word in re.findall(rb"(?=([0-9a-f]{64}))", data)}
    words = set(re.findall(rb"[A-Za-z0-9+/_-]{43}", data))
    found |= {base64.urlsafe_b64decode(word.translate(bytes.maketrans(b"+/", b"-_")) + b"=") for word in words}
    return found


def texts(data: bytes) -> Iterator[bytes]:
    """Yield a file, and what its base64 holds."""
    yield data
    for word in re.findall(rb"[A-Za-z0-9+/_-]{8,}", data):
        quads = word.translate(bytes.maketrans(b"+/", b"-_"))[: len(word) - (len(word) % 4 == 1)]
        yield base64.urlsafe_b64decode(quads + b"=" * (-len(quads) % 4))


def preimages(name: str, value: Any, details: Any, salt: str = "") -> Iterator[bytes]:
    """Yield what somebody might have hashed who did not think of guessing."""
    plain = value.encode() if isinstance(value, str) else b""
    for body in (value, {name: value}, [name, value], [salt, name, value], details):
        line = rfc8785.dumps(body)
        yield from (line, line + b"\n", base64.urlsafe_b64encode(line).rstrip(b"="), base64.b64encode(line))
    yield from (plain, f"{name}={value}".encode(), f"{name}:{value}".encode(), name.encode() + plain)


def guessed(data: bytes, name: str, details: dict[str, Any], salt: str = "") -> list[str]:
    """Return the PINs of four digits of which some hash stands in a file."""
    there = hashes(data)
    pins = (f"{number:04}" for number in range(10_000))
    return [
        pin
        for pin in pins
        if any(
            hashlib.sha256(body).digest() in there for body in preimages(name, pin, {**details, name: pin}, salt=salt)
        )
    ]


PLAIN: dict[str, Any] = {"currency": "EUR"}


def test_a_value_that_is_withheld_is_found_nowhere() -> None:
    data = recorded({**PLAIN, "pin": Withholdable(PIN)}, decoys=4)
    copy = withhold(data, [(1, "pin")])
    verified(copy)
    assert guessed(copy, "pin", PLAIN) == []
    assert not any(PIN.encode() in text for text in texts(copy.replace(b"security_observed", b"")))
    # the control: who has the salt finds it, so that the search is one
    (text,) = json.loads(data)["disclosures"]
    assert guessed(copy, "pin", PLAIN, decode_disclosure(text).salt) == [PIN]
    assert any(PIN.encode() in text for text in texts(data))
    assert guessed(recorded({"sha256": hashlib.sha256(PIN.encode()).hexdigest()}), "pin", PLAIN) == [PIN]


def test_details_that_are_cut_do_not_tell_what_could_be_withheld() -> None:
    plain = {"pad": "x" * 1_048_576}
    data = recorded({**plain, "pin": Withholdable(PIN)})
    cut = shown(data)["hearth_cut"]
    assert json.loads(data)["disclosures"] == []
    there = {bytes.fromhex(cut["sha256"])}
    line = rfc8785.dumps({**plain, "pin": PIN})
    middle = line.index(PIN.encode())
    state = hashlib.sha256(line[:middle])
    for number in range(10_000):
        guess = state.copy()
        guess.update(f"{number:04}".encode() + line[middle + 4 :])
        assert guess.digest() not in there
    assert cut["bytes"] == len(rfc8785.dumps({"_sd": ["A" * 43], **plain}))  # nothing of the value's length either


def test_nothing_is_left_beside_the_record(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, EXECUTION_ID)
    seen = observe(EXECUTION_ID, journal=written)
    seen.record_security_observed("looked", {**PLAIN, "pin": Withholdable(PIN)})
    assert any(PIN.encode() in text for text in texts((tmp_path / f"{EXECUTION_ID}.disclosures").read_bytes()))
    seen.mark_completed("Success")
    path = tmp_path / seen.seal(signer()).file_name
    path.write_bytes(withhold(path.read_bytes(), [(1, "pin")]))
    assert list(listing(tmp_path)) == [path.name]
    for data in listing(tmp_path).values():
        assert guessed(data, "pin", PLAIN) == []


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_golden_bytes_are_those_of_the_specification() -> None:
    made_of = Withholder(lambda size: bytes(range(size)))
    salted = made_of.withhold(WithholdableDetails({"table": "t2"}, {"operator": "Zoë"}))
    assert salted.disclosures == ("WyJBQUVDQXdRRkJnY0lDUW9MREEwT0R3Iiwib3BlcmF0b3IiLCJab8OrIl0",)
    assert salted.data == b'{"_sd":["rW38TKeEKAFFMulknXBhwhD5NDxIuNNaal-GtzCaS34"],"table":"t2"}'
    assert salted.growth == 0
    assert made_of.withhold(WithholdableDetails({"a": 1}, {})) == (b'{"a":1}', (), 0)


class Colour(enum.Enum):
    RED = "red"
    HIDDEN = Withholdable("in an enum")


@dataclasses.dataclass
class Payment:
    amount: int
    iban: Withholdable


def test_members_are_converted_like_all_details() -> None:
    value = {"a": 1.5, "c": Colour.RED, "n": float("nan"), "s": {2, 1}, "_sd": 1, "w": {"...": 0}}
    data = recorded({"kept": 1, "value": Withholdable(value), "null": Withholdable(None), "é": Withholdable("x")})
    verified(data)
    plain = json.loads(to_details({"kept": 1, "value": value, "null": None, "é": "x"}))
    assert shown(data) == plain
    assert plain["value"]["hearth_unrecordable"] == "member name"
    assert [decode_disclosure(text).name for text in json.loads(data)["disclosures"]].sort() is None
    assert len(digests(data)) == 3


def test_what_holds_the_members_may_be_any_object() -> None:
    for details in (Payment(12, Withholdable("DE02")), {"amount": 12, "iban": Withholdable("DE02")}):
        assert shown(recorded(details)) == {"amount": 12, "iban": "DE02"}
    assert shown(recorded({"c": Colour.HIDDEN})) == {"c": "in an enum"}


@pytest.mark.parametrize(
    ("details", "pointer"),
    [
        ({"a": {"b": Withholdable(PIN)}}, "/a/b"),
        ({"a": [Withholdable(PIN)]}, "/a/0"),
        ({"a": (0, {"b": [Withholdable(PIN)]})}, "/a/1/b/0"),
        ({"a": Withholdable({"b": Withholdable(PIN)})}, "/a/b"),
        ({"a": Withholdable([Withholdable(PIN)])}, "/a/0"),
        ({"a": Withholdable(Withholdable(PIN))}, "/a"),
        ({"a": {Withholdable(PIN)}}, "/a/0"),
        ({"a": {"b": Colour.HIDDEN}}, "/a/b"),
        ({Withholdable(PIN): 1}, ""),
        (Withholdable({"a": PIN}), ""),
        ([Withholdable(PIN)], ""),
        ({Withholdable(PIN)}, ""),
    ],
)
def test_elsewhere_it_is_marked_and_never_written_in_clear(details: Any, pointer: str) -> None:
    data = recorded(details)
    verified(data)
    assert not any(PIN.encode() in text or b"in an enum" in text for text in texts(data))
    assert "hearth_unrecordable" in json.dumps(shown(data))
    with pytest.raises(RecordingError) as caught:
        recorded(details, on_unrecordable="raise")
    assert (caught.value.code, caught.value.pointer) == ("unrecordable", pointer)
    assert PIN not in str(caught.value)


def test_one_that_holds_itself_ends() -> None:
    itself = Withholdable(None)
    itself.value = [itself]
    assert shown(recorded({"a": itself})) == {"a": [MARK]}


def test_without_a_place_to_keep_them_they_are_marked() -> None:
    assert json.loads(to_details({"a": Withholdable(PIN), "b": 1})) == {"a": MARK, "b": 1}
    assert mark_withholdable(WithholdableDetails({"b": 1}, {"a": PIN})) == to_details({"a": Withholdable(PIN), "b": 1})


def test_a_text_never_holds_it() -> None:
    secret: Any = Withholdable(PIN)
    seen = observe(reason=secret, change_ref=secret)
    seen.record_step_started(0, secret)
    seen.record_side_effect("network", secret, reversible=True)
    seen.record_security_observed(secret)
    seen.record_step_failed(0, secret, secret)
    seen.mark_failed(secret)
    data = seen.seal(signer()).data
    assert PIN.encode() not in data
    assert repr(secret) == str(secret) == "Withholdable(…)"
    assert data.count("Withholdable(…)".encode()) == 8


def test_a_name_stands_once() -> None:
    data = recorded({"1": Withholdable(PIN), 1: "again"})
    assert shown(data) == {"1": PIN, "hearth_unrecordable": "member name"}
    data = recorded({1: "first", "1": Withholdable(PIN)})
    assert shown(data) == {"1": "first", "hearth_unrecordable": "member name"}


def test_it_has_no_subclasses() -> None:
    with pytest.raises(TypeError):
        type("Sub", (Withholdable,), {})


def test_a_refused_step_does_not_tell_its_details() -> None:
    kernel = HearthKernel()
    seen = observe(kernel=kernel)
    kernel.trigger_kill_switch("stop")
    with pytest.raises(SecurityEscalationError):
        seen.record_step_started(0, "Pay", {"pin": Withholdable(PIN)})
    last = seen.get_execution_record("LIVE").events[-1]
    assert last.details["refused"]["details"] == {"pin": MARK}


def test_an_event_that_is_refused_discloses_nothing(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, EXECUTION_ID)
    seen = observe(EXECUTION_ID, journal=written)
    with pytest.raises(RecordingError):
        seen.record_step_completed(0, "Pay", {"pin": Withholdable(PIN)})
    assert [path.name for path in tmp_path.iterdir()] == [f"{EXECUTION_ID}.journal"]


# --- redaction, randomness, decoys -----------------------------------------------------------------------------------


def test_redaction_comes_first() -> None:
    asked = []

    def redact(name: str, value: Any) -> Any:
        asked.append((name, value))
        return value.replace(PIN, "****") if isinstance(value, str) else value

    assert shown(recorded({"password": Withholdable(PIN), "note": Withholdable("x")})) == {
        "password": "[masked]",
        "note": "x",
    }
    data = recorded({"note": Withholdable(f"pin {PIN}"), "deep": Withholdable({"a": PIN})}, redact=redact)
    assert shown(data) == {"note": "pin ****", "deep": {"a": "****"}}
    assert len(digests(data)) == 2
    assert not any(isinstance(value, Withholdable) for _name, value in asked)
    data = recorded({"password": Withholdable(PIN)}, redact=None)
    assert shown(data) == {"password": PIN}


def test_a_redaction_may_make_members_withholdable() -> None:
    def redact(name: str, value: Any) -> Any:
        return Withholdable(value) if name in {"pin", "who"} else value

    data = recorded({"pin": PIN, "who": Withholdable("Zoë"), "kept": {"pin": PIN}}, redact=redact)
    assert shown(data) == {"pin": PIN, "who": "Zoë", "kept": {"pin": MARK}}
    assert len(digests(data)) == 2


def test_a_redaction_that_fails_masks() -> None:
    data = recorded({"pin": Withholdable(PIN)}, redact=lambda _name, value: value.nothing)
    assert shown(data) == {"pin": "[masked]"}
    assert len(digests(data)) == 1


def fail(_size: int) -> bytes:
    raise OSError(PIN)


@pytest.mark.parametrize(
    "source",
    [fail, lambda size: b"x" * (size - 1), lambda size: b"x" * (size + 1), lambda _size: PIN, bytearray, lambda _: b""],
)
def test_without_randomness_nothing_is_disclosed_and_nothing_said(source: Callable[[int], bytes]) -> None:
    data = recorded({"pin": Withholdable(PIN), "kept": 1}, randomness=source)
    assert shown(data) == {"pin": MARK, "kept": 1}
    assert (digests(data), json.loads(data)["disclosures"]) == ([], [])
    assert not any(PIN.encode() in text for text in texts(data))
    with pytest.raises(RecordingError) as caught:
        recorded({"pin": Withholdable(PIN)}, randomness=source, on_unrecordable="raise")
    assert caught.value.code == "randomness"


def test_a_source_that_repeats_itself_gives_no_second_salt() -> None:
    data = recorded({"a": Withholdable(1), "b": Withholdable(2)}, randomness=lambda size: b"\0" * size)
    assert shown(data) == {"a": MARK, "b": MARK}
    seen = observe(randomness=lambda size: b"\0" * size)
    for _ in range(2):
        seen.record_security_observed("looked", {"a": Withholdable(1)})
    seen.mark_completed("x")
    data = seen.seal(signer()).data
    verified(data)
    assert [shown(data, seq) for seq in (1, 2)] == [{"a": 1}, {"a": MARK}]


def test_salts_are_random_by_default() -> None:
    seen = observe()
    for _ in range(50):
        seen.record_security_observed("looked", {"a": Withholdable(1), "b": Withholdable(1)})
    salts = {decode_disclosure(text).salt for text in seen.disclosures}
    assert len(salts) == 100


@pytest.mark.parametrize(("decoys", "members", "expected"), [(0, 3, 3), (1, 3, 3), (4, 1, 4), (4, 4, 4), (4, 5, 8)])
def test_decoys_fill_up_and_look_like_all_others(decoys: int, members: int, expected: int) -> None:
    data = recorded({f"n{number}": Withholdable(number) for number in range(members)}, decoys=decoys)
    report = verified(data)
    assert len(digests(data)) == len(set(digests(data))) == expected
    assert digests(data) == sorted(digests(data))
    (finding,) = report.disclosures
    assert (len(finding.disclosed), finding.undisclosed) == (members, expected - members)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", digest) for digest in digests(data))


def test_an_event_without_withholdable_members_has_no_decoys() -> None:
    assert b"_sd" not in recorded({"a": 1}, decoys=8)


@pytest.mark.parametrize("decoys", [-1, 1025, True, 1.0, "4", None])
def test_decoys_are_a_small_number(decoys: Any) -> None:
    with pytest.raises(RecordingError) as caught:
        observe(decoys=decoys)
    assert (caught.value.code, caught.value.pointer) == ("argument", "/decoys")


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seq", [0, 1])
def test_limits_hold_with_all_of_it_put_in(seq: int) -> None:
    limit = 16 * 1024 * 1024 if seq == 0 else 1024 * 1024

    def make(size: int) -> bytes:
        details = {"a": Withholdable("x" * size), "kept": 1}
        if seq:
            return recorded(details)
        seen = observe(details=details, randomness=randomness())
        seen.mark_completed("Success")
        return seen.seal(signer()).data

    event = json.loads(make(1))["events"][seq]
    room = limit - len(rfc8785.dumps({**event, "details": {"a": "", "kept": 1}}))
    data = make(room)
    verified(data)
    assert len(shown(data, seq)["a"]) == room
    data = make(room + 1)
    verified(data)
    assert list(shown(data, seq)) == ["hearth_cut"]
    assert json.loads(data)["disclosures"] == []


def test_what_is_too_large_raises_when_asked_for(tmp_path: Path) -> None:
    written = Journal.create(tmp_path, EXECUTION_ID)
    seen = observe(EXECUTION_ID, journal=written, on_unrecordable="raise")
    with pytest.raises(RecordingError) as caught:
        seen.record_security_observed("looked", {"a": Withholdable("x" * 1024 * 1024)})
    assert caught.value.code == "too-large"
    assert [path.name for path in tmp_path.iterdir()] == [f"{EXECUTION_ID}.journal"]


def test_levels_count_as_if_it_stood_there() -> None:
    def nested(levels: int) -> Any:
        return [nested(levels - 1)] if levels else []

    for levels in range(11, 18):
        data = recorded({"a": Withholdable(nested(levels))})
        verified(data)
        assert shown(data) == json.loads(to_details({"a": nested(levels)}))


def test_the_closing_line_has_room_for_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = len(randomness_disclosure()) + 3
    monkeypatch.setattr(observer, "_MAX_DISCLOSED", 2 * one)
    for sink in (None, Journal.create(tmp_path, EXECUTION_ID)):
        seen = observe(EXECUTION_ID, journal=sink, randomness=randomness())
        for _ in range(2):
            seen.record_security_observed("looked", {"a": Withholdable("x")})
        if sink is not None:
            sink.close()
            sink = Journal.open(sink.path)  # noqa: PLW2901 - the next process counts what is there
            seen = ExecutionObserver.resume(sink, HearthKernel(), clock=TickingClock())
        seen.record_security_observed("looked", {"a": Withholdable("x"), "b": 1})
        seen.mark_completed("Success")
        data = seen.seal(signer()).data
        assert [list(shown(data, seq)) for seq in (1, 2, 3)] == [["a"], ["a"], ["hearth_cut"]]
        verified(data)


def randomness_disclosure() -> str:
    (text,) = json.loads(recorded({"a": Withholdable("x")}))["disclosures"]
    return str(text)


# --- sealing ---------------------------------------------------------------------------------------------------------


def test_a_record_is_sealed_with_what_is_disclosed_and_without() -> None:
    seen = record_in_memory(WITHHOLDING)
    record = seen.get_execution_record("LIVE")
    assert len(seen.disclosures) == 4
    assert list(seen.disclosures) == sorted(seen.disclosures)
    whole = seal_record(record, signer(), sealed_at=SEALED_AT, disclosures=iter(reversed(seen.disclosures)))
    assert whole.data == seen.seal(signer(), sealed_at=SEALED_AT).data
    assert seen.seal(signer(), sealed_at=SEALED_AT).data == whole.data  # as often as one likes
    none = seal_record(record, signer(), sealed_at=SEALED_AT)
    assert [finding.undisclosed for finding in verified(none.data).disclosures] == [2, 1, 1]
    some = seal_record(record, signer(), sealed_at=SEALED_AT, disclosures=seen.disclosures[1:3])
    assert sum(finding.undisclosed for finding in verified(some.data).disclosures) == 2
    for wrong in ([*seen.disclosures, seen.disclosures[0]], [randomness_disclosure()], ["x"]):
        with pytest.raises(SealError):
            seal_record(record, signer(), disclosures=wrong)


@pytest.mark.parametrize("sync", ["event", "step"])
def test_a_journal_gives_what_memory_gives(tmp_path: Path, sync: Any) -> None:
    written = Journal.create(tmp_path, EXECUTION_ID, sync=sync)
    seen = observe(EXECUTION_ID, journal=written, randomness=randomness(), decoys=4)
    in_memory = observe(EXECUTION_ID, randomness=randomness(), decoys=4)
    for one in (seen, in_memory):
        with one.step(0, "Pay", {"pin": Withholdable(PIN)}) as step:
            step.record_side_effect("network", "told the bank", reversible=False, details={"iban": Withholdable("DE")})
            step.details["amount"] = Withholdable(12)
        one.mark_completed("Success")
        assert len(one.disclosures) == 3
    path = tmp_path / f"{EXECUTION_ID}.disclosures"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.read_text("ascii").splitlines()) == list(in_memory.disclosures)
    data = seen.seal(signer()).data
    assert listing(tmp_path) == {f"{EXECUTION_ID}.record.json": data}
    assert data == in_memory.seal(signer()).data
    verified(data)


def test_each_disclosure_is_there_before_its_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Journal.create(tmp_path, EXECUTION_ID)
    append, seen_there = written.append, []

    def look(line: bytes, *, boundary: bool) -> None:
        there = (tmp_path / f"{EXECUTION_ID}.disclosures").read_text("ascii").split() if b"_sd" in line else []
        assert {*json.loads(line)["details"].get("_sd", ())} <= set(map(digest_of, there))
        seen_there.append(len(there))
        append(line, boundary=boundary)

    monkeypatch.setattr(written, "append", look)
    seen = observe(EXECUTION_ID, journal=written)
    for number in range(3):
        seen.record_security_observed("looked", {"a": Withholdable(number)})
    assert seen_there == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as program:
        yield program


@pytest.mark.parametrize("sync", ["event", "step"])
def test_the_system_calls_are_those_of_the_docstring_in_that_order(
    tmp_path: Path, recorder: Recorder, sync: str
) -> None:
    running = recorder.begin(
        tmp_path,
        [("create", sync), *WITHHOLDING[1:]],
        trace=["-e", "trace=openat,flock,write,fsync,fdatasync,link,unlink,ftruncate,rename"],
    )
    assert {note.outcome for note in running.end().notes} == {"ok"}
    append, disclose, publish = documented("append"), documented("disclose"), documented("publish")
    place = publish.index("fsync directory") + 1
    assert made(running.log.read_text()) == [
        *documented("create"),
        *append,
        *(documented("begin") + disclose + append),
        *(disclose + (append if sync == "event" else ["write"])),
        *append,
        *(disclose + append),
        *documented("gather"),
        *(publish[:place] + documented("withdraw") + publish[place:]),
    ]


# --- the file beside the journal -------------------------------------------------------------------------------------


def left_by(tmp_path: Path, lines: int, tail: bytes = b"", *, also: bytes = b"") -> tuple[Path, Path]:
    """Leave a journal of so many events of `WITHHOLDING`, with all its disclosures."""
    data = record_in_memory(WITHHOLDING).seal(signer()).data
    value = json.loads(data)
    journal = Path(journal_path(tmp_path, EXECUTION_ID))
    journal.write_bytes(b"\n".join(data.split(b"\n")[: lines + 1]) + b"\n" + also)
    path = tmp_path / f"{EXECUTION_ID}.disclosures"
    path.touch(mode=0o600)
    path.write_bytes(b"".join(text.encode() + b"\n" for text in value["disclosures"]) + tail)
    return journal, path


@pytest.mark.parametrize(
    ("events", "tail", "expected"),
    [
        (1, b"", (0, 4, 0)),
        (2, b"", (2, 2, 0)),
        (3, b"Wy", (3, 1, 2)),
        (4, b"", (3, 1, 0)),
        (5, b"", (4, 0, 0)),
        (5, b"W", (4, 0, 1)),
    ],
)
def test_what_no_event_refers_to_is_left_out_and_said(
    tmp_path: Path, events: int, tail: bytes, expected: tuple[int, int, int]
) -> None:
    journal, path = left_by(tmp_path, events, tail)
    referred, orphans, torn = expected
    before = listing(tmp_path)
    found = inspect(journal)
    assert found.damage is None
    assert found.disclosures == DisclosuresLeft(referred=referred, orphans=orphans, torn_bytes=torn)
    assert listing(tmp_path) == before
    record = Path(recover(journal, signer(), reason="gone", clock=TickingClock()))
    assert listing(tmp_path) == {record.name: record.read_bytes()}
    assert not path.exists()
    report = verified(record.read_bytes())
    assert sum(len(finding.disclosed) for finding in report.disclosures) == referred
    assert sum(finding.undisclosed for finding in report.disclosures) == 0
    last = decode_record(record.read_bytes()).events[-1]
    dropped = orphans + bool(torn)
    recovered = {"hearth_disclosures_dropped": dropped} if dropped else {}
    assert last.details == ({"_sd": last.details.get("_sd")} if events == 5 else recovered)


def test_going_on_cuts_a_torn_line_and_leaves_out_what_has_no_event(tmp_path: Path) -> None:
    journal, path = left_by(tmp_path, 3, b"Wyj")
    whole = path.read_bytes().removesuffix(b"Wyj")
    with Journal.open(journal) as opened:
        seen = ExecutionObserver.resume(opened, HearthKernel(), clock=TickingClock())
        seen.record_step_completed(0, "Pay")
        assert path.read_bytes() == whole + b"Wyj"
        seen.mark_completed("Success", {"who": Withholdable("Ann")})
        assert path.read_bytes()[: len(whole)] == whole
        assert path.read_bytes()[len(whole) :].count(b"\n") == 1
        data = seen.seal(signer()).data
    assert seen.left_out == 1
    assert shown(data, 4) == {"who": "Ann"}
    verified(data)
    assert list(listing(tmp_path)) == [f"{EXECUTION_ID}.record.json"]


@pytest.mark.parametrize("line", [b"x\n", b"\n", b"\xff\n", b"W10\n", b"==\n"])
def test_damage_before_the_end_is_refused(tmp_path: Path, line: bytes) -> None:
    journal, path = left_by(tmp_path, 5)
    path.write_bytes(line + path.read_bytes())
    before = listing(tmp_path)
    damage = inspect(journal).damage
    assert damage is not None
    assert damage.code == "disclosures"
    with pytest.raises(JournalError) as caught:
        recover(journal, signer(), reason="x")
    assert caught.value.code == "disclosures"
    with Journal.open(journal) as opened, pytest.raises(JournalError) as caught:
        ExecutionObserver.resume(opened, HearthKernel())
    assert caught.value.code == "disclosures"
    assert listing(tmp_path) == before
    path.unlink()  # as the hint says: then it is withheld
    report = verified(Path(recover(journal, signer(), reason="x")).read_bytes())
    assert sum(finding.undisclosed for finding in report.disclosures) == 4


@pytest.mark.parametrize("kind", ["readable", "link", "fifo", "directory"])
def test_disclosures_go_into_a_private_file_of_ones_own(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "here"
    place.mkdir()
    written = Journal.create(place, EXECUTION_ID)
    seen = observe(EXECUTION_ID, journal=written)
    path = place / f"{EXECUTION_ID}.disclosures"
    if kind == "readable":
        path.touch()
        path.chmod(0o644)
    elif kind == "link":
        (tmp_path / "other").touch(mode=0o600)
        path.symlink_to(tmp_path / "other")
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.mkdir(mode=0o700)
    with pytest.raises(JournalError) as caught:
        seen.record_security_observed("looked", {"pin": Withholdable(PIN)})
    assert caught.value.code == "io"
    with pytest.raises(JournalError) as caught:
        seen.mark_completed("x")
    assert caught.value.code == "poisoned"
    assert (
        all(PIN.encode() not in text for data in listing(tmp_path).values() for text in texts(data)) or kind == "fifo"
    )


def test_an_execution_is_recorded_once(tmp_path: Path) -> None:
    path = tmp_path / f"{EXECUTION_ID}.disclosures"
    path.write_bytes(b"somebody's")
    with pytest.raises(JournalError) as caught:
        Journal.create(tmp_path, EXECUTION_ID)
    assert caught.value.code == "exists"
    assert listing(tmp_path) == {path.name: b"somebody's"}


def test_publishing_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    data = record_in_memory(WITHHOLDING).seal(signer()).data
    for number, (linked, journalled) in enumerate(itertools.product([True, False], repeat=2)):
        place = tmp_path / str(number)
        place.mkdir()
        journal, path = left_by(place, 5)
        journal.write_bytes(data)
        record = Path(record_path(str(journal)))
        if linked or not journalled:
            record.hardlink_to(journal)
        if not journalled:
            journal.unlink()
        for _ in range(2):
            assert recover(journal, signer(), reason="again") == str(record)
            assert listing(place) == {record.name: data}
        assert not path.exists()


def test_disclosures_beside_what_is_no_sealed_record_are_left_alone(tmp_path: Path) -> None:
    journal, path = left_by(tmp_path, 5)
    record = Path(record_path(str(journal)))
    journal.rename(record)
    with pytest.raises(SealError):
        recover(journal, signer(), reason="x")
    assert path.exists()
    record.write_bytes(b"somebody's")
    with pytest.raises(HearthRecordsError):
        recover(journal, signer(), reason="x")
    assert path.exists()


def test_a_forked_child_closes_its_copy(tmp_path: Path, recorder: Recorder) -> None:
    child = ("in_child", "record_security_observed", "from the child", {"withholdable:pin": PIN})
    running = recorder.begin(tmp_path, [*WITHHOLDING[:3], child, *WITHHOLDING[3:]])
    outcome = running.end()
    assert {note.outcome for note in outcome.notes} == {"ok"}
    assert [(note.outcome, note.code) for note in outcome.children] == [("JournalError", "forked")]
    data = (tmp_path / f"{EXECUTION_ID}.record.json").read_bytes()
    assert data == record_in_memory(WITHHOLDING).seal(signer()).data


# --- withholding -----------------------------------------------------------------------------------------------------

WHOLE = record_in_memory(WITHHOLDING).seal(signer()).data


def names(data: bytes) -> dict[int, tuple[tuple[str, ...], int]]:
    return {finding.seq: (finding.disclosed, finding.undisclosed) for finding in verified(data).disclosures}


def test_withholding_takes_one_disclosure_away_and_nothing_else() -> None:
    assert names(WHOLE) == {1: (("amount", "pin"), 0), 2: (("pin",), 0), 4: (("who",), 0)}
    data = withhold(WHOLE, [(1, "pin")], report=verify_record(WHOLE, POLICY))
    assert names(data) == {1: (("amount",), 1), 2: (("pin",), 0), 4: (("who",), 0)}
    assert data.splitlines()[:-1] == WHOLE.splitlines()[:-1]
    before, after = json.loads(WHOLE), json.loads(data)
    assert after["seal"] == before["seal"]
    assert len(set(before["disclosures"]) - set(after["disclosures"])) == 1
    assert set(after["disclosures"]) < set(before["disclosures"])
    again = withhold(data, [(4, "who"), (2, "pin"), (1, "amount")])
    assert names(again) == {1: ((), 2), 2: ((), 1), 4: ((), 1)}
    assert json.loads(again)["disclosures"] == []
    assert withhold(WHOLE, [(1, "pin"), (1, "pin")]) == data
    assert withhold(WHOLE, []) == WHOLE


def test_a_countersignature_stays_valid() -> None:
    other = signer(OTHER_SEED)
    data = withhold(countersign(WHOLE, other), [(1, "pin")])
    report = verify_record(data, policy_for(signer(), other))
    assert [finding.status for finding in report.signers] == ["good", "good"]
    assert countersign(withhold(WHOLE, [(1, "pin")]), other) == data


@pytest.mark.parametrize(
    ("seq", "name", "code"),
    [
        (5, "pin", "no-event"),
        (2**60, "pin", "no-event"),
        (0, "pin", "not-disclosed"),
        (1, "PIN", "not-disclosed"),
        (1, "currency", "not-disclosed"),
        (1, "_sd", "not-disclosed"),
        (4, "pin", "not-disclosed"),
    ],
)
def test_what_is_not_disclosed_cannot_be_withheld(seq: int, name: str, code: str) -> None:
    with pytest.raises(SealError) as caught:
        withhold(WHOLE, [(1, "pin"), (seq, name)])
    assert caught.value.code == code
    with pytest.raises(SealError) as caught:
        withhold(withhold(WHOLE, [(1, "pin")]), [(1, "pin")])
    assert facts(caught.value) == ("not-disclosed", 1, None)


def test_only_a_sound_record_is_copied() -> None:
    for data in (WHOLE[:-1], WHOLE.replace(b"told", b"t0ld"), WHOLE[: WHOLE.rindex(b"],")], b""):
        with pytest.raises(HearthRecordsError):
            withhold(data, [(1, "pin")])
    with pytest.raises(HearthRecordsError):  # a report on other bytes is not believed
        withhold(WHOLE.replace(b"told", b"t0ld"), [(1, "pin")], report=verify_record(WHOLE, POLICY))


def test_three_verifiers_agree_on_what_the_library_made(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(public_key_to_pem(signer().public_key))
    files = {
        "whole": recorded({"a": Withholdable([1]), "é": Withholdable(None), "kept": 1}, decoys=8),
        "some": withhold(WHOLE, [(1, "pin"), (4, "who")]),
        "none": withhold(WHOLE, [(1, "pin"), (1, "amount"), (2, "pin"), (4, "who")]),
        "open": WHOLE[: WHOLE.rindex(b"],")],
    }
    policy = tool.policy_from_keys([(tmp_path / "key.pem").read_bytes()])
    node = needs_program("node")
    for name, data in files.items():
        path = tmp_path / f"{name}.json"
        path.write_bytes(data)
        mine = verify_file(path, TrustPolicy.from_keys([("k", public_key(signer().public_key))]))
        expected = [
            {"seq": one.seq, "disclosed": list(one.disclosed), "undisclosed": one.undisclosed}
            for one in mine.disclosures
        ]
        assert expected
        other = tool.verify_bytes(data, policy, now=None)
        assert (other.exit_code, other.to_json(file="x")["disclosures"]) == (mine.exit_code, expected)
        words = [node, str(TOOLS / "verify_record.mjs"), "--key", str(tmp_path / "key.pem"), "--format", "json"]
        done = subprocess.run([*words, str(path)], capture_output=True, text=True, check=False)
        (entry,) = json.loads(done.stdout)["results"]
        assert (entry["exit_code"], entry["disclosures"]) == (mine.exit_code, expected)


# --- what people read ------------------------------------------------------------------------------------------------


def test_an_operator_sees_what_is_disclosed_in_its_place_and_that_the_rest_is_withheld() -> None:
    hostile = "\x1b[31m\u202e"
    data = recorded({hostile: Withholdable(hostile), "kept": [1], "pin": Withholdable(PIN)}, decoys=4)
    text = Hestia().show_withholdable_details(verified(withhold(data, [(1, "pin")])).disclosures)
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert PIN not in text
    assert [line.partition(": ")[2] for line in text.splitlines()[2:]] == [
        '\\x1b[31m\\u202e: "\\u001b[31m\\u202e" (disclosed)',
        "kept: [1]",
        "3 withheld, or decoys",
    ]
    assert "1 withheld, or a decoy" in Hestia().show_withholdable_details(
        verified(withhold(WHOLE, [(1, "pin")])).disclosures
    )
    assert "none" in Hestia().show_withholdable_details(())
    long = verified(recorded({"a": Withholdable("x" * 10_000)})).disclosures
    assert len(Hestia().show_withholdable_details(long)) < 400


def test_a_report_that_fails_says_nothing_of_disclosures() -> None:
    data = WHOLE.replace(b'"disclosures":["W', b'"disclosures":["X')
    assert verify_record(data, POLICY).disclosures == ()
    assert verify_record(WHOLE[:100], POLICY).disclosures == ()
    finding = verify_record(WHOLE, POLICY).disclosures[0]
    assert (finding.type, finding.step_index) == ("step_started", 0)
    finding.details["amount"] = 0
    assert finding.details == {"amount": 12, "currency": "EUR", "pin": PIN}


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    (tmp_path / "here").mkdir()
    return Shell(Call(capsys, monkeypatch), tmp_path / "here")


def test_a_shell_records_what_can_be_withheld(shell: Shell) -> None:
    shell.start("--withholdable", f"pin={PIN}", "--detail", "kept=1")
    shell.make(
        "step-start --step 0 --name Pay --withholdable rows:=[1,2]",
        "effect --category network --name told --step 0 --withholdable a=",
        "step-complete --step 0 --withholdable b=x=y --withholdable c:=null",
        "security --name looked --withholdable d:={}",
    )
    words: list[str | Path] = [shell.journal, "--step", "1", "--name", "x", "--withholdable", "e=1", "--", "true"]
    assert run("hearth-records", "record", "run", *words).code == 0
    shell.make("step-start --step 2 --name Fail", "step-fail --step 2 --error no --withholdable f=1")
    done = shell.record("status")
    assert "  disclosures   8\n" in done.out
    with (shell.path / "exec-1.disclosures").open("ab") as file:
        file.write(randomness_disclosure().encode() + b"\nWy")
    done = shell.record("status")
    assert "  left out      2 disclosures" in done.out
    shell.make("finish --status failed --reason no --withholdable g=1")
    assert all(PIN.encode() not in text for text in texts(shell.bytes))
    done = shell.record("seal", "--key", shell.path / "key.pem")
    assert done.code == 0
    assert done.err.startswith("left out: 1 ")
    report = verified(shell.record_file.read_bytes())
    assert {name for finding in report.disclosures for name in finding.disclosed} == {"pin", "rows", *"abcdefg"}
    assert sorted(path.name for path in shell.path.iterdir()) == ["exec-1.record.json", "key.pem", "key.pub.pem"]
    assert shown(shell.record_file.read_bytes(), 0) == {"kept": "1", "pin": PIN}


@pytest.mark.parametrize("words", ["--withholdable a", "--withholdable =1", "--withholdable a:={", "--detail a=1"])
def test_a_wrong_detail_ends_with_2_and_is_not_repeated(shell: Shell, words: str) -> None:
    shell.start()
    before = shell.bytes
    done = shell.record("security", "--withholdable", "a=1", *words.split())
    assert done.code == 2
    assert "{" not in done.err
    assert shell.bytes == before
    assert not (shell.path / "exec-1.disclosures").exists()


def sealed_file(shell: Shell) -> Path:
    path = shell.path / "whole.json"
    path.write_bytes(WHOLE)
    return path


def test_a_copy_is_made_without_it(shell: Shell) -> None:
    path = sealed_file(shell)
    done = shell.call("withhold", path, "--event", "1", "--member", "pin", "-o", "copy.json")
    assert (done.code, done.err) == (0, "")
    copy = shell.path / "copy.json"
    assert copy.read_bytes() == withhold(WHOLE, [(1, "pin")])
    (shell.path / "trust.json").write_bytes(generator.pretty(json.loads(trust_of_signer())))
    words = ["--event", "2", "--member", "pin", "--event", "4", "--member", "who", "--trust", "trust.json"]
    assert shell.call("withhold", copy, *words, "-o", "second.json").code == 0
    assert names((shell.path / "second.json").read_bytes()) == {1: (("amount",), 1), 2: ((), 1), 4: ((), 1)}
    for view in ("show", "scaffold"):
        done = shell.call(view, copy, "--key", "key.pub.pem")
        assert (done.code, PIN in done.out, "0815" in done.out) == (0, False, True)
        assert "1 withheld, or a decoy" in done.out
        done = shell.call(view, "second.json", "--key", "key.pub.pem")
        assert (done.code, "0815" in done.out, "Zo" in done.out) == (0, False, False)


def trust_of_signer() -> bytes:
    return encode_policy(POLICY.document)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--event 9 --member pin -o new.json", 2),
        ("--event 0 --member pin -o new.json", 2),
        ("--event 1 --member nothing -o new.json", 2),
        ("--event 1 --member currency -o new.json", 2),
        ("--event 1 -o new.json", 2),
        ("--member pin -o new.json", 2),
        ("--event 1 --member pin", 2),
        ("--event -1 --member pin -o new.json", 2),
        ("--event x --member pin -o new.json", 2),
        ("--event 1 --member pin --event 2 -o new.json", 2),
        ("--event 1 --member pin -o key.pem", 2),
        ("--event 1 --member pin -o whole.json", 2),
        ("--event 1 --member pin -o nowhere/new.json", 3),
        ("--event 1 --member pin -o new.json --trust nowhere.json", 3),
        ("--event 1 --member pin -o new.json --min-policy-version 2", 2),
    ],
)
def test_a_wrong_call_writes_nothing(shell: Shell, words: str, code: int) -> None:
    path = sealed_file(shell)
    before = listing(shell.path)
    done = shell.call("withhold", path, *words.split())
    assert (done.code, done.out) == (code, "")
    assert listing(shell.path) == before


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda data: data.replace(b"told", b"t0ld"), 1),
        (lambda data: data.replace(b'"disclosures":["W', b'"disclosures":["X'), 1),
        (lambda data: data[: data.rindex(b"],")], 5),
        (lambda data: data[:-1], 3),
        (lambda _data: b"", 3),
    ],
)
def test_only_a_sound_file_is_copied(shell: Shell, damage: Callable[[bytes], bytes], code: int) -> None:
    path = shell.path / "bad.json"
    path.write_bytes(damage(WHOLE))
    done = shell.call("withhold", path, "--event", "1", "--member", "pin", "-o", "new.json")
    assert (done.code, done.out) == (code, "")
    assert not (shell.path / "new.json").exists()


def test_the_report_names_what_is_withheld(shell: Shell) -> None:
    seen = observe(randomness=randomness())
    for number in range(25):
        seen.record_security_observed("looked", {f"n{number}": Withholdable(number)})
    seen.mark_completed("Success")
    path = shell.path / "many.json"
    path.write_bytes(withhold(seen.seal(signer()).data, [(1, "n0")]))
    lines = [line for line in shell.call("verify", "--key", "key.pub.pem", path).out.splitlines() if "details" in line]
    assert len(lines) == 21
    assert lines[0].endswith("event 1: 1 withheld, or a decoy")
    assert lines[1].endswith('event 2: disclosed "n1"')
    assert "5 more events" in lines[-1]
    done = shell.call("verify", "--key", "key.pub.pem", "--format", "json", path)
    (entry,) = json.loads(done.out)["results"]
    assert entry["disclosures"][0] == {"seq": 1, "disclosed": [], "undisclosed": 1}
    assert len(entry["disclosures"]) == 25


def test_the_two_scaffolds_are_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(public_key_to_pem(signer().public_key))
    for number, data in enumerate((WHOLE, withhold(WHOLE, [(1, "pin")]), WHOLE[: WHOLE.rindex(b"],")])):
        path = tmp_path / f"{number}.json"
        path.write_bytes(data)
        trust = ["--unverified"] if number == 2 else ["--key", str(tmp_path / "key.pem")]
        programs = ([sys.executable, "-m", "hearth_records.cli.scaffold"], [sys.executable, "tools"])
        outputs = []
        for program in programs:
            words = [sys.executable, str(TOOLS / "regenerate_scaffold.py")] if program[-1] == "tools" else None
            words = words or [sys.executable, "-c", "from hearth_records.cli.scaffold import main; main()"]
            done = subprocess.run([*words, *trust, "--format", "json", str(path)], capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
            outputs.append(done.stdout)
        assert outputs[0] == outputs[1]
        first = json.loads(outputs[0])["withholdable"][0]
        assert (
            first["details"]
            == [
                {"amount": 12, "currency": "EUR", "pin": PIN},
                {"amount": 12, "currency": "EUR"},
                {"currency": "EUR"},
            ][number]
        )


def test_an_event_in_doubt_leaves_its_disclosure_out() -> None:
    seen = observe(randomness=randomness())

    def interrupt(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    sink = seen._sink  # noqa: SLF001 - a signal handler comes in between
    append = sink.append
    setattr(sink, "append", interrupt)  # noqa: B010 - a method, which a type checker does not let go
    with pytest.raises(KeyboardInterrupt):
        seen.record_security_observed("looked", {"a": Withholdable(1)})
    setattr(sink, "append", append)  # noqa: B010 - as above
    seen.record_security_observed("looked", {"a": Withholdable(2)})
    seen.mark_completed("Success")
    data = seen.seal(signer()).data
    assert (seen.left_out, shown(data)) == (1, {"a": 2})
    verified(data)
    assert OPENING in data
    assert encode_event(decode_record(data).events[1]) in data
