from __future__ import annotations

import copy
import io
import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import rfc8785
from helpers import DATA, GOLDEN_HASHES, GOLDEN_LINES, facts, json_objects
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from hearth_records import canonical, profile
from hearth_records.canonical import (
    OPENING,
    LineKind,
    decode_closing,
    decode_document,
    decode_event,
    decode_events,
    decode_plan,
    decode_record,
    encode_closing,
    encode_event,
    encode_file,
    encode_statement,
    read_lines,
    reframe,
)
from hearth_records.errors import FormatError
from hearth_records.model import (
    Actor,
    ActorType,
    AnyEvent,
    Approval,
    BoundaryState,
    Clock,
    Closing,
    ExecutionFinished,
    ExecutionStarted,
    ExecutionStatus,
    IncompleteCause,
    Link,
    LinkRelation,
    LiveModeState,
    Origin,
    Plan,
    PlanDocument,
    PlanStep,
    Recovery,
    RollbackHint,
    SecurityObserved,
    SecuritySnapshot,
    SecurityState,
    Series,
    SideEffect,
    SideEffectCategory,
    SideEffectObserved,
    StepCompleted,
    StepFailed,
    StepPhase,
    StepStarted,
)
from hearth_records.profile import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hearth_records.canonical import LineSource
    from hearth_records.model import Event, SealedRecord

DIGEST = "0123456789abcdef" * 4
EXAMPLE = (DATA / "exec-example-001.record.json").read_bytes()


def golden_events() -> list[Event]:
    """Return as structs what `GOLDEN_LINES` are as bytes."""
    common: list[dict[str, Any]] = [
        {
            "seq": seq,
            "timestamp": f"2026-11-22T16:00:0{seq}.000{'137' if seq else '000'}Z",
            "previous_event_hash": previous,
            "details_json": Raw(b"{}"),
        }
        for seq, previous in enumerate([None, *GOLDEN_HASHES[:-1]])
    ]
    common[0]["details_json"] = Raw('{"note":"café"}'.encode())
    common[3]["details_json"] = Raw(b'{"neg":-9007199254740991,"ok":true}')
    deploy: dict[str, Any] = {"step_index": 0, "step_name": "Deploy", "phase": StepPhase.PLAN}
    migrate: dict[str, Any] = {
        "step_index": 1,
        "step_name": "Migrate \u2013 étape ①",
        "phase": StepPhase.CLEANUP,
    }
    locked = SecuritySnapshot(security_state=SecurityState.LOCKDOWN, boundary_state=BoundaryState.UNKNOWN, context="")
    plan = Plan(
        plan_id="plan-1",
        sha256=DIGEST,
        steps=(PlanStep(step_index=0, step_name="Deploy"),),
        declared_side_effects=(
            SideEffect(category=SideEffectCategory.NETWORK, description="sent mail", reversible=False, step_index=0),
        ),
        rollback_hints=(
            RollbackHint(
                step_index=0,
                description="Drop it",
                actions=("DROP TABLE t2",),
                required_inputs={"dsn": "database address"},
                risks=("rows are lost",),
                estimated_duration="2 min",
            ),
        ),
    )
    return [
        ExecutionStarted(
            **common[0],
            format="hearth-record/1",
            execution_id="exec-1",
            plan=plan,
            live_mode_state=LiveModeState.LIVE,
            actor=Actor(id="svc-1", type=ActorType.SERVICE, display_name="Service", on_behalf_of="ann"),
            approvals=(
                Approval(
                    approver="ann",
                    role="owner",
                    meaning="approved",
                    approved_at="2026-11-22T15:00:00.000000Z",
                    reference="mail 5",
                ),
            ),
            reason="upgrade",
            change_ref="CHG-7",
            links=(Link(relation=LinkRelation.RETRIES, execution_id="exec-0", chain_head=DIGEST),),
            series=Series(id="plant-7", sequence=1, previous=DIGEST),
            origin=Origin(host="host-1", software="tests/1", clock=Clock(source="ntp", synchronized=True)),
            security_snapshot=SecuritySnapshot(
                security_state=SecurityState.OPERATIONAL,
                boundary_state=BoundaryState.NOMINAL,
                context="Pre-execution",
            ),
        ),
        StepStarted(**common[1], **deploy, error_message=None),
        SideEffectObserved(
            **common[2],
            category=SideEffectCategory.NETWORK,
            description="sent mail",
            reversible=None,
            step_index=0,
        ),
        StepCompleted(**common[3], **deploy, error_message=None),
        StepStarted(**common[4], **migrate, error_message=None),
        StepFailed(**common[5], **migrate, error_message='tab\t"quote" \x1b[31m'),
        SecurityObserved(**common[6], security_snapshot=locked),
        ExecutionFinished(
            **common[7],
            status="incomplete",
            completion_reason="stopped",
            cause=IncompleteCause.RECOVERED,
            recovery=Recovery(torn_bytes=7, torn_sha256=DIGEST, origin=Origin(host="host-2", software="tests/1")),
            unknown_effects=True,
            security_snapshot=SecuritySnapshot(
                security_state=SecurityState.LOCKDOWN, boundary_state=BoundaryState.UNKNOWN, context="after"
            ),
        ),
    ]


GOLDEN_VALUES: list[dict[str, Any]] = [json.loads(line) for line in GOLDEN_LINES]


def refused(data: bytes, position: int = 0) -> FormatError:
    with pytest.raises(FormatError) as caught:
        decode_event(data, position)
    assert caught.value.seq == position
    return caught.value


def reject(value: Any, position: int = 0) -> tuple[str, str, str | None]:
    error = refused(rfc8785.dumps(value), position)
    return error.check, error.code, error.pointer


# --- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seq", range(len(GOLDEN_LINES)))
def test_golden_bytes_of_every_event(seq: int) -> None:
    event = golden_events()[seq]
    assert encode_event(event) == GOLDEN_LINES[seq]
    assert decode_event(GOLDEN_LINES[seq], seq) == event
    assert rfc8785.dumps(GOLDEN_VALUES[seq]) == GOLDEN_LINES[seq]


def test_events_are_decoded_together_as_one_by_one() -> None:
    decoded = decode_events(list(GOLDEN_LINES))
    assert decoded.events == golden_events()
    assert not decoded.hold_digests


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value in a JSON value but the top, and of none inside `details`."""
    for key, member in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(member, (dict, list)) and key != "details":
            yield from places(member, (*path, key))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def pointer(position: int, path: tuple[str | int, ...]) -> str:
    return f"/events/{position}" + "".join(f"/{key}" for key in path)


MEMBERS = [(seq, path) for seq, value in enumerate(GOLDEN_VALUES) for path in places(value)]
NAMED = [(seq, path) for seq, path in MEMBERS if isinstance(path[-1], str) and "required_inputs" not in path[:-1]]
OBJECTS = [
    (seq, path)
    for seq, path in [(seq, ()) for seq in range(len(GOLDEN_VALUES))] + MEMBERS
    if isinstance(at(GOLDEN_VALUES[seq], path), dict) and path[-1:] not in {("details",), ("required_inputs",)}
]


def test_there_are_members_to_try() -> None:
    assert len(NAMED) > 110
    assert len(OBJECTS) > 20


@pytest.mark.parametrize(("seq", "path"), NAMED, ids=[pointer(*place) for place in NAMED])
def test_no_member_may_be_missing(seq: int, path: tuple[str | int, ...]) -> None:
    value = copy.deepcopy(GOLDEN_VALUES[seq])
    del at(value, path[:-1])[path[-1]]
    assert reject(value, seq) == ("shape", "missing", pointer(seq, path))


@pytest.mark.parametrize(("seq", "path"), OBJECTS, ids=[pointer(*place) for place in OBJECTS])
@pytest.mark.parametrize("name", ["extra", "~/\x1b"])
def test_no_member_may_be_unknown(seq: int, path: tuple[str | int, ...], name: str) -> None:
    value = copy.deepcopy(GOLDEN_VALUES[seq])
    at(value, path)[name] = None
    place = pointer(seq, path) + "/" + name.replace("~", "~0").replace("/", "~1")
    assert reject(value, seq) == ("shape", "unknown", place)


@pytest.mark.parametrize(("seq", "path"), MEMBERS, ids=[pointer(*place) for place in MEMBERS])
def test_every_member_has_its_type(seq: int, path: tuple[str | int, ...]) -> None:
    here = pointer(seq, path)
    before = at(GOLDEN_VALUES[seq], path)
    wrong: list[Any] = [[[]], {"a": 1}]
    wrong += [5] if not isinstance(before, int) or isinstance(before, bool) else ["5"]
    wrong += [] if isinstance(before, bool) or here.endswith(("reversible", "synchronized")) else [True]
    for other in wrong:
        if path == ("details",) and isinstance(other, dict):
            continue
        value = copy.deepcopy(GOLDEN_VALUES[seq])
        at(value, path[:-1])[path[-1]] = other
        check, code, place = reject(value, seq)
        assert (check, code) in {("shape", "type"), ("shape", "value"), ("shape", "unknown"), ("shape", "missing")}
        assert place is not None
        assert place.startswith(here.partition("/required_inputs/")[0])


NULLABLE = {
    *("actor", "change_ref", "series", "sha256", "reversible", "step_index", "estimated_duration", "display_name"),
    *("on_behalf_of", "role", "meaning", "approved_at", "reference", "chain_head", "clock", "source", "synchronized"),
    *("cause", "recovery", "torn_sha256", "previous_event_hash"),
}


@pytest.mark.parametrize(("seq", "path"), MEMBERS, ids=[pointer(*place) for place in MEMBERS])
def test_only_what_may_be_absent_is_null(seq: int, path: tuple[str | int, ...]) -> None:
    value = copy.deepcopy(GOLDEN_VALUES[seq])
    nullable = path[-1] in NULLABLE or (path[-1] == "error_message" and value["type"] != "step_failed")
    if path[-1] == "step_index" and (value["type"].startswith("step") or "steps" in path or "rollback_hints" in path):
        nullable = False
    if path[-1] == "previous" or path == ("series", "previous"):
        at(value, path[:-1])["sequence"] = 0
        nullable = True
    at(value, path[:-1])[path[-1]] = None
    if nullable:
        assert encode_event(decode_event(rfc8785.dumps(value), seq)) == rfc8785.dumps(value)
    else:
        assert reject(value, seq)[0] == "shape"


LONGEST = "é" * 65_536
SCALARS: list[tuple[int, tuple[str | int, ...], list[Any], list[Any]]] = [
    (0, ("format",), [], ["hearth-record/2", "hearth-record", ""]),
    (0, ("execution_id",), ["a", "A" * 128], ["", "A" * 129, "../x", "é", ".x"]),
    (0, ("plan", "plan_id"), ["a", "A" * 128], ["", "A" * 129, "a b"]),
    (0, ("plan", "sha256"), ["0" * 64], ["0" * 63, "0" * 65, "A" * 64, "g" * 64]),
    (0, ("plan", "steps", 0, "step_name"), ["x", LONGEST], ["", LONGEST + "x"]),
    (0, ("plan", "steps", 0, "step_index"), [2**53 - 1], [-1]),
    (0, ("plan", "declared_side_effects", 0, "description"), ["", LONGEST], [LONGEST + "x"]),
    (0, ("plan", "declared_side_effects", 0, "category"), ["other", "system", "file_system"], ["disk", ""]),
    (0, ("plan", "rollback_hints", 0, "actions"), [[], [""], [LONGEST, "b"]], [[5], [LONGEST + "x"], [None]]),
    (0, ("plan", "rollback_hints", 0, "risks"), [[], [""]], [[5], [LONGEST + "x"]]),
    (
        0,
        ("plan", "rollback_hints", 0, "required_inputs"),
        [{}, {"\uffff": ""}, {"n" * 128: LONGEST}],
        [{"a": 5}, {"a": LONGEST + "x"}],
    ),
    (0, ("live_mode_state",), ["DRY_RUN"], ["live", ""]),
    (0, ("actor", "type"), ["human", "agent"], ["robot"]),
    (0, ("actor", "id"), ["", LONGEST], [LONGEST + "x"]),
    (0, ("approvals", 0, "approved_at"), ["0001-01-01T00:00:00.000000Z"], ["2026-02-29T00:00:00.000000Z", ""]),
    (0, ("links", 0, "relation"), ["continues", "rolls_back", "child_of"], ["parent_of"]),
    (0, ("links", 0, "execution_id"), ["x"], ["", "-"]),
    (0, ("links", 0, "chain_head"), ["f" * 64], ["F" * 64]),
    (0, ("series", "id"), ["x"], ["", "x/y"]),
    (0, ("series", "sequence"), [2, 2**53 - 1], [-1]),
    (0, ("security_snapshot", "security_state"), ["DEGRADED", "UNKNOWN"], ["NOMINAL", "unknown"]),
    (0, ("security_snapshot", "boundary_state"), ["ELEVATED", "UNKNOWN"], ["OPERATIONAL", "DEGRADED"]),
    (
        0,
        ("timestamp",),
        ["9999-12-31T23:59:59.999999Z"],
        ["0000-01-01T00:00:00.000000Z", "2026-11-22T16:00:60.000000Z"],
    ),
    (1, ("timestamp",), [], ["2026-11-22T16:00:00Z", "2026-11-22T16:00:00.0000000Z", "2026-02-30T16:00:00.000000Z"]),
    (1, ("previous_event_hash",), ["0" * 64], ["0" * 63, "A" * 64, "", "\u0660" * 64]),
    (1, ("seq",), [0, 2**53 - 1], [-1]),
    (1, ("step_index",), [2**53 - 1], [-1]),
    (1, ("step_name",), ["x", LONGEST], ["", LONGEST + "x"]),
    (1, ("phase",), ["cleanup"], ["rollback", ""]),
    (1, ("error_message",), [], ["", "x"]),
    (3, ("error_message",), [], ["", "x"]),
    (5, ("error_message",), ["x", LONGEST], ["", LONGEST + "x"]),
    (2, ("reversible",), [True, False], ["null"]),
    (2, ("category",), ["configuration"], ["Network"]),
    (7, ("status",), ["completed", "failed"], ["started", "aborted"]),
    (7, ("cause",), ["abandoned", "security_escalation"], ["crashed"]),
    (7, ("completion_reason",), ["", LONGEST], [LONGEST + "x"]),
    (7, ("recovery", "torn_bytes"), [0], [-1]),
    (7, ("recovery", "torn_sha256"), ["0" * 64], ["0"]),
    (7, ("unknown_effects",), [False], [0, 1]),
    (7, ("type",), [], ["execution_ended", "", "\x1b"]),
]


@pytest.mark.parametrize(("seq", "path", "good", "bad"), SCALARS, ids=[pointer(*row[:2]) for row in SCALARS])
def test_ranges_and_constants(seq: int, path: tuple[str | int, ...], good: list[Any], bad: list[Any]) -> None:
    value = copy.deepcopy(GOLDEN_VALUES[seq])
    for scalar in good:
        at(value, path[:-1])[path[-1]] = scalar
        data = rfc8785.dumps(value)
        assert encode_event(decode_event(data, seq)) == data
    for scalar in bad:
        at(value, path[:-1])[path[-1]] = scalar
        check, _, place = reject(value, seq)
        assert check == "shape"
        assert place is not None
        assert place.startswith(pointer(seq, path))


def test_the_place_in_a_series_and_its_link_agree() -> None:
    value = copy.deepcopy(GOLDEN_VALUES[0])
    value["series"]["sequence"] = 0
    assert reject(value) == ("shape", "series", "/events/0/series/previous")


@pytest.mark.parametrize("name", ["\U00010000", "a\U0010ffff", "", "n" * 129])
def test_the_profile_holds_for_names_of_inputs(name: str) -> None:
    value = copy.deepcopy(GOLDEN_VALUES[0])
    value["plan"]["rollback_hints"][0]["required_inputs"] = {name: "x"}
    place = f"/events/0/plan/rollback_hints/0/required_inputs/{name}"
    assert reject(value) == ("canonical", "member-name", place)


def with_details(details: bytes, seq: int = 1) -> bytes:
    before, after = GOLDEN_LINES[seq].split(b'"details":{}')
    return before + b'"details":' + details + after


DETAILS: list[tuple[bytes, str, str, str]] = [
    (b"[]", "shape", "type", ""),
    (b"null", "shape", "type", ""),
    (b'"{}"', "shape", "type", ""),
    (b'{"a":1.5}', "canonical", "not-integer", "/a"),
    (b'{"a":1e2}', "canonical", "not-integer", "/a"),
    (b'{"a":-0}', "canonical", "not-integer", "/a"),
    (b'{"a":9007199254740992}', "canonical", "integer-range", "/a"),
    (b'{"a":' + b"9" * 5000 + b"}", "canonical", "integer-range", "/a"),
    (b'{"a":1,"a":1}', "canonical", "duplicate-member", "/a"),
    (b'{"a":1,"\\u0061":1}', "canonical", "duplicate-member", "/a"),
    (b'{"a":{"b":1,"b":1}}', "canonical", "duplicate-member", "/a/b"),
    (b'{"":1}', "canonical", "member-name", "/"),
    (b'{"' + b"n" * 129 + b'":1}', "canonical", "member-name", "/" + "n" * 129),
    (b'{"' + b"\xc3\xa9" * 129 + b'":1}', "canonical", "member-name", "/" + "é" * 129),
    (b'{"\xf0\x90\x80\x80":1}', "canonical", "member-name", "/\U00010000"),
    (b'{"a":"\\ud800"}', "canonical", "lone-surrogate", "/a"),
    (b'{"\\udfff":1}', "canonical", "lone-surrogate", "/\udfff"),
    (b'{"a":' + b"[" * 15 + b"]" * 15 + b"}", "canonical", "too-deep", "/a" + "/0" * 14),
    (b'{"a":' * 16 + b"1" + b"}" * 16, "canonical", "too-deep", "/a" * 15),
    (b'{"...":1}', "shape", "reserved-name", "/..."),
    (b'{"a":{"...":1}}', "shape", "reserved-name", "/a/..."),
    (b'{"a":[0,{"_sd":[]}]}', "shape", "reserved-name", "/a/1/_sd"),
    (b'{"a":{"b":[1,{}],"c":{}},"d":[[]],"e":{"...":1}}', "shape", "reserved-name", "/e/..."),
    (b'{"_sd":[]}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":{}}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":null}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":["' + b"A" * 42 + b'"]}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":["' + b"A" * 44 + b'"]}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":["' + b"A" * 42 + b'B"]}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":["' + b"+" * 43 + b'"]}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":[5]}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":["' + b"A" * 43 + b'","' + b"A" * 43 + b'"]}', "shape", "disclosure-digests", "/_sd"),
    (b'{"_sd":["' + b"B" * 42 + b'A","' + b"A" * 43 + b'"]}', "shape", "disclosure-digests", "/_sd"),
]
WHITE_SPACE = [
    b"{ }",
    b" {}",
    b"{} ",
    b'{"a": 1}',
    b'{"a":1 }',
    b'{"b":1,"a":2}',
    b'{"\\u0061":1}',
    b'{"a":"\\/"}',
    b"{\n}",
]


@pytest.mark.parametrize(("details", "check", "code", "place"), DETAILS, ids=range(len(DETAILS)))
def test_the_rules_hold_inside_details(details: bytes, check: str, code: str, place: str) -> None:
    error = refused(with_details(details), 1)
    assert (error.check, error.code, error.pointer) == (check, code, f"/events/1/details{place}")
    with pytest.raises(FormatError) as caught:
        decode_events([GOLDEN_LINES[0], with_details(details), GOLDEN_LINES[3]], 0)
    assert (caught.value.check, caught.value.code, caught.value.seq) == (check, code, 1)


@pytest.mark.parametrize("details", WHITE_SPACE)
def test_details_are_canonical(details: bytes) -> None:
    assert refused(with_details(details), 1).code == "not-canonical"


@pytest.mark.parametrize(
    "details",
    [
        b'{"a":[[[[[[[[[[[[[[]]]]]]]]]]]]]]}',
        b'{"a":' * 15 + b"1" + b"}" * 15,
        b'{"' + b"n" * 128 + b'":9007199254740991}',
        b'{"' + b"\xc3\xa9" * 128 + b'":-9007199254740991}',
        b'{"\xef\xbf\xbf":"\xf0\x9f\x98\x80"}',
        b'{"sd":"_sd","x":"..."}',
        b'{"_sd":["' + b"A" * 43 + b'","' + b"B" * 42 + b'A"],"a":1}',
    ],
)
def test_details_at_the_limits(details: bytes) -> None:
    event = decode_event(with_details(details), 1)
    assert bytes(event.details_json) == details
    assert event.details == json.loads(details)


def test_events_that_hold_digests_are_told() -> None:
    digests = with_details(b'{"_sd":["' + b"A" * 43 + b'"]}')
    assert decode_events([GOLDEN_LINES[0], digests]).hold_digests
    assert decode_events([digests], 1).hold_digests


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b'"execution_started"',
        b'{"type":"step_started"}',
        GOLDEN_LINES[1] + b"\n",
        GOLDEN_LINES[1] + b"\n" + GOLDEN_LINES[2],
        b"\n" + GOLDEN_LINES[1],
        GOLDEN_LINES[1] + GOLDEN_LINES[2],
        b"," + GOLDEN_LINES[1],
        GOLDEN_LINES[1][:-1],
        b" " + GOLDEN_LINES[1],
        GOLDEN_LINES[1].replace(b'"seq":1', b'"seq":1.0'),
        GOLDEN_LINES[1].replace(b'"seq":1', b'"seq":1e0'),
        GOLDEN_LINES[1].replace(b'"seq":1', b'"seq":01'),
        GOLDEN_LINES[1].replace(b'"seq":1,', b'"seq":1,"seq":1,'),
        GOLDEN_LINES[1].replace(b'"Deploy"', b'"\\u0044eploy"'),
        GOLDEN_LINES[1].replace(b'"step_name"', b'"step\\u005fname"'),
        b"\xef\xbb\xbf" + GOLDEN_LINES[1],
        GOLDEN_LINES[1].replace(b"Deploy", b"\xff"),
        GOLDEN_LINES[1].replace(b"Deploy", b"\\ud800"),
        b"[" * 100_000,
        b'{"details":' * 100_000,
    ],
    ids=range(25),
)
def test_what_is_no_event(data: bytes) -> None:
    assert refused(data, 1).check in {"canonical", "shape"}


def test_the_type_is_looked_at_in_its_place() -> None:
    assert reject({**GOLDEN_VALUES[1], "type": "x"}, 1) == ("shape", "value", "/events/1/type")
    assert reject([], 1) == ("shape", "type", "/events/1")


@pytest.mark.parametrize("text", ["x - at `$.plan.foo", "\x1b[31m`", "\u202e", "a\nb"])
def test_texts_of_a_record_cannot_fake_the_place_nor_reach_a_terminal(text: str) -> None:
    value = {**GOLDEN_VALUES[0], "live_mode_state": text}
    error = refused(rfc8785.dumps(value))
    assert (error.code, error.pointer) == ("value", "/events/0/live_mode_state")
    assert error.reason.isprintable()
    assert refused(rfc8785.dumps({**GOLDEN_VALUES[0], "type": text})).reason.isprintable()
    for holder in ({**GOLDEN_VALUES[0], text: 1}, {**GOLDEN_VALUES[0], "plan": {**GOLDEN_VALUES[0]["plan"], text: 1}}):
        error = refused(rfc8785.dumps(holder))
        assert error.code == "unknown"
        assert str(error).isprintable()


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("spare", [0, -1, -2, -3])
def test_an_event_has_at_most_its_limit(position: int, spare: int) -> None:
    line = GOLDEN_LINES[position]
    limits = (
        Limits(first_event=len(line) + spare, event=10_000_000)
        if position == 0
        else Limits(first_event=10_000_000, event=len(line) + spare)
    )
    lines = [line] if position == 0 else [GOLDEN_LINES[0], line]
    body = OPENING + b"\n,".join(lines) + b"\n"
    if spare == 0:
        decode_event(line, position, limits)
        decode_events([line], position, limits)
        decode_record(body, limits)
        return
    for refuse in (
        lambda: decode_event(line, position, limits),
        lambda: decode_events([line], position, limits),
        lambda: decode_events([*lines, *GOLDEN_LINES[3:]], 0, limits),
        lambda: decode_record(body, limits),
        lambda: decode_record(body + b"," + GOLDEN_LINES[3] * 5 + b"\n", limits),
    ):
        with pytest.raises(FormatError) as caught:
            refuse()
        assert (caught.value.check, caught.value.code) == ("canonical", "too-large")
        assert (caught.value.seq, caught.value.pointer) == (position, f"/events/{position}")
        assert caught.value.expected == len(line) + spare


def test_a_file_that_was_cut_in_its_opening_line_is_told_from_another_file() -> None:
    hints = []
    for data in (OPENING[:-1], OPENING[:20], b"x" + OPENING, b"{}"):
        with pytest.raises(FormatError) as caught:
            decode_record(data)
        assert (caught.value.check, caught.value.code) == ("canonical", "frame")
        hints.append(caught.value.hint is not None)
    assert hints == [True, True, False, False]


def test_events_that_are_larger_together_than_one_may_be_are_as_good() -> None:
    for details in (b'{"_sd":["%b"]}' % (b"A" * 43), b'{"a":1}'):
        lines = [GOLDEN_LINES[0], with_details(details)]
        longest = max(map(len, lines))
        decoded = decode_events(lines, 0, Limits(first_event=longest, event=longest))
        assert decoded[:2] == decode_events(lines)[:2]
        assert decoded.hold_digests or details == b'{"a":1}'


def test_the_default_limits_of_events() -> None:
    room = 2**20 - len(with_details(b'{"a":""}'))
    fits = with_details(b'{"a":"' + b"x" * room + b'"}')
    assert len(fits) == 2**20
    decode_event(fits, 1)
    assert refused(fits.replace(b"xx", b"xxx", 1), 1).code == "too-large"
    big = GOLDEN_LINES[0].replace(b'{"note":"caf\xc3\xa9"}', b'{"a":"' + b"x" * 2**20 + b'"}')
    decode_event(big, 0)
    assert refused(big, 1).code == "too-large"


@pytest.mark.parametrize("first", [[], [GOLDEN_LINES[0] + b"\n"]])
def test_a_line_that_never_ends_is_not_read_to_its_end(first: list[bytes]) -> None:
    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.read_so_far = 0
            self.lines = [OPENING, *first]

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert size > 0
            if self.lines:
                return self.lines.pop(0)
            self.read_so_far += size
            return b",".ljust(size, b"x")

    endless = Endless()
    limits = Limits(event=1000) if first else Limits(first_event=1000)
    with pytest.raises(FormatError) as caught:
        list(read_lines(endless, limits))
    assert (caught.value.code, caught.value.seq) == ("too-large", len(first))
    assert endless.read_so_far < 2000


# --- the fast path and the one that explains -------------------------------------------------------------------------


def slow(data: bytes) -> bool:
    """Whether the explaining path finds nothing wrong."""
    try:
        value = profile.decode(data)
        door = canonical.VERSIONS["hearth-record/1"].decode_event
        canonical._check_shape(data, value, door)  # noqa: SLF001 - the two paths are compared
    except FormatError:
        return False
    return True


def fast(data: bytes) -> bool:
    try:
        canonical._decode_lines([data], data + b"\n", canonical.VERSIONS["hearth-record/1"])  # noqa: SLF001 - the two paths are compared
    except canonical._DOUBT:  # noqa: SLF001 - as above
        return False
    return True


def assert_same(data: bytes) -> bool:
    accepted = fast(data)
    assert accepted == slow(data)
    error: FormatError | None = None
    try:
        decode_event(data)
    except FormatError as caught:
        error = caught
    assert accepted == (error is None)
    assert error is None or "a reason that is not known" not in error.reason
    return accepted


@given(json_objects)
@settings(max_examples=250)
@example("{}")
@example('{"a":[[[[[[1]]]]]]}')
@example('{"\\ue000":1}')
@example('{"\U00010000":1}')
@example('{"_sd":1}')
@example('{"a":"_sd"}')
@example('{"a":{"...":1}}')
@example("{\n}")
def test_both_paths_accept_the_same_details(details: str) -> None:
    assert_same(with_details(details.encode("utf-8", "surrogatepass")))


@given(
    st.sampled_from(GOLDEN_LINES),
    st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True),
            st.integers(0, 3),
            st.binary(max_size=3)
            | st.sampled_from(
                [b'"', b"{}", b"[]", b"null", b"\\u0061", b'"a":1,', b".0", b"e0", b"-0", b"\xf0\x90\x80\x80"]
            ),
        ),
        min_size=1,
        max_size=2,
    ),
)
@settings(max_examples=500)
def test_both_paths_accept_the_same_lines(line: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    for where, removed, inserted in edits:
        place = int(where * len(line))
        line = line[:place] + inserted + line[place + removed :]
    assert_same(line)


@given(
    st.sampled_from(range(len(MEMBERS))),
    json_objects | st.sampled_from(["[]", "null", "-1", '""', "1.0", '"\U00010000"']),
)
@settings(max_examples=300)
def test_both_paths_accept_the_same_members(choice: int, text: str) -> None:
    seq, path = MEMBERS[choice]
    value = copy.deepcopy(GOLDEN_VALUES[seq])
    at(value, path[:-1])[path[-1]] = "@@@"
    assert_same(rfc8785.dumps(value).replace(b'"@@@"', text.encode("utf-8", "surrogatepass")))


def test_the_golden_lines_take_both_paths() -> None:
    assert all(assert_same(line) for line in GOLDEN_LINES)


def test_what_is_refused_without_a_reason_is_refused_all_the_same(
    sealed: SealedRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Should the two paths ever disagree: what writes canonical bytes is made to write others.
    line = closing_line(sealed).removesuffix(b"\n")
    monkeypatch.setattr(profile, "encode_lines", lambda _values: b"")
    monkeypatch.setattr(canonical, "_encode", lambda value: profile.encode(value) + b" ")
    for refuse, pointer, seq in (
        (lambda: decode_event(GOLDEN_LINES[1], 1), "/events/1", 1),
        (lambda: decode_closing(line), "", None),
    ):
        with pytest.raises(FormatError) as caught:
            refuse()
        assert (caught.value.check, caught.value.code) == ("shape", "shape")
        assert (caught.value.pointer, caught.value.seq) == (pointer, seq)


# --- arbitrary bytes: only FormatError may come out ------------------------------------------------------------------

DOORS: dict[str, Any] = {
    "decode": profile.decode,
    "decode_lenient": profile.decode_lenient,
    "decode_event": decode_event,
    "decode_event at 1": lambda data: decode_event(data, 1),
    "decode_events": lambda data: decode_events(data.split(b"\n")),
    "decode_closing": decode_closing,
    "decode_record": decode_record,
    "decode_plan": decode_plan,
    "reframe": reframe,
}
anything = (
    st.binary(max_size=80)
    | json_objects.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=40).map(lambda data: b"]," + data)
    | st.binary(max_size=40).map(lambda data: OPENING + data)
    | json_objects.map(lambda text: OPENING + text.encode("utf-8", "surrogatepass") + b"\n")
)


@pytest.mark.parametrize("door", DOORS)
@given(data=anything)
@settings(max_examples=80)
@example(data=b"[" * 100_000)
@example(data=b'{"a":' * 100_000)
@example(data=b"]," + b"[" * 100_000)
@example(data=OPENING + b"[" * 100_000 + b"\n")
@example(data=b"9" * 5000)
@example(data=b'"\\ud800"')
@example(data=b'{"\\ud800":1}')
@example(data=b'{"format":"\\ud800","events":[]}')
def test_arbitrary_bytes_give_only_format_errors(door: str, data: bytes) -> None:
    try:
        DOORS[door](data)
    except FormatError as error:
        assert error.check in {"canonical", "shape"}  # noqa: PT017 - it need not be raised


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 2), st.binary(max_size=2))
@settings(max_examples=300)
def test_an_edited_file_gives_only_format_errors(where: float, removed: int, inserted: bytes) -> None:
    place = int(where * len(EXAMPLE))
    data = EXAMPLE[:place] + inserted + EXAMPLE[place + removed :]
    for door in (decode_record, reframe):
        try:
            door(data)
        except FormatError as error:
            assert error.code  # noqa: PT017 - it need not be raised


# --- the closing line ------------------------------------------------------------------------------------------------


def closing_line(sealed: SealedRecord) -> bytes:
    return sealed.data.splitlines(keepends=True)[-1]


def closing_value(sealed: SealedRecord) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(b"{" + closing_line(sealed)[2:])
    return value


def closing_bytes(value: dict[str, Any]) -> bytes:
    return b"]," + rfc8785.dumps(value)[1:]


def reject_closing(line: bytes, limits: Limits | None = None) -> tuple[str, str, str | None]:
    with pytest.raises(FormatError) as caught:
        decode_closing(line, limits or Limits())
    assert caught.value.seq is None
    return caught.value.check, caught.value.code, caught.value.pointer


def test_the_closing_line_there_and_back(sealed: SealedRecord) -> None:
    line = closing_line(sealed)
    closing = decode_closing(line.removesuffix(b"\n"))
    assert closing == Closing(disclosures=(), seal=sealed.seal)
    assert encode_closing(closing) == line
    assert closing_bytes(closing_value(sealed)) + b"\n" == line


def test_the_closing_line_has_its_frame_and_limit(sealed: SealedRecord) -> None:
    line = closing_line(sealed).removesuffix(b"\n")
    assert reject_closing(line[1:])[:2] == ("canonical", "frame")
    assert reject_closing(b"]")[:2] == ("canonical", "frame")
    assert reject_closing(line + b"\n")[:2] == ("canonical", "not-canonical")
    assert reject_closing(line + b"]")[:2] == ("canonical", "not-json")
    decode_closing(line, Limits(closing=len(line)))
    assert reject_closing(line, Limits(closing=len(line) - 1))[:2] == ("canonical", "too-large")


KEYID = "0" * 64


def change(*path: str | int, value: Any) -> Any:
    def edit(closing: dict[str, Any]) -> None:
        at(closing, path[:-1])[path[-1]] = value

    return edit


def remove(*path: str | int) -> Any:
    def edit(closing: dict[str, Any]) -> None:
        del at(closing, path[:-1])[path[-1]]

    return edit


def names(count: int, algorithm: str = "ed25519") -> list[dict[str, str]]:
    return [{"algorithm": algorithm, "keyid": f"{number:064x}"} for number in range(count)]


STATEMENT = ("seal", "statement")
PREDICATE = (*STATEMENT, "predicate")
SIGNATURE = ("seal", "signatures", 0)
EVIDENCE = {"data": "AA==", "type": "rfc3161"}
CLOSINGS: list[tuple[Any, str, str]] = [
    (change("disclosures", value=None), "type", "/disclosures"),
    (change("disclosures", value=[""]), "type", "/disclosures/0"),
    (change("disclosures", value=["a", "a b"]), "base64url", "/disclosures"),
    (change("disclosures", value=["a="]), "base64url", "/disclosures"),
    (change("disclosures", value=["é"]), "base64url", "/disclosures"),
    (change("seal", value=None), "type", "/seal"),
    (change("seal", "extra", value=1), "unknown", "/seal/extra"),
    (remove("seal", "evidence"), "missing", "/seal/evidence"),
    (change("seal", "evidence", value=[{"data": "AA==", "type": ""}]), "type", "/seal/evidence/0/type"),
    (change("seal", "evidence", value=[{"data": "", "type": "x"}]), "type", "/seal/evidence/0/data"),
    (change("seal", "evidence", value=[{"data": "AB==", "type": "x"}]), "base64", "/seal/evidence/0/data"),
    (change("seal", "evidence", value=[{"data": "AA==AA==", "type": "x"}]), "base64", "/seal/evidence/0/data"),
    (change("seal", "evidence", value=[{"data": "AA=="}]), "missing", "/seal/evidence/0/type"),
    (change("seal", "evidence", value=[EVIDENCE, EVIDENCE]), "duplicate-evidence", "/seal/evidence"),
    (change(*SIGNATURE, "evidence", value=[EVIDENCE] * 2), "duplicate-evidence", "/seal/signatures/0/evidence"),
    (change(*SIGNATURE, "keyid", value="x"), "type", "/seal/signatures/0/keyid"),
    (change(*SIGNATURE, "keyid", value="F" * 64), "digest", "/seal/signatures/0/keyid"),
    (change(*SIGNATURE, "sig", value="AAA"), "type", "/seal/signatures/0/sig"),
    (change(*SIGNATURE, "sig", value="AAAA\n"), "base64", "/seal/signatures/0/sig"),
    (change(*SIGNATURE, "sig", value="A_-="), "base64", "/seal/signatures/0/sig"),
    (remove(*SIGNATURE, "sig"), "missing", "/seal/signatures/0/sig"),
    (
        change("seal", "signatures", value=[{"evidence": [], "keyid": KEYID, "sig": "AAAA"}] * 81),
        "type",
        "/seal/signatures",
    ),
    (change(*STATEMENT, "_type", value="https://in-toto.io/Statement/v0.1"), "value", "/seal/statement/_type"),
    (remove(*STATEMENT, "_type"), "missing", "/seal/statement/_type"),
    (change(*STATEMENT, "predicateType", value="urn:x"), "value", "/seal/statement/predicateType"),
    (change(*STATEMENT, "predicate_type", value="urn:x"), "unknown", "/seal/statement/predicate_type"),
    (change(*STATEMENT, "subject", value=[]), "type", "/seal/statement/subject"),
    (change(*STATEMENT, "subject", 0, "name", value="/"), "identifier", "/seal/statement/subject/0/name"),
    (
        change(*STATEMENT, "subject", 0, "digest", value={"sha256": "G" * 64}),
        "digest",
        "/seal/statement/subject/0/digest/sha256",
    ),
    (change(*STATEMENT, "subject", 0, "digest", "sha1", value="0"), "unknown", "/seal/statement/subject/0/digest/sha1"),
    (change(*PREDICATE, "chain", "length", value=0), "type", "/seal/statement/predicate/chain/length"),
    (change(*PREDICATE, "chain", "head", value="Z" * 64), "digest", "/seal/statement/predicate/chain/head"),
    (change(*PREDICATE, "execution_id", value="-"), "identifier", "/seal/statement/predicate/execution_id"),
    (change(*PREDICATE, "plan_id", value="é"), "identifier", "/seal/statement/predicate/plan_id"),
    (change(*PREDICATE, "format", value="hearth-record/2"), "value", "/seal/statement/predicate/format"),
    (change(*PREDICATE, "live_mode_state", value="live"), "value", "/seal/statement/predicate/live_mode_state"),
    (change(*PREDICATE, "status", value="started"), "value", "/seal/statement/predicate/status"),
    (
        change(*PREDICATE, "sealed_at", value="2026-02-29T00:00:00.000000Z"),
        "timestamp",
        "/seal/statement/predicate/sealed_at",
    ),
    (
        change(*PREDICATE, "series", value={"id": "s", "previous": None, "sequence": 1}),
        "series",
        "/seal/statement/predicate/series/previous",
    ),
    (remove(*PREDICATE, "series"), "missing", "/seal/statement/predicate/series"),
    (change(*PREDICATE, "signers", value=[]), "type", "/seal/statement/predicate/signers"),
    (change(*PREDICATE, "signers", value=names(17)), "type", "/seal/statement/predicate/signers"),
    (change(*PREDICATE, "signers", value=names(1) * 2), "duplicate-signer", "/seal/statement/predicate/signers"),
    (
        change(*PREDICATE, "signers", value=names(1, "no algorithm")),
        "identifier",
        "/seal/statement/predicate/signers/0/algorithm",
    ),
]


@pytest.mark.parametrize("edit", [change("extra", value=1), remove("disclosures"), remove("seal")])
def test_the_members_of_the_file_belong_to_its_frame(sealed: SealedRecord, edit: Any) -> None:
    value = closing_value(sealed)
    edit(value)
    assert reject_closing(closing_bytes(value)) == ("canonical", "frame", None)


@pytest.mark.parametrize(("edit", "code", "place"), CLOSINGS, ids=range(len(CLOSINGS)))
def test_the_shape_of_the_closing_line(sealed: SealedRecord, edit: Any, code: str, place: str) -> None:
    value = closing_value(sealed)
    edit(value)
    assert reject_closing(closing_bytes(value)) == ("shape", code, place)


@pytest.mark.parametrize(
    "edit",
    [
        change(
            "seal", "evidence", value=[EVIDENCE, {"data": "AAA=", "type": "rfc3161"}, {"data": "AA==", "type": "x"}]
        ),
        change("disclosures", value=["_-aZ09"]),
        change(*PREDICATE, "signers", value=names(16)),
        change(*PREDICATE, "signers", value=names(1, "ecdsa-p256-sha256")),
        change("seal", "signatures", value=[]),
        change("seal", "signatures", value=[{"evidence": [], "keyid": KEYID, "sig": "AAAA"}] * 80),
        change(*PREDICATE, "series", value={"id": "s", "previous": None, "sequence": 0}),
    ],
)
def test_what_the_shape_of_the_closing_line_leaves_open(sealed: SealedRecord, edit: Any) -> None:
    value = closing_value(sealed)
    edit(value)
    closing = decode_closing(closing_bytes(value))
    assert encode_closing(closing) == closing_bytes(value) + b"\n"


def test_a_canonical_fault_of_the_closing_line_comes_before_its_shape(sealed: SealedRecord) -> None:
    line = closing_line(sealed).removesuffix(b"\n")
    assert reject_closing(line.replace(b'"length":8', b'"length":"8" '))[:2] == ("canonical", "not-canonical")
    assert reject_closing(line.replace(b'"length":8', b'"length":8.0'))[:2] == ("canonical", "not-integer")
    assert reject_closing(line.replace(b'"length":8', b'"length":8,"length":8'))[:2] == (
        "canonical",
        "duplicate-member",
    )
    deep = line.replace(b'"evidence":[]', b'"evidence":' + b"[" * 16 + b"]" * 16, 1)
    assert reject_closing(deep)[:2] == ("canonical", "too-deep")
    fits = line.replace(b'"evidence":[]', b'"evidence":' + b"[" * 15 + b"]" * 15, 1)
    assert reject_closing(fits)[:2] == ("shape", "type")


def test_a_statement_has_at_most_4096_bytes(sealed: SealedRecord) -> None:
    value = closing_value(sealed)
    statement = value["seal"]["statement"]
    statement["predicate"]["execution_id"] = statement["predicate"]["plan_id"] = "x" * 128
    statement["predicate"]["signers"] = signers = names(16, "a" * 100)
    spare = 4096 - len(rfc8785.dumps(statement))
    assert 0 < spare < 16 * 28
    for row in signers:
        row["algorithm"] += "a" * min(spare, 28)
        spare -= min(spare, 28)
    assert len(encode_statement(decode_closing(closing_bytes(value)).seal.statement)) == 4096
    statement["subject"][0]["name"] += "x"
    assert reject_closing(closing_bytes(value)) == ("shape", "statement-too-large", "/seal/statement")


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_frame_of_a_file(sealed: SealedRecord) -> None:
    assert OPENING == b'{"format":"hearth-record/1","events":[\n'
    closing = Closing(disclosures=(), seal=sealed.seal)
    assert encode_file([b"{0}", b"{1}"], closing) == (
        b'{"format":"hearth-record/1","events":[\n{0}\n,{1}\n' + closing_line(sealed)
    )
    assert encode_file([b"{0}"], closing).startswith(OPENING + b"{0}\n],")


def test_the_design_example_is_read_and_written_as_it_is() -> None:
    record = decode_record(EXAMPLE)
    assert record.get_execution_hash() == "17f592b295bd944c69029d91a466253c61d03c1f9dfaa3492c5eb843ee6f4692"
    assert record.status is ExecutionStatus.FAILED
    assert record.events[1].details == {"host": "db1", "list": [1, "2", {"a": []}], "n": 3, "none": None, "ok": True}
    closing = decode_closing(EXAMPLE.splitlines()[-1])
    assert encode_file([encode_event(event) for event in record.events], closing) == EXAMPLE


def lines_of(data: bytes, limits: Limits | None = None) -> list[tuple[LineKind, list[bytes]]]:
    """Return what the lines of a file are, read line by line; a small one in memory, cut in one go, gives the same."""
    one, fault = read_all(io.BytesIO(data), limits or Limits())
    other, same_fault = read_all(io.BufferedReader(io.BytesIO(data)), limits or Limits())
    assert flat(one) == flat(other)
    assert (fault and facts(fault)) == (same_fault and facts(same_fault))
    if fault is not None:
        raise fault
    return other


def read_all(stream: LineSource, limits: Limits) -> tuple[list[tuple[LineKind, list[bytes]]], FormatError | None]:
    read: list[tuple[LineKind, list[bytes]]] = []
    try:
        for kind, lines in read_lines(stream, limits):
            read.append((kind, lines))
    except FormatError as error:
        return read, error
    return read, None


def flat(read: list[tuple[LineKind, list[bytes]]]) -> list[tuple[LineKind, bytes]]:
    return [(kind, line) for kind, lines in read for line in lines]


def frame_error(data: bytes, limits: Limits | None = None) -> tuple[str, str]:
    with pytest.raises(FormatError) as caught:
        lines_of(data, limits)
    return caught.value.check, caught.value.code


FRAME = ("canonical", "frame")


def test_lines_come_without_comma_and_line_break(sealed: SealedRecord) -> None:
    events = [encode_event(event) for event in sealed.record.events]
    closing = closing_line(sealed).removesuffix(b"\n")
    assert lines_of(sealed.data) == [(LineKind.EVENTS, events), (LineKind.CLOSING, [closing])]


@given(st.data())
@settings(max_examples=300)
def test_an_edited_file_is_the_same_cut_in_one_go(data: st.DataObject) -> None:
    text = OPENING + b'{0}\n,{1}\n,{2}\n],"x":{}}\n'
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        inserted = data.draw(st.sampled_from([b"", b"\n", b",", b"]", b"}", b"\r", b"\n,", b"\n],", b"}\n", b"x"]))
        text = text[:place] + inserted + text[place + data.draw(st.integers(0, 3)) :]
    limits = data.draw(st.sampled_from([Limits(), Limits(first_event=3), Limits(event=3), Limits(closing=9)]))
    try:
        lines_of(text, limits)
    except FormatError as error:
        assert error.check in {"canonical", "shape"}  # noqa: PT017 - it need not be raised


def test_many_events_come_in_batches() -> None:
    body = b"\n,".join([b"x" * 1000] * 500)
    batches = lines_of(OPENING + body + b"\n")
    assert len(batches) > 5
    assert all(kind is LineKind.EVENTS for kind, _ in batches)
    assert [line for _, lines in batches for line in lines] == [b"x" * 1000] * 500


def test_a_growing_file_has_no_closing_line() -> None:
    assert lines_of(OPENING) == []
    assert lines_of(OPENING + b"{0}\n") == [(LineKind.EVENTS, [b"{0}"])]


@pytest.mark.parametrize("first", [b" {0}", b'"', b"[0]", b"\0", b"}"])
def test_a_first_line_without_a_comma_is_an_event_whatever_it_begins_with(first: bytes) -> None:
    assert lines_of(OPENING + first + b"\n") == [(LineKind.EVENTS, [first])]


def test_a_closing_line_is_read_up_to_its_limit(sealed: SealedRecord) -> None:
    size = len(closing_line(sealed)) - 1
    for first_read in (size - 1, size, size + 1):
        limits = Limits(event=first_read - 2, closing=size)
        assert lines_of(sealed.data, limits)[-1] == (LineKind.CLOSING, [closing_line(sealed)[:-1]])
        assert frame_error(sealed.data, Limits(event=first_read - 2, closing=size - 1)) == ("canonical", "too-large")


def test_a_closing_line_that_never_ends_is_not_read_to_its_end() -> None:
    class Endless:
        lines: ClassVar[list[bytes]] = [OPENING, b"{0}\n"]
        read_so_far = 0

        def readline(self, size: int, /) -> bytes:
            if self.lines:
                return self.lines.pop(0)
            self.read_so_far += size
            assert self.read_so_far < 2**23
            return b"]".ljust(size, b"x")

    with pytest.raises(FormatError) as caught:
        list(read_lines(Endless(), Limits(closing=5 * 2**20)))
    assert (caught.value.check, caught.value.code) == ("canonical", "too-large")


@pytest.mark.parametrize(
    "tail", [b",{1", b",", b"{", b"],", b"]", b'],"disclosures":[],"seal":{', b"],x", b"{\t", b",{\t", b"\t"]
)
def test_a_torn_tail_is_told_apart(tail: bytes) -> None:
    assert lines_of(OPENING + b"{0}\n" + tail) == [(LineKind.EVENTS, [b"{0}"]), (LineKind.TORN, [tail])]
    assert lines_of(OPENING + tail) == [(LineKind.TORN, [tail])]


def test_the_frame_is_asked_for(sealed: SealedRecord) -> None:
    data = sealed.data
    closing = closing_line(sealed)
    assert frame_error(b"") == ("canonical", "empty")
    for cut in range(1, len(OPENING)):
        assert frame_error(data[:cut]) == FRAME
    assert frame_error(b" " + data) == FRAME
    assert frame_error(b"\xef\xbb\xbf" + data) == FRAME
    assert frame_error(data.replace(b"\n", b"\r\n")) == FRAME
    assert frame_error(data.replace(b"\n,", b",\n")) == FRAME
    assert frame_error(data.replace(b"\n,{", b"\n{", 1)) == FRAME
    assert frame_error(data.replace(b"\n,{", b"\n ,{", 1)) == FRAME
    assert frame_error(data.removesuffix(b"\n")) == FRAME
    assert frame_error(data + b"\n") == FRAME
    assert frame_error(data + b" ") == FRAME
    assert frame_error(data + data) == FRAME
    assert frame_error(OPENING + closing) == FRAME
    assert frame_error(OPENING + b"{0}\n]}\nx") == FRAME


def test_the_place_of_a_missing_comma_is_said() -> None:
    for body, seq in ((b"{0}\n,{1}\n{2}\n", 2), (b",{0}\n,{1}\n", 0)):
        with pytest.raises(FormatError) as caught:
            lines_of(OPENING + body)
        assert facts(caught.value) == ("frame", seq, f"/events/{seq}")


def test_another_version_is_read_by_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    second = canonical.Version("hearth-record/2", AnyEvent, Closing)
    monkeypatch.setitem(canonical.VERSIONS, second.name, second)
    data = b'{"format":"hearth-record/2","events":[\n{0}\n],"x":{}}\n'
    for kind in (io.BytesIO, lambda data: io.BufferedReader(io.BytesIO(data))):
        version, lines = canonical.open_lines(kind(data))
        assert version is second
        assert list(lines) == [(LineKind.EVENTS, [b"{0}"]), (LineKind.CLOSING, [b'],"x":{}}'])]
        with pytest.raises(FormatError) as caught:
            list(read_lines(kind(data)))
        assert (caught.value.check, caught.value.code) == ("shape", "unsupported-version")
        assert (caught.value.expected, caught.value.actual) == ("hearth-record/1", "hearth-record/2")


@pytest.mark.parametrize("version", ["0", "2", "10", "9999999999", "1" * 40])
def test_a_version_that_is_not_supported_is_said_first(version: str) -> None:
    for data in (
        b'{"format":"hearth-record/%b"' % version.encode(),
        b'{"format":"hearth-record/%b","x":' % version.encode(),
    ):
        with pytest.raises(FormatError) as caught:
            lines_of(data)
        assert (caught.value.check, caught.value.code) == ("shape", "unsupported-version")
        assert (caught.value.pointer, caught.value.actual) == ("/format", f"hearth-record/{version}")


@pytest.mark.parametrize("version", ["00", "01", "1.1", "x", "", "-1"])
def test_what_is_no_version_is_no_frame(version: str) -> None:
    assert frame_error(b'{"format":"hearth-record/%b","events":[\n' % version.encode()) == FRAME


@pytest.mark.parametrize("spare", [0, -1])
def test_the_closing_line_has_at_most_its_limit(sealed: SealedRecord, spare: int) -> None:
    closing = closing_line(sealed)
    limits = Limits(first_event=600, event=500, closing=len(closing) - 1 + spare)
    data = OPENING + b"{0}\n"
    if spare == 0:
        assert lines_of(data + closing, limits)[1] == (LineKind.CLOSING, [closing.removesuffix(b"\n")])
        return
    assert frame_error(data + closing, limits) == ("canonical", "too-large")
    assert frame_error(data + closing.removesuffix(b"\n"), limits) == ("canonical", "too-large")
    assert frame_error(data + b"]," + b"x" * 5_000_000, limits) == ("canonical", "too-large")


def test_a_long_closing_line_is_read_in_pieces() -> None:
    closing = b"]," + b"x" * 3_000_000
    data = OPENING + b"{0}\n" + closing
    limits = Limits(first_event=600, event=500)
    assert lines_of(data + b"\n", limits)[1] == (LineKind.CLOSING, [closing])
    assert lines_of(data, limits)[1] == (LineKind.TORN, [closing])
    assert frame_error(data + b"\nx", limits) == FRAME


def test_an_event_line_that_is_too_long_is_no_torn_tail() -> None:
    limits = Limits(first_event=10, event=10)
    assert lines_of(OPENING + b"{0}\n," + b"x" * 10, limits)[1] == (LineKind.TORN, [b"," + b"x" * 10])
    assert frame_error(OPENING + b"{0}\n," + b"x" * 11, limits) == ("canonical", "too-large")
    assert frame_error(OPENING + b"x" * 11, limits) == ("canonical", "too-large")


@pytest.mark.parametrize("data", [OPENING, OPENING + GOLDEN_LINES[1] + b"\n"])
def test_a_record_without_its_start_is_none(data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        decode_record(data)
    assert (caught.value.check, caught.value.code, caught.value.seq) == ("shape", "no-start", 0)


def test_a_record_is_read_sealed_or_not_and_torn_or_not(sealed: SealedRecord) -> None:
    journal = OPENING + b"\n,".join(GOLDEN_LINES) + b"\n"
    assert list(decode_record(journal).events) == golden_events()
    assert list(decode_record(journal + b',{"torn').events) == golden_events()
    assert decode_record(sealed.data) == sealed.record


def test_a_long_record_is_read_in_batches() -> None:
    padded = [with_details(b'{"a":"%b"}' % (b"x" * 60_000)) for _ in range(4)]
    record = decode_record(OPENING + b"\n,".join([GOLDEN_LINES[0], *padded]) + b"\n")
    assert [encode_event(event) for event in record.events] == [GOLDEN_LINES[0], *padded]


# --- re-formatted files ----------------------------------------------------------------------------------------------


def test_a_reformatted_file_is_put_back_into_its_frame(sealed: SealedRecord) -> None:
    value = json.loads(sealed.data)
    assert reframe(sealed.data) == sealed.data
    assert reframe(json.dumps(value, indent=2).encode()) == sealed.data
    assert reframe(json.dumps(dict(reversed(value.items()))).encode()) == sealed.data
    assert reframe(rfc8785.dumps(value)) == sealed.data
    assert reframe(json.dumps(json.loads(EXAMPLE), indent=1).encode()) == EXAMPLE


@pytest.mark.parametrize(
    "edit",
    [
        lambda value: value.pop("seal"),
        lambda value: value.pop("disclosures"),
        lambda value: value.pop("format"),
        lambda value: value.update(extra=1),
        lambda value: value.update(events=[]),
        lambda value: value.update(events={}),
        lambda value: value.update(events={"0": {}}),
        lambda value: value.update(format=1),
        lambda value: value.update(format="hearth-record/x"),
    ],
)
def test_what_is_no_record_is_not_reframed(sealed: SealedRecord, edit: Any) -> None:
    value = json.loads(sealed.data)
    edit(value)
    with pytest.raises(FormatError) as caught:
        reframe(json.dumps(value, indent=1).encode())
    assert (caught.value.check, caught.value.code) == FRAME


@pytest.mark.parametrize(
    ("data", "check", "code"),
    [
        (b"[]", "canonical", "frame"),
        (b"", "canonical", "not-json"),
        (b'{ "format": "hearth-record/1", "format": "hearth-record/1" }', "canonical", "duplicate-member"),
        (b'{ "format": "hearth-record/1", "x": 1.5 }', "canonical", "not-integer"),
        (b'{ "format": "hearth-record/2" }', "shape", "unsupported-version"),
        (b'{ "events": ' + b"[" * 18 + b"]" * 18 + b"}", "canonical", "too-deep"),
    ],
)
def test_the_profile_holds_for_a_reformatted_file(data: bytes, check: str, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        reframe(data)
    assert (caught.value.check, caught.value.code) == (check, code)


# --- plans and documents ---------------------------------------------------------------------------------------------

PLAN = b"""{
  "format": "hearth-plan/1",
  "plan_id": "plan-1",
  "steps": [{"step_index": 0, "step_name": "Deploy"}, {"step_name": "Migrate", "step_index": 2}],
  "declared_side_effects": [{"category": "network", "description": "mail"}],
  "rollback_hints": [{"step_index": 2, "description": "Drop", "required_inputs": {"dsn": "address"}}]
}
"""


def test_a_plan_file_is_read_with_the_hash_of_its_bytes() -> None:
    assert decode_plan(PLAN) == Plan(
        plan_id="plan-1",
        sha256=profile.sha256_hex(PLAN),
        steps=(PlanStep(step_index=0, step_name="Deploy"), PlanStep(step_index=2, step_name="Migrate")),
        declared_side_effects=(SideEffect(category=SideEffectCategory.NETWORK, description="mail"),),
        rollback_hints=(RollbackHint(step_index=2, description="Drop", required_inputs={"dsn": "address"}),),
    )
    assert decode_plan(PLAN).sha256 == "2116e3af5ef2b51917232b37f5a30c11ab560afeb1b4816a694ce146be525629"
    assert decode_plan(b'{"format":"hearth-plan/1","plan_id":"p","steps":[]}').steps == ()


@pytest.mark.parametrize(
    ("before", "after", "code", "place"),
    [
        (b"hearth-plan/1", b"hearth-plan/2", "value", "/format"),
        (b'"plan_id": "plan-1",', b"", "missing", "/plan_id"),
        (b'"plan-1"', b'"plan 1"', "identifier", "/plan_id"),
        (b'"plan-1"', b'"plan-1", "author": "ann"', "unknown", "/author"),
        (b'"plan-1"', b'"plan-1", "plan\\u005fid": "x"', "duplicate-member", "/plan_id"),
        (b'"step_index": 2}]', b'"step_index": 0}]', "step-index", "/steps"),
        (b'"step_index": 2}]', b'"step_index": 2.0}]', "not-integer", "/steps/1/step_index"),
        (b'"step_index": 2}]', b'"step_index": -1}]', "type", "/steps/1/step_index"),
        (b'"step_index": 2}]', b'"step_index": 9007199254740992}]', "integer-range", "/steps/1/step_index"),
        (b'"Deploy"', b'""', "type", "/steps/0/step_name"),
        (b'"Deploy"', b"5", "type", "/steps/0/step_name"),
        (b'[{"step_index": 2, "desc', b'[{"step_index": 1, "desc', "step-index", "/rollback_hints"),
        (b'"mail"', b'"mail", "step_index": 1', "step-index", "/declared_side_effects"),
        (b'"network"', b'"net"', "value", "/declared_side_effects/0/category"),
        (b'"address"', b"null", "type", "/rollback_hints/0/required_inputs"),
        (b'"dsn"', b'"\xf0\x90\x80\x80"', "member-name", "/rollback_hints/0/required_inputs/\U00010000"),
        (b"{\n", b"\xef\xbb\xbf{\n", "byte-order-mark", None),
        (b"}\n", b"}}\n", "not-json", None),
    ],
)
def test_a_plan_file_is_looked_at_strictly(before: bytes, after: bytes, code: str, place: str | None) -> None:
    assert before in PLAN
    with pytest.raises(FormatError) as caught:
        decode_plan(PLAN.replace(before, after))
    assert (caught.value.check, caught.value.code, caught.value.pointer) == ("shape", code, place)


def test_a_long_plan_is_read_in_time() -> None:
    steps = [{"step_index": index, "step_name": "x"} for index in range(20_000)]
    hints = [{"step_index": index, "description": "x"} for index in range(20_000)]
    data = json.dumps({"format": "hearth-plan/1", "plan_id": "p", "steps": steps, "rollback_hints": hints}).encode()
    assert len(decode_plan(data).rollback_hints) == 20_000


def test_other_documents_are_read_as_strictly() -> None:
    document = decode_document(PLAN, PlanDocument, what="plan")
    assert document.plan_id == "plan-1"
    with pytest.raises(FormatError) as caught:
        decode_document(b"[]", PlanDocument, what="plan")
    assert (caught.value.check, caught.value.code, caught.value.pointer) == ("shape", "type", "")


def test_events_stand_from_the_first_place_on_unless_it_is_told_otherwise() -> None:
    for refuse in (decode_event, lambda line: decode_events([line])):
        with pytest.raises(FormatError) as caught:
            refuse(b'{"type":"none"}')
        assert (caught.value.seq, caught.value.pointer) == (0, "/events/0/type")
    with pytest.raises(FormatError) as caught:
        decode_events([GOLDEN_LINES[1], b'{"type":"none"}'], 5)
    assert (caught.value.seq, caught.value.pointer) == (6, "/events/6/type")
    line = GOLDEN_LINES[1]
    limits = Limits(first_event=len(line), event=len(line) - 1)
    assert decode_event(line, limits=limits).seq == decode_events([line], limits=limits).events[0].seq == 1


def test_what_the_decoder_says_is_told_in_the_form_of_all_errors() -> None:
    with pytest.raises(FormatError) as caught:
        decode_event(GOLDEN_LINES[0].replace(b'"seq":0', b'"seq":"0"'))
    assert caught.value.reason == 'expected "int", got "str"'


@pytest.mark.parametrize("limit", [20, 21])
def test_a_torn_tail_may_be_as_large_as_an_event(limit: int) -> None:
    whole = OPENING + GOLDEN_LINES[0] + b"\n,"
    *_events, (kind, lines) = read_lines(io.BytesIO(whole + b"x" * limit), Limits(event=limit))
    assert (kind, lines) == (canonical.LineKind.TORN, [b"," + b"x" * limit])
    for tail in (b"," + b"x" * (limit + 1), b'"' + b"x" * limit):
        with pytest.raises(FormatError) as caught:
            list(read_lines(io.BytesIO(whole[:-1] + tail), Limits(event=limit)))
        assert caught.value.code == "too-large"


def test_what_a_document_is_is_named() -> None:
    call: Any = canonical.decode_document
    with pytest.raises(TypeError):
        call(b"{}", dict, "plan")
