from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from helpers import DATA, GOLDEN_HASHES, GOLDEN_LINES

from hearth_records.canonical import decode_event, decode_record
from hearth_records.chain import ChainState, chain_head, check_chain, event_hash
from hearth_records.errors import ChainError

if TYPE_CHECKING:
    from hearth_records.model import Event

EVENTS: tuple[Event, ...] = tuple(decode_event(line, seq) for seq, line in enumerate(GOLDEN_LINES))
EXAMPLE_HEAD = "17f592b295bd944c69029d91a466253c61d03c1f9dfaa3492c5eb843ee6f4692"


def follow(events: list[Event], head: str | None = None, *, together: bool = False) -> ChainError | None:
    state = ChainState()
    if together:
        state.follow(events, [event_hash(event) for event in events])
    else:
        for event in events:
            state.follow([event], [event_hash(event)])
    assert state.length == len(events)
    assert state.head == (event_hash(events[-1]) if events else None)
    return state.finish(head)


def fault(events: list[Event], head: str | None = None) -> ChainError:
    """Return the fault of a chain, which is the same however the events come."""
    one, other = follow(events, head), follow(events, head, together=True)
    assert one is not None
    assert other is not None
    assert (one.code, one.seq, one.pointer, str(one)) == (other.code, other.seq, other.pointer, str(other))
    return one


def change(event: Event, **members: object) -> Event:
    return msgspec.structs.replace(event, **members)


@pytest.mark.parametrize("seq", range(len(EVENTS)))
def test_the_hash_of_an_event_is_that_of_its_bytes(seq: int) -> None:
    assert event_hash(EVENTS[seq]) == EVENTS[seq].get_hash() == GOLDEN_HASHES[seq]
    assert hashlib.sha256(GOLDEN_LINES[seq]).hexdigest() == GOLDEN_HASHES[seq]


def test_a_chain_holds() -> None:
    assert check_chain(EVENTS) == chain_head(EVENTS) == GOLDEN_HASHES[-1]
    assert follow(list(EVENTS), GOLDEN_HASHES[-1]) is None
    assert follow(list(EVENTS), together=True) is None


def test_the_design_example_is_a_chain() -> None:
    record = decode_record((DATA / "exec-example-001.record.json").read_bytes())
    assert check_chain(record.events) == EXAMPLE_HEAD
    assert record.get_execution_hash() == EXAMPLE_HEAD


def test_nothing_is_no_chain() -> None:
    with pytest.raises(ChainError) as caught:
        check_chain(())
    assert caught.value.code == "empty"
    with pytest.raises(IndexError):
        chain_head(())


def test_every_event_has_a_hash() -> None:
    for digests in ([], list(GOLDEN_HASHES[:1])):
        with pytest.raises(ValueError, match="zip"):
            ChainState().follow(EVENTS[:2], digests)


def test_no_events_have_no_fault() -> None:
    assert follow([]) is None


def places(error: ChainError) -> list[int]:
    """Return the positions of events that the reason names."""
    return [int(number) for number in re.findall(r"event (-?[\w.]+)", error.reason) if number[-1].isdigit()]


@pytest.mark.parametrize("seq", range(len(EVENTS)))
def test_an_edited_event_breaks_the_link_after_it(seq: int) -> None:
    events = list(EVENTS)
    events[seq] = change(events[seq], timestamp="2026-11-23T00:00:00.000000Z")
    if seq == len(events) - 1:
        assert follow(events) is None  # the last link is the seal's: the check `head`
        return
    error = fault(events, GOLDEN_HASHES[-1])
    assert (error.code, error.seq, error.pointer) == ("link", seq + 1, f"/events/{seq + 1}/previous_event_hash")
    assert error.expected == event_hash(events[seq])
    assert error.actual == GOLDEN_HASHES[seq]
    # the next link, at the end the sealed head, clears the event after the edited one
    assert places(error) == [seq, seq + 1, seq + 1, seq]
    assert f"clears event {seq + 1}" in error.reason
    assert f"event {seq} was altered" in error.reason


@pytest.mark.parametrize("seq", range(1, len(EVENTS)))
def test_an_edited_link_is_not_cleared(seq: int) -> None:
    events = list(EVENTS)
    events[seq] = change(events[seq], previous_event_hash="0" * 64)
    error = fault(events, GOLDEN_HASHES[-1])
    assert (error.code, error.seq) == ("link", seq)
    assert (error.expected, error.actual) == (GOLDEN_HASHES[seq - 1], "0" * 64)
    assert places(error) == [seq - 1, seq, seq]
    assert f"does not clear event {seq}" in error.reason


def test_without_a_seal_nothing_clears_the_last_event() -> None:
    events = list(EVENTS)
    events[-2] = change(events[-2], timestamp="2026-11-23T00:00:00.000000Z")
    assert f"does not clear event {len(events) - 1}" in fault(events, None).reason
    assert f"clears event {len(events) - 1}:" in fault(events, GOLDEN_HASHES[-1]).reason


@pytest.mark.parametrize("seq", range(1, len(EVENTS)))
def test_a_dropped_event_breaks_the_link_over_it(seq: int) -> None:
    events = [*EVENTS[:seq], *EVENTS[seq + 1 :]]
    if seq == len(EVENTS) - 1:
        assert follow(events) is None  # the tail was cut: the check `head`
        return
    error = fault(events)
    assert (error.code, error.seq) == ("link", seq)
    assert (error.expected, error.actual) == (GOLDEN_HASHES[seq - 1], GOLDEN_HASHES[seq])


def test_without_its_first_event_a_chain_has_a_predecessor_too_many() -> None:
    error = fault(list(EVENTS[1:]))
    assert (error.code, error.seq, error.pointer) == ("link", 0, "/events/0/previous_event_hash")
    assert (error.expected, error.actual) == ("null", GOLDEN_HASHES[0])
    assert places(error) == [0]


def test_no_predecessor_later_on_is_a_broken_link() -> None:
    error = fault([EVENTS[0], change(EVENTS[1], previous_event_hash=None)])
    assert (error.code, error.seq, error.actual) == ("link", 1, "null")


@pytest.mark.parametrize("seq", range(len(EVENTS) - 1))
def test_swapped_and_doubled_events_are_found(seq: int) -> None:
    swapped = list(EVENTS)
    swapped[seq : seq + 2] = swapped[seq + 1 : seq - 1 if seq else None : -1][:2]
    assert (fault(swapped).code, fault(swapped).seq) == ("link", seq)
    doubled = [*EVENTS[: seq + 1], *EVENTS[seq:]]
    assert (fault(doubled).code, fault(doubled).seq) == ("link", seq + 1)


def test_the_numbers_are_looked_at_even_where_the_links_hold() -> None:
    first = change(EVENTS[0], seq=1)
    error = fault([first])
    assert (error.code, error.seq, error.pointer) == ("seq", 0, "/events/0/seq")
    assert (error.expected, error.actual) == (0, 1)
    second = change(EVENTS[1], seq=7, previous_event_hash=event_hash(EVENTS[0]))
    error = fault([EVENTS[0], second, change(EVENTS[2], previous_event_hash=event_hash(second))])
    assert (error.code, error.seq, error.expected, error.actual) == ("seq", 1, 1, 7)


def test_a_broken_link_is_said_before_a_wrong_number() -> None:
    error = fault([EVENTS[0], change(EVENTS[1], seq=7, previous_event_hash="0" * 64)])
    assert (error.code, error.seq) == ("link", 1)


def test_the_first_fault_is_the_one_that_is_said() -> None:
    events = list(EVENTS)
    events[1] = change(events[1], previous_event_hash="0" * 64)
    events[4] = change(events[4], previous_event_hash="0" * 64)
    assert fault(events).seq == 1
    with pytest.raises(ChainError) as caught:
        check_chain(tuple(events))
    assert (caught.value.code, caught.value.seq) == ("link", 1)


def test_a_chain_of_more_events_than_there_are_small_integers_holds() -> None:
    events = list(EVENTS[:1])
    for seq in range(1, 600):
        events.append(change(EVENTS[1], seq=int(str(seq)), previous_event_hash=event_hash(events[-1])))
    assert follow(events, event_hash(events[-1])) is None
    assert follow(events, together=True) is None
