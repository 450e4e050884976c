"""What several tests build on: a clock and keys that never change, and records that are made with them."""

from __future__ import annotations

import json
import os
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st

from hearth_records.canonical import encode_file
from hearth_records.errors import HearthRecordsError
from hearth_records.kernel import HearthKernel
from hearth_records.keys import LocalSigner, private_key_to_pem, public_key
from hearth_records.model import Origin, Plan, PlanStep, RollbackHint, SideEffect, SideEffectCategory
from hearth_records.observer import ExecutionObserver
from hearth_records.profile import sha256_hex
from hearth_records.seal import make_closing, seal_record
from hearth_records.trust import TrustPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hearth_records.kernel import SecurityKernel
    from hearth_records.keys import Signer
    from hearth_records.model import ExecutionRecord, SealedRecord

DATA = Path(__file__).parent / "data"
EXAMPLE_KEYS = Path(__file__).parent.parent / "keys_example"
SEED = bytes(range(32))
OTHER_SEED = bytes(range(32, 64))
START = datetime(2026, 11, 22, 16, 0, 0, tzinfo=UTC)
SEALED_AT = "2026-11-22T17:00:00.000000Z"


class TickingClock:
    """A clock that goes on by one second and 137 microseconds each time it is read."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        now = self.now
        self.now += timedelta(seconds=1, microseconds=137)
        return now


def randomness(seed: int = 0) -> Callable[[int], bytes]:
    """Return a source of bytes that are always the same: only for tests."""
    return random.Random(seed).randbytes


def private_key(seed: bytes = SEED) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


def signer(seed: bytes = SEED) -> LocalSigner:
    return LocalSigner(private_key(seed))


def write_key(path: Path, key: Any, passphrase: bytes | None = None) -> None:
    """Write a private key as a command takes it: nobody else can read it."""
    path.write_bytes(private_key_to_pem(key, passphrase))
    path.chmod(0o600)


def policy_for(*signers: Signer) -> TrustPolicy:
    return TrustPolicy.from_keys([(f"key {number}", public_key(one.public_key)) for number, one in enumerate(signers)])


def standard_plan() -> Plan:
    return Plan(
        plan_id="plan-1",
        steps=(PlanStep(step_index=0, step_name="Deploy"), PlanStep(step_index=1, step_name="Migrate")),
        declared_side_effects=(
            SideEffect(
                category=SideEffectCategory.NETWORK, description="told the load balancer", reversible=True, step_index=0
            ),
        ),
        rollback_hints=(
            RollbackHint(
                step_index=0,
                description="Drop the new table",
                actions=("DROP TABLE t2",),
                required_inputs={"dsn": "database address"},
                risks=("rows written since are lost",),
                estimated_duration="2 min",
            ),
        ),
    )


def observe(
    execution_id: str = "exec-1",
    plan: Plan | str | None = None,
    kernel: SecurityKernel | None = None,
    **arguments: Any,
) -> ExecutionObserver:
    """Return an observer with the standard plan, a new kernel and a ticking clock, unless told otherwise."""
    arguments.setdefault("clock", TickingClock())
    arguments.setdefault("origin", Origin(host="host-1", software="tests/1"))
    return ExecutionObserver(
        execution_id, standard_plan() if plan is None else plan, kernel or HearthKernel(), **arguments
    )


def run_standard(observer: ExecutionObserver) -> ExecutionObserver:
    """Record one step that completes with an effect, one that fails, and a failed end."""
    observer.record_step_started(0, "Deploy", {"host": "db1"})
    observer.record_side_effect("network", "told the load balancer", reversible=True, step_index=0)
    observer.record_step_completed(0, "Deploy", {})
    observer.record_step_started(1, "Migrate")
    observer.record_side_effect("data_mutation", "rows written", reversible=False, step_index=1)
    observer.record_step_failed(1, "Migrate", "Constraint violation")
    observer.mark_failed("Migrate failed")
    return observer


def standard_record() -> ExecutionRecord:
    return run_standard(observe()).get_execution_record("LIVE")


def standard_sealed() -> SealedRecord:
    return seal_record(standard_record(), signer(), sealed_at=SEALED_AT)


def json_events(data: bytes) -> list[dict[str, Any]]:
    """Return the events of a record file as plain JSON values."""
    events: list[dict[str, Any]] = json.loads(data)["events"]
    return events


def relink(events: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Return the canonical bytes of plain events with `seq` and links made to hold; written by another library."""
    lines: list[bytes] = []
    head = None
    for seq, event in enumerate(events):
        line = rfc8785.dumps({**event, "seq": seq, "previous_event_hash": head})
        head = sha256_hex(line)
        lines.append(line)
    return lines


def seal_lines(lines: Sequence[bytes], record: ExecutionRecord, *signers: Signer) -> bytes:
    """Return a file of these events, sealed with good signatures whatever the events are worth."""
    closing = make_closing(
        record.started,
        record.finished,
        head=sha256_hex(lines[-1]),
        length=len(lines),
        signers=signers or (signer(),),
        sealed_at=SEALED_AT,
    )
    return encode_file(lines, closing)


def needs_program(name: str) -> str:
    """Return the path of a program. A test that has not got it is skipped, but fails where `CI` is set."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {name}")
    return path


def needs_node_package(name: str) -> str:
    """Return the path of node, where a package of tests/package.json is installed; else as `needs_program`."""
    node = needs_program("node")
    if not (Path(__file__).parent / "node_modules" / name).is_dir():
        needs_program(f"{name} (npm install in tests/)")
    return node


def lacks_privilege(what: str) -> NoReturn:
    """Skip a test, also where `CI` is set: the kernel does not let this user do what it needs."""
    pytest.skip(f"NOT TESTED, the kernel does not allow it here: {what}")


def refusal(decode: Callable[[bytes], object], data: bytes) -> str | None:
    """Return the code with which `decode` refuses `data`, or None."""
    try:
        decode(data)
    except HearthRecordsError as error:
        return error.code
    return None


def facts(error: HearthRecordsError) -> tuple[str, int | None, str | None]:
    """Return what a program reads from an error: code, seq, pointer."""
    return error.code, error.seq, error.pointer


# --- JSON for property tests -----------------------------------------------------------------------------------------

member_names = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), min_size=1, max_size=128)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"))
profile_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(member_names, inner, max_size=4), max_leaves=12
)
"""JSON values within the profile."""

_GOOD_TEXTS = [
    '""',
    '"a"',
    '"b"',
    '"c"',
    '"\x7f"',
    '"é"',
    '"e\u0301"',
    '"\u2028"',
    '"\U0001f600"',
    '"/"',
    '"\\n"',
    '"\\u001f"',
    '"\'"',
]
_BAD_TEXTS = [
    *('"\\u0061"', '"\\/"', '"\\u000a"', '"\\u001F"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00\\ud800"'),
    *('"\t"', '"\x00"', '"', "'a'", '"\\x41"', '"a'),
]
_GOOD_NUMBERS = ["0", "-1", "1", "9007199254740991", "-9007199254740991"]
_BAD_NUMBERS = [
    *(
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551616",
        "-0",
        "1.0",
        "1e0",
        "0.5",
        "1E400",
        "1e-400",
        "00",
    ),
    *("1.", "+1", ".5", "NaN", "Infinity", "-Infinity", "9" * 31, "9" * 32, "-" + "9" * 33, "1" + "0" * 40 + ".0"),
]
_GOOD_NAMES = ['"a"', '"b"', '"c"', '"\ue000"', '"é"', '"~/"', f'"{"n" * 128}"', f'"{"é" * 128}"']
_BAD_NAMES = [
    *('""', '"_sd"', '"..."', '"_s\\u0064"', '"\\u0061"', '"\U00010000"', '"a\U0010ffff"', '"\\ud800"', "a", "1"),
    *(f'"{"n" * 129}"', f'"{"é" * 129}"', '"\\ud83d\\ude00"'),
]


def _now_and_then(good: Sequence[str], bad: Sequence[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 9).flatmap(lambda dice: st.sampled_from(bad if dice == 9 else good))


_spaces = _now_and_then([""], [" ", "\n", "\t", "\r", "\u00a0", ",", "\ufeff"])


@st.composite
def _json_object(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    members = draw(st.lists(st.tuples(_now_and_then(_GOOD_NAMES, _BAD_NAMES), inner), max_size=3))
    if draw(st.integers(0, 9)) < 9:
        members = sorted(dict(members).items())
    return "{" + draw(_spaces) + ",".join(f"{name}:{draw(_spaces)}{value}" for name, value in members) + "}"


@st.composite
def _json_array(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    return "[" + ",".join(draw(st.lists(inner, max_size=3))) + draw(_spaces) + "]"


@st.composite
def _nested(draw: st.DrawFn) -> str:
    levels = draw(st.integers(11, 18))
    opening = draw(st.sampled_from(["[", '{"a":']))
    return opening * levels + "1" + ("]" if opening == "[" else "}") * levels


json_texts = st.recursive(
    _now_and_then(["null", "true", *_GOOD_NUMBERS, *_GOOD_TEXTS], ["nul", "True", "", *_BAD_NUMBERS, *_BAD_TEXTS])
    | _nested(),
    lambda inner: _json_object(inner) | _json_array(inner),
    max_leaves=8,
)
"""JSON, canonical or nearly: every rule of the profile is broken now and then."""
json_objects = _json_object(json_texts)


# --- golden bytes ----------------------------------------------------------------------------------------------------

GOLDEN_LINES: tuple[bytes, ...] = (
    (
        b'{"actor":{"display_name":"Service","id":"svc-1","on_behalf_of":"ann","type":"service"},"approvals":[{'
        b'"approved_at":"2026-11-22T15:00:00.000000Z","approver":"ann","meaning":"approved","reference":"mail 5'
        b'","role":"owner"}],"change_ref":"CHG-7","details":{"note":"caf\xc3\xa9"},"execution_id":"exec-1","for'
        b'mat":"hearth-record/1","links":[{"chain_head":"0123456789abcdef0123456789abcdef0123456789abcdef012345'
        b'6789abcdef","execution_id":"exec-0","relation":"retries"}],"live_mode_state":"LIVE","origin":{"clock"'
        b':{"source":"ntp","synchronized":true},"host":"host-1","software":"tests/1"},"plan":{"declared_side_ef'
        b'fects":[{"category":"network","description":"sent mail","reversible":false,"step_index":0}],"plan_id"'
        b':"plan-1","rollback_hints":[{"actions":["DROP TABLE t2"],"description":"Drop it","estimated_duration"'
        b':"2 min","required_inputs":{"dsn":"database address"},"risks":["rows are lost"],"step_index":0}],"sha'
        b'256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","steps":[{"step_index":0,"ste'
        b'p_name":"Deploy"}]},"previous_event_hash":null,"reason":"upgrade","security_snapshot":{"boundary_stat'
        b'e":"NOMINAL","context":"Pre-execution","security_state":"OPERATIONAL"},"seq":0,"series":{"id":"plant-'
        b'7","previous":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","sequence":1},"times'
        b'tamp":"2026-11-22T16:00:00.000000Z","type":"execution_started"}'
    ),
    (
        b'{"details":{},"error_message":null,"phase":"plan","previous_event_hash":"861647729db9d0bd42ba99a2dd8e'
        b'dc3104cfd9e5c8a5115230ce9ca70ca45ebf","seq":1,"step_index":0,"step_name":"Deploy","timestamp":"2026-1'
        b'1-22T16:00:01.000137Z","type":"step_started"}'
    ),
    (
        b'{"category":"network","description":"sent mail","details":{},"previous_event_hash":"9ea21332c01363c20'
        b'd58a2d0507ec3eccb6b1cac802c421a3f31d45793438188","reversible":null,"seq":2,"step_index":0,"timestamp"'
        b':"2026-11-22T16:00:02.000137Z","type":"side_effect_observed"}'
    ),
    (
        b'{"details":{"neg":-9007199254740991,"ok":true},"error_message":null,"phase":"plan","previous_event_ha'
        b'sh":"21efaa935ffc4737ceb36571dc59d011de38f24bb6899c47009c84d7199b7b2a","seq":3,"step_index":0,"step_n'
        b'ame":"Deploy","timestamp":"2026-11-22T16:00:03.000137Z","type":"step_completed"}'
    ),
    (
        b'{"details":{},"error_message":null,"phase":"cleanup","previous_event_hash":"a25f8dd04087c08e8d53f95b0'
        b'7dd9d73ca3d7235505cb757ea8149eefa75a8eb","seq":4,"step_index":1,"step_name":"Migrate \xe2\x80\x93 '
        b'\xc3\xa9tape \xe2\x91\xa0","timestamp":"2026-11-22T16:00:04.000137Z","type":"step_started"}'
    ),
    (
        b'{"details":{},"error_message":"tab\\t\\"quote\\" \\u001b[31m","phase":"cleanup","previous_event_hash"'
        b':"5caac0c7dc39a86164b2b001d3b466308d43383dc8a166753b630d3932244c00","seq":5,"step_index":1,"step_name'
        b'":"Migrate \xe2\x80\x93 \xc3\xa9tape \xe2\x91\xa0","timestamp":"2026-11-22T16:00:05.000137Z","type":"'
        b'step_failed"}'
    ),
    (
        b'{"details":{},"previous_event_hash":"1bc50a3fe58cc938f676db9e545e08cf4e0f17a32f6e923bd0d991d11717120c'
        b'","security_snapshot":{"boundary_state":"UNKNOWN","context":"","security_state":"LOCKDOWN"},"seq":6,"'
        b'timestamp":"2026-11-22T16:00:06.000137Z","type":"security_observed"}'
    ),
    (
        b'{"cause":"recovered","completion_reason":"stopped","details":{},"previous_event_hash":"f93533f2a64fb2'
        b'3b4ef4b587d291f464720691371f8e755270f01683007ceb41","recovery":{"origin":{"clock":null,"host":"host-2'
        b'","software":"tests/1"},"torn_bytes":7,"torn_sha256":"0123456789abcdef0123456789abcdef0123456789abcde'
        b'f0123456789abcdef"},"security_snapshot":{"boundary_state":"UNKNOWN","context":"after","security_state'
        b'":"LOCKDOWN"},"seq":7,"status":"incomplete","timestamp":"2026-11-22T16:00:07.000137Z","type":"executi'
        b'on_finished","unknown_effects":true}'
    ),
)
"""The canonical bytes of one event of each kind and more, as literals; `test_canonical` builds the same as structs."""

GOLDEN_HASHES = (
    "861647729db9d0bd42ba99a2dd8edc3104cfd9e5c8a5115230ce9ca70ca45ebf",
    "9ea21332c01363c20d58a2d0507ec3eccb6b1cac802c421a3f31d45793438188",
    "21efaa935ffc4737ceb36571dc59d011de38f24bb6899c47009c84d7199b7b2a",
    "a25f8dd04087c08e8d53f95b07dd9d73ca3d7235505cb757ea8149eefa75a8eb",
    "5caac0c7dc39a86164b2b001d3b466308d43383dc8a166753b630d3932244c00",
    "1bc50a3fe58cc938f676db9e545e08cf4e0f17a32f6e923bd0d991d11717120c",
    "f93533f2a64fb23b4ef4b587d291f464720691371f8e755270f01683007ceb41",
    "4dc4732170f36cf65ad9833a053886370b50bf8b5e7d2c5a1c80d388f75e649d",
)
"""What `sha256sum` says about them."""
