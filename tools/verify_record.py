#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["cryptography"]
# ///
"""Verify hearth-record/1 files with this one file and nothing of the package.

A second verifier, written from the specification (schemas/FORMAT.md, cited as §) so that two
programs have to agree before a record is believed. It reads; it changes no file, opens no
connection, and takes keys from the reader alone, because a record holds none.

    verify_record.py --key PUBLIC.pem FILE...     seals by these keys are trusted
    verify_record.py --trust POLICY.json FILE...  a trust policy decides (§9)
    verify_record.py --no-trust FILE...           consistency only: exit 4 at best

Checks, in this order (§8). Each is pass, fail or not_run, and not_run is never a pass.

     1 read         the file was read once, whole, within 1 GiB               else exit 3
     2 canonical    frame, JSON profile, canonical bytes (§6, §1)             else exit 3
     3 shape        types, members, ranges, constants; the version first      else exit 3
     4 chain        every link holds and seq counts 0, 1, 2 ... (§4)          else exit 1
     5 lifecycle    the events tell a possible execution (§3)                 else exit 1
     6 disclosures  each belongs to one digest of one event (§6, RFC 9901)    else exit 1
     7 sealed       there is a closing line                                   else exit 5
     8 head         statement and events agree (§5)                           else exit 1
     9 signature    every signer signed, in order; by known keys: good        else exit 1
    10 trust        the policy is met (§9)                                    else exit 4
    11 timestamp    time evidence, when it is demanded                        else exit 4

If 2 or 3 fails the run ends. The first failed check decides the exit code; if none failed but
one that was asked for did not run, it is 4. Several files: the first of 70, 1, 3, 5, 4 that
occurs. 2 is wrong usage, 70 an internal error; a policy or key that is refused is 3.

A pass proves: the bytes are the only canonical form of these events, the chain head commits to
all of them, every key that `signers` names has signed that head, and the policy trusted those
keys at the time that the sealer stated.

A pass does not prove: that the events happened, or that all that happened was recorded; that
`sealed_at` and the timestamps of events are true; that what is withheld is harmless; that no
other record was dropped (`series` serves that). A good RFC 3161 timestamp shows by when a
signature existed, by the word of an authority that the policy names.

Ed25519 is checked by `cryptography`, or by `openssl pkeyutl` where that is not installed,
ML-DSA-44 by `cryptography` alone, timestamps by `openssl ts` alone. A file is held in memory.
Tools beside this file import it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    HAVE_CRYPTOGRAPHY = True
except ImportError:
    HAVE_CRYPTOGRAPHY = False
try:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

    HAVE_MLDSA = True
except ImportError:
    HAVE_MLDSA = False

# §1, §2, §5: limits, all inclusive; sizes in bytes, text and names in code points.
MAX_INTEGER = 2**53 - 1
MAX_NAME = 128
MAX_TEXT = 65_536
MAX_DEPTH = 16
MAX_FIRST_EVENT = 16 * 2**20
MAX_EVENT = 2**20
MAX_CLOSING = 64 * 2**20
MAX_FILE = 2**30
MAX_STATEMENT = 4096
MAX_SIGNERS = 16
MAX_COUNTERSIGNATURES = 64
MAX_POLICY = 16 * 2**20  # a policy or key file; a limit of this tool

# §8: the checks in order, each with the exit code of its failure.
CHECKS = {"read": 3, "canonical": 3, "shape": 3, "chain": 1, "lifecycle": 1, "disclosures": 1}
CHECKS |= {"sealed": 5, "head": 1, "signature": 1, "trust": 4, "timestamp": 4}
VERDICTS = {0: "verified", 1: "altered", 3: "unreadable", 4: "untrusted", 5: "incomplete"}
VERDICTS |= {70: "error"}
USAGE, REFUSED, UNTRUSTED, INTERNAL, INTERRUPTED = 2, 3, 4, 70, 130

# §9: the key ids of published example keys, with which anybody can sign.
EXAMPLE_KEYIDS: frozenset[str] = frozenset({"074ac3e846fe74224d47915c1160709fc27b5ffef5cb54a3280ce1f8e8f6db62"})

JsonObject = dict[str, Any]


class Defect(Exception):  # noqa: N818 - a finding about the input, not a fault of the program
    """One thing that does not hold: a stable code, why, and the path to where it is."""

    def __init__(self, code: str, reason: str, *path: str | int, seq: int | None = None) -> None:
        """Note the finding; `path` leads from the value at hand to the fault."""
        super().__init__(reason)
        self.code, self.reason, self.path, self.seq = code, reason, path, seq

    @property
    def pointer(self) -> str | None:
        """The JSON pointer (RFC 6901) to the fault; None means the whole document."""
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in self.path)
        return "".join(f"/{part}" for part in parts) or None


class PolicyError(Defect):
    """A trust policy, or a key, that is refused (§9)."""


def must(holds: bool, code: str, reason: str, *path: str | int) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise a defect unless something holds."""
    if not holds:
        raise Defect(code, reason, *path)


@contextlib.contextmanager
def at(*outer: str | int, seq: int | None = None) -> Iterator[None]:
    """Say of any defect found inside that it lies under `outer` (in event `seq`)."""
    try:
        yield
    except Defect as defect:
        defect.path = (*outer, *defect.path)
        defect.seq = defect.seq if seq is None else seq
        raise


# Letters and marks that show nothing, though Python calls them printable.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def escape(text: str) -> str:
    r"""Make text from a file safe for a terminal: what is not printable becomes \x1b, \u202e."""
    return "".join(c if c.isprintable() and not _BLANK.match(c) else c.encode("unicode_escape").decode() for c in text)


def show(value: object) -> str:
    """Return a short form of a value, for a reason."""
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= MAX_NAME else shown[:MAX_NAME] + "…"


# ---- §1  JSON profile and canonical bytes -------------------------------------------------

# A backslash outside a string is not JSON, so a parser gets no further than that.
_NESTING = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)
# Within the profile this is RFC 8785: names sorted, no white space, minimal escapes.
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def check_nesting(data: bytes, limit: int) -> None:
    """§1: refuse deep nesting by a linear scan, before any parser may recurse."""
    if data.count(b"[") + data.count(b"{") <= limit:
        return
    depth, in_string = 0, False
    for match in _NESTING.finditer(data):
        token = match[0]
        if token == b'"':
            in_string = not in_string
        elif not in_string:
            depth += (token in b"[{") - (token in b"]}")
            if depth > limit:
                reason = f"more than {limit} levels of nesting, at byte {match.start()}"
                raise Defect("too-deep", reason)


def _integer(digits: str) -> int:
    """§1: integers to 2^53 - 1, not -0; the length is looked at before they are converted."""
    short = len(digits) <= len(f"-{MAX_INTEGER}") and digits != "-0"
    if not short or abs(int(digits)) > MAX_INTEGER:
        raise Defect("number", f"the integer {show(digits)} is not in the profile")
    return int(digits)


def _other_number(spelling: str) -> NoReturn:
    """§1: no fraction, no exponent, no NaN, no Infinity."""
    raise Defect("number", f"the number {show(spelling)} is not an integer")


def check_name(name: str) -> None:
    """§1: member names have 1 to 128 characters, all in the Basic Multilingual Plane."""
    if not 1 <= len(name) <= MAX_NAME or max(name) > "\uffff":
        raise Defect("name", f"the name {show(name)} is not 1 to {MAX_NAME} characters of the BMP")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """§1: names are compared after unescaping, so that no spelling hides a duplicate."""
    value: dict[str, object] = {}
    for name, item in pairs:
        check_name(name)
        if name in value:
            raise Defect("duplicate-member", f"the member {show(name)} stands twice")
        value[name] = item
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_other_number,
    parse_constant=_other_number,
)


def encode(value: object) -> bytes:
    """§1: the canonical bytes of a value within the profile."""
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        raise Defect("surrogate", "a text holds a lone surrogate") from None


def decode(data: bytes, *, depth: int = MAX_DEPTH, canonical: bool = True) -> object:
    """§1: the value of canonical (or any) JSON within the profile."""
    check_nesting(data, depth)
    try:
        value: object = _DECODER.decode(data.decode())
    except UnicodeDecodeError as error:
        raise Defect("utf-8", f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Defect("not-json", f"{error.msg}, at character {error.pos}") from None
    again = encode(value)  # needed in any case: it is what finds lone surrogates
    if canonical and again != data:
        differ = (n for n, (a, b) in enumerate(zip(again, data, strict=False)) if a != b)
        first = next(differ, min(len(again), len(data)))
        raise Defect("not-canonical", f"not the canonical form of its value, from byte {first}")
    return value


# ---- §2, §3, §5, §6, §9  Shapes -----------------------------------------------------------
#
# Of each object its members as `name:kind`, none more, none left out. A kind is a scalar,
# another object, or constants: `=one` or `one|another`. `kind[]` is an array, `kind?` or null.

_FORMS = {
    "digest": r"[0-9a-f]{64}",
    "identifier": r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "disclosure": r"[\w-]+",  # §6: base64url, here and below; the last character of
    "sd_digest": r"[\w-]{42}[AEIMQUYcgkosw048]",  # 32 bytes has two bits to spare,
    "salt": r"[\w-]{21}[AQgw]",  # and that of 16 bytes has four: they are zero
}
FORMS = {kind: re.compile(form, re.ASCII) for kind, form in _FORMS.items()}

_EVENT = "type:text seq:natural timestamp:timestamp previous_event_hash:digest? details:details "
_STEP = _EVENT + "step_index:natural step_name:text+ phase:plan|cleanup "
_EFFECT = """category:file_system|network|data_mutation|configuration|system|other
    description:text reversible:boolean? step_index:natural?"""
EVENTS = {
    "execution_started": _EVENT
    + """format:=hearth-record/1 execution_id:identifier plan:plan live_mode_state:LIVE|DRY_RUN
    actor:actor? approvals:approval[] reason:text change_ref:text? links:link[] series:series?
    origin:origin security_snapshot:snapshot""",
    "step_started": _STEP + "error_message:null",
    "step_completed": _STEP + "error_message:null",
    "step_failed": _STEP + "error_message:text+",
    "side_effect_observed": _EVENT + _EFFECT,
    "security_observed": _EVENT + "security_snapshot:snapshot",
    "execution_finished": _EVENT
    + """status:completed|failed|incomplete completion_reason:text
    cause:security_escalation|recovered|abandoned? recovery:recovery? unknown_effects:boolean
    security_snapshot:snapshot""",
}
_OBJECTS = EVENTS | {
    "plan": """plan_id:identifier sha256:digest? steps:planned_step[]
    declared_side_effects:declared_effect[] rollback_hints:hint[]""",
    "planned_step": "step_index:natural step_name:text+",
    "declared_effect": _EFFECT,
    "hint": """step_index:natural description:text actions:text[] required_inputs:texts
    risks:text[] estimated_duration:text?""",
    "actor": "id:text type:human|service|agent display_name:text? on_behalf_of:text?",
    "approval": "approver:text role:text? meaning:text? approved_at:timestamp? reference:text?",
    "link": """relation:retries|continues|rolls_back|child_of execution_id:identifier
    chain_head:digest?""",
    "series": "id:identifier sequence:natural previous:digest?",
    "origin": "host:text software:text clock:clock?",
    "clock": "source:text? synchronized:boolean?",
    "snapshot": """security_state:OPERATIONAL|DEGRADED|COMPROMISED|LOCKDOWN|UNKNOWN
    boundary_state:NOMINAL|ELEVATED|COMPROMISED|LOCKDOWN|UNKNOWN context:text""",
    "recovery": "torn_bytes:natural torn_sha256:digest? origin:origin",
    # §5, §6
    "closing": "disclosures:disclosure[] seal:seal",
    "seal": "evidence:evidence[] signatures:signature[] statement:statement",
    "signature": "evidence:evidence[] keyid:digest sig:base64+",
    "evidence": "data:base64+ type:text+",
    "statement": """_type:=https://in-toto.io/Statement/v1 predicate:predicate
    predicateType:=urn:hearth-records:execution-seal:1 subject:subject[]""",
    "subject": "digest:sha256 name:identifier",
    "sha256": "sha256:digest",
    "predicate": """chain:chain execution_id:identifier format:=hearth-record/1
    live_mode_state:LIVE|DRY_RUN plan_id:identifier sealed_at:timestamp series:series?
    signers:signer[] status:completed|failed|incomplete""",
    "chain": "head:digest length:positive",
    "signer": "algorithm:identifier keyid:digest",
    # §9
    "policy": """format:=hearth-trust/1 version:positive expires:timestamp?
    require_timestamp:boolean timestamp_authorities:text[] require:requirement[] keys:key[]""",
    "requirement": "role:seal|countersign|checkpoint|witness algorithm:identifier? count:positive",
    "key": """keyid:digest name:text algorithm:ed25519|ml-dsa-44 public_key:base64
    roles:seal|countersign|checkpoint|witness[] not_before:timestamp? not_after:timestamp?
    revoked:revoked?""",
    "revoked": "at:timestamp reason:compromised|superseded|retired",
}
OBJECTS = {kind: dict(m.split(":", 1) for m in ms.split()) for kind, ms in _OBJECTS.items()}
RESERVED = frozenset({"_sd", "..."})  # §1


def check_shape(kind: str, value: object) -> None:
    """Require a value of a kind, as the tables above have it."""
    if kind.endswith("?"):
        if value is not None:
            check_shape(kind[:-1], value)
    elif kind.endswith("[]"):
        must(isinstance(value, list), "type", "must be an array")
        for n, item in enumerate(value if isinstance(value, list) else ()):
            with at(n):
                check_shape(kind[:-2], item)
    elif kind in OBJECTS or kind in ("details", "texts"):
        if not isinstance(value, dict):
            raise Defect("type", f"must be an object, not {show(value)}")
        if kind == "details":
            check_details(value)
        else:  # texts (§3 required_inputs) stand under any names
            check_members(value, OBJECTS.get(kind) or dict.fromkeys(value, "text"))
            check_rules(kind, value)
    elif not is_scalar(kind, value):
        raise Defect("value", f"{show(value)} is not of the kind {kind.removeprefix('=')}")


def is_scalar(kind: str, value: object) -> bool:
    """§2: tell whether a value is a scalar of a kind, or one of the constants."""
    if kind in ("natural", "positive"):
        least = 1 if kind == "positive" else 0
        return isinstance(value, int) and not isinstance(value, bool) and value >= least
    if kind in ("boolean", "null") or not isinstance(value, str):
        return isinstance(value, bool) if kind == "boolean" else kind == "null" and value is None
    if kind in ("text", "text+"):
        return len(kind) - len("text") <= len(value) <= MAX_TEXT
    if kind in ("base64", "base64+"):
        return unbase64(value) is not None and (kind == "base64" or value != "")
    if kind in FORMS:
        right = FORMS[kind].fullmatch(value) is not None
        return right and (kind != "timestamp" or is_real_time(value))
    return value in kind.removeprefix("=").split("|")


def is_real_time(value: str) -> bool:
    """§2: a real day of the years 1 to 9999, and no leap second."""
    year, month, day, hour, minute, second, micro = map(int, re.findall("[0-9]+", value))
    try:
        datetime(year, month, day, hour, minute, second, micro, UTC)
    except ValueError:
        return False
    return True


def unbase64(value: str, *, url: bool = False) -> bytes | None:
    """Decode §2 base64, or §6 unpadded base64url; None unless it is the one right spelling."""
    altchars, padding = (b"-_", "=" * (-len(value) % 4)) if url else (None, "")
    try:
        raw = base64.b64decode(value + padding, altchars)
    except ValueError:
        return None
    # Python's decoder passes over what it does not know, so what decides is the way back.
    return raw if base64.b64encode(raw, altchars).decode() == value + padding else None


def check_members(value: JsonObject, table: Mapping[str, str]) -> None:
    """Require exactly the members of a table, each of its kind."""
    for name in sorted(value.keys() - table.keys()):
        raise Defect("unknown-member", f"the member {show(name)} is not known", name)
    for name in sorted(table.keys() - value.keys()):
        raise Defect("missing-member", f"the member {show(name)} is missing")
    for name, kind in table.items():
        with at(name):
            check_shape(kind, value[name])


def check_rules(kind: str, value: JsonObject) -> None:
    """Require what §3, §5 and §6 say of an object beyond its members."""
    if kind == "series":
        holds = (value["sequence"] == 0) == (value["previous"] is None)
        must(holds, "value", "must be null at sequence 0, and a digest after it", "previous")
    if kind == "policy":
        must(value["require"] != [], "range", "must demand something", "require")
    if kind in ("seal", "signature"):
        evidence = {(item["data"], item["type"]) for item in value["evidence"]}
        equal = len(evidence) != len(value["evidence"])
        must(not equal, "duplicate-evidence", "two pieces of evidence are equal", "evidence")
    if kind == "seal":
        few = len(value["signatures"]) <= MAX_SIGNERS + MAX_COUNTERSIGNATURES
        must(few, "range", "there are too many signatures", "signatures")
    if kind == "statement":
        must(len(value["subject"]) == 1, "range", "must be one subject", "subject")
        keyids = [signer["keyid"] for signer in value["predicate"]["signers"]]
        holds = 1 <= len(keyids) <= MAX_SIGNERS and len(set(keyids)) == len(keyids)
        must(holds, "range", "must be 1 to 16 signers, all distinct", "predicate", "signers")
        must(len(encode(value)) <= MAX_STATEMENT, "too-large", "over 4096 bytes")


def check_details(details: JsonObject) -> None:
    """§3, §6: `_sd` only at the top, a sorted array of digests, not empty."""
    check_unreserved({name: value for name, value in details.items() if name != "_sd"})
    if "_sd" in details:
        digests = details["_sd"]
        with at("_sd"):
            check_shape("sd_digest[]", digests)
            holds = digests and digests == sorted(set(digests))
            must(holds, "order", "must not be empty, and strictly ascending")


def check_unreserved(value: object) -> None:
    """§1: no reserved name at any level (of which there are few, by now)."""
    for name, item in value.items() if isinstance(value, dict) else ():
        must(name not in RESERVED, "reserved-name", f"the name {name} is reserved", name)
        with at(name):
            check_unreserved(item)
    for n, item in enumerate(value if isinstance(value, list) else ()):
        with at(n):
            check_unreserved(item)


def check_event(value: object) -> None:
    """§3: the shape of one event, by its type."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in EVENTS:
        raise Defect("event-type", f"must be an event of a known type, not {show(kind)}")
    check_shape(kind, value)


# ---- §6, §7  The frame of a file ----------------------------------------------------------

FORMAT = "hearth-record/1"
UNSUPPORTED = "unsupported-version"
OPENING = b'{"format":"hearth-record/1","events":[\n'
VERSION = re.compile(r"hearth-record/(0|[1-9][0-9]*)")
VERSION_FIRST = re.compile(rb'\{"format":"hearth-record/(0|[1-9][0-9]*)"')


@dataclass
class Record:
    """What stands in a file whose bytes are canonical."""

    events: list[JsonObject] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)  # §4 event_hash of each event
    disclosures: list[str] = field(default_factory=list)
    disclosed: dict[int, JsonObject] = field(default_factory=dict)  # §6: once checked, by event
    seal: JsonObject | None = None  # None: an open journal (§7)
    torn: int = 0  # bytes of the torn tail
    count: int = 0  # events read; more than are kept, once a shape was wrong
    wrong_shape: Defect | None = None  # the first

    def add_event(self, line: bytes) -> None:
        """Take an event: canonical, or a defect is raised; a wrong shape is only noted."""
        n, limit = self.count, MAX_EVENT if self.count else MAX_FIRST_EVENT
        with at("events", n, seq=n):
            must(len(line) <= limit, "too-large", f"an event of {len(line)} bytes is too large")
            value = decode(line)
        self.count += 1
        if self.wrong_shape is None:
            try:
                with at("events", n, seq=n):
                    check_event(value)
                self.events.append(value)  # type: ignore[arg-type]  # an object, as was checked
                self.hashes.append(hashlib.sha256(line).hexdigest())
            except Defect as defect:
                self.wrong_shape = defect

    def take_torn(self, line: bytes) -> None:
        """Take a last line without LF: too long, or a closing line but for its LF, or torn."""
        limit = MAX_EVENT if self.count else MAX_FIRST_EVENT
        limit = MAX_CLOSING if line.startswith(b"]") else limit + line.startswith(b",")
        must(len(line) <= limit, "too-large", f"the last line of {len(line)} bytes is too large")
        must(not is_closing(line), "frame", "the file lacks its last LF")
        self.torn = len(line)

    def add_closing(self, line: bytes) -> None:
        """Take the closing line: canonical, or a defect is raised; its shape is only noted."""
        value = decode_closing(line)
        try:
            check_shape("closing", value)
            self.disclosures, self.seal = value["disclosures"], value["seal"]
        except Defect as defect:
            self.wrong_shape = self.wrong_shape or defect


def decode_closing(line: bytes) -> JsonObject:
    """§6: `],"disclosures":[…],"seal":{…}}` is canonical when it is with `{` for `],`."""
    must(len(line) <= MAX_CLOSING, "too-large", "the closing line is too large")
    framed = line.startswith(b'],"disclosures":') and line.endswith(b"}")
    must(framed, "frame", "the closing line is not of the form of §6")
    value = decode(b"{" + line[2:], depth=MAX_DEPTH + 1)
    if not isinstance(value, dict) or value.keys() != OBJECTS["closing"].keys():
        raise Defect("frame", "the closing line has not the members of §6")
    return value


def is_closing(line: bytes) -> bool:
    """§7: whether bytes would be a closing line, if an LF followed."""
    try:
        check_shape("closing", decode_closing(line))
    except Defect:
        return False
    return True


def read_frame(data: bytes) -> Record:
    """§6, §7: read a file or a journal, line by line; a defect is one of `canonical`."""
    must(data != b"", "empty", "the file is empty")
    must(data.startswith(OPENING), "frame", "it does not begin with the opening line of §6")
    record, start = Record(), len(OPENING)
    while start < len(data):
        end = data.find(b"\n", start)
        if end < 0:
            record.take_torn(data[start:])
            break
        line, start = data[start:end], end + 1
        if line.startswith(b"]"):
            must(record.count > 0, "frame", "there is no event")
            must(start == len(data), "frame", "something stands behind the closing line")
            record.add_closing(line)
        else:
            n, right = record.count, line.startswith(b",") == (record.count > 0)
            with at("events", n, seq=n):
                must(right, "frame", f"line {n + 2} does not begin as §6 shows")
            record.add_event(line[1:] if n else line)
    return record


def reframe(data: bytes) -> bytes:
    """§6: write a re-formatted file, which lies within the profile, to the frame."""
    value = decode(data, depth=MAX_DEPTH + 2, canonical=False)
    if not isinstance(value, dict):
        raise Defect("frame", "the file is not one JSON object")
    version = VERSION.fullmatch(str(value.get("format")))
    if version and version[1] != "1":
        raise unsupported(version[1])
    closing, events = {n: value[n] for n in OBJECTS["closing"] if n in value}, value.get("events")
    named = value.keys() == {"format", "events", *closing} and len(closing) in (0, 2)
    must(named, "frame", "the file has not the members of §6")
    if value["format"] != FORMAT or not isinstance(events, list) or not events:
        raise Defect("frame", "the file has another format, or no events")
    lines = OPENING + b"\n,".join(map(encode, events)) + b"\n"
    return lines + b"]," + encode(closing)[1:] + b"\n" if closing else lines


def unsupported(version: str) -> Defect:
    """§8: return the one defect of shape that is looked for before `canonical`."""
    reason = f"version {version[:MAX_NAME]} of the format is not supported, 1 is"
    return Defect(UNSUPPORTED, reason, "format")


def is_framed_within(data: bytes) -> bool:
    """Tell a file with CRLF, or white space around it, from one that was re-indented."""
    try:
        read_frame(data.replace(b"\r\n", b"\n").strip() + b"\n")
    except Defect:
        return False
    return True


def read_record(data: bytes, *, allow_reformatted: bool) -> tuple[Record, bool]:
    """Make checks 2 and 3; return the record, and whether it was rewritten to the frame."""
    version = VERSION_FIRST.match(data)
    if version and version[1] != b"1":
        raise unsupported(version[1].decode())
    try:
        return read_frame(data), False
    except Defect as defect:
        if not data or not (allow_reformatted or defect.code == "frame"):
            raise
        found = defect
    try:
        framed = reframe(data)
    except Defect as defect:
        told = allow_reformatted or defect.code == UNSUPPORTED
        raise (defect if told else found) from None
    if allow_reformatted:
        return read_frame(framed), True
    if is_framed_within(data):
        raise found
    reason = f"{found}: it was re-formatted; --allow-reformatted rewrites it to the frame first"
    raise Defect("reformatted", reason)


# ---- §4  Chain ----------------------------------------------------------------------------


def check_chain(record: Record) -> None:
    """Check 4: every link, and seq; the first that does not hold, and what it tells."""
    for n, event in enumerate(record.events):
        with at("events", n, seq=n):
            if event["previous_event_hash"] != (record.hashes[n - 1] if n else None):
                raise Defect("link", _broken_link(record, n), "previous_event_hash")
            must(event["seq"] == n, "seq", f"event {n} has the seq {event['seq']}", "seq")


def _broken_link(record: Record, n: int) -> str:
    """§4: name the two events that a link joins, and which of them the next link clears."""
    if n == 0:
        return "the first event names a predecessor"
    following = None
    if n + 1 < len(record.events):
        following = record.events[n + 1]["previous_event_hash"]
    elif record.seal:
        following = record.seal["statement"]["predicate"]["chain"]["head"]
    reason = f"the link that joins events {n - 1} and {n} does not hold, and the next link clears"
    if following != record.hashes[n]:
        return f"{reason} neither: either may have been altered"
    return f"{reason} event {n}: {n - 1} was altered, or events between them were removed"


# ---- §3  Lifecycle ------------------------------------------------------------------------

SECURITY_STATES = ("OPERATIONAL", "DEGRADED", "COMPROMISED", "LOCKDOWN")  # ascending
BOUNDARY_STATES = ("NOMINAL", "ELEVATED", "COMPROMISED", "LOCKDOWN")


def is_worse(now: str, start: str, order: Sequence[str]) -> bool:
    """§3 Security: worse than at the start, or become UNKNOWN."""
    if now == "UNKNOWN" or start == "UNKNOWN":
        return now not in (start, order[0])
    return order.index(now) > order.index(start)


@dataclass
class Lifecycle:
    """§3: what the events so far allow."""

    start: JsonObject | None = None  # the security snapshot of execution_started
    finished: bool = False
    escalated: bool = False
    failed: bool = False
    started: set[int] = field(default_factory=set)
    last_step: int = -1
    open_step: tuple[int, str, str] | None = None  # its index, name and phase

    def take(self, event: JsonObject) -> None:
        """Take the next event, or raise the rule that it breaks."""
        kind, index = event["type"], event.get("step_index")
        first = self.start is None
        must(first == (kind == "execution_started"), "start", "execution_started is first, once")
        must(not self.finished, "after-end", f"{kind} stands after execution_finished")
        if kind == "step_started":
            self._start_step(event)
        elif kind in ("step_completed", "step_failed"):
            step = (event["step_index"], event["step_name"], event["phase"])
            must(step == self.open_step, "step-not-open", "no step so named is open")
            self.open_step, self.failed = None, self.failed or kind == "step_failed"
        elif kind == "side_effect_observed":
            known = index is None or index in self.started
            must(known, "effect-step", f"step {index} has not started", "step_index")
        else:
            self._observe(event["security_snapshot"])
        if kind == "execution_finished":
            self._finish(event["status"])

    def _start_step(self, event: JsonObject) -> None:
        index, name, phase = event["step_index"], event["step_name"], event["phase"]
        must(not self.escalated, "escalated", "a step starts after security has escalated")
        must(self.open_step is None, "step-open", "a step starts while another is open")
        order = f"step {index} starts after step {self.last_step}"
        must(index > self.last_step, "step-order", order, "step_index")
        holds = not self.failed or phase == "cleanup"
        must(holds, "after-failure", "only cleanup steps start after one has failed", "phase")
        self.started.add(index)
        self.last_step, self.open_step = index, (index, name, phase)

    def _observe(self, now: JsonObject) -> None:
        start = self.start = self.start or now
        for name, order in (
            ("security_state", SECURITY_STATES),
            ("boundary_state", BOUNDARY_STATES),
        ):
            self.escalated = self.escalated or is_worse(now[name], start[name], order)

    def _finish(self, status: str) -> None:
        self.finished = True
        calm = not self.escalated or status == "incomplete"
        must(calm, "escalated", f"{status}, though security has escalated", "status")
        whole = status != "completed" or not (self.failed or self.open_step)
        must(whole, "status", "completed, though a step has failed or is open", "status")


def check_lifecycle(record: Record) -> None:
    """Check 5: each event in turn, and that what is sealed has finished."""
    lifecycle, last = Lifecycle(), len(record.events) - 1
    for n, event in enumerate(record.events):
        with at("events", n, seq=n):
            lifecycle.take(event)
    with at("events", last, seq=last):
        finished = lifecycle.finished or not record.seal
        must(finished, "not-finished", "what is sealed has to end with execution_finished")


# ---- §6  Disclosures, §5  head ------------------------------------------------------------


def check_disclosures(record: Record) -> None:
    """Check 6: what is disclosed belongs to one digest each, and fits (RFC 9901)."""
    owners: dict[str, int] = {}
    for n, event in enumerate(record.events):
        for digest in event["details"].get("_sd", ()):
            with at("events", n, "details", "_sd", seq=n):
                must(digest not in owners, "duplicate-digest", f"{digest} stands twice")
            owners[digest] = n
    found: dict[int, JsonObject] = {}
    for i, disclosure in enumerate(record.disclosures):
        try:
            ascending = i == 0 or record.disclosures[i - 1] < disclosure
            must(ascending, "order", "not in strictly ascending order")
            name, value = open_disclosure(disclosure)
            hashed = hashlib.sha256(disclosure.encode()).digest()
            owner = owners.get(base64.urlsafe_b64encode(hashed).rstrip(b"=").decode())
            if owner is None:
                raise Defect("unreferenced", "no digest refers to it")
            taken = name in record.events[owner]["details"] or name in found.get(owner, ())
            must(not taken, "name-taken", f"event {owner} has a detail {show(name)} already")
            found.setdefault(owner, {})[name] = value
        except Defect as defect:  # a path inside a disclosure is no pointer into the document
            raise Defect(defect.code, defect.reason, "disclosures", i) from None
    for n, values in found.items():
        _check_substituted(record.events[n], values, n)
    record.disclosed = found


def tell_details(record: Record) -> list[JsonObject]:
    """§10, §11: of each event with digests, its details with what is disclosed in its place, and what is not."""
    told = []
    for n, event in enumerate(record.events):
        kept, shown = dict(event["details"]), record.disclosed.get(n, {})
        if digests := kept.pop("_sd", None):
            about = {"seq": n, "type": event["type"], "step_index": event.get("step_index")}
            about |= {"disclosed": sorted(shown), "undisclosed": len(digests) - len(shown)}
            told.append(about | {"details": kept | shown})
    return told


def open_disclosure(disclosure: str) -> tuple[str, object]:
    """§6: return name and value of the base64url of JCS [salt,name,value]."""
    raw = unbase64(disclosure, url=True)
    must(raw is not None, "disclosure", "it is not unpadded base64url")
    match decode(raw or b""):
        case [str(salt), str(name), value]:
            check_shape("salt", salt)
            check_name(name)
            check_unreserved({name: value})
            return name, value
    raise Defect("disclosure", "it is not [salt,name,value]")


def _check_substituted(event: JsonObject, values: JsonObject, n: int) -> None:
    """§6: limits hold after substitution, which drops the digests (RFC 9901)."""
    kept = {name: value for name, value in event["details"].items() if name != "_sd"}
    whole = encode({**event, "details": {**kept, **values}})
    with at("events", n, "details", seq=n):
        check_nesting(whole, MAX_DEPTH)
        fits = len(whole) <= (MAX_EVENT if n else MAX_FIRST_EVENT)
        must(fits, "too-large", f"with its disclosures the event has {len(whole)} bytes")


def check_head(record: Record, statement: JsonObject) -> None:
    """Check 8: whatever the statement says of the events is what they say."""
    first, last, head = record.events[0], record.events[-1], record.hashes[-1]
    subject, predicate = statement["subject"][0], statement["predicate"]
    expected = {
        "live_mode_state": first.get("live_mode_state"),
        "plan_id": first.get("plan", {}).get("plan_id"),
        "execution_id": first.get("execution_id"),
        "series": first.get("series", "none"),
        "status": last.get("status"),
        "chain": {"head": head, "length": len(record.events)},
    }
    for name, value in expected.items():
        reason = f"the seal states {show(predicate[name])}, the events {show(value)}"
        where = ("seal", "statement", "predicate", name)
        must(predicate[name] == value, "head", reason, *where)
    same = subject == {"digest": {"sha256": head}, "name": first.get("execution_id")}
    must(same, "head", "the subject is not this execution", "seal", "statement", "subject")


# ---- §2, §5  Keys and signatures ----------------------------------------------------------

# The DER of a SubjectPublicKeyInfo up to the key itself, and the sizes of key and signature.
ALGORITHMS = {
    "ed25519": (bytes.fromhex("302a300506032b6570032100"), 32, 64),
    "ml-dsa-44": (bytes.fromhex("30820532300b06096086480165030403110382052100"), 1312, 2420),
}
PAYLOAD_TYPE = b"application/vnd.in-toto+json"
PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----[\r\n]([A-Za-z0-9+/=\r\n]+)[\r\n]-----END PUBLIC KEY-----")
OPENSSH = re.compile(rb"ssh-ed25519 ([A-Za-z0-9+/]{68})(?: [^\r\n]*)?")
OPENSSH_WIRE = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"  # RFC 8709 §4: the 32 bytes of the key follow
_P = 2**255 - 19  # RFC 8032: the field of edwards25519, and the constant d of the curve
_D = -121665 * pow(121666, -1, _P) % _P


def check_point(raw: bytes) -> None:
    """§9: an Ed25519 key is canonically encoded, on the curve, and not of small order."""
    sign, y = raw[31] >> 7, int.from_bytes(raw, "little") % 2**255
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    must(x * x % _P == square, "key", "the key is not on the curve")
    must(y < _P and not (x == 0 and sign), "key", "the key is not canonically encoded")
    for _ in range(3):  # eight times the point, whatever the sign of x
        k = _D * x * x * y * y
        x, y = 2 * x * y * pow(1 + k, -1, _P) % _P, (x * x + y * y) * pow(1 - k, -1, _P) % _P
    must((x, y) != (0, 1), "key", "the key is of small order: one signature would fit all")


def read_spki(der: bytes | None) -> tuple[str, str, bytes]:
    """§2, §9: return key id, algorithm and raw key of a sound SubjectPublicKeyInfo."""
    for algorithm, (prefix, size, _) in ALGORITHMS.items():
        if der and der.startswith(prefix) and len(der) == len(prefix) + size:
            if algorithm == "ed25519":
                check_point(der[len(prefix) :])
            return hashlib.sha256(der).hexdigest(), algorithm, der[len(prefix) :]
    raise Defect("key", "it is not the SubjectPublicKeyInfo of an Ed25519 or ML-DSA-44 key")


def read_key_file(data: bytes) -> bytes | None:
    """§9, the short form: return the SubjectPublicKeyInfo in a PEM block, or of the key in a line of OpenSSH's."""
    data = data.strip(b" \t\n\r\v\f")
    if line := OPENSSH.fullmatch(data):
        wire = base64.b64decode(line[1])
        sound = wire.startswith(OPENSSH_WIRE) and len(wire) == len(OPENSSH_WIRE) + 32
        must(sound, "key", "it is not the 51 bytes of an ssh-ed25519 key")
        return ALGORITHMS["ed25519"][0] + wire[len(OPENSSH_WIRE) :]
    block = PEM.fullmatch(data)
    if block is None:
        raise Defect("pem", "it is not one PEM block of the type PUBLIC KEY, nor one line ssh-ed25519")
    return unbase64(b"".join(block[1].split()).decode("ascii"))


def pae(body: bytes) -> bytes:
    """§5: what is signed, the DSSE v1 pre-authentication encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE, len(body), body)


def is_good(algorithm: str, raw: bytes, signature: bytes, message: bytes) -> bool | None:
    """Tell whether a signature is good; None where this machine cannot tell."""
    prefix, _, size = ALGORITHMS[algorithm]
    if len(signature) != size:
        return False
    if algorithm == "ed25519" and not HAVE_CRYPTOGRAPHY:
        return ask_openssl(prefix + raw, signature, message)
    if algorithm == "ml-dsa-44" and not HAVE_MLDSA:
        return None
    try:
        kind = Ed25519PublicKey if algorithm == "ed25519" else MLDSA44PublicKey
        kind.from_public_bytes(raw).verify(signature, message)
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm:
        return None
    return True


def ask_openssl(der: bytes, signature: bytes, message: bytes) -> bool | None:
    """Verify with the openssl program; only its two plain answers count."""
    pem = b"-----BEGIN PUBLIC KEY-----\n%b-----END PUBLIC KEY-----\n" % base64.encodebytes(der)
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin"]
    with tempfile.TemporaryDirectory(prefix="verify_record.") as directory:
        for option, data in (("-inkey", pem), ("-sigfile", signature), ("-in", message)):
            path = Path(directory, option[1:])
            path.write_bytes(data)
            command += [option, str(path)]
        try:
            none = subprocess.DEVNULL
            done = subprocess.run(command, stdin=none, capture_output=True, check=False)  # noqa: S603 - our own list
        except OSError:
            return None
    answers = {0: b"Signature Verified Successfully", 1: b"Signature Verification Failure"}
    understood = answers.get(done.returncode) == done.stdout.strip()
    return done.returncode == 0 if understood else None


# ---- §6  Timestamps (RFC 3161) ------------------------------------------------------------
#
# What is stated is read here. Signature and chain are judged by `openssl ts -verify`, which by
# itself takes more than §6 does: other states, BER, bytes behind it, any hash.

OIDS = {
    "signed data": "2a864886f70d010702",
    "TSTInfo": "2a864886f70d0109100104",
    "content type": "2a864886f70d010903",
    "message digest": "2a864886f70d010904",
    "ESSCertID": "2a864886f70d010910020c",
    "ESSCertIDv2": "2a864886f70d010910022f",
    "basic constraints": "551d13",
    "sha256": "608648016503040201",
    "sha384": "608648016503040202",
    "sha512": "608648016503040203",
}
OIDS |= {f"ecdsa {n}": f"2a8648ce3d04030{n}" for n in (2, 3, 4)}
OIDS |= {f"rsa {n}": f"2a864886f70d0101{n}" for n in ("01", "0b", "0c", "0d")}
OIDS |= {"key usage": "551d0f", "names": "551d11", "policies": "551d20", "extended key usage": "551d25"}
OIDS |= {"constraints names": "551d1e", "constraints ip": "2b06010505070107", "constraints as": "2b06010505070108"}
OIDS |= {"key ec": "2a8648ce3d0201", "P-256": "2a8648ce3d030107", "P-384": "2b81040022", "P-521": "2b81040023"}
NAMES = {bytes.fromhex(oid): name for name, oid in OIDS.items()}
# The extension that allows to sign timestamps, critical, and nothing else. DER knows one form.
FOR_TIMESTAMPS = bytes.fromhex("30160603551d250101ff040c300a06082b06010505070308")
MAY_BE_CRITICAL = {"key usage", "names", "basic constraints", "policies", "extended key usage"}
BOOLEAN, INTEGER, BITS, OCTETS, OID, GENERALIZED_TIME, SEQUENCE, SET, CONTEXT = 1, 2, 3, 4, 6, 24, 0x30, 0x31, 0xA0
MILLIS, MICROS, DIRECTORY_NAME = 0x80, 0x81, 0xA4
SHORT, LONG_TAG = 0x7F, 0x1F  # the greatest length in one byte; a tag that goes on
MAX_OID = 63  # bytes
MIN_RSA = 2048  # bits
GENTIME = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{0,8}[1-9]))?Z")
PEM_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/=]{1,76}\n)+)-----END CERTIFICATE-----\n?")


def malformed() -> Defect:
    """Return the defect of what is no timestamp."""
    return Defect("timestamp-malformed", "it is not a response with a timestamp, in DER and as RFC 3161 has it")


@dataclass(frozen=True)
class Der:
    """An element of DER."""

    tag: int
    content: bytes
    whole: bytes

    @classmethod
    def all(cls, data: bytes) -> list[Der]:
        """Return the elements that stand one behind the other, or raise a defect."""
        found, start = [], 0
        while start < len(data):
            at = start + 2
            length = int.from_bytes(data[start + 1 : at])
            shortest = 0
            if length > SHORT:
                size = length - SHORT - 1
                shortest = max(SHORT + 1, 1 << 8 * (size - 1)) if size else MAX_FILE
                length = int.from_bytes(data[at : at + size])
                at += size
            end = at + length
            if data[start] & LONG_TAG == LONG_TAG or length < shortest or end > len(data):
                raise malformed()
            if data[start] == OID and length > MAX_OID:
                raise malformed()
            found.append(cls(data[start], data[at:end], data[start:end]))
            start = end
        return found

    def read(self, tag: int) -> bytes:
        """Return the content of what has to have this tag."""
        if self.tag != tag:
            raise malformed()
        return self.content

    def parts(self, tag: int = SEQUENCE, least: int = 0) -> list[Der]:
        """Return the elements inside; there have to be so many."""
        found = self.all(self.read(tag))
        if len(found) < least:
            raise malformed()
        return found

    def only(self, tag: int) -> Der:
        """Return the only element inside."""
        found = self.parts(tag, 1)
        if len(found) > 1:
            raise malformed()
        return found[0]

    @property
    def oid(self) -> str | None:
        """What the tables above call an object identifier, or the first one inside."""
        return NAMES.get(self.read(OID) if self.tag == OID else self.parts(least=1)[0].read(OID))


def in_order(elements: Sequence[Der], *tags: int) -> list[Der | None]:
    """Return what there is of each tag, None for what is missing; there may be nothing else."""
    rest = list(elements)
    found = [rest.pop(0) if rest and rest[0].tag == tag else None for tag in tags]
    if rest:
        raise malformed()
    return found


def read_natural(content: bytes) -> int:
    """Return the number of an INTEGER that is not negative."""
    number = int.from_bytes(content)
    if content != number.to_bytes(number.bit_length() // 8 + 1):
        raise malformed()
    return number


@dataclass(frozen=True)
class Stated:
    """What a response states, before anybody is trusted."""

    time: str
    hash_name: str
    imprint: bytes


def read_timestamp(response: bytes) -> Stated:
    """§6: read a TimeStampResp, or raise a defect."""
    whole = Der.all(response)
    if len(whole) != 1:
        raise malformed()
    status, *tokens = whole[0].parts(least=1)
    granted = status.parts(least=1)[0].read(INTEGER) == b"\0"
    must(granted, "timestamp-status", "the authority gave no timestamp, or another one")
    if len(tokens) != 1:
        raise malformed()
    kind, wrapped = tokens[0].parts(least=2)[:2]
    _, _, encapsulated, *optional, signers = wrapped.only(CONTEXT).parts(least=4)
    info_kind, info = encapsulated.parts(least=2)[:2]
    signer = signers.only(SET).parts(least=6)
    attributes: dict[str | None, Der] = {}
    signed = signer[3].parts(CONTEXT)
    for attribute in signed:
        name, value = attribute.parts(least=2)[:2]
        attributes[NAMES.get(name.read(OID), name.content.hex())] = value.only(SET)
    fields = Der.all(info.only(CONTEXT).read(OCTETS))[0].parts(least=5)
    imprint, time = fields[2].parts(least=2), fields[4].read(GENERALIZED_TIME)
    certificates = [item for part in optional if part.tag == CONTEXT for item in part.parts(CONTEXT)]
    holds = (
        (kind.oid, info_kind.oid, fields[0].read(INTEGER)) == ("signed data", "TSTInfo", b"\1")
        and len(attributes) == len(signed)
        and {"content type", "message digest"} <= attributes.keys()
        and attributes["content type"].oid == "TSTInfo"
        and str(signer[2].oid).startswith("sha")
        and str(signer[4].oid).startswith(("ecdsa", "rsa"))
        and str(imprint[0].oid).startswith("sha")
    )
    if not holds:
        raise malformed()
    names = check_certificate(certificates, signer[1])
    check_stated_also(fields[5:], names)
    return Stated(read_time(time), str(imprint[0].oid), imprint[1].read(OCTETS))


def check_stated_also(members: Sequence[Der], names: Sequence[tuple[int, bytes]]) -> None:
    """§6: what else a TSTInfo may state (RFC 3161 §2.4.2), by a signer with these names."""
    accuracy, ordering, nonce, tsa, extensions = in_order(members, SEQUENCE, BOOLEAN, INTEGER, CONTEXT, CONTEXT + 1)
    if accuracy:
        seconds, *parts = in_order(accuracy.parts(), INTEGER, MILLIS, MICROS)
        read_natural(seconds.content if seconds else b"\0")
        if not all(1 <= read_natural(part.content) <= 999 for part in parts if part):  # noqa: PLR2004 - thousandths
            raise malformed()
    read_natural(nonce.content if nonce else b"\0")
    name = tsa.only(CONTEXT) if tsa else None
    kinds = [[part.tag for part in one.parts()] for one in (extensions.parts(CONTEXT + 1) if extensions else ())]
    holds = (
        (ordering is None or ordering.content == b"\xff")  # DER leaves the default out
        and (name is None or (name.tag, name.content) in names)
        # No extension is known here, so none may be critical.
        and all(kind == [OID, OCTETS] for kind in kinds)
    )
    if not holds:
        raise malformed()


def read_certificate(certificate: Der) -> tuple[list[Der], list[Der]]:
    """§6: return the fields of a certificate from its serial number on, and its extensions."""
    fields = certificate.parts(least=1)[0].parts(least=6)
    fields = fields[fields[0].tag == CONTEXT :]  # without the version
    extensions = [item for field in fields if field.tag == CONTEXT + 3 for item in field.only(CONTEXT + 3).parts()]
    for extension in extensions:
        kind, critical, _ = in_order(extension.parts(), OID, BOOLEAN, OCTETS)
        is_judged = critical is None or (critical.content == b"\xff" and extension.oid in MAY_BE_CRITICAL)
        if kind is None or not is_judged or str(extension.oid).startswith("constraints"):
            raise malformed()
    if len({extension.parts()[0].content for extension in extensions}) != len(extensions):
        raise malformed()
    return fields, extensions


def check_certificate(certificates: Sequence[Der], named: Der) -> list[tuple[int, bytes]]:
    """§6: require one certificate by the signer's name, for timestamps alone. Return its names: tag, content."""
    issuer, serial = named.parts(least=2)[:2]
    read = map(read_certificate, certificates)
    found = [both for both in read if (both[0][0].whole, both[0][2].whole) == (serial.whole, issuer.whole)]
    if len(found) != 1:
        raise malformed()
    fields, extensions = found[0]
    check_key(fields[5])
    names = [(DIRECTORY_NAME, fields[4].whole)]
    for extension in extensions:
        value = extension.parts()[-1].read(OCTETS)
        if extension.oid == "basic constraints":
            is_ca = Der.all(value)[0].content.startswith(b"\1\1\xff")
            must(not is_ca, "timestamp-authority", "its certificate is that of a CA")
        if extension.oid == "names":
            names += [(name.tag, name.content) for name in Der.all(value)[0].parts()]
    usage = any(extension.whole == FOR_TIMESTAMPS for extension in extensions)
    must(usage, "timestamp-authority", "its certificate is not for timestamps alone")
    return names


def check_key(key: Der) -> None:
    """§6: require a SubjectPublicKeyInfo of RSA from 2048 bits on, of P-256, P-384 or P-521."""
    algorithm, bits = key.parts(least=2)[:2]
    kind, parameters = algorithm.parts(least=2)[:2]
    if kind.oid == "rsa 01":
        modulus = Der.all(bits.read(BITS)[1:])[0].parts(least=1)[0].read(INTEGER)
        accepted = int.from_bytes(modulus).bit_length() >= MIN_RSA
    else:
        accepted = kind.oid == "key ec" and parameters.tag == OID and str(parameters.oid).startswith("P-")
    if not accepted:
        raise malformed()


def read_time(text: bytes) -> str:
    """§2: return a timestamp for a GeneralizedTime, cut to microseconds."""
    match = GENTIME.fullmatch(text)
    if match is None:
        raise malformed()
    year, month, day, hour, minute, second, fraction = (part.decode() for part in match.groups(b""))
    time = f"{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction[:6]:0<6}Z"
    if not is_scalar("timestamp", time):
        raise malformed()
    return time


def read_authorities(pems: Iterable[str]) -> tuple[list[bytes], list[bytes]]:
    """§9: return self-signed certificates, which are trusted, and links between; what is neither is nothing."""
    roots: list[bytes] = []
    links: list[bytes] = []
    for block in filter(None, map(PEM_CERTIFICATE.fullmatch, pems)):
        with contextlib.suppress(Defect, ValueError):
            der = base64.b64decode("".join(block[1].split()), validate=True)
            fields, _ = read_certificate(Der.all(der)[0])
            (roots if fields[2].whole == fields[4].whole else links).append(der)
    return roots, links


def find_authority(response: bytes, stated: Stated, signature: bytes, pems: Sequence[str]) -> bytes | None:
    """§6: return the root that a response leads to; None where this machine cannot tell, or raise a defect.

    Each root is tried alone: of two with the same name openssl may take the wrong one.
    """
    roots, links = read_authorities(pems)
    when = datetime.fromisoformat(stated.time).replace(microsecond=0)
    with tempfile.TemporaryDirectory(prefix="verify_record.") as directory:
        paths = {name: Path(directory, name) for name in ("response", "signature", "authorities")}
        paths["response"].write_bytes(response)
        paths["signature"].write_bytes(signature)
        command = ["openssl", "ts", "-verify", "-in", str(paths["response"]), "-data", str(paths["signature"])]
        command += ["-CAfile", str(paths["authorities"]), "-attime", str(int(when.timestamp()))]
        for root in roots:
            blocks = (base64.encodebytes(der) for der in (root, *links))
            frame = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n"
            paths["authorities"].write_bytes(b"".join(frame % block for block in blocks))
            try:
                none = subprocess.DEVNULL
                done = subprocess.run(command, stdin=none, capture_output=True, check=False)  # noqa: S603 - our own list
            except OSError:
                return None
            if (done.returncode, done.stdout.strip()) == (0, b"Verification: OK"):
                return root
    raise Defect("timestamp-authority", "no authority that is trusted vouches for the timestamp")


def examine(piece: JsonObject, signature: bytes, pems: Sequence[str]) -> JsonObject:
    """§6, §11: judge a piece of evidence on a signature."""
    found = {"type": piece["type"], "status": "not_run", "time": None}
    found |= dict.fromkeys(("authority", "code", "reason"))
    if piece["type"] != "rfc3161" or not pems:
        return found
    try:
        response = base64.b64decode(piece["data"])
        stated = read_timestamp(response)
        ours = hashlib.new(stated.hash_name, signature).digest() == stated.imprint
        must(ours, "timestamp-imprint", "the timestamp is over other data")
        root = find_authority(response, stated, signature, pems)
    except Defect as defect:
        return found | {"status": "bad", "code": defect.code, "reason": defect.reason}
    if root is None:
        return found | {"reason": "openssl is missing, which judges timestamps"}
    return found | {"status": "good", "time": stated.time, "authority": hashlib.sha256(root).hexdigest()}


# ---- §9  Trust policy ---------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A public key, and what the policy says of it."""

    keyid: str
    algorithm: str
    raw: bytes
    name: str | None = None  # None: given by --key
    roles: tuple[str, ...] = ("seal",)
    not_before: str | None = None
    not_after: str | None = None
    revoked: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Policy:
    """Whom the reader trusts: keys by key id, and requirements as §9 writes them."""

    keys: Mapping[str, Key]
    require: Sequence[JsonObject] = ({"role": "seal", "algorithm": None, "count": 1},)
    expires: str | None = None
    require_timestamp: bool = False
    version: int = 1
    authorities: Sequence[str] = ()  # certificates in PEM


def load_policy(data: bytes, allow_example_keys: bool = False) -> Policy:  # noqa: FBT001, FBT002 - the agreed call
    """Read a trust policy strictly, or raise PolicyError (§9)."""
    keys: dict[str, Key] = {}
    try:
        value: Any = decode(data, canonical=False)
        check_shape("policy", value)
        for n, item in enumerate(value["keys"]):
            with at("keys", n):
                keyid, algorithm, raw = read_spki(unbase64(item["public_key"]))
                agree = algorithm == item["algorithm"]
                must(agree, "algorithm", f"it is a key for {algorithm}", "algorithm")
                must(keyid == item["keyid"], "keyid", f"the key's own is {keyid}", "keyid")
                rest = {name: item[name] for name in ("not_before", "not_after", "revoked")}
                key = Key(keyid, algorithm, raw, item["name"], tuple(item["roles"]), **rest)
                _admit(keys, key, allow_example_keys=allow_example_keys)
        for n, item in enumerate(value["require"]):
            reason = f"no record can meet a requirement for the role {item['role']}"
            able = item["role"] in ("seal", "countersign")
            must(able, "requirement-role", reason, "require", n, "role")
    except Defect as defect:
        raise PolicyError(defect.code, defect.reason, *defect.path) from None
    terms = [value[name] for name in ("expires", "require_timestamp", "version", "timestamp_authorities")]
    return Policy(keys, value["require"], *terms)


def policy_from_keys(pems: Iterable[bytes], *, allow_example_keys: bool = False) -> Policy:
    """§9: the short form of a policy, or raise PolicyError with the place in `pems`."""
    keys: dict[str, Key] = {}
    for n, pem in enumerate(pems):
        try:
            key = Key(*read_spki(read_key_file(pem)))
            _admit(keys, key, allow_example_keys=allow_example_keys)
        except Defect as defect:
            raise PolicyError(defect.code, defect.reason, n) from None
    return Policy(keys)


def _admit(keys: dict[str, Key], key: Key, *, allow_example_keys: bool) -> None:
    """§9: a key stands once, and is not one that everybody has."""
    must(key.keyid not in keys, "duplicate-key", f"the key {key.keyid} stands twice")
    reason = f"{key.keyid} is a published example key, with which anybody can sign"
    secret = key.keyid not in EXAMPLE_KEYIDS
    must(secret or allow_example_keys, "example-key", f"{reason}; --allow-example-keys admits it")
    keys[key.keyid] = key


# ---- §5  Signatures, §9  trust ------------------------------------------------------------


@dataclass
class Signer:
    """A key that `signers` names, or one that countersigned, and how it stands."""

    keyid: str
    role: str  # seal or countersign
    algorithm: str | None  # None: a countersigner that the policy does not know
    key: Key | None  # None: the policy does not know it
    index: int | None  # in `signatures`; None: it has not signed
    status: str = "not_run"  # good, bad or not_run
    evidence: Sequence[JsonObject] = ()  # as the report has it

    @property
    def time(self) -> str | None:
        """By when the signature existed, by the earliest good evidence; None without any."""
        return min((item["time"] for item in self.evidence if item["time"]), default=None)

    def counts(self) -> bool:
        """§9: whether it may count towards a requirement (a signer: once all hold)."""
        key = self.key
        if key is None or self.status != "good" or self.role not in key.roles:
            return False
        if self.role == "seal" or (key.not_before, key.not_after, key.revoked) == (None, None, None):
            return True
        if self.time is None:  # nobody knows when a countersigner signed
            return False
        ended = key.revoked is not None and key.revoked["at"] <= self.time
        return (key.not_before or "") <= self.time < (key.not_after or "never") and not ended


def examine_evidence(seal: JsonObject, policy: Policy | None) -> list[list[JsonObject]]:
    """§6: judge the evidence on each signature."""
    pems = policy.authorities if policy else ()
    return [
        [examine(piece, base64.b64decode(signature["sig"]), pems) for piece in signature["evidence"]]
        for signature in seal["signatures"]
    ]


def assess_signers(seal: JsonObject, policy: Policy | None, evidence: Sequence[list[JsonObject]]) -> list[Signer]:
    """§8: verify each signature by a key that the policy knows, if algorithms agree."""
    known = policy.keys if policy else {}
    places: dict[str, int] = {}
    for i, signature in enumerate(seal["signatures"]):
        places.setdefault(signature["keyid"], i)
    rows = []
    for named in seal["statement"]["predicate"]["signers"]:
        keyid, algorithm = named["keyid"], named["algorithm"]
        place = places.pop(keyid, None)
        rows.append(Signer(keyid, "seal", algorithm, known.get(keyid), place))
    for keyid, place in places.items():
        key = known.get(keyid)
        algorithm = key.algorithm if key else None
        rows.append(Signer(keyid, "countersign", algorithm, key, place))
    message = pae(encode(seal["statement"]))
    for row in rows:
        row.evidence = () if row.index is None else evidence[row.index]
        if row.key and row.index is not None and row.algorithm == row.key.algorithm:
            signature = base64.b64decode(seal["signatures"][row.index]["sig"])
            good = is_good(row.algorithm, row.key.raw, signature, message)
            row.status = {True: "good", False: "bad", None: "not_run"}[good]
    return rows


def as_signed(seal: JsonObject, rows: Sequence[Signer], evidence: Sequence[list[JsonObject]]) -> list[Signer]:
    """§11: one row a signature, in the order of the file. Of several by one key the first was verified (§8)."""
    by_keyid = {row.keyid: row for row in rows}
    signed = [(i, by_keyid[signature["keyid"]]) for i, signature in enumerate(seal["signatures"])]
    return [row if row.index == i else replace(row, status="not_run", evidence=evidence[i]) for i, row in signed]


def check_signature(seal: JsonObject, rows: Sequence[Signer]) -> str | None:
    """Check 9: first order and completeness, for any policy; then no bad signature.

    Return why it has not run, if so it is.
    """
    signers = [row.keyid for row in rows if row.role == "seal"]
    others = sorted(row.keyid for row in rows if row.role == "countersign")
    with at("seal", "signatures"):
        ordered = [signature["keyid"] for signature in seal["signatures"]] == signers + others
        must(ordered, "order", "not one by each signer in order, then others by key id")
        must(len(others) <= MAX_COUNTERSIGNATURES, "range", "too many countersignatures")
        for row in rows:
            reason = f"the signature by {row.keyid} does not hold"
            must(row.status != "bad", "bad-signature", reason, row.index or 0, "sig")
    verified = any(row.status == "good" for row in rows if row.role == "seal")
    return None if verified else "no signature of a signer could be verified"


def check_trust(statement: JsonObject, rows: Sequence[Signer], policy: Policy, now: str | None) -> None:
    """Check 10: expiry, then every signer by one rule after the other, then requirements."""
    expired = policy.expires is not None and (now is None or policy.expires <= now)
    must(not expired, "policy-expired", f"the policy expires at {policy.expires}")
    signers = [row for row in rows if row.role == "seal"]
    sealed_at = statement["predicate"]["sealed_at"]
    with at("seal", "statement", "predicate", "signers"):
        for code, reason in DISTRUST.items():
            for i, row in enumerate(signers):
                must(code not in distrust(row, sealed_at), code, f"{row.keyid}: {reason}", i)
    for need in policy.require:
        able = [row for row in rows if need["algorithm"] in (None, row.algorithm)]
        found = sum(row.role == need["role"] and row.counts() for row in able)
        what = f"{need['role']}, {need['algorithm'] or 'any algorithm'}"
        reason = f"{need['count']} keys have to have signed ({what}), {found} did"
        must(found >= need["count"], "requirement", reason)


def check_timestamps(rows: Sequence[Signer]) -> str | None:
    """Check 11: a good timestamp on the signature of every signer.

    Return why it has not run, if so it is.
    """
    missing = [row for row in rows if row.role == "seal" and row.time is None]
    if missing and all(any(_is_untold(item) for item in row.evidence) for row in missing):
        return "openssl is missing, which judges timestamps"
    with at("seal", "signatures"):
        must(not missing, "timestamp-missing", "a signer's signature has no trusted timestamp")
    return None


def _is_untold(item: JsonObject) -> bool:
    return bool(item["status"] == "not_run" and item["reason"])


DISTRUST = {  # in the order in which the reasons are given
    "unknown-signer": "the policy does not know the key",
    "algorithm-mismatch": "policy and seal name different algorithms",
    "unsupported-algorithm": "its algorithm cannot be checked here",
    "role": "the policy does not let the key seal",
    "outside-window": "sealed_at is outside the key's window",
    "revoked": "the key is revoked",
}


def distrust(row: Signer, sealed_at: str) -> set[str]:
    """§9: all that speaks against a signer. Text order is time order (§2)."""
    key = row.key
    if key is None:
        return {"unknown-signer"}
    revoked = key.revoked or {"at": "never", "reason": "not"}
    # `sealed_at` may be by whoever stole the key: then only evidence on the signature says when.
    when = row.time if revoked["reason"] == "compromised" else sealed_at
    ended = when is None or revoked["at"] <= when
    against = {
        "algorithm-mismatch": row.algorithm != key.algorithm,
        "unsupported-algorithm": row.index is not None and row.status == "not_run",
        "role": "seal" not in key.roles,
        "outside-window": not (key.not_before or "") <= sealed_at < (key.not_after or "never"),
        "revoked": ended,
    }
    return {code for code, applies in against.items() if applies}


# ---- §8  Verification ---------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """The outcome of one named check, as the report has it."""

    check: str
    status: str = "not_run"  # pass, fail or not_run
    code: str | None = None
    reason: str | None = None
    pointer: str | None = None
    seq: int | None = None  # the place of an event, from 0


@dataclass
class Result:
    """What was found about one file. `exit_code` is the answer."""

    checks: list[Check] = field(default_factory=lambda: [Check(name) for name in CHECKS])
    warnings: list[JsonObject] = field(default_factory=list)  # as the report has them
    signers: list[Signer] = field(default_factory=list)
    details: list[JsonObject] = field(default_factory=list)  # §10: of events with digests
    evidence: list[JsonObject] = field(default_factory=list)  # on the seal itself
    events: list[JsonObject] | None = None  # None: not decodable
    statement: JsonObject | None = None
    chain_head: str | None = None
    sha256: str | None = None  # of the input
    reformatted: bool = False
    timestamp_demanded: bool = False
    internal_error: bool = False

    def __bool__(self) -> NoReturn:
        """Refuse `if verify_bytes(...)`, which would always pass."""
        raise TypeError("a Result is neither true nor false: look at its exit_code")

    @property
    def exit_code(self) -> int:
        """§8: the first failed check decides, then what was asked for and did not run."""
        if self.internal_error:
            return INTERNAL
        for check in self.checks:
            if check.status == "fail":
                return CHECKS[check.check]
        asked = [c for c in self.checks if c.check != "timestamp" or self.timestamp_demanded]
        return 0 if all(check.status == "pass" for check in asked) else UNTRUSTED

    def passed(self, name: str) -> bool:
        """Tell whether a check passed."""
        return self.checks[list(CHECKS).index(name)].status == "pass"

    def note(self, name: str, status: str, reason: str | None = None) -> None:
        """Put down how a check ended, other than in a defect."""
        self.checks[list(CHECKS).index(name)] = Check(name, status, reason=reason)

    def fail(self, name: str, found: Defect) -> Result:
        """Put down the defect in which a check ended."""
        check = Check(name, "fail", found.code, str(found), found.pointer, found.seq)
        self.checks[list(CHECKS).index(name)] = check
        return self

    def run(self, name: str, check: Callable[..., str | None], *args: object) -> None:
        """Make a check; it returns why it has not run, or None, or raises what it found."""
        try:
            why_not = check(*args)
            self.note(name, "not_run" if why_not else "pass", why_not)
        except Defect as defect:
            self.fail(name, defect)

    def warn(self, code: str, reason: str, places: Sequence[int | None], count: int | None = None) -> None:
        """Warn once a code, if it is found in any place (an event, or None); count the places, or what is said."""
        if places:
            warning = {"code": code, "count": count or len(places), "reason": reason, "seq": places[0]}
            self.warnings.append(warning)

    def to_json(self, *, file: str) -> JsonObject:
        """Return the entry of this file in a hearth-verification/1 report."""
        predicate = self.statement["predicate"] if self.statement else {}
        signers = [
            {name: vars(row)[name] for name in ("algorithm", "keyid", "role", "status", "evidence")}
            | {"name": row.key.name if row.key else None}
            for row in self.signers
        ]
        return {
            "chain_head": self.chain_head,
            "checks": [vars(check) for check in self.checks],
            "disclosures": [{name: row[name] for name in ("disclosed", "seq", "undisclosed")} for row in self.details],
            "events": None if self.events is None else len(self.events),
            "evidence": self.evidence,
            "execution_id": self.events[0].get("execution_id") if self.events else None,
            "exit_code": self.exit_code,
            "file": file.encode("utf-8", "backslashreplace").decode(),  # it may be any bytes
            "reformatted": self.reformatted,
            "sealed_at": predicate.get("sealed_at"),
            "sha256": self.sha256,
            "signers": signers,
            "verdict": VERDICTS[self.exit_code],
            "warnings": self.warnings,
        }


def verify_bytes(
    data: bytes,
    policy: Policy | None,
    *,
    now: str | None,
    allow_reformatted: bool = False,
    require_timestamp: bool = False,
) -> Result:
    """Verify one record (§8). Without a policy it is checked for consistency: 4 at best.

    `now`, in the form of §2, is for the expiry of the policy; without it a policy that
    expires at all has expired.
    """
    if now is not None and not is_scalar("timestamp", now):
        raise ValueError("now must be a timestamp in the form of §2")
    result = Result(timestamp_demanded=require_timestamp or (policy is not None and policy.require_timestamp))
    if len(data) > MAX_FILE:
        return result.fail("read", Defect("too-large", f"over {MAX_FILE} bytes"))
    result.note("read", "pass")
    result.sha256 = hashlib.sha256(data).hexdigest()
    try:
        record, result.reformatted = read_record(data, allow_reformatted=allow_reformatted)
    except Defect as defect:
        return result.fail("shape" if defect.code == UNSUPPORTED else "canonical", defect)
    result.note("canonical", "pass")
    if result.reformatted:
        result.warn("reformatted", "the input was rewritten to the frame first", [None])
    if record.wrong_shape:
        return result.fail("shape", record.wrong_shape)
    result.note("shape", "pass")
    _verify_events(record, result)
    if record.seal is None:
        result.details = tell_details(record)
        reason = "there is no closing line: it was cut short, or it still runs"
        return result.fail("sealed", Defect("not-sealed", reason))
    _verify_seal(record, record.seal, policy, now, result)
    return result


def _verify_events(record: Record, result: Result) -> None:
    """Make checks 4 and 5, and warn of what is odd (§3)."""
    events = result.events = record.events
    if record.torn:
        result.warn("torn-tail", "the bytes of a torn tail were ignored", [None], record.torn)
    if not events:
        return
    result.chain_head = record.hashes[-1]
    result.run("chain", check_chain, record)
    result.run("lifecycle", check_lifecycle, record)
    times = enumerate(pairwise(event["timestamp"] for event in events), 1)
    back = [n for n, (before, after) in times if after < before]
    result.warn("time-went-back", "a timestamp is earlier than its predecessor's", back)
    planned = {step["step_index"] for step in events[0].get("plan", {}).get("steps", ())}
    ran = {n: e["step_index"] for n, e in enumerate(events) if e["type"] == "step_started"}
    unplanned = [n for n, index in ran.items() if planned and index not in planned]
    result.warn("unplanned-step", "a step started that the plan does not name", unplanned)
    if events[-1]["type"] == "execution_finished":
        never = [None] * len(planned.difference(ran.values()))
        result.warn("planned-step-not-run", "a step of the plan never started", never)


def _verify_seal(record: Record, seal: JsonObject, policy: Policy | None, now: str | None, result: Result) -> None:
    """Make checks 6 to 11, and warn of what is odd about the seal."""
    statement = result.statement = seal["statement"]
    result.run("disclosures", check_disclosures, record)
    if result.passed("disclosures"):
        result.details = tell_details(record)
    result.note("sealed", "pass")
    result.run("head", check_head, record, statement)
    evidence = examine_evidence(seal, policy)
    rows = assess_signers(seal, policy, evidence)
    result.signers = as_signed(seal, rows, evidence)
    result.evidence = [examine(piece, b"", ()) for piece in seal["evidence"]]
    result.run("signature", check_signature, seal, rows)
    result.note("trust", "not_run", "no trust policy was given")
    if policy:
        result.run("trust", check_trust, statement, rows, policy, now)
    if result.timestamp_demanded:
        result.run("timestamp", check_timestamps, rows)
    last = len(record.events) - 1
    early = statement["predicate"]["sealed_at"] < record.events[last]["timestamp"]
    result.warn("sealed-before-end", "sealed_at is earlier than the last event", [last] * early)
    others = [row for row in result.signers if row.role == "countersign" and policy]
    unknown = [None for row in others if not row.key]
    result.warn("unknown-countersigner", "the policy does not know the key", unknown)
    idle = [None for row in others if row.status == "good" and not row.counts()]
    reason = "it counts for nothing: its role, its window, or its revocation"
    result.warn("countersigner-not-counted", reason, idle)
    pieces = [*result.evidence, *(item for items in evidence for item in items)]
    reason = "evidence of another type, or of which no authority is trusted, or openssl is missing"
    result.warn("evidence-not-checked", reason, [None for item in pieces if item["status"] == "not_run"])
    bad = [item["reason"] for item in pieces if item["status"] == "bad"]
    reason = f"evidence that does not hold, as if it were absent: {', '.join(sorted(set(bad)))}"
    result.warn("evidence-invalid", reason, [None] * len(bad))
    sealed_at = statement["predicate"]["sealed_at"]
    before = [None for row in result.signers if row.time is not None and row.time < sealed_at]
    result.warn("timestamp-before-seal", "a signature is older than sealed_at, which is wrong then", before[:1])


# ---- Files, reports, the command line -----------------------------------------------------


def read_file(name: str, limit: int) -> bytes:
    """Check 1: read a regular file once, or what `-` stands for; wait for nothing else."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.dup(0) if name == "-" else os.open(name, flags), "rb") as stream:
            chunks, left = [], limit + 1
            if name != "-":
                found = os.fstat(stream.fileno())
                must(stat.S_ISREG(found.st_mode), "unreadable", "it is not a regular file")
                left = 0 if found.st_size > limit else left  # too large: nothing of it is read
            while left and (chunk := stream.read(min(left, 2**20))):
                chunks.append(chunk)
                left -= len(chunk)
    except OSError as error:
        raise Defect("unreadable", error.strerror or "it cannot be read") from None
    must(left > 0, "too-large", f"over {limit} bytes")
    return b"".join(chunks)


def complain(message: str, hint: str) -> None:
    """Print an error and a hint."""
    print(f"verify_record.py: error: {escape(message)}", file=sys.stderr)
    print(f"hint: {escape(hint)}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """The arguments; what is wrong with them is exit 2, in the form of all errors here."""

    def error(self, message: str, hint: str = "--help lists the arguments") -> NoReturn:
        """Complain and leave."""
        complain(message, hint)
        raise SystemExit(USAGE)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    codes = ", ".join(f"{code} {word}" for code, word in VERDICTS.items())
    parser = Parser(prog="verify_record.py", allow_abbrev=False)
    parser.description = "Verify hearth-record/1 files, independently of hearth_records."
    parser.epilog = f"exit codes: {codes}, {USAGE} usage"
    whom, add = parser.add_mutually_exclusive_group(), parser.add_argument
    whom.add_argument("--trust", metavar="FILE", help="a trust policy")
    whom.add_argument("--key", metavar="PUBLIC.pem", action="append", help="(repeatable)")
    whom.add_argument("--no-trust", action="store_true", help="consistency only, 4 at best")
    least = "refuse a trust policy whose version is lower"
    add("--min-policy-version", metavar="N", type=policy_version, help=least)
    add("--require-timestamp", action="store_true", help="on each signer's signature")
    add("--format", choices=["text", "json"], default="text", help="of the report")
    add("--allow-reformatted", action="store_true", help="rewrite re-indented files first")
    add("--allow-example-keys", action="store_true", help="trust published keys, for a try")
    add("files", metavar="FILE", nargs="*", help="a record; - is standard input")
    args = parser.parse_args(argv)
    if args.trust is None and not args.key and not args.no_trust:
        hint = "name whose seal counts, or check consistency alone with --no-trust"
        parser.error("one of --trust, --key and --no-trust is required", hint)
    if args.min_policy_version and args.trust is None:
        parser.error("--min-policy-version is about the policy of --trust FILE")
    if not args.files:
        parser.error("there is no file to verify", "name a record, or - for standard input")
    return args


def policy_version(text: str) -> int:
    """Read the version of a policy; argparse makes an error of a ValueError."""
    if not re.fullmatch("[0-9]{1,16}", text) or not 1 <= int(text) <= MAX_INTEGER:
        raise ValueError
    return int(text)


def read_policy(args: argparse.Namespace) -> Policy | None:
    """Return the policy that was asked for; a defect's path begins with the file."""
    allow: bool = args.allow_example_keys
    if args.trust is not None:
        with at(args.trust):
            policy = load_policy(read_file(args.trust, MAX_POLICY), allow)
            new = policy.version >= (args.min_policy_version or 1)
            must(new, "policy-version", f"it has version {policy.version}, an older one", "version")
            return policy
    pems: list[bytes] = []
    for name in args.key or ():
        with at(name):
            pems.append(read_file(name, MAX_POLICY))
            policy_from_keys(pems, allow_example_keys=allow)  # here for the name in its error
    return policy_from_keys(pems, allow_example_keys=allow) if pems else None


def verify_file(
    name: str, policy: Policy | None, now: str, *, allow_reformatted: bool, require_timestamp: bool = False
) -> Result:
    """Verify one file; whatever goes wrong becomes a result."""
    try:
        data = read_file(name, MAX_FILE)
        options = {"allow_reformatted": allow_reformatted, "require_timestamp": require_timestamp}
        return verify_bytes(data, policy, now=now, **options)
    except Defect as defect:
        return Result().fail("read", defect)
    except Exception as error:  # noqa: BLE001 - one file must not hide what the others are
        complain(f"{name}: internal error: {type(error).__name__}", "please report it")
        return Result(internal_error=True)


def print_text(name: str, result: Result) -> None:
    """Print one line a check, then the verdict, all of it escaped."""
    about, lines = result.to_json(file=name), [name]
    for check in result.checks:
        where = f"{check.code} at {check.pointer}" if check.pointer else check.code
        why = ": ".join(part for part in (where, check.reason) if part)
        lines.append(f"  {check.check:<11}  {check.status:<7}  {why}")
    for row in result.signers:
        who = (row.key.name or "given by --key") if row.key else "unknown"
        what = f"{row.keyid} {row.algorithm or '-'} {row.role}"
        lines.append(f"  signer       {row.status:<7}  {what} ({who})")
        lines += [describe(item) for item in row.evidence]
    lines += [describe(item) for item in result.evidence]
    for told in about["disclosures"]:
        names = ", ".join(told["disclosed"]) or "nothing"
        lines.append(
            f"  details      event {told['seq']}: disclosed {names}; {told['undisclosed']} withheld, or decoys"
        )
    for w in result.warnings:
        first = "" if w["seq"] is None else f", first at event {w['seq']}"
        lines.append(f"  warning      {w['code']} ({w['count']}{first}): {w['reason']}")
    told = ("execution_id", "events", "sealed_at", "chain_head")
    facts = "".join(f", {fact} {about[fact]}" for fact in told if about[fact] is not None)
    lines.append(f"  verdict      {about['verdict']}, exit {about['exit_code']}{facts}")
    print("\n".join(escape(line.rstrip()) for line in lines))


def describe(item: JsonObject) -> str:
    """Return a line about a piece of evidence."""
    good = f"existed by {item['time']}, by the word of the authority {item['authority']}"
    what = good if item["status"] == "good" else item["reason"] or "not examined"
    return f"  {item['type']:<11}  {item['status']:<7}  {what}"


def run(argv: Sequence[str] | None) -> int:
    """Do what the command line says, and return the exit code."""
    args = parse_arguments(argv)
    try:
        policy = read_policy(args)
    except Defect as refused:
        within = Defect("", "", *refused.path[1:]).pointer if args.trust else None
        where = ": ".join(str(part) for part in (refused.path[0], within) if part)
        complain(f"{where}: {refused} ({refused.code})", "no record was looked at")
        return REFUSED
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # one time for all files
    entries = []
    for name in args.files:
        options = {name: vars(args)[name] for name in ("allow_reformatted", "require_timestamp")}
        result = verify_file(name, policy, now, **options)
        entries.append(result.to_json(file=name))
        if args.format == "text":
            print_text(name, result)
    codes = {entry["exit_code"] for entry in entries}
    code = next((code for code in (INTERNAL, 1, 3, 5, UNTRUSTED) if code in codes), 0)
    if args.format == "json":
        report = {"exit_code": code, "format": "hearth-verification/1", "results": entries}
        print(json.dumps(report, sort_keys=True, separators=(",", ":")))
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(argv)
    except KeyboardInterrupt:
        complain("interrupted", "nothing was decided")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort
        if isinstance(error, OSError):  # the report cannot be written: do not try again
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        complain(f"internal error: {type(error).__name__}", "nothing was decided")
        return INTERNAL


if __name__ == "__main__":
    sys.exit(main())
