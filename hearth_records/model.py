"""Frozen structs: what a record says (FORMAT §2, §3, §5, §6).

A struct cannot exist with a scalar that its form forbids: `__post_init__` checks timestamps, digests and identifiers on
construction and on decoding alike, but for what all events have, which `canonical` checks for many at once. Types,
members and ranges are checked by the decoder in `canonical`.

`details` is kept as canonical bytes and decoded afresh at each access, because a dict inside a frozen struct could
still be changed. Members are declared in any order: the canonical writer sorts them.

Annotations are evaluated where they stand (no `from __future__ import annotations`): msgspec would have to evaluate
each from its text, which costs a command a good part of its start.
"""

import enum
import itertools
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn, Self, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from hearth_records import profile
from hearth_records.errors import quote

if TYPE_CHECKING:
    from hearth_records.kernel import SecurityKernel

__all__ = [
    "FORMAT",
    "PLAN_FORMAT",
    "Actor",
    "ActorType",
    "Approval",
    "BoundaryState",
    "Clock",
    "Event",
    "ExecutionFinished",
    "ExecutionRecord",
    "ExecutionStarted",
    "ExecutionStatus",
    "IncompleteCause",
    "Link",
    "LinkRelation",
    "LiveModeState",
    "Origin",
    "Plan",
    "PlanStep",
    "Recovery",
    "RollbackHint",
    "RollbackScaffold",
    "SealedRecord",
    "SecurityObserved",
    "SecuritySnapshot",
    "SecurityState",
    "Series",
    "SideEffect",
    "SideEffectCategory",
    "SideEffectObserved",
    "SideEffectReport",
    "StepCompleted",
    "StepEvent",
    "StepEventType",
    "StepFailed",
    "StepPhase",
    "StepStarted",
]

FORMAT: Final = "hearth-record/1"
PLAN_FORMAT: Final = "hearth-plan/1"

MAX_TEXT = 65_536
"""Code points of a text (FORMAT §2)."""

# --- scalars (FORMAT §2) ---------------------------------------------------------------------------------------------

# `pattern` is left to `extra_json_schema` and `__post_init__`: a regular expression inside the decoder costs more than
# all the rest of decoding an event.
IDENTIFIER_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
DIGEST_PATTERN = "^[0-9a-f]{64}$"
_TIME = "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{6}Z"
_YEAR = "(?!0000)[0-9]{4}"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAY = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    f"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
TIMESTAMP_PATTERN = f"^{_DAY}{_TIME}$"
"""A real day of the proleptic Gregorian calendar, so that schema and decoder accept the same texts."""

_TIMESTAMP_LENGTH: Final = 27
_DIGEST_LENGTH: Final = 64

Timestamp = Annotated[
    str,
    Meta(
        min_length=_TIMESTAMP_LENGTH,
        max_length=_TIMESTAMP_LENGTH,
        description="UTC, RFC 3339, 27 characters, microseconds, a real day from year 0001 on, no leap second.",
        extra_json_schema={"format": "date-time", "pattern": TIMESTAMP_PATTERN},
    ),
]
Digest = Annotated[
    str,
    Meta(
        min_length=64,
        max_length=64,
        description="SHA-256 as 64 lowercase hex digits.",
        extra_json_schema={"pattern": DIGEST_PATTERN},
    ),
]
Identifier = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description="1 to 128 of A-Z a-z 0-9 . _ -, the first one a letter or digit: safe as a file name.",
        extra_json_schema={"pattern": IDENTIFIER_PATTERN},
    ),
]
Text = Annotated[str, Meta(max_length=MAX_TEXT, description="0 to 65,536 code points, verbatim; escaped when shown.")]
NonEmptyText = Annotated[
    str, Meta(min_length=1, max_length=MAX_TEXT, description="1 to 65,536 code points, verbatim; escaped when shown.")
]
Count = Annotated[int, Meta(ge=0, le=profile.MAX_INTEGER, description="An integer from 0 to 2^53 - 1.")]
_LAST_BASE64 = "[A-Za-z0-9+/]{4}|[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]="
_BASE64_SCHEMA = {"pattern": f"^(?:[A-Za-z0-9+/]{{4}})*(?:{_LAST_BASE64})$", "not": {"pattern": r"\n"}}
"""Without a lookahead, of which some engines take no more than a million repetitions: evidence may be long."""
MemberName = Annotated[str, Meta(min_length=1, max_length=profile.MAX_NAME_LENGTH)]
Base64 = Annotated[
    str,
    Meta(
        min_length=4,
        description="Standard base64, padded, no white space, pad bits zero; not empty.",
        extra_json_schema=_BASE64_SCHEMA,
    ),
]

_is_identifier = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}").fullmatch
_are_timestamps = re.compile(f"(?:{TIMESTAMP_PATTERN[1:-1]})*").fullmatch
_decode_moments = msgspec.json.Decoder(list[datetime]).decode


class ScalarError(ValueError):
    """A scalar is not of its form; `member` names where in the struct it stands, `code` what is wrong."""

    def __init__(self, member: str, code: str, reason: str) -> None:
        self.member = member
        self.code = code
        super().__init__(reason)


def _refuse(member: str, code: str, what: str, value: object) -> NoReturn:
    raise ScalarError(member, code, f"{what}, not {quote(value)}")


def check_timestamp(member: str, value: str) -> None:
    """Raise `ScalarError` unless `value` is a timestamp (FORMAT §2)."""
    if not isinstance(value, str) or len(value) != _TIMESTAMP_LENGTH or not _are_timestamps(value):
        _refuse(member, "timestamp", "a timestamp is like 2026-11-22T16:03:05.000120Z, of a real day", value)


def are_timestamps(values: list[str]) -> bool:
    """Whether texts of 27 characters each are timestamps.

    msgspec writes a moment in just this form, but for one of zero microseconds; so what it reads and writes again is
    one, and only the rest is left to the pattern, which takes longer.
    """
    text = msgspec.json.encode(values)
    try:
        if msgspec.json.encode(_decode_moments(text)) == text:
            return True
    except msgspec.ValidationError:
        pass
    return _are_timestamps("".join(values)) is not None


def are_digests(values: list[str]) -> bool:
    """Whether texts of 64 characters each are digests."""
    joined = "".join(values)
    return joined.isascii() and not joined.encode().translate(None, b"0123456789abcdef")


def check_digest(member: str, value: str | None) -> None:
    """Raise `ScalarError` unless `value` is a digest (FORMAT §2) or None."""
    if value is None:
        return
    try:
        good = len(value) == _DIGEST_LENGTH and bytes.fromhex(value).hex() == value
    except (TypeError, ValueError):
        good = False
    if not good:
        _refuse(member, "digest", "a digest is 64 lowercase hex digits", value)


def check_identifier(member: str, value: str) -> None:
    """Raise `ScalarError` unless `value` is an identifier (FORMAT §2)."""
    if not isinstance(value, str) or not _is_identifier(value):
        _refuse(member, "identifier", "an identifier is 1 to 128 of A-Z a-z 0-9 . _ -, first a letter or digit", value)


def format_timestamp(when: datetime) -> str:
    """Return an aware datetime as a timestamp (FORMAT §2). Raises ValueError for a naive one."""
    if when.tzinfo is not UTC:
        if when.tzinfo is None or when.utcoffset() is None:
            msg = "a time without its zone cannot be recorded; use datetime.now(UTC)"
            raise ValueError(msg)
        when = when.astimezone(UTC)
    if type(when) is datetime:
        text: str = msgspec.to_builtins(when)  # in a tenth of the time of the others; no fraction where it is zero
        return text if len(text) == _TIMESTAMP_LENGTH else f"{text[:-1]}.000000Z"
    return f"{datetime.isoformat(when, timespec='microseconds')[:26]}Z"


def system_clock() -> datetime:
    """Return the system clock's time: what recording and sealing use unless they are given another clock."""
    return datetime.now(UTC)


# --- enumerations ----------------------------------------------------------------------------------------------------


class SecurityState(enum.StrEnum):
    """How far the system can be relied on; from left to right it gets worse."""

    OPERATIONAL = "OPERATIONAL"
    DEGRADED = "DEGRADED"
    COMPROMISED = "COMPROMISED"
    LOCKDOWN = "LOCKDOWN"
    UNKNOWN = "UNKNOWN"


class BoundaryState(enum.StrEnum):
    """The state of the system's boundary; from left to right it gets worse."""

    NOMINAL = "NOMINAL"
    ELEVATED = "ELEVATED"
    COMPROMISED = "COMPROMISED"
    LOCKDOWN = "LOCKDOWN"
    UNKNOWN = "UNKNOWN"


class LiveModeState(enum.StrEnum):
    """Whether the execution acted on the world."""

    LIVE = "LIVE"
    DRY_RUN = "DRY_RUN"


class ActorType(enum.StrEnum):
    """What kind of actor ran the execution."""

    HUMAN = "human"
    SERVICE = "service"
    AGENT = "agent"


class LinkRelation(enum.StrEnum):
    """How this execution relates to another."""

    RETRIES = "retries"
    CONTINUES = "continues"
    ROLLS_BACK = "rolls_back"
    CHILD_OF = "child_of"


class StepPhase(enum.StrEnum):
    """Whether a step belongs to the plan, or cleans up."""

    PLAN = "plan"
    CLEANUP = "cleanup"


class SideEffectCategory(enum.StrEnum):
    """What kind of thing an effect changed."""

    FILE_SYSTEM = "file_system"
    NETWORK = "network"
    DATA_MUTATION = "data_mutation"
    CONFIGURATION = "configuration"
    SYSTEM = "system"
    OTHER = "other"


class StepEventType(enum.StrEnum):
    """The three events of a step."""

    STEP_STARTED = "step_started"
    STEP_COMPLETED = "step_completed"
    STEP_FAILED = "step_failed"


class ExecutionStatus(enum.StrEnum):
    """Where an execution stands. `STARTED` is derived: such a record has no `execution_finished`."""

    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


class IncompleteCause(enum.StrEnum):
    """Why a record is incomplete."""

    SECURITY_ESCALATION = "security_escalation"
    RECOVERED = "recovered"
    ABANDONED = "abandoned"


# --- objects inside events -------------------------------------------------------------------------------------------


class FrozenDict(dict[str, str]):
    """A dict that refuses to change; it is written like any other."""

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        msg = "a record cannot be changed"
        raise TypeError(msg)

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        """Return a hash, so that structs that hold one can be hashed."""
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[dict[str, str]], tuple[dict[str, str]]]:
        """Copy and pickle as a new one."""
        return (FrozenDict, (dict(self),))


class _Object(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of all objects of the format: frozen, no unknown member."""


class PlanStep(_Object, frozen=True, kw_only=True):
    """A step that a plan names."""

    step_index: Count
    step_name: NonEmptyText


class SideEffect(_Object, frozen=True, kw_only=True):
    """An effect that a plan declares. `reversible` is None when not known; guidance treats that as irreversible."""

    category: SideEffectCategory
    description: Text
    reversible: bool | None = None
    step_index: Count | None = None


class RollbackHint(_Object, frozen=True, kw_only=True):
    """What the plan's author says about undoing one step: for a person to read, never executed."""

    step_index: Count
    description: Text
    actions: tuple[Text, ...] = ()
    required_inputs: dict[MemberName, Text] = {}
    risks: tuple[Text, ...] = ()
    estimated_duration: Text | None = None

    def __post_init__(self) -> None:
        """Freeze the dict."""
        if type(self.required_inputs) is not FrozenDict:
            if not isinstance(self.required_inputs, Mapping):
                _refuse("required_inputs", "type", "a mapping of names to texts", self.required_inputs)
            for name in self.required_inputs:
                if not isinstance(name, str) or max(name, default="") > "\uffff":
                    _refuse(
                        "required_inputs", "member-name", "a name of characters of the Basic Multilingual Plane", name
                    )
            msgspec.structs.force_setattr(self, "required_inputs", FrozenDict(self.required_inputs))
        for member in ("actions", "risks"):
            value = getattr(self, member)
            if type(value) is not tuple:
                if isinstance(value, str) or not isinstance(value, Iterable):
                    _refuse(member, "type", "a list of texts", value)
                msgspec.structs.force_setattr(self, member, tuple(value))


class Plan(_Object, frozen=True, kw_only=True):
    """What an execution set out to do. `sha256` is that of the plan document's bytes, None without a document."""

    plan_id: Identifier
    sha256: Digest | None = None
    steps: tuple[PlanStep, ...] = ()
    declared_side_effects: tuple[SideEffect, ...] = ()
    rollback_hints: tuple[RollbackHint, ...] = ()

    def __post_init__(self) -> None:
        """Check scalars and copy lists."""
        check_identifier("plan_id", self.plan_id)
        check_digest("sha256", self.sha256)
        for member in ("steps", "declared_side_effects", "rollback_hints"):
            value = getattr(self, member)
            if type(value) is not tuple:
                msgspec.structs.force_setattr(self, member, tuple(value))


class PlanDocument(_Object, frozen=True, kw_only=True):
    """The file form of a plan, written by people. Lists that are left out are empty."""

    format: Literal["hearth-plan/1"]
    plan_id: Identifier
    steps: tuple[PlanStep, ...]
    declared_side_effects: tuple[SideEffect, ...] = ()
    rollback_hints: tuple[RollbackHint, ...] = ()

    def __post_init__(self) -> None:
        """Check that step indexes name steps, once each and in order."""
        check_identifier("plan_id", self.plan_id)
        indexes = [step.step_index for step in self.steps]
        if any(a >= b for a, b in itertools.pairwise(indexes)):
            raise ScalarError("steps", "step-index", "the step_index of successive steps increases")
        known = frozenset(indexes)
        for member in ("declared_side_effects", "rollback_hints"):
            for item in getattr(self, member):
                if item.step_index is not None and item.step_index not in known:
                    _refuse(member, "step-index", "step_index names a step of this plan", item.step_index)


class Actor(_Object, frozen=True, kw_only=True):
    """Who or what ran the execution, as the caller says."""

    id: Text
    type: ActorType
    display_name: Text | None = None
    on_behalf_of: Text | None = None


class Approval(_Object, frozen=True, kw_only=True):
    """Who agreed to the execution, as the caller says."""

    approver: Text
    role: Text | None = None
    meaning: Text | None = None
    approved_at: Timestamp | None = None
    reference: Text | None = None

    def __post_init__(self) -> None:
        """Check scalars."""
        if self.approved_at is not None:
            check_timestamp("approved_at", self.approved_at)


class Link(_Object, frozen=True, kw_only=True):
    """Another execution that this one refers to. `chain_head` pins its content."""

    relation: LinkRelation
    execution_id: Identifier
    chain_head: Digest | None = None

    def __post_init__(self) -> None:
        """Check scalars."""
        check_identifier("execution_id", self.execution_id)
        check_digest("chain_head", self.chain_head)


class Series(_Object, frozen=True, kw_only=True):
    """The place in a series of executions. `previous` is the hash of the preceding execution's event 0, None at 0."""

    id: Identifier
    sequence: Count
    previous: Digest | None

    def __post_init__(self) -> None:
        """Check scalars."""
        check_identifier("id", self.id)
        check_digest("previous", self.previous)
        if (self.sequence == 0) != (self.previous is None):
            raise ScalarError("previous", "series", "previous is null at sequence 0 and only there")


class Clock(_Object, frozen=True, kw_only=True):
    """Where the timestamps come from. `synchronized` is None when not known."""

    source: Text | None = None
    synchronized: bool | None = None


class Origin(_Object, frozen=True, kw_only=True):
    """Where a record was written, and by what."""

    host: Text
    software: Text
    clock: Clock | None = None


class SecuritySnapshot(_Object, frozen=True, kw_only=True):
    """The security state at the time of the event that holds it."""

    security_state: SecurityState
    boundary_state: BoundaryState
    context: Text

    @classmethod
    def from_kernel(cls, kernel: "SecurityKernel", context: str) -> Self:
        """Ask `kernel` for its states. One that raises, or says what no state is called, is `UNKNOWN`: fail-closed."""
        return cls(
            security_state=_ask(SecurityState, kernel, "get_security_state"),
            boundary_state=_ask(BoundaryState, kernel, "get_boundary_state"),
            context=context,
        )


_State = TypeVar("_State", SecurityState, BoundaryState)


def _ask(states: type[_State], kernel: object, method: str) -> _State:
    try:
        answer = getattr(kernel, method)()
        return answer if type(answer) is states else states(getattr(answer, "value", answer))
    except Exception:  # noqa: BLE001 - whatever a kernel does, the execution goes on and the state is unknown
        return states("UNKNOWN")


class Recovery(_Object, frozen=True, kw_only=True):
    """What recovery found: `torn_bytes` of a last line that was cut, their hash, and who recovered."""

    torn_bytes: Count
    torn_sha256: Digest | None
    origin: Origin

    def __post_init__(self) -> None:
        """Check scalars."""
        check_digest("torn_sha256", self.torn_sha256)


# --- events (FORMAT §3) ----------------------------------------------------------------------------------------------

EMPTY_DETAILS = Raw(b"{}")


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag_field="type"):
    """One event of a record: the members that all events have, but `type`, which is the struct's tag.

    Their scalars are checked by the door (`canonical`), many at a time.
    """

    seq: Count
    timestamp: Timestamp
    previous_event_hash: Digest | None
    details_json: Raw = msgspec.field(name="details")

    @property
    def type(self) -> str:
        """The event's type, as it is written."""
        return str(self.__struct_config__.tag)

    @property
    def details(self) -> dict[str, Any]:
        """What the caller recorded beside the event: a fresh copy at each access."""
        value: dict[str, Any] = profile.decode(bytes(self.details_json), depth=1)
        return value

    def __hash__(self) -> int:
        """Return a hash of the canonical bytes, which are what decides."""
        return hash(profile.encode(self))

    def get_hash(self) -> str:
        """Return the `event_hash`: SHA-256 of the canonical bytes (FORMAT §4)."""
        return profile.sha256_hex(profile.encode(self))


class ExecutionStarted(Event, frozen=True, kw_only=True, tag="execution_started"):
    """The first event: it commits to the plan, its hints and the starting security state before any step runs."""

    format: Literal["hearth-record/1"]
    execution_id: Identifier
    plan: Plan
    live_mode_state: LiveModeState
    actor: Actor | None
    approvals: tuple[Approval, ...]
    reason: Text
    change_ref: Text | None
    links: tuple[Link, ...]
    series: Series | None
    origin: Origin
    security_snapshot: SecuritySnapshot

    def __post_init__(self) -> None:
        """Check scalars."""
        check_identifier("execution_id", self.execution_id)


class StepEvent(Event, frozen=True, kw_only=True):
    """Base of the three events of a step."""

    step_index: Count
    step_name: NonEmptyText
    phase: StepPhase
    error_message: Text | None

    @property
    def event_type(self) -> StepEventType:
        """Which of the three it is."""
        return StepEventType(self.type)


class StepStarted(StepEvent, frozen=True, kw_only=True, tag="step_started"):
    """A step is about to run."""

    error_message: None


class StepCompleted(StepEvent, frozen=True, kw_only=True, tag="step_completed"):
    """The open step did what it should."""

    error_message: None


class StepFailed(StepEvent, frozen=True, kw_only=True, tag="step_failed"):
    """The open step did not do what it should; `error_message` says why."""

    error_message: NonEmptyText


class SideEffectObserved(Event, frozen=True, kw_only=True, tag="side_effect_observed"):
    """Something changed in the world. `reversible` is None when not known; guidance treats that as irreversible."""

    category: SideEffectCategory
    description: Text
    reversible: bool | None
    step_index: Count | None


class SecurityObserved(Event, frozen=True, kw_only=True, tag="security_observed"):
    """The security state, looked at while the execution runs."""

    security_snapshot: SecuritySnapshot


class ExecutionFinished(Event, frozen=True, kw_only=True, tag="execution_finished"):
    """The last event. `unknown_effects` is true unless the caller vouches that every effect was observed."""

    status: Literal["completed", "failed", "incomplete"]
    completion_reason: Text
    cause: IncompleteCause | None
    recovery: Recovery | None
    unknown_effects: bool
    security_snapshot: SecuritySnapshot


AnyEvent = (
    ExecutionStarted
    | StepStarted
    | StepCompleted
    | StepFailed
    | SideEffectObserved
    | SecurityObserved
    | ExecutionFinished
)
EVENT_TYPES: tuple[type[Event], ...] = (
    ExecutionStarted,
    StepStarted,
    StepCompleted,
    StepFailed,
    SideEffectObserved,
    SecurityObserved,
    ExecutionFinished,
)


# --- seal and file (FORMAT §5, §6) -----------------------------------------------------------------------------------

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
SEAL_PREDICATE_TYPE: Final = "urn:hearth-records:execution-seal:1"
MAX_SIGNERS = 16
MAX_COUNTERSIGNATURES = 64


class SignerName(_Object, frozen=True, kw_only=True):
    """A key that has to have signed."""

    algorithm: Identifier
    keyid: Digest

    def __post_init__(self) -> None:
        """Check scalars."""
        check_identifier("algorithm", self.algorithm)
        check_digest("keyid", self.keyid)


class Chain(_Object, frozen=True, kw_only=True):
    """The chain that is sealed: its head and its number of events."""

    head: Digest
    length: Annotated[int, Meta(ge=1, le=profile.MAX_INTEGER)]

    def __post_init__(self) -> None:
        """Check scalars."""
        check_digest("head", self.head)


class SealPredicate(_Object, frozen=True, kw_only=True):
    """What the seal says about the execution, so that it can be read without the events."""

    chain: Chain
    execution_id: Identifier
    format: Literal["hearth-record/1"]
    live_mode_state: LiveModeState
    plan_id: Identifier
    sealed_at: Timestamp
    series: Series | None
    signers: Annotated[tuple[SignerName, ...], Meta(min_length=1, max_length=MAX_SIGNERS)]
    status: Literal["completed", "failed", "incomplete"]

    def __post_init__(self) -> None:
        """Check scalars."""
        check_identifier("execution_id", self.execution_id)
        check_identifier("plan_id", self.plan_id)
        check_timestamp("sealed_at", self.sealed_at)
        if len(self.signers) > 1 and len({signer.keyid for signer in self.signers}) != len(self.signers):
            raise ScalarError("signers", "duplicate-signer", "a key stands once among the signers")


class SubjectDigest(_Object, frozen=True, kw_only=True):
    """The digest set of an in-toto subject."""

    sha256: Digest

    def __post_init__(self) -> None:
        """Check scalars."""
        check_digest("sha256", self.sha256)


class Subject(_Object, frozen=True, kw_only=True):
    """An in-toto subject: the execution, by the head of its chain."""

    digest: SubjectDigest
    name: Identifier

    def __post_init__(self) -> None:
        """Check scalars."""
        check_identifier("name", self.name)


class Statement(_Object, frozen=True, kw_only=True):
    """An in-toto Statement v1 about one execution: what is signed, wrapped as DSSE says (`statement.pae`)."""

    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    predicate: SealPredicate
    predicate_type: Literal["urn:hearth-records:execution-seal:1"] = msgspec.field(name="predicateType")
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=1)]


class Evidence(_Object, frozen=True, kw_only=True):
    """Something that was added later without touching the seal. Unknown types are reported, never an error."""

    data: Base64
    type: NonEmptyText

    def __post_init__(self) -> None:
        """Check scalars."""
        check_base64("data", self.data)


def check_base64(member: str, text: str) -> bytes:
    """Return what strict base64 holds (FORMAT §2). Raises `ScalarError`."""
    try:
        data = a2b_base64(text, strict_mode=True)
    except (TypeError, ValueError):
        data = b""
    if not data or b2a_base64(data, newline=False) != text.encode():
        _refuse(member, "base64", "standard base64, padded, without white space, pad bits zero", text)
    return data


def _check_distinct(evidence: tuple[Evidence, ...]) -> None:
    if len(evidence) > 1 and len({(item.type, item.data) for item in evidence}) != len(evidence):
        raise ScalarError("evidence", "duplicate-evidence", "no two pieces of evidence are equal")


class Signature(_Object, frozen=True, kw_only=True):
    """A signature over the DSSE preimage of the statement, and evidence about this signature."""

    evidence: tuple[Evidence, ...]
    keyid: Digest
    sig: Base64

    def __post_init__(self) -> None:
        """Check scalars."""
        check_digest("keyid", self.keyid)
        check_base64("sig", self.sig)
        _check_distinct(self.evidence)

    @property
    def sig_bytes(self) -> bytes:
        """The signature's raw bytes."""
        return a2b_base64(self.sig)


class Seal(_Object, frozen=True, kw_only=True):
    """The statement, its signatures (signers in their order, then countersignatures by key id), and evidence."""

    evidence: tuple[Evidence, ...]
    signatures: Annotated[tuple[Signature, ...], Meta(max_length=MAX_SIGNERS + MAX_COUNTERSIGNATURES)]
    statement: Statement

    def __post_init__(self) -> None:
        """Check evidence."""
        _check_distinct(self.evidence)


DisclosureText = Annotated[
    str,
    Meta(
        min_length=1,
        description="Unpadded base64url of the canonical JSON of [salt, name, value] (FORMAT §6, RFC 9901).",
        extra_json_schema={"not": {"pattern": "[^A-Za-z0-9_-]"}},
    ),
]

_is_base64url = re.compile(r"[A-Za-z0-9_-]+").fullmatch


class Closing(_Object, frozen=True, kw_only=True):
    """The closing line of a record file, but for the `]` and the comma that its frame puts before it."""

    disclosures: tuple[DisclosureText, ...]
    seal: Seal

    def __post_init__(self) -> None:
        """Check scalars."""
        for disclosure in self.disclosures:
            if not _is_base64url(disclosure):
                _refuse("disclosures", "base64url", "a disclosure is unpadded base64url", disclosure)


# --- records ---------------------------------------------------------------------------------------------------------


class SideEffectReport(Struct, frozen=True, kw_only=True):
    """The effects that the plan declares, and those that were observed."""

    declared: tuple[SideEffect, ...]
    observed: tuple[SideEffectObserved, ...]


class ExecutionRecord(Struct, frozen=True):
    """The record of one execution: its events. Everything else is a view of them.

    Holding one proves nothing: only a `VerifiedRecord` went through the checks. Two records are equal when their
    canonical bytes are.
    """

    events: tuple[Event, ...]

    def __post_init__(self) -> None:
        """Check that there is a first event to derive the views from."""
        if not self.events or not isinstance(self.events[0], ExecutionStarted):
            msg = "a record begins with execution_started"
            raise ValueError(msg)

    @property
    def started(self) -> ExecutionStarted:
        """Event 0."""
        first = self.events[0]
        assert isinstance(first, ExecutionStarted)  # noqa: S101 - __post_init__ holds it
        return first

    @property
    def finished(self) -> ExecutionFinished | None:
        """The terminal event, or None while there is none."""
        last = self.events[-1]
        return last if isinstance(last, ExecutionFinished) else None

    @property
    def execution_id(self) -> str:
        """The execution's identifier."""
        return self.started.execution_id

    @property
    def plan_id(self) -> str:
        """The plan's identifier."""
        return self.started.plan.plan_id

    @property
    def plan(self) -> Plan:
        """The plan as it was recorded before the first step."""
        return self.started.plan

    @property
    def live_mode_state(self) -> LiveModeState:
        """Whether the execution acted on the world."""
        return self.started.live_mode_state

    @property
    def status(self) -> ExecutionStatus:
        """The outcome; `STARTED` without a terminal event."""
        return ExecutionStatus(self.finished.status) if self.finished else ExecutionStatus.STARTED

    @property
    def completion_reason(self) -> str | None:
        """What was said at the end, or None without a terminal event."""
        return self.finished.completion_reason if self.finished else None

    @property
    def step_events(self) -> tuple[StepEvent, ...]:
        """The events of steps, in order."""
        return tuple(event for event in self.events if isinstance(event, StepEvent))

    @property
    def side_effects_report(self) -> SideEffectReport:
        """Declared and observed effects."""
        observed = tuple(event for event in self.events if isinstance(event, SideEffectObserved))
        return SideEffectReport(declared=self.plan.declared_side_effects, observed=observed)

    @property
    def security_snapshot_pre(self) -> SecuritySnapshot:
        """The security state before the first step."""
        return self.started.security_snapshot

    @property
    def security_snapshot_post(self) -> SecuritySnapshot | None:
        """The security state at the end, or None without a terminal event."""
        return self.finished.security_snapshot if self.finished else None

    @property
    def timestamp_start(self) -> str:
        """When the execution started."""
        return self.started.timestamp

    @property
    def timestamp_end(self) -> str | None:
        """When the execution finished, or None without a terminal event."""
        return self.finished.timestamp if self.finished else None

    def get_execution_hash(self) -> str:
        """Return the chain head: the `event_hash` of the last event, which commits to everything (FORMAT §4)."""
        return self.events[-1].get_hash()


class SealedRecord:
    """A sealed record: its seal, and the bytes of its file, which are what counts.

    A record that was journalled may be long: its bytes and events are read from its file when they are asked for.
    """

    __slots__ = ("_decode", "_load", "_record", "seal")

    def __init__(
        self,
        seal: Seal,
        load: Callable[[], bytes],
        decode: Callable[[bytes], ExecutionRecord],
        record: ExecutionRecord | None = None,
    ) -> None:
        self.seal = seal
        self._load = load
        self._decode = decode
        self._record = record

    @property
    def data(self) -> bytes:
        """The bytes of its file. Raises `OSError` when they lie in a file that cannot be read."""
        return self._load()

    @property
    def record(self) -> ExecutionRecord:
        """The record itself. Raises as `data`."""
        return self._record if self._record is not None else self._decode(self.data)

    @property
    def execution_id(self) -> str:
        """The execution's identifier."""
        return self.statement.predicate.execution_id

    @property
    def chain_head(self) -> str:
        """The digest that is sealed."""
        return self.statement.predicate.chain.head

    @property
    def file_name(self) -> str:
        """The name its file has (FORMAT §6)."""
        return f"{self.execution_id}.record.json"

    @property
    def statement(self) -> Statement:
        """The sealed statement."""
        return self.seal.statement


# --- rollback guidance -----------------------------------------------------------------------------------------------


class ScaffoldHint(_Object, frozen=True, kw_only=True):
    """A hint as it stands in the scaffold: verbatim, with what the record says about its step."""

    hint: RollbackHint
    recorded: bool
    """Whether the record holds this hint: recorded before the first step ran."""
    executed: bool
    """Whether its step was started."""


class ChecklistItem(_Object, frozen=True, kw_only=True):
    """An executed step to look at, by hand. `outcome` is "completed", "failed" or "open"."""

    step_index: Count
    step_name: NonEmptyText
    phase: StepPhase
    outcome: Literal["completed", "failed", "open"]
    has_hint: bool
    irreversible: bool


class RequiredInput(_Object, frozen=True, kw_only=True):
    """Something a person must have before following the hint of a step."""

    step_index: Count
    name: MemberName
    description: Text


class Risk(_Object, frozen=True, kw_only=True):
    """A risk that the hint of a step names."""

    step_index: Count
    risk: Text


class ScaffoldEffect(_Object, frozen=True, kw_only=True):
    """An effect, and whether it was observed or declared."""

    source: Literal["observed", "declared"]
    category: SideEffectCategory
    description: Text
    reversible: bool | None
    step_index: Count | None


class RollbackScaffold(_Object, frozen=True, kw_only=True):
    """Guidance that a person may follow by hand. Nothing in it is executed or inferred.

    `reason_code` is one of: `still-running`, `completed`, `security_escalation`, `recovered`, `abandoned`,
    `incomplete`, `security-state`, `no-hint`, `failed-with-hints`. Only the last one makes a rollback possible.
    """

    execution_id: Identifier
    plan_id: Identifier
    chain_head: Digest
    status: ExecutionStatus
    cause: IncompleteCause | None
    closing_security_state: SecurityState | None
    is_rollback_possible: bool
    reason_code: str
    reason: str
    hints: tuple[ScaffoldHint, ...]
    manual_checklist: tuple[ChecklistItem, ...]
    irreversible_steps: tuple[Count, ...]
    irreversible_effects: tuple[ScaffoldEffect, ...]
    steps_without_hint: tuple[Count, ...]
    declared_not_observed: tuple[SideEffect, ...]
    observed_not_declared: tuple[ScaffoldEffect, ...]
    required_inputs: tuple[RequiredInput, ...]
    risks: tuple[Risk, ...]
    unknown_effects: bool
