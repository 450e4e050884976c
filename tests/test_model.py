from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from helpers import observe, run_standard
from hypothesis import given
from hypothesis import strategies as st

from hearth_records import model
from hearth_records.kernel import HearthKernel
from hearth_records.model import (
    ActorType,
    Approval,
    BoundaryState,
    Event,
    ExecutionRecord,
    ExecutionStatus,
    IncompleteCause,
    Link,
    LinkRelation,
    LiveModeState,
    Plan,
    PlanDocument,
    PlanStep,
    Recovery,
    RollbackHint,
    ScalarError,
    SecuritySnapshot,
    SecurityState,
    Series,
    SideEffect,
    SideEffectCategory,
    StepEvent,
    StepEventType,
    StepPhase,
    check_base64,
    check_digest,
    check_identifier,
    check_timestamp,
    format_timestamp,
)

if TYPE_CHECKING:
    import enum

    from hearth_records.model import SealedRecord

DIGEST = "0123456789abcdef" * 4

# --- scalars (FORMAT §2) ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T16:03:05.000120Z",
        "0001-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999Z",
        "2024-02-29T00:00:00.000000Z",
        "2000-02-29T00:00:00.000000Z",
        "0004-02-29T00:00:00.000000Z",
    ],
)
def test_timestamps(text: str) -> None:
    check_timestamp("at", text)
    assert model.are_timestamps([text, text])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22T16:03:05Z",
        "2026-11-22T16:03:05.00012Z",
        "2026-11-22T16:03:05.0001200Z",
        "2026-11-22 16:03:05.000120Z",
        "2026-11-22t16:03:05.000120z",
        "2026-11-22T16:03:05.000120+00:00",
        "2026-11-22T16:03:05.000120\u0417",
        "2026-11-22T16:03:05,000120Z",
        "2026-11-22T16:03:05.000120Z\n",
        "0000-01-01T00:00:00.000000Z",
        "2026-00-22T16:03:05.000120Z",
        "2026-13-22T16:03:05.000120Z",
        "2026-11-00T16:03:05.000120Z",
        "2026-11-31T16:03:05.000120Z",
        "2026-02-29T16:03:05.000120Z",
        "1900-02-29T16:03:05.000120Z",
        "0000-02-29T16:03:05.000120Z",
        "2026-11-22T24:00:00.000000Z",
        "2026-11-22T16:60:05.000120Z",
        "2026-12-31T23:59:60.000000Z",
        "\u0662026-11-22T16:03:05.00012Z",
    ],
)
def test_texts_that_are_no_timestamps(text: str) -> None:
    with pytest.raises(ScalarError) as caught:
        check_timestamp("at", text)
    assert (caught.value.member, caught.value.code) == ("at", "timestamp")
    if len(text) == 27:
        assert not model.are_timestamps(["2026-11-22T16:03:05.000120Z", text])


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_every_time_has_its_timestamp_and_text_order_is_time_order(one: datetime, other: datetime) -> None:
    a, b = format_timestamp(one), format_timestamp(other)
    check_timestamp("at", a)
    assert len(a) == 27
    assert (a < b) == (one < other)
    assert datetime.fromisoformat(a) == one


@given(st.integers(0, 10000), st.integers(0, 13), st.integers(0, 32))
def test_a_timestamp_is_of_a_real_day(year: int, month: int, day: int) -> None:
    text = f"{year:04}-{month:02}-{day:02}T00:00:00.000000Z"
    try:
        real = bool(datetime(year, month, day, tzinfo=UTC))
    except ValueError:
        real = False
    try:
        check_timestamp("at", text)
    except ScalarError:
        assert not real
    else:
        assert real


def test_format_timestamp_turns_zones_to_utc_and_refuses_naive_times() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    assert format_timestamp(datetime(2026, 11, 22, 1, 0, 0, 7, tzinfo=east)) == "2026-11-21T19:30:00.000007Z"
    with pytest.raises(ValueError, match="zone"):
        format_timestamp(datetime(2026, 11, 22))  # noqa: DTZ001 - a naive time is what is tried


def test_a_zone_that_knows_no_offset_is_naive() -> None:
    class Nowhere(tzinfo):
        def utcoffset(self, _when: datetime | None) -> None:
            return None

        dst = utcoffset

        def tzname(self, _when: datetime | None) -> None:
            return None

    with pytest.raises(ValueError, match="zone"):
        format_timestamp(datetime(2026, 11, 22, tzinfo=Nowhere()))


def test_format_timestamp_does_not_ask_a_subclass_how_it_is_written() -> None:
    class Odd(datetime):
        def isoformat(self, *_args: object, **_more: object) -> str:
            return "soon"

    assert format_timestamp(Odd(2026, 11, 22, tzinfo=UTC)) == "2026-11-22T00:00:00.000000Z"


@pytest.mark.parametrize("text", [DIGEST, "0" * 64])
def test_digests(text: str) -> None:
    check_digest("sha256", text)
    assert model.are_digests([text, text])


def test_no_digest_is_none() -> None:
    check_digest("sha256", None)
    assert model.are_digests([])


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 63 + "\n", "\u0660" * 64])
def test_texts_that_are_no_digests(text: str) -> None:
    with pytest.raises(ScalarError) as caught:
        check_digest("sha256", text)
    assert (caught.value.member, caught.value.code) == ("sha256", "digest")
    if len(text) == 64:
        assert not model.are_digests([DIGEST, text])


@pytest.mark.parametrize("text", ["a", "0", "Z" * 128, "exec-1.2_3", "a..b", "9-"])
def test_identifiers(text: str) -> None:
    check_identifier("plan_id", text)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "-a", "_a", "a/b", "a b", "a" * 129, "é", "a\n", "a\x00", "a:b", None, 5, b"a"]
)
def test_what_is_no_identifier(text: Any) -> None:
    with pytest.raises(ScalarError) as caught:
        check_identifier("plan_id", text)
    assert (caught.value.member, caught.value.code) == ("plan_id", "identifier")


@pytest.mark.parametrize(("text", "data"), [("AA==", b"\x00"), ("+/+/", b"\xfb\xff\xbf"), ("AAA=", b"\x00\x00")])
def test_base64(text: str, data: bytes) -> None:
    assert check_base64("sig", text) == data


@pytest.mark.parametrize(
    "text", ["", "AA", "AA=", "AB==", "AAB=", "AA==\n", " AA==", "A A=", "-_-_", "=AA=", "AA==AA==", "é===", None, 5]
)
def test_what_is_no_base64(text: Any) -> None:
    with pytest.raises(ScalarError) as caught:
        check_base64("sig", text)
    assert (caught.value.member, caught.value.code) == ("sig", "base64")


# --- enumerations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (SecurityState, "OPERATIONAL DEGRADED COMPROMISED LOCKDOWN UNKNOWN"),
        (BoundaryState, "NOMINAL ELEVATED COMPROMISED LOCKDOWN UNKNOWN"),
        (LiveModeState, "LIVE DRY_RUN"),
        (ActorType, "human service agent"),
        (LinkRelation, "retries continues rolls_back child_of"),
        (StepPhase, "plan cleanup"),
        (SideEffectCategory, "file_system network data_mutation configuration system other"),
        (StepEventType, "step_started step_completed step_failed"),
        (ExecutionStatus, "started completed failed incomplete"),
        (IncompleteCause, "security_escalation recovered abandoned"),
    ],
)
def test_the_values_are_those_of_the_format(kind: type[enum.StrEnum], values: str) -> None:
    assert list(kind) == values.split()


# --- objects ---------------------------------------------------------------------------------------------------------


def test_a_hint_keeps_a_copy_of_what_it_was_given() -> None:
    inputs, actions, risks = {"dsn": "address"}, ["DROP TABLE t"], ["loss"]
    hint = RollbackHint(step_index=0, description="d", actions=actions, required_inputs=inputs, risks=risks)  # type: ignore[arg-type]
    inputs["dsn"] = "other"
    actions.append("more")
    risks.clear()
    assert (hint.required_inputs, hint.actions, hint.risks) == ({"dsn": "address"}, ("DROP TABLE t",), ("loss",))


@pytest.mark.parametrize(
    "change",
    [
        lambda mapping: mapping.__setitem__("a", "b"),
        lambda mapping: mapping.__delitem__("dsn"),
        lambda mapping: mapping.update(a="b"),
        lambda mapping: mapping.setdefault("a", "b"),
        lambda mapping: mapping.pop("dsn"),
        lambda mapping: mapping.popitem(),
        lambda mapping: mapping.clear(),
        lambda mapping: mapping.__ior__({"a": "b"}),
    ],
)
def test_required_inputs_refuse_to_change(change: Any) -> None:
    hint = RollbackHint(step_index=0, description="d", required_inputs={"dsn": "address"})
    with pytest.raises(TypeError):
        change(hint.required_inputs)
    assert hint.required_inputs == {"dsn": "address"}


def test_a_hint_can_be_hashed_copied_pickled_and_compared() -> None:
    hint = RollbackHint(step_index=0, description="d", required_inputs={"a": "1", "b": "2"})
    same = RollbackHint(step_index=0, description="d", required_inputs={"b": "2", "a": "1"})
    assert hint == same
    assert hash(hint) == hash(same)
    for other in (
        copy.copy(hint),
        copy.deepcopy(hint),
        pickle.loads(pickle.dumps(hint)),
        msgspec.structs.replace(hint),
    ):
        assert other == hint
        with pytest.raises(TypeError):
            other.required_inputs["c"] = "3"


@pytest.mark.parametrize(
    ("arguments", "member"),
    [
        ({"required_inputs": [("a", "b")]}, "required_inputs"),
        ({"actions": "DROP TABLE t"}, "actions"),
        ({"actions": 5}, "actions"),
        ({"risks": "loss"}, "risks"),
        ({"risks": None}, "risks"),
    ],
)
def test_a_hint_of_the_wrong_types_is_refused(arguments: dict[str, Any], member: str) -> None:
    with pytest.raises(ScalarError) as caught:
        RollbackHint(step_index=0, description="d", **arguments)
    assert (caught.value.member, caught.value.code) == (member, "type")


def test_a_plan_keeps_tuples_of_the_lists_it_was_given() -> None:
    steps = [PlanStep(step_index=0, step_name="A")]
    plan = Plan(plan_id="p", steps=steps, declared_side_effects=[], rollback_hints=iter([]))  # type: ignore[arg-type]
    steps.clear()
    assert plan.steps == (PlanStep(step_index=0, step_name="A"),)
    assert (plan.declared_side_effects, plan.rollback_hints, plan.sha256) == ((), (), None)


@pytest.mark.parametrize(
    ("kind", "arguments", "member", "code"),
    [
        (Plan, {"plan_id": "no plan"}, "plan_id", "identifier"),
        (Plan, {"plan_id": "p", "sha256": "x"}, "sha256", "digest"),
        (Link, {"relation": LinkRelation.RETRIES, "execution_id": "/"}, "execution_id", "identifier"),
        (
            Link,
            {"relation": LinkRelation.RETRIES, "execution_id": "e", "chain_head": "x"},
            "chain_head",
            "digest",
        ),
        (Series, {"id": "", "sequence": 0, "previous": None}, "id", "identifier"),
        (Series, {"id": "s", "sequence": 1, "previous": "x"}, "previous", "digest"),
        (Series, {"id": "s", "sequence": 1, "previous": None}, "previous", "series"),
        (Series, {"id": "s", "sequence": 0, "previous": DIGEST}, "previous", "series"),
        (Approval, {"approver": "a", "approved_at": "yesterday"}, "approved_at", "timestamp"),
        (Recovery, {"torn_bytes": 0, "torn_sha256": "x", "origin": None}, "torn_sha256", "digest"),
    ],
)
def test_a_struct_cannot_exist_with_a_scalar_that_its_form_forbids(
    kind: Any, arguments: dict[str, Any], member: str, code: str
) -> None:
    with pytest.raises(ScalarError) as caught:
        kind(**arguments)
    assert (caught.value.member, caught.value.code) == (member, code)


def test_good_ones_can() -> None:
    Link(relation=LinkRelation.CONTINUES, execution_id="e", chain_head=DIGEST)
    Series(id="s", sequence=0, previous=None)
    Series(id="s", sequence=7, previous=DIGEST)
    Approval(approver="a", approved_at="2026-11-22T16:03:05.000120Z")
    Recovery(torn_bytes=1, torn_sha256=DIGEST, origin=model.Origin(host="h", software="s"))


STEPS = (PlanStep(step_index=1, step_name="A"), PlanStep(step_index=3, step_name="B"))


@pytest.mark.parametrize(
    ("arguments", "member"),
    [
        ({"steps": STEPS[::-1]}, "steps"),
        ({"steps": STEPS[:1] * 2}, "steps"),
        ({"rollback_hints": (RollbackHint(step_index=2, description="d"),)}, "rollback_hints"),
        (
            {"declared_side_effects": (SideEffect(category=SideEffectCategory.OTHER, description="d", step_index=0),)},
            "declared_side_effects",
        ),
    ],
)
def test_a_plan_file_names_its_steps_in_order_and_only_them(arguments: dict[str, Any], member: str) -> None:
    with pytest.raises(ScalarError) as caught:
        PlanDocument(**{"format": "hearth-plan/1", "plan_id": "p", "steps": STEPS} | arguments)
    assert (caught.value.member, caught.value.code) == (member, "step-index")


def test_an_effect_of_no_step_may_be_declared() -> None:
    effect = SideEffect(category=SideEffectCategory.OTHER, description="d")
    PlanDocument(format="hearth-plan/1", plan_id="p", steps=(), declared_side_effects=(effect,))


def test_structs_are_frozen(record: ExecutionRecord) -> None:
    for target, member in (
        (record, "events"),
        (record.events[0], "timestamp"),
        (record.started.plan, "plan_id"),
        (record.plan.rollback_hints[0], "description"),
        (record.security_snapshot_pre, "context"),
    ):
        with pytest.raises(AttributeError):
            setattr(target, member, None)


# --- the kernel's answer ---------------------------------------------------------------------------------------------


class Kernel:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get_security_state(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    get_boundary_state = get_security_state


@pytest.mark.parametrize("security", list(SecurityState))
@pytest.mark.parametrize("boundary", list(BoundaryState))
@pytest.mark.parametrize("form", [str, lambda state: state, lambda state: Kernel(state) and Wrapped(state)])
def test_a_snapshot_holds_what_the_kernel_says(security: SecurityState, boundary: BoundaryState, form: Any) -> None:
    kernel = Kernel(None)
    kernel.get_security_state = lambda: form(security)  # type: ignore[method-assign]
    kernel.get_boundary_state = lambda: form(boundary)  # type: ignore[method-assign]
    assert SecuritySnapshot.from_kernel(kernel, "now") == SecuritySnapshot(
        security_state=security, boundary_state=boundary, context="now"
    )


class Wrapped:
    """As a member of an enumeration of another library."""

    def __init__(self, value: str) -> None:
        self.value = value


class Hostile:
    @property
    def value(self) -> str:
        raise RuntimeError


NONSENSE = [
    *(
        None,
        "",
        "operational",
        " OPERATIONAL",
        "OPERATIONAL\n",
        0,
        True,
        b"OPERATIONAL",
        [],
        {},
        object(),
        float("nan"),
    ),
    *(Hostile(), Wrapped("fine"), "x" * 100_000, "\ud800"),
    *(RuntimeError(), ValueError("OPERATIONAL"), RecursionError(), MemoryError(), AttributeError()),
]


@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
def test_a_kernel_that_raises_or_returns_nonsense_is_unknown(answer: Any) -> None:
    snapshot = SecuritySnapshot.from_kernel(Kernel(answer), "now")
    assert (snapshot.security_state, snapshot.boundary_state) == (SecurityState.UNKNOWN, BoundaryState.UNKNOWN)


@pytest.mark.parametrize("kernel", [None, object(), 5])
def test_what_is_no_kernel_is_unknown(kernel: Any) -> None:
    snapshot = SecuritySnapshot.from_kernel(kernel, "now")
    assert (snapshot.security_state, snapshot.boundary_state) == (SecurityState.UNKNOWN, BoundaryState.UNKNOWN)


def test_one_half_that_fails_leaves_the_other() -> None:
    class Half(HearthKernel):
        __slots__ = ()

        def get_security_state(self) -> SecurityState:
            raise RuntimeError

    snapshot = SecuritySnapshot.from_kernel(Half(), "now")
    assert (snapshot.security_state, snapshot.boundary_state) == (SecurityState.UNKNOWN, BoundaryState.NOMINAL)


def test_what_stops_the_program_is_not_swallowed() -> None:
    class Interrupted(HearthKernel):
        __slots__ = ()

        def get_security_state(self) -> SecurityState:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SecuritySnapshot.from_kernel(Interrupted(), "now")


# --- records ---------------------------------------------------------------------------------------------------------


def test_details_are_fresh_at_each_access(record: ExecutionRecord) -> None:
    event = record.events[1]
    details = event.details
    assert details == {"host": "db1"}
    details["host"] = "db2"
    assert event.details == {"host": "db1"}
    assert event.details is not event.details


def test_the_views_of_a_finished_record(record: ExecutionRecord) -> None:
    assert (record.execution_id, record.plan_id, record.live_mode_state) == ("exec-1", "plan-1", LiveModeState.LIVE)
    assert record.status is ExecutionStatus.FAILED
    assert record.completion_reason == "Migrate failed"
    assert [type(event).__name__ for event in record.step_events] == [
        "StepStarted",
        "StepCompleted",
        "StepStarted",
        "StepFailed",
    ]
    assert all(isinstance(event, StepEvent) and isinstance(event, Event) for event in record.step_events)
    assert [event.event_type for event in record.step_events] == [
        StepEventType.STEP_STARTED,
        StepEventType.STEP_COMPLETED,
        StepEventType.STEP_STARTED,
        StepEventType.STEP_FAILED,
    ]
    report = record.side_effects_report
    assert report.declared == record.plan.declared_side_effects
    assert [effect.description for effect in report.observed] == ["told the load balancer", "rows written"]
    assert record.security_snapshot_pre.context == "Pre-execution"
    assert record.security_snapshot_post is not None
    assert record.security_snapshot_post.security_state is SecurityState.OPERATIONAL
    assert record.timestamp_start == "2026-11-22T16:00:01.000137Z"
    assert record.timestamp_end == record.events[-1].timestamp
    assert record.started is record.events[0]
    assert record.finished is record.events[-1]
    assert record.get_execution_hash() == record.events[-1].get_hash()
    assert [event.type for event in record.events][::7] == ["execution_started", "execution_finished"]


def test_the_views_of_a_record_without_its_end() -> None:
    record = observe().get_execution_record("LIVE")
    assert record.status is ExecutionStatus.STARTED
    assert record.finished is None
    assert (record.completion_reason, record.timestamp_end, record.security_snapshot_post) == (None, None, None)
    assert (record.step_events, record.side_effects_report.observed) == ((), ())
    assert record.get_execution_hash() == record.events[0].get_hash()


@pytest.mark.parametrize("first", [0, 1])
def test_a_record_begins_with_its_start(record: ExecutionRecord, first: int) -> None:
    with pytest.raises(ValueError, match="execution_started"):
        ExecutionRecord(record.events[1:] if first else ())


def test_records_are_equal_when_their_bytes_are(record: ExecutionRecord) -> None:
    same = run_standard(observe()).get_execution_record("LIVE")
    assert same == record
    assert same.get_execution_hash() == record.get_execution_hash()
    other = run_standard(observe("exec-2")).get_execution_record("LIVE")
    assert other != record
    assert other.get_execution_hash() != record.get_execution_hash()
    one, two = (observe(details={"a": value}).get_execution_record("LIVE") for value in (1, 2))
    assert one != two


def test_a_sealed_record_knows_its_name_and_statement(sealed: SealedRecord) -> None:
    assert sealed.file_name == "exec-1.record.json"
    assert sealed.statement is sealed.seal.statement
    assert len(sealed.seal.signatures[0].sig_bytes) == 64


def test_system_clock_is_aware() -> None:
    assert model.system_clock().tzinfo is UTC
