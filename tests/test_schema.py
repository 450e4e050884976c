"""The schemas against the meta-schema, the committed files, and the typed decoder.

The differential tests are the heart: for good values and for values with one fault, decoder and schema have to agree.
Where JSON Schema cannot say a rule, the rule stands in `BEYOND_A_SCHEMA` with the reason; the other way round, that the
decoder takes what the schema refuses, is never allowed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from helpers import json_events, policy_for, refusal, signer, standard_sealed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing.exceptions import Unresolvable

from hearth_records import documents
from hearth_records.canonical import decode_closing, decode_event, decode_plan
from hearth_records.errors import FormatError
from hearth_records.model import MAX_TEXT
from hearth_records.profile import MAX_INTEGER
from hearth_records.rollback import RollbackPlanner
from hearth_records.schema import ANY_NAME, SCHEMAS, document_schema, encode_schema, validate
from hearth_records.trust import TrustPolicy, encode_policy
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hearth_records.model import SealedRecord

COMMITTED = Path(__file__).parent.parent / "schemas"
Value = Any


def nodes(node: Value) -> Iterator[Value]:
    """Yield every object inside a JSON value, itself included."""
    if isinstance(node, dict):
        yield node
        for member in node.values():
            yield from nodes(member)
    elif isinstance(node, list):
        for item in node:
            yield from nodes(item)


# --- the schemas themselves ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_of_2020_12_and_stands_on_its_own(name: str) -> None:
    schema = document_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:hearth-records:schema:{name}:1"
    inside = {f"{schema['$id']}#/$defs/{definition}" for definition in schema["$defs"]}
    assert {node["$ref"] for node in nodes(schema) if isinstance(node.get("$ref"), str)} <= inside


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_file_is_the_one_that_the_model_makes(name: str) -> None:
    assert (COMMITTED / SCHEMAS[name]).read_bytes() == encode_schema(name)


def test_every_committed_schema_has_its_document() -> None:
    assert {str(path.relative_to(COMMITTED)) for path in COMMITTED.rglob("*.schema.json")} == set(SCHEMAS.values())


@pytest.mark.parametrize("name", SCHEMAS)
def test_objects_are_closed_and_their_members_required(name: str) -> None:
    for node in nodes(document_schema(name)):
        if "properties" in node and "additionalProperties" in node and "$id" not in node:
            if node["title"] == "Details":
                continue
            assert node["additionalProperties"] is False
            if name not in ("plan", "trust"):
                assert node["required"] == sorted(node["properties"])


SAMPLES: Final = ("2026-11-22T16:03:05.000120Z", "a" * 64, "exec-1.A_b", "AAAA", "A" * 43)
BREAKS: Final = ("{}\n", "\n{}", "{}\n\n", "{}\r", " {}", "{}\u2028")


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_text_of_a_form_takes_a_line_break_at_either_end(name: str) -> None:
    formed = [
        node
        for node in nodes(document_schema(name))
        if node.get("type") == "string" and {"pattern", "not"} & node.keys() and node.get("pattern") != ANY_NAME
    ]
    for node in formed:
        validator = Draft202012Validator(node)
        matching = [sample for sample in SAMPLES if validator.is_valid(sample)]
        assert matching
        for sample in matching:
            assert not any(validator.is_valid(text.format(sample)) for text in BREAKS)
    assert formed


@pytest.mark.parametrize("name", SCHEMAS)
def test_patterns_hold_without_what_lengths_add(name: str) -> None:
    for node in nodes(document_schema(name)):
        pattern = node.get("pattern")
        if isinstance(pattern, str) and pattern != ANY_NAME and "not" not in node and node.get("type") == "string":
            assert not any(re.search(pattern, f"{sample}\n") for sample in SAMPLES)


# --- validating ------------------------------------------------------------------------------------------------------


def test_what_the_project_writes_is_valid(sealed: SealedRecord) -> None:
    policy = policy_for(signer())
    report = verify_record(sealed.data, policy)
    scaffold = RollbackPlanner.plan_rollback(sealed.record)
    assert validate("record", sealed.data) == []
    assert validate("trust", encode_policy(policy.document)) == []
    entry = documents.file_entry("a.json", report)
    assert validate("verification", documents.encode_document(documents.report_document([entry]))) == []
    assert validate("scaffold", documents.encode_document(documents.scaffold_document(scaffold, report))) == []
    for event in json_events(sealed.data):
        assert validate("event", json.dumps(event).encode()) == []


def test_a_finding_names_the_place_and_the_rule(sealed: SealedRecord) -> None:
    document = json.loads(sealed.data)
    document["events"][3]["step_index"] = -1
    document["seal"]["statement"]["predicate"]["a/b~c"] = 1
    found = {(finding.pointer, finding.keyword) for finding in validate("record", json.dumps(document).encode())}
    assert found == {("/events/3/step_index", "minimum"), ("/seal/statement/predicate", "additionalProperties")}


def test_an_event_of_a_wrong_shape_is_judged_by_its_type(sealed: SealedRecord) -> None:
    document = json.loads(sealed.data)
    del document["events"][1]["step_name"]
    (finding,) = validate("record", json.dumps(document).encode())
    assert (finding.pointer, finding.keyword) == ("/events/1", "required")


def test_dates_are_really_checked(sealed: SealedRecord) -> None:
    # The pattern finds the same faults, so the keyword says that the format was asked too.
    for wrong in ("2026-02-30T00:00:00.000000Z", "2026-13-01T00:00:00.000000Z", "yesterday"):
        document = json.loads(sealed.data)
        document["events"][2]["timestamp"] = wrong
        findings = validate("record", json.dumps(document).encode())
        assert {"format", "pattern"} <= {finding.keyword for finding in findings}
        assert {finding.pointer for finding in findings} == {"/events/2/timestamp"}


def test_findings_are_bounded_and_safe_to_print(sealed: SealedRecord) -> None:
    document = json.loads(sealed.data)
    for event in document["events"]:
        event["type"] = "\x1b[31m\u202e" * 1000
        event["seq"] = "\n"
    document["events"] *= 10
    findings = validate("record", json.dumps(document).encode())
    assert len(findings) == 20
    assert all(finding.message.isprintable() and len(finding.message) < 2000 for finding in findings)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"{} {}", "not-json"),
        (b"\xef\xbb\xbf{}", "byte-order-mark"),
        (b'"\xff"', "invalid-utf8"),
        (b'{"a":1,"a":1}', "duplicate-member"),
        (b'{"a":1,"\\u0061":1}', "duplicate-member"),
        (b"[" * 100_000, "too-deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too-deep"),
        (b"NaN", "not-json"),
        (b'{"a":-Infinity}', "not-json"),
    ],
)
def test_what_is_no_document_at_all_is_an_error_and_no_finding(data: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        validate("record", data)
    assert caught.value.code == code


@pytest.mark.parametrize("levels", [17, 200, 300, 400, 800])
def test_details_that_are_nested_deep_are_judged_or_refused(sealed: SealedRecord, levels: int) -> None:
    document = json.loads(sealed.data)
    document["events"][1]["details"] = {"a": 0}
    deep = json.dumps(document).replace('{"a": 0}', '{"a":' * levels + "0" + "}" * levels).encode()
    if levels > 100:  # how much is too deep depends on the interpreter
        assert refusal(lambda data: validate("record", data), deep) in (None, "too-deep")
    else:
        assert validate("record", deep) == []


@pytest.mark.parametrize(
    "number",
    [b"1e400", b"-1e400", b"1.5", b"9" * 5000, b"1" * 31 + b"e5", b"1" * 30 + b"e-5", b"-1E+999"],
)
def test_numbers_of_any_spelling_are_judged(sealed: SealedRecord, number: bytes) -> None:
    data = sealed.data.replace(b'"step_index":1,', b'"step_index":' + number + b",")
    findings = validate("record", data)
    assert findings
    assert {finding.pointer.rpartition("/")[2] for finding in findings} == {"step_index"}


def test_nothing_outside_of_a_schema_is_looked_up() -> None:
    schema = document_schema("record") | {"$id": "urn:other"}
    with pytest.raises(Unresolvable):
        next(Draft202012Validator(schema).iter_errors({"events": [1]}))


# --- the decoder and the schema agree --------------------------------------------------------------------------------


def has_integral_float(value: Value) -> bool:
    if isinstance(value, dict):
        return any(map(has_integral_float, value.values()))
    if isinstance(value, list):
        return any(map(has_integral_float, value))
    return isinstance(value, float) and value.is_integer()


def is_sorted(event: Value) -> bool:
    digests = event["details"]["_sd"]
    return bool(digests == sorted(digests))


BEYOND_A_SCHEMA: Final[dict[str, tuple[str, Callable[[Value], bool]]]] = {
    "not-integer": ("1.0 is an integer to JSON Schema; the profile has no fractions", has_integral_float),
    "too-deep": ("JSON Schema has no word for depth", lambda _value: True),
    "disclosure-digests": ("JSON Schema has no word for order", lambda event: not is_sorted(event)),
    "duplicate-signer": ("distinct in one member, while uniqueItems compares whole items", lambda _value: True),
    "statement-too-large": ("JSON Schema has no word for bytes", lambda _value: True),
    # Plans and policies that people write
    "step-index": ("names a step of another list", lambda _value: True),
    "keyid": ("SHA-256 of another member", lambda _value: True),
    "algorithm": ("follows from another member", lambda _value: True),
    "key-unsupported": ("what base64 holds", lambda _value: True),
    "key-not-canonical": ("arithmetic on what base64 holds", lambda _value: True),
    "key-off-curve": ("arithmetic on what base64 holds", lambda _value: True),
    "key-small-order": ("arithmetic on what base64 holds", lambda _value: True),
    "example-key": ("a list of keys that the library knows", lambda _value: True),
    "duplicate-key": ("distinct in one member", lambda _value: True),
}
"""Codes of the decoder for faults that a schema lets pass, why, and when that is so."""

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
SOME_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
COUNT = st.sampled_from([0, 1, 7, MAX_INTEGER])
TIMESTAMP = st.sampled_from(
    [
        "2026-11-22T16:03:05.000120Z",
        "0001-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999Z",
        "2024-02-29T00:00:00.000000Z",
        "2000-02-29T00:00:00.000000Z",
    ]
)
DIGEST = st.sampled_from(["0" * 64, "0123456789abcdef" * 4])
IDENTIFIER = st.sampled_from(["a", "A-b_c.9", "0" * 128])
NAME = st.text(st.characters(max_codepoint=0xFFFF, codec="utf-8"), min_size=1, max_size=6).filter(
    lambda name: name not in ("_sd", "...")
)
SD = st.lists(st.sampled_from(["A" * 43, "B" * 42 + "E", "-_" * 21 + "8"]), min_size=1, unique=True).map(sorted)
DETAIL = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAME, inner, max_size=2),
    max_leaves=4,
)


def optional(strategy: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.none() | strategy


def struct(**members: Value) -> st.SearchStrategy[Value]:
    return st.fixed_dictionaries(
        {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in members.items()}
    )


CATEGORY = st.sampled_from(["file_system", "network", "data_mutation", "configuration", "system", "other"])
SNAPSHOT = struct(
    security_state=st.sampled_from(["OPERATIONAL", "DEGRADED", "COMPROMISED", "LOCKDOWN", "UNKNOWN"]),
    boundary_state=st.sampled_from(["NOMINAL", "ELEVATED", "COMPROMISED", "LOCKDOWN", "UNKNOWN"]),
    context=TEXT,
)
ORIGIN = struct(
    host=TEXT,
    software=TEXT,
    clock=optional(struct(source=optional(TEXT), synchronized=optional(st.booleans()))),
)
PLAN = struct(
    plan_id=IDENTIFIER,
    sha256=optional(DIGEST),
    steps=st.lists(struct(step_index=COUNT, step_name=SOME_TEXT), max_size=2),
    declared_side_effects=st.lists(
        struct(category=CATEGORY, description=TEXT, reversible=optional(st.booleans()), step_index=optional(COUNT)),
        max_size=1,
    ),
    rollback_hints=st.lists(
        struct(
            step_index=COUNT,
            description=TEXT,
            actions=st.lists(TEXT, max_size=2),
            required_inputs=st.dictionaries(NAME, TEXT, max_size=1),
            risks=st.lists(TEXT, max_size=1),
            estimated_duration=optional(TEXT),
        ),
        max_size=1,
    ),
)
SERIES = struct(id=IDENTIFIER, sequence=0, previous=None) | struct(id=IDENTIFIER, sequence=5, previous=DIGEST)
MEMBERS: Final[dict[str, dict[str, Value]]] = {
    "execution_started": {
        "format": "hearth-record/1",
        "execution_id": IDENTIFIER,
        "plan": PLAN,
        "live_mode_state": st.sampled_from(["LIVE", "DRY_RUN"]),
        "actor": optional(
            struct(
                id=TEXT,
                type=st.sampled_from(["human", "service", "agent"]),
                display_name=optional(TEXT),
                on_behalf_of=optional(TEXT),
            )
        ),
        "approvals": st.lists(
            struct(
                approver=TEXT,
                role=optional(TEXT),
                meaning=optional(TEXT),
                approved_at=optional(TIMESTAMP),
                reference=optional(TEXT),
            ),
            max_size=1,
        ),
        "reason": TEXT,
        "change_ref": optional(TEXT),
        "links": st.lists(
            struct(
                relation=st.sampled_from(["retries", "continues", "rolls_back", "child_of"]),
                execution_id=IDENTIFIER,
                chain_head=optional(DIGEST),
            ),
            max_size=1,
        ),
        "series": optional(SERIES),
        "origin": ORIGIN,
        "security_snapshot": SNAPSHOT,
    },
    "side_effect_observed": {
        "category": CATEGORY,
        "description": TEXT,
        "reversible": optional(st.booleans()),
        "step_index": optional(COUNT),
    },
    "security_observed": {"security_snapshot": SNAPSHOT},
    "execution_finished": {
        "status": st.sampled_from(["completed", "failed", "incomplete"]),
        "completion_reason": TEXT,
        "cause": st.sampled_from([None, "security_escalation", "recovered", "abandoned"]),
        "recovery": optional(struct(torn_bytes=COUNT, torn_sha256=optional(DIGEST), origin=ORIGIN)),
        "unknown_effects": st.booleans(),
        "security_snapshot": SNAPSHOT,
    },
    **{
        kind: {
            "step_index": COUNT,
            "step_name": SOME_TEXT,
            "phase": st.sampled_from(["plan", "cleanup"]),
            "error_message": SOME_TEXT if kind == "step_failed" else None,
        }
        for kind in ("step_started", "step_completed", "step_failed")
    },
}
"""The members of each type of event (FORMAT §3), written out apart from the model."""


@st.composite
def events(draw: st.DrawFn) -> dict[str, Value]:
    """A good event."""
    kind = draw(st.sampled_from(sorted(MEMBERS)))
    details = draw(st.dictionaries(NAME, DETAIL, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        details["_sd"] = draw(SD)
    return {
        "type": kind,
        "seq": draw(COUNT),
        "timestamp": draw(TIMESTAMP),
        "previous_event_hash": draw(optional(DIGEST)),
        "details": details,
        **draw(struct(**MEMBERS[kind])),
    }


WRONG: Final[list[Value]] = [
    *(None, True, False, 0, 1, -1, MAX_INTEGER, MAX_INTEGER + 1, -MAX_INTEGER - 1, 10**30, 1.0, 0.5, 2.0**60),
    *("", "x", "x" * MAX_TEXT, "x" * (MAX_TEXT + 1), "\U0001f600" * MAX_TEXT, "0" * 64, "0" * 63, "A" * 64, "a" * 129),
    *("2026-02-30T00:00:00.000000Z", "2026-11-22T24:00:00.000000Z", "2026-11-22T16:03:60.000000Z", "a/b", "-a", "٣"),
    *("2100-02-29T00:00:00.000000Z", "0000-01-01T00:00:00.000000Z", "2026-11-22T16:03:05.00012Z", "LIVE", "failed"),
    *("2026-11-22t16:03:05.000120z", "2026-11-22T16:03:05.000120+00:00", "2025-11-22T16:03:05.000120Z"),
    *("AB==", "AAB=", "A===", "AA\n=", "AAAAA", "A-_A", "seal", "witness", "ed25519"),
    *([], [0], [None], ["x"], [[]], {}, {"x": "y"}, {"x": 1}, {"_sd": []}, {"...": 1}, [{"_sd": 1}]),
    *(["B" * 43], ["A" * 43, "A" * 43], ["E" * 43, "A" * 43], ["A" * 42 + "B"], {"\U00010000": "x"}, {"": "x"}),
    *(
        {"a" * 128: "x"},
        {"a" * 129: "x"},
        {"a\n": "x"},
        [[[[[[[[[[[[[[[0]]]]]]]]]]]]]]],
        [[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]],
    ),
]
NEW_NAMES: Final = ["x", "", "_sd", "...", "type", "seq", "a" * 128, "a" * 129, "\U00010000", "\uffff", "a\n"]


def paths(value: Value, base: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the places in a JSON value, the value itself first."""
    children: list[tuple[str | int, Value]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [base, *(path for key, child in children for path in paths(child, (*base, key)))]


@st.composite
def faults(draw: st.DrawFn, value: Value) -> Value:
    """A deep copy of `value` in which at most one place was changed."""
    value = json.loads(json.dumps(value))
    path = draw(st.sampled_from(paths(value)))
    parent: Value = None
    node = value
    for key in path:
        parent, node = node, node[key]
    action = draw(st.sampled_from(["keep", "remove", "replace", "replace", "add", "bend"]))
    if action == "add" and isinstance(node, dict):
        node[draw(st.sampled_from(NEW_NAMES))] = draw(st.sampled_from(WRONG))
    elif action == "add" and isinstance(node, list):
        node.append(draw(st.sampled_from([*node, *WRONG])))
    elif action == "remove" and parent is not None:
        del parent[path[-1]]
    elif action == "replace":
        wrong = draw(st.sampled_from(WRONG))
        if parent is None:
            return wrong
        parent[path[-1]] = wrong
    elif action == "bend" and parent is not None:
        parent[path[-1]] = draw(bent(node))
    return value


def bent(node: Value) -> st.SearchStrategy[Value]:
    """Values that are nearly `node`."""
    if isinstance(node, str):
        near = [f"{node}\n", f"\n{node}", f" {node}", node[:-1], node.upper(), node.lower(), f"{node}0", f"{node}\x00"]
        return st.sampled_from([*near, node.replace("0", "9", 1), node[::-1]])
    if isinstance(node, bool) or node is None:
        return st.sampled_from([0, "", "null", not node])
    if isinstance(node, int):
        return st.sampled_from([node + 1, -node, str(node), float(node), bool(node)])
    if isinstance(node, list):
        return st.sampled_from([node[::-1], node * 2, node[:-1], dict(enumerate(map(str, node)))])
    return st.sampled_from([list(node), list(node.values()), None])


def canonical(value: Value) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decode_closing_of(data: bytes) -> object:
    """Decode the closing line of a record document."""
    closing = {name: member for name, member in json.loads(data).items() if name not in ("format", "events")}
    return decode_closing(b"]," + canonical(closing)[1:])


DECODERS: Final[dict[str, Callable[[bytes], object]]] = {
    "event": decode_event,
    "record": decode_closing_of,
    "trust": TrustPolicy.decode,
    "plan": decode_plan,
}


def check_agreement(name: str, value: Value) -> None:
    """Compare what the decoder of a document and its schema say about `value`."""
    findings = validate(name, canonical(value))
    code = refusal(DECODERS[name], canonical(value))
    if code is None:
        assert findings == []
    elif not findings:
        assert code in BEYOND_A_SCHEMA
        _reason, when = BEYOND_A_SCHEMA[code]
        assert when(value)


def good_event() -> Value:
    return {
        "type": "step_failed",
        "seq": 3,
        "timestamp": "2026-11-22T16:03:05.000120Z",
        "previous_event_hash": "0" * 64,
        "details": {"_sd": ["A" * 43, "E" * 43], "n": {"m": [1, None, True, "x"]}},
        "step_index": 0,
        "step_name": "a",
        "phase": "plan",
        "error_message": "e",
    }


def good_record() -> Value:
    """A record with one event, and everything that a closing line may hold."""
    value = json.loads(standard_sealed().data)
    evidence = [{"data": "AAAA", "type": "rfc3161"}, {"data": "AA==", "type": "x"}]
    value["disclosures"] = ["QQ", "Qg"]
    value["seal"]["evidence"] = evidence
    value["seal"]["signatures"][0]["evidence"] = evidence
    value["seal"]["statement"]["predicate"]["series"] = {"id": "s", "sequence": 1, "previous": "0" * 64}
    value["events"] = value["events"][:1]
    return value


def good_policy() -> Value:
    value = json.loads(encode_policy(policy_for(signer()).document))
    value["keys"][0] |= {
        "not_before": "2026-01-01T00:00:00.000000Z",
        "revoked": {"at": "2026-01-01T00:00:00.000000Z", "reason": "retired"},
    }
    return value


def good_plan() -> Value:
    return {
        "format": "hearth-plan/1",
        "plan_id": "plan-1",
        "steps": [{"step_index": 0, "step_name": "a"}, {"step_index": 4, "step_name": "b"}],
        "declared_side_effects": [{"category": "network", "description": "x", "reversible": True, "step_index": 0}],
        "rollback_hints": [{"step_index": 4, "description": "d", "actions": ["a"], "required_inputs": {"n": "v"}}],
    }


GOOD: Final = {"event": good_event, "record": good_record, "trust": good_policy, "plan": good_plan}


def key_of(raw: bytes) -> Value:
    """Return the members of a policy's key that tell which key it is."""
    spki = bytes.fromhex("302a300506032b6570032100") + raw
    return {"public_key": base64.b64encode(spki).decode(), "keyid": hashlib.sha256(spki).hexdigest()}


def nested(levels: int) -> Value:
    value: Value = 0
    for _level in range(levels):
        value = [value]
    return value


PREDICATE: Final = ("seal", "statement", "predicate")
EXAMPLE_KEY: Final = Path(__file__).parent.parent / "keys_example" / "trust.json"
EXAMPLES: Final[list[tuple[str, str, tuple[str | int, ...], Callable[[Value], Value]]]] = [
    ("not-integer", "event", ("step_index",), lambda _: 1.0),
    ("not-integer", "record", (*PREDICATE, "chain", "length"), lambda _: 1.0),
    ("not-integer", "trust", ("version",), lambda _: 1.0),
    ("not-integer", "plan", ("steps", 0, "step_index"), lambda _: 0.0),
    ("too-deep", "event", ("details", "n"), lambda _: nested(16)),
    ("disclosure-digests", "event", ("details", "_sd"), lambda old: old[::-1]),
    ("duplicate-signer", "record", (*PREDICATE, "signers"), lambda old: [*old, old[0] | {"algorithm": "x"}]),
    (
        "statement-too-large",
        "record",
        (*PREDICATE, "signers"),
        lambda _: [{"algorithm": "a" * 128, "keyid": f"{number:064}"} for number in range(16)],
    ),
    ("step-index", "plan", ("rollback_hints", 0, "step_index"), lambda _: 3),
    ("step-index", "plan", ("steps",), lambda old: old[::-1]),
    ("keyid", "trust", ("keys", 0, "keyid"), lambda _: "0" * 64),
    ("algorithm", "trust", ("keys", 0, "algorithm"), lambda _: "ml-dsa-44"),
    ("key-unsupported", "trust", ("keys", 0, "public_key"), lambda _: "AAAA"),
    ("key-not-canonical", "trust", ("keys", 0), lambda old: old | key_of((2**255 - 16).to_bytes(32, "little"))),
    ("key-off-curve", "trust", ("keys", 0), lambda old: old | key_of((2).to_bytes(32, "little"))),
    ("key-small-order", "trust", ("keys", 0), lambda old: old | key_of(bytes(32))),
    ("example-key", "trust", (), lambda _: json.loads(EXAMPLE_KEY.read_bytes())),
    ("duplicate-key", "trust", ("keys",), lambda old: old * 2),
]


@pytest.mark.parametrize(("code", "name", "path", "change"), EXAMPLES)
def test_what_a_schema_cannot_say(
    code: str, name: str, path: tuple[str | int, ...], change: Callable[[Value], Value]
) -> None:
    value: Value = [GOOD[name]()]
    parent, key, node = value, 0, value[0]
    for part in path:
        parent, key, node = node, part, node[part]  # type: ignore[assignment]
    assert (refusal(DECODERS[name], canonical(value[0])), validate(name, canonical(value[0]))) == (None, [])
    parent[key] = change(node)
    assert (refusal(DECODERS[name], canonical(value[0])), validate(name, canonical(value[0]))) == (code, [])
    assert BEYOND_A_SCHEMA[code][1](value[0])


@pytest.mark.parametrize(
    "digests",
    [
        *([], ["A" * 43] * 2, ["A" * 42], ["A" * 44], ["A" * 43 + "\n"], ["\n" + "A" * 42], ["A" * 42 + "="]),
        *(["A" * 42 + "B"], ["+" + "A" * 42], ["A" * 43, 1], [None], "A" * 43, None, {}, 1),
    ],
)
def test_digests_of_disclosures_that_neither_takes(digests: Value) -> None:
    event = good_event()
    event["details"]["_sd"] = digests
    assert refusal(decode_event, canonical(event)) == "disclosure-digests"
    assert {finding.pointer.rpartition("/_sd")[0] for finding in validate("event", canonical(event))} == {"/details"}


@pytest.mark.parametrize("name", ["...", "_sd"])
def test_reserved_names_that_neither_takes(name: str) -> None:
    for change in ({"a": {name: 1}}, {"a": [[{name: ["A" * 43]}]]}, *([{name: ["A" * 43]}] if name == "..." else [])):
        event = good_event() | {"details": change}
        assert refusal(decode_event, canonical(event)) == "reserved-name"
        assert validate("event", canonical(event))


def test_nothing_is_listed_that_a_schema_could_say() -> None:
    assert {code for code, *_rest in EXAMPLES} == set(BEYOND_A_SCHEMA)


BOUNDED = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@BOUNDED
@given(events())
def test_decoder_and_schema_take_every_good_event(event: Value) -> None:
    assert refusal(decode_event, canonical(event)) is None
    assert validate("event", canonical(event)) == []


@BOUNDED
@given(events().flatmap(faults))
def test_decoder_and_schema_agree_on_events_with_a_fault(value: Value) -> None:
    check_agreement("event", value)


@BOUNDED
@given(st.data())
def test_decoder_and_schema_agree_on_closing_lines_with_a_fault(data: st.DataObject) -> None:
    document = good_record()
    closing = {name: document.pop(name) for name in ("disclosures", "seal")}
    check_agreement("record", document | data.draw(faults(closing).filter(lambda value: isinstance(value, dict))))


@BOUNDED
@given(faults(good_policy()))
def test_decoder_and_schema_agree_on_policies_with_a_fault(value: Value) -> None:
    check_agreement("trust", value)


@BOUNDED
@given(faults(good_plan()))
def test_decoder_and_schema_agree_on_plans_with_a_fault(value: Value) -> None:
    check_agreement("plan", value)
