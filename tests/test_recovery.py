"""Recovery: what is left is found without a change, closed without rewriting, and nothing is invented or lost."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from helpers import OTHER_SEED, TickingClock, facts, observe, policy_for, signer
from recorder import EVENTS, EXECUTION_ID, expected_lines, record_in_memory

from hearth_records.canonical import OPENING, encode_event
from hearth_records.errors import ChainError, FormatError, JournalError, LifecycleError, SealError
from hearth_records.journal import Journal, journal_path, record_path
from hearth_records.model import BoundaryState, IncompleteCause, SecurityState
from hearth_records.profile import sha256_hex
from hearth_records.recovery import inspect, recover
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hearth_records.errors import HearthRecordsError
    from hearth_records.keys import Signer
    from hearth_records.model import ExecutionRecord

REASON = "the process is gone"
LINES = expected_lines()
CLOSED = record_in_memory().seal(signer()).data
"""The bytes of a whole record, as a journal that was closed and not yet published holds them."""

OPEN = CLOSED[: CLOSED.index(b"\n]") + 1]
"""The same without its closing line: finished, not sealed."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Return a new directory, in memory where there is one: thousands of recoveries sync a great deal."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as path:
        yield Path(path)


def put(directory: Path, data: bytes) -> str:
    """Write a journal as a crash may have left it, and return its path."""
    path = journal_path(directory, EXECUTION_ID)
    Path(path).write_bytes(data)
    return path


def clear(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


def recover_now(path: str) -> Path:
    return Path(recover(path, signer(), reason=REASON, clock=TickingClock()))


def try_to_recover(path: str) -> Path | HearthRecordsError:
    """Return the record's path, or the documented error."""
    try:
        return recover_now(path)
    except (FormatError, ChainError, LifecycleError, SealError, JournalError) as error:
        return error


def state_of(directory: Path) -> dict[str, tuple[bytes, int, int, int]]:
    """Return everything that a reader could change about the files in a directory."""
    found = {}
    for path in directory.iterdir():
        status = path.lstat()
        found[path.name] = (path.read_bytes(), status.st_mtime_ns, status.st_ctime_ns, status.st_nlink)
    return found


def verified(path: Path, *keys: Signer) -> ExecutionRecord:
    return verify_record(path.read_bytes(), policy_for(*(keys or (signer(),)))).require().record


def with_event(number: int, old: bytes, new: bytes) -> bytes:
    """Return an open journal in which the line of one event was altered."""
    lines = list(LINES)
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new)
    return OPENING + b"\n,".join(lines) + b"\n"


# --- looking ------------------------------------------------------------------------------------------------------


class Left(NamedTuple):
    """What a crash left, and what is to be found there."""

    data: bytes
    state: str = "open"
    events: int = 0
    finished: bool = False
    torn_bytes: int = 0


def prefix(events: int) -> bytes:
    """Return a journal with that many whole events."""
    return OPENING + b"\n,".join(LINES[:events]) + (b"\n" if events else b"")


LEFT = {
    "empty": Left(b""),
    "cut inside the opening line": Left(OPENING[:20], torn_bytes=20),
    "no event": Left(OPENING),
    "torn in the first event": Left(OPENING + b'{"actor"', torn_bytes=8),
    "one event": Left(prefix(1), events=1),
    "a step open": Left(prefix(2), events=2),
    "torn at a comma": Left(prefix(2) + b",", events=2, torn_bytes=1),
    "torn before a line break": Left(prefix(3)[:-1], events=2, torn_bytes=len(LINES[2]) + 1),
    "finished": Left(OPEN, events=EVENTS, finished=True),
    "torn in the closing line": Left(
        CLOSED[:-10], events=EVENTS, finished=True, torn_bytes=len(CLOSED) - len(OPEN) - 10
    ),
    "closed but for the line break": Left(CLOSED[:-1], state="closed", events=EVENTS, finished=True),
    "closed": Left(CLOSED, state="closed", events=EVENTS, finished=True),
}


@pytest.mark.parametrize("name", LEFT)
def test_looking_says_what_is_there_and_changes_nothing(tmp_path: Path, name: str) -> None:
    left = LEFT[name]
    path = put(tmp_path, left.data)
    before = state_of(tmp_path)
    found = inspect(path)
    assert state_of(tmp_path) == before
    assert (found.journal, found.record, found.damage) == (path, record_path(path), None)
    assert (found.state, found.events, found.finished, found.torn_bytes) == left[1:]
    with Journal.open(path):  # no lock was left behind
        assert inspect(path).state == "recording"
    assert state_of(tmp_path) == before


def test_looking_at_a_published_record_says_so(tmp_path: Path) -> None:
    path = put(tmp_path, CLOSED)
    os.link(path, record_path(path))
    before = state_of(tmp_path)
    found = inspect(path)
    assert (found.state, found.events, found.finished) == ("published", EVENTS, True)
    Path(path).unlink()
    found = inspect(path)
    assert (found.state, found.finished) == ("published", True)
    Path(path).write_bytes(CLOSED)  # the same bytes in another file are not published
    assert inspect(path).state == "closed"
    Path(path).unlink()
    assert {name: state[0] for name, state in state_of(tmp_path).items()} == {
        f"{EXECUTION_ID}.record.json": before[f"{EXECUTION_ID}.record.json"][0]
    }


def test_a_reader_that_locks_is_no_writer(tmp_path: Path) -> None:
    path = put(tmp_path, LEFT["one event"].data)
    with Path(path).open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert inspect(path).state == "open"
        with pytest.raises(JournalError) as caught:
            Journal.open(path)
        assert (caught.value.code, caught.value.actual) == ("locked", None)
    with Journal.open(path):
        pass


def test_looking_at_nothing_is_an_error_of_the_operating_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inspect(journal_path(tmp_path, EXECUTION_ID))
    os.mkfifo(journal_path(tmp_path, EXECUTION_ID))
    with pytest.raises(OSError, match="regular") as caught:
        inspect(journal_path(tmp_path, EXECUTION_ID))
    assert caught.value.errno == errno.EINVAL


DAMAGED: dict[str, tuple[bytes, type[HearthRecordsError], str, int | None]] = {
    "another file": (b"hello\n" * 20, FormatError, "frame", None),
    "another version": (OPENING.replace(b"/1", b"/2"), FormatError, "unsupported-version", None),
    "event altered": (with_event(1, b"Deploy", b"Delete"), ChainError, "link", 2),
    "first event altered": (with_event(0, b"host-1", b"host-2"), ChainError, "link", 1),
    "not canonical": (with_event(2, b",", b", "), FormatError, "not-canonical", 2),
    "wrong shape": (with_event(2, b'"network"', b'"weather"'), FormatError, "value", 2),
    "an event dropped": (OPENING + b"\n,".join(LINES[:2] + LINES[3:]) + b"\n", ChainError, "link", 2),
    "an event doubled": (OPENING + b"\n,".join([*LINES[:3], *LINES[2:]]) + b"\n", ChainError, "link", 3),
    "an empty line": (OPENING + b"\n,".join([*LINES[:2], b"", *LINES[2:]]) + b"\n", FormatError, "not-json", 2),
    "no comma": (OPENING + b"\n".join(LINES) + b"\n", FormatError, "frame", 1),
    "something behind the closing line": (CLOSED + b"x", FormatError, "frame", None),
    "a line behind the closing line": (CLOSED + b"x\n", FormatError, "frame", None),
    "nothing but a closing line": (OPENING + CLOSED[len(OPEN) :], FormatError, "frame", None),
    "zeros, as some file systems leave them": (prefix(3) + bytes(4096), FormatError, "", None),
    "zeros and a line break": (prefix(3) + bytes(4096) + b"\n", FormatError, "frame", 3),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_before_the_end_is_named_and_refused(tmp_path: Path, name: str) -> None:
    data, kind, code, seq = DAMAGED[name]
    path = put(tmp_path, data)
    before = state_of(tmp_path)
    damage = inspect(path).damage
    if not code:  # a tail without a line break is torn, whatever it holds
        assert damage is None
        assert inspect(path).torn_bytes == 4096
        return
    assert type(damage) is kind
    assert (damage.code, damage.seq) == (code, seq)
    with pytest.raises(kind) as caught:
        recover_now(path)
    assert facts(caught.value) == facts(damage)
    assert state_of(tmp_path) == before


# --- closing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_is_closed_sealed_and_published(tmp_path: Path, name: str) -> None:
    left = LEFT[name]
    path = put(tmp_path, left.data)
    if not left.events:
        before = state_of(tmp_path)
        with pytest.raises(JournalError) as caught:
            recover_now(path)
        assert caught.value.code == "no-event"
        assert state_of(tmp_path) == before
        return
    published = recover_now(path)
    assert str(published) == record_path(path)
    check_recovered(published, left.data, left.events)
    assert not os.path.lexists(path)


def check_recovered(published: Path, left: bytes, events: int, *keys: Signer) -> None:
    """Check that a record is exactly the whole events of what was left, and says what was not whole."""
    record = verified(published, *keys)
    lines = [encode_event(event) for event in record.events]
    torn = published.parent / f"{EXECUTION_ID}.torn"
    whole = prefix(events)
    assert lines[:events] == LINES[:events]
    assert published.read_bytes().startswith(whole)  # no acknowledged byte was rewritten
    tail = left[len(whole) :]
    if events == EVENTS:
        assert lines == LINES
        if tail == CLOSED[len(whole) :] or tail == CLOSED[len(whole) : -1]:
            assert published.read_bytes() == CLOSED
            tail = b""
    else:
        finished = record.finished
        assert finished is not None
        assert len(lines) == events + 1
        assert (finished.status, finished.cause, finished.completion_reason) == ("incomplete", "recovered", REASON)
        assert finished.unknown_effects
        assert finished.security_snapshot.security_state == SecurityState.UNKNOWN
        assert finished.security_snapshot.boundary_state == BoundaryState.UNKNOWN
        assert finished.recovery is not None
        assert finished.recovery.torn_bytes == len(tail)
        assert finished.recovery.torn_sha256 == (sha256_hex(tail) if tail else None)
        assert finished.recovery.origin.host == os.uname().nodename
    assert (torn.read_bytes() if torn.exists() else b"") == tail
    assert {path.name for path in published.parent.iterdir()} == {published.name} | ({torn.name} if tail else set())


def test_a_journal_cut_at_every_byte_gives_an_exact_prefix_or_is_refused(directory: Path) -> None:
    """The whole file: opening line, five events, closing line; as it grows, and as it is closed."""
    seen = set()
    for cut in range(len(CLOSED) + 1):
        left = CLOSED[:cut]
        path = put(directory, left)
        events = left.count(b"\n", len(OPENING), len(OPEN))
        found = inspect(path)
        assert (found.damage, found.events, found.finished) == (None, events, events == EVENTS), cut
        if not events:
            with pytest.raises(JournalError) as caught:
                recover_now(path)
            assert caught.value.code == "no-event"
            assert {item.name: item.read_bytes() for item in directory.iterdir()} == {Path(path).name: left}
        else:
            check_recovered(recover_now(path), left, events)
        seen.add((events, found.state, bool(found.torn_bytes)))
        clear(directory)
    assert len(seen) == 2 * (EVENTS + 1) + 1


def flips(line: bytes) -> Iterator[tuple[int, int]]:
    """Yield positions in a line and bits: its ends, and places spread over it."""
    last = len(line) - 1
    for position in sorted({0, 1, 2, 3, last - 1, last, *range(5, last, max(1, last // 12))}):
        for bit in (0, 3, 5, 7) if position in (0, 1, last - 1, last) else (position % 7,):
            yield position, bit


@pytest.mark.parametrize("closed", [True, False])
def test_a_bit_flipped_in_any_line_is_refused_and_named_or_lies_in_the_last_line(directory: Path, closed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    data = CLOSED if closed else OPEN
    lines = data.splitlines(keepends=True)
    start = 0
    undetected = refused = torn = 0
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        for position, bit in flips(line):
            flipped = bytearray(data)
            flipped[start + position] ^= 1 << bit
            path = put(directory, bytes(flipped))
            result = try_to_recover(path)
            if isinstance(result, Path):
                # Only what nothing vouches for yet can be altered unseen: the last line, or its line break.
                assert last, (number, position, bit)
                record = verified(result)
                assert [encode_event(event) for event in record.events][: EVENTS - 1] == LINES[:-1]
                if flipped[-1:] != b"\n":
                    torn += 1
                    assert (directory / f"{EXECUTION_ID}.torn").read_bytes() == flipped[start:]
                else:
                    assert not closed
                    undetected += 1
            else:
                refused += 1
                assert {item.name: item.read_bytes() for item in directory.iterdir()} == {Path(path).name: flipped}
                assert result.code == "bad-signature" or inspect(path).damage is not None
                if isinstance(
                    result, SealError
                ):  # the last event is another than was sealed, or the seal itself is bad
                    assert number >= EVENTS
                    assert (result.pointer or "").startswith("/seal/")
                elif 0 < number <= EVENTS:
                    assert result.seq in (number - 1, number), (number, position, bit)
            clear(directory)
        start += len(line)
    assert torn == 4
    assert refused > 100
    assert (undetected > 0) is not closed


# --- once, however often ------------------------------------------------------------------------------------------


def test_recovering_again_changes_nothing(tmp_path: Path) -> None:
    published = recover_now(put(tmp_path, prefix(3) + b",half"))
    before = state_of(tmp_path)
    assert recover_now(journal_path(tmp_path, EXECUTION_ID)) == published
    assert state_of(tmp_path) == before


def test_a_recovery_that_crashed_before_cutting_the_tail_is_finished(tmp_path: Path) -> None:
    left = prefix(3) + b",half"
    path = put(tmp_path, left)
    (tmp_path / f"{EXECUTION_ID}.torn").write_bytes(b",half")
    check_recovered(recover_now(path), left, 3)


def test_a_recovery_that_crashed_after_cutting_the_tail_is_finished(tmp_path: Path) -> None:
    path = put(tmp_path, prefix(3))
    (tmp_path / f"{EXECUTION_ID}.torn").write_bytes(b",half")
    check_recovered(recover_now(path), prefix(3) + b",half", 3)


def test_a_recovery_that_crashed_in_its_own_event_is_finished_wherever_it_was(directory: Path) -> None:
    first = recover_now(put(directory, prefix(3) + b",half"))
    data = first.read_bytes()
    end = data.index(b"\n]") + 1
    clear(directory)
    for cut in range(len(prefix(3)) + 1, end + 1):
        path = put(directory, data[:cut])
        (directory / f"{EXECUTION_ID}.torn").write_bytes(b",half")
        own = b"" if cut == end else data[len(prefix(3)) : cut]
        record = verified(recover_now(path))
        assert len(record.events) == 4
        finished = record.finished
        assert finished is not None
        assert finished.recovery is not None
        assert finished.recovery.torn_bytes == len(b",half" + own)
        assert finished.recovery.torn_sha256 == sha256_hex(b",half" + own)
        parts = {item.name: item.read_bytes() for item in directory.iterdir() if "torn" in item.name}
        assert parts == {f"{EXECUTION_ID}.torn": b",half"} | ({f"{EXECUTION_ID}.torn.1": own} if own else {})
        clear(directory)


@pytest.mark.parametrize("more", [[], [OTHER_SEED]])
def test_a_recovery_that_finished_the_record_and_did_not_seal_it_is_finished(tmp_path: Path, more: list[bytes]) -> None:
    class Broken:
        algorithm = "ed25519"
        public_key = signer().public_key

        def sign(self, message: bytes) -> bytes:
            raise TimeoutError(message)

    path = put(tmp_path, prefix(3) + b",half")
    for _ in range(2):
        with pytest.raises(SealError):
            recover(path, Broken(), reason=REASON, clock=TickingClock())
    found = inspect(path)
    assert (found.state, found.events, found.finished, found.torn_bytes) == ("open", 4, True, 0)
    keys = [signer(), *map(signer, more)]
    published = recover(path, *keys, reason="another", clock=TickingClock())
    check_recovered(Path(published), prefix(3) + b",half", 3, *keys)


def test_a_crash_between_closing_and_publishing_is_finished_without_signing_again(tmp_path: Path) -> None:
    path = put(tmp_path, CLOSED)
    published = Path(recover(path, signer(OTHER_SEED), reason=REASON))
    assert published.read_bytes() == CLOSED
    assert not os.path.lexists(path)


def test_a_crash_between_publishing_and_removing_the_journal_is_finished(tmp_path: Path) -> None:
    path = put(tmp_path, CLOSED)
    os.link(path, record_path(path))
    status = Path(path).stat()
    published = recover_now(path)
    assert {item.name for item in tmp_path.iterdir()} == {published.name}
    assert (published.stat().st_ino, published.read_bytes()) == (status.st_ino, CLOSED)


@pytest.mark.parametrize("left", ["one event", "finished", "closed"])
def test_a_record_of_another_file_is_not_replaced(tmp_path: Path, left: str) -> None:
    path = put(tmp_path, LEFT[left].data)
    Path(record_path(path)).write_bytes(b"somebody's")
    before = state_of(tmp_path)
    with pytest.raises(JournalError) as caught:
        recover_now(path)
    assert caught.value.code == "exists"
    assert state_of(tmp_path) == before


def test_a_closed_journal_whose_signature_is_known_to_be_bad_is_not_published(tmp_path: Path) -> None:
    start = CLOSED.index(b'"sig":"') + len(b'"sig":"')
    altered = bytearray(CLOSED)
    altered[start] = ord("A") if altered[start] != ord("A") else ord("B")
    path = put(tmp_path, bytes(altered))
    with pytest.raises(SealError) as caught:
        recover_now(path)
    assert caught.value.code == "bad-signature"
    assert Path(path).read_bytes() == altered


@pytest.mark.parametrize("left", ["one event", "finished", "closed"])
def test_a_journal_under_the_name_of_another_execution_is_not_published(tmp_path: Path, left: str) -> None:
    path = journal_path(tmp_path, "exec-2")
    Path(path).write_bytes(LEFT[left].data)
    before = state_of(tmp_path)
    damage = inspect(path).damage
    with pytest.raises(JournalError) as caught:
        recover_now(path)
    for error in (damage, caught.value):
        assert error is not None
        assert (error.code, error.expected, error.actual) == ("name", "exec-2", EXECUTION_ID)
    assert state_of(tmp_path) == before


def test_a_seal_about_other_events_is_not_published(tmp_path: Path) -> None:
    other = OPENING + b"\n,".join(record_lines("Another")) + b"\n"
    path = put(tmp_path, other + CLOSED[len(OPEN) :])
    with pytest.raises(SealError) as caught:
        recover(path, signer(OTHER_SEED), reason=REASON)
    assert caught.value.code in {"head", "length"}
    assert not os.path.lexists(record_path(path))


def record_lines(name: str) -> list[bytes]:
    observer = observe(EXECUTION_ID)
    observer.record_step_started(0, name)
    observer.mark_failed("no")
    return [encode_event(event) for event in observer.get_execution_record("LIVE").events]


# --- what can go wrong meanwhile ----------------------------------------------------------------------------------


def test_nothing_is_there_to_recover(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        recover_now(journal_path(tmp_path, EXECUTION_ID))
    assert caught.value.code == "io"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 3, len(prefix(3)), len(prefix(3)) + 50])
def test_a_recovery_that_cannot_write_loses_nothing_and_can_be_run_again(tmp_path: Path, size: int) -> None:
    left = prefix(3) + b"," + LINES[3][:-20]
    path = put(tmp_path, left)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(JournalError) as caught:
            recover_now(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "io"
    assert Path(path).read_bytes().startswith(prefix(3))
    record = verified(recover_now(path))
    assert [encode_event(event) for event in record.events][:-1] == LINES[:3]
    assert record.finished is not None
    assert record.finished.cause is IncompleteCause.RECOVERED
    assert record.finished.recovery is not None
    assert record.finished.recovery.torn_bytes >= len(left) - len(prefix(3))
    assert (tmp_path / f"{EXECUTION_ID}.torn").read_bytes() == left[len(prefix(3)) :]


def test_a_torn_tail_is_set_aside_beside_what_already_lies_there(tmp_path: Path) -> None:
    other = tmp_path / f"{EXECUTION_ID}.torn"
    other.write_bytes(b"earlier")
    published = recover_now(put(tmp_path, prefix(2) + b",later"))
    assert other.read_bytes() == b"earlier"
    assert (tmp_path / f"{EXECUTION_ID}.torn.1").read_bytes() == b",later"
    finished = verified(published).finished
    assert finished is not None
    assert finished.recovery is not None
    assert finished.recovery.torn_sha256 == sha256_hex(b"earlier,later")


@pytest.mark.parametrize("name", [name for name, left in LEFT.items() if left.state == "open" and left.events])
def test_the_verifier_judges_what_is_left_as_incomplete(name: str) -> None:
    left = LEFT[name]
    report = verify_record(left.data, policy_for(signer()))
    assert (report.exit_code, report.events) == (5, left.events)
    assert report["sealed"].seq == left.events - 1
    assert {warning.code for warning in report.warnings} >= ({"torn-tail"} if left.torn_bytes else set())


ALTERATIONS: list[Callable[[bytes], bytes]] = [bytes.upper, lambda data: data[::-1], lambda data: data + b"\0"]


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_a_tail_is_set_aside_as_it_is_whatever_it_holds(tmp_path: Path, alter: Callable[[bytes], bytes]) -> None:
    tail = alter(b',{"half":').replace(b"]", b"")
    left = prefix(4) + tail
    check_recovered(recover_now(put(tmp_path, left)), left, 4)
