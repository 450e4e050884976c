"""Sealed records, tampered with: every byte, every event, every cut. None verifies, and both verifiers say the same."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from verifiers import NOW, RECORDER, agree, generator, of_library, read_policies

from hearth_records.canonical import OPENING
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from verifiers import Outcome, Policies

start, started, effect = generator.start, generator.started, generator.effect
completed, finished, sealed = generator.completed, generator.finished, generator.sealed

EVENTS = [start(), started(), effect(details={"rows": 1}), completed(), finished()]
LINES = generator.linked(EVENTS)
CLOSING = generator.closing_of(EVENTS, LINES)
DATA = generator.framed(LINES, CLOSING)
TWO = read_policies("two-required")
DISCLOSED = sorted([generator.disclosure("password", "hunter2"), generator.disclosure("rows", [1, 2])])
HOLDING = [start(), finished(details=generator.holding(*map(generator.digest_of, DISCLOSED), kept=True))]
RECORDS: dict[str, tuple[bytes, Policies]] = {
    "one-signer": (DATA, RECORDER),
    "two-signers": (sealed([start(), finished()], signers=[generator.RECORDER, generator.SECOND]), TWO),
    "disclosures": (sealed(HOLDING, disclosures=DISCLOSED), RECORDER),
}
STRIDE = 5
"""The independent verifier looks at every fifth of the cheap changes; no line is as short as that."""


def library(data: bytes, policies: Policies = RECORDER) -> Outcome:
    return of_library(verify_record(data, policies.library, now=NOW))


def refused(data: bytes, policies: Policies = RECORDER) -> Outcome:
    """Return what both verifiers say about a file that must not verify."""
    outcome = agree(data, policies)
    assert outcome.exit_code != 0
    assert outcome.failed
    return outcome


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_tampered_with_verifies_before(name: str) -> None:
    data, policies = RECORDS[name]
    assert agree(data, policies).exit_code == 0


# --- bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_every_byte_is_covered(name: str, mask: int) -> None:
    data, policies = RECORDS[name]
    codes = set()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= mask
        outcome = library(bytes(changed), policies)
        assert outcome.exit_code != 0, place
        codes.add(outcome.exit_code)
        if place % STRIDE == mask % STRIDE:
            refused(bytes(changed), policies)
    assert {3, 5} <= codes <= {1, 3, 4, 5}


@pytest.mark.parametrize("name", RECORDS)
def test_every_byte_is_needed(name: str) -> None:
    data, policies = RECORDS[name]
    for place in range(len(data)):
        without = data[:place] + data[place + 1 :]
        assert library(without, policies).exit_code != 0, place
        if place % STRIDE == 0:
            refused(without, policies)


@pytest.mark.parametrize("byte", [b" ", b"\n", b"0"])
def test_nothing_can_be_slipped_in(byte: bytes) -> None:
    for place in range(len(DATA) + 1):
        more = DATA[:place] + byte + DATA[place:]
        assert library(more).exit_code != 0, place
        if place % STRIDE == 1:
            refused(more)


@pytest.mark.parametrize("name", RECORDS)
def test_the_tail_cannot_be_cut(name: str) -> None:
    data, policies = RECORDS[name]
    for cut in range(len(data)):
        outcome = library(data[:cut], policies)
        inside_opening, all_but_line_feed = cut < len(OPENING), cut == len(data) - 1
        assert outcome.exit_code == (3 if inside_opening or all_but_line_feed else 5), cut
        assert outcome.failed == (["canonical"] if outcome.exit_code == 3 else ["sealed"]), cut
        if cut % STRIDE == 2 or len(data) - cut < STRIDE:
            refused(data[:cut], policies)


def test_the_head_cannot_be_cut() -> None:
    for cut in range(1, len(DATA)):
        assert library(DATA[cut:]).exit_code == 3, cut
        if cut % STRIDE == 3:
            refused(DATA[cut:])


# --- events, the seal kept --------------------------------------------------------------------------------------------


def with_seal(lines: list[bytes]) -> bytes:
    data: bytes = generator.framed(lines, CLOSING)
    return data


def relinked(events: list[Any]) -> bytes:
    """Return the events with seq and links that hold, under the seal that was made for others."""
    return with_seal(generator.linked(events))


@pytest.mark.parametrize("place", range(len(EVENTS)))
def test_an_event_cannot_be_dropped(place: int) -> None:
    outcome = refused(with_seal([line for n, line in enumerate(LINES) if n != place]))
    assert outcome.exit_code == 1
    assert "head" in outcome.failed
    if place < len(EVENTS) - 1:
        assert outcome.first == ("chain", "link", place)
    outcome = refused(relinked([event for n, event in enumerate(EVENTS) if n != place]))
    assert outcome.exit_code == 1
    assert "head" in outcome.failed


@pytest.mark.parametrize("places", list(itertools.combinations(range(len(EVENTS)), 2)))
def test_events_cannot_change_places(places: tuple[int, int]) -> None:
    one, two = places
    lines, events = list(LINES), list(EVENTS)
    lines[one], lines[two] = lines[two], lines[one]
    events[one], events[two] = events[two], events[one]
    outcome = refused(with_seal(lines))
    assert outcome.first == ("chain", "link", one)
    assert "head" in refused(relinked(events)).failed


@pytest.mark.parametrize("place", range(len(EVENTS)))
@pytest.mark.parametrize("to", range(len(EVENTS) + 1))
def test_an_event_cannot_stand_twice(place: int, to: int) -> None:
    lines, events = list(LINES), list(EVENTS)
    lines.insert(to, LINES[place])
    events.insert(to, EVENTS[place])
    outcome = refused(with_seal(lines))
    assert outcome.exit_code == 1
    assert {"chain", "head"} <= set(outcome.failed)
    assert "head" in refused(relinked(events)).failed


EDITS: list[tuple[str, Any]] = [
    ("/0/origin/host", "another"),
    ("/0/execution_id", "exec-2"),
    ("/0/plan/plan_id", "plan-2"),
    ("/0/live_mode_state", "DRY_RUN"),
    ("/0/security_snapshot/context", "x"),
    ("/0/timestamp", generator.time(1)),
    ("/1/details", {"x": 1}),
    ("/2/reversible", False),
    ("/2/details/rows", 2),
    ("/2/description", ""),
    ("/3/timestamp", generator.time(59)),
    ("/4/status", "failed"),
    ("/4/completion_reason", "all is well"),
    ("/4/unknown_effects", False),
]


@pytest.mark.parametrize("edit", EDITS, ids=[place for place, _ in EDITS])
def test_an_event_cannot_be_edited(edit: tuple[str, Any]) -> None:
    place = int(edit[0][1])
    events = generator.edited(EVENTS, [edit])
    changed = generator.linked(events)
    kept = [changed[n] if n == place else line for n, line in enumerate(LINES)]
    outcome = refused(with_seal(kept))
    assert outcome.exit_code == 1
    assert outcome.first == (("chain", "link", place + 1) if place < 4 else ("head", outcome.first[1], None))
    outcome = refused(relinked(events))
    assert outcome.exit_code == 1
    assert outcome.failed[0] == "head"
    assert outcome.statuses["chain"] == outcome.statuses["signature"] == "pass"


def test_an_edited_record_cannot_be_given_another_head() -> None:
    events = generator.edited(EVENTS, [("/2/reversible", False)])
    lines = generator.linked(events)
    was, is_now = generator.sha256(LINES[-1]).encode(), generator.sha256(lines[-1]).encode()
    outcome = refused(generator.framed(lines, CLOSING.replace(was, is_now)))
    assert outcome.failed == ["signature", "trust"]


def test_an_edited_record_cannot_be_sealed_by_another_key() -> None:
    events = generator.edited(EVENTS, [("/2/reversible", False)])
    outcome = refused(sealed(events, signers=[generator.STRANGER]))
    assert (outcome.failed, outcome.exit_code) == (["trust"], 4)
    pretended = [("/seal/signatures/0/keyid", generator.RECORDER.keyid)]
    outcome = refused(sealed(events, signers=[generator.STRANGER], closing=pretended))
    assert (outcome.failed, outcome.exit_code) == (["signature", "trust"], 1)
    named = [("/predicate/signers/0/keyid", generator.RECORDER.keyid)]
    outcome = refused(sealed(events, signers=[generator.STRANGER], statement=named, closing=pretended))
    assert (outcome.failed, outcome.exit_code) == (["signature", "trust"], 1)


def test_events_of_another_record_do_not_fit() -> None:
    others = generator.linked(generator.other_record())
    for place in range(len(LINES)):
        refused(with_seal([*LINES[:place], others[place], *LINES[place + 1 :]]))
        refused(with_seal([*LINES[:place], others[place], *LINES[place:]]))
        refused(with_seal([*LINES[:place], *others[place:]]))
        refused(with_seal([*others[: place + 1], *LINES[place + 1 :]]))
    assert "head" in refused(with_seal(others)).failed
    foreign = generator.closing_of(generator.other_record(), others)
    assert refused(generator.framed(LINES, foreign)).failed == ["head"]


# --- what may be done, on purpose -------------------------------------------------------------------------------------


def test_disclosures_may_be_withheld_but_not_changed() -> None:
    one, two = DISCLOSED
    for texts in ([], [one], [two], [one, two]):
        assert agree(sealed(HOLDING, disclosures=texts)).exit_code == 0
    data, _ = RECORDS["disclosures"]
    lines = data.splitlines(keepends=True)
    kept = lines[-1].replace(f'"{one}",'.encode(), b"")
    assert agree(b"".join([*lines[:-1], kept])).exit_code == 0
    other = generator.disclosure("password", "hunter3")
    for texts in ([other], [one, other], [other, two]):
        outcome = refused(sealed(HOLDING, disclosures=texts))
        assert outcome.failed == ["disclosures"]


def test_a_countersignature_and_evidence_may_be_added_and_taken_away() -> None:
    plain = sealed(EVENTS)
    assert agree(sealed(EVENTS, countersigners=[generator.WITNESS])).exit_code == 0
    more = [("/seal/evidence/-", {"data": "AA==", "type": "x"})]
    assert agree(sealed(EVENTS, closing=more)).exit_code == 0
    assert plain == DATA
