#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# ///
"""Make mutated records, policies and keys out of the test vectors, for `conformance.py --mutations`.

    mutate.py --seed 1 --index 17 -o DIRECTORY     write one of them, to look at

Each mutant follows from the seed and its index alone, so that one that matters can be made again. Most faults hide
behind others: a byte that is turned breaks a link and no more is learned. So links are computed again, statements
brought to agree and signatures made anew after most edits. The keys are those of `vectors.py`; they are published
there. Ed25519 is written out below (RFC 8032): it signs nothing that anybody should rely on.

What comes out is unlike what anybody writes, by intention. Whether it is right is for the verifiers to say.
"""

from __future__ import annotations

import argparse
import base64
import copy
import functools
import hashlib
import json
import random
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

CORPUS: Final = Path(__file__).resolve().parent.parent / "tests" / "vectors"
OPENING: Final = b'{"format":"hearth-record/1","events":[\n'
PREIMAGE: Final = b"DSSEv1 28 application/vnd.in-toto+json %d "
MAX_BASE: Final = 20_000  # bytes of a vector that is mutated: larger ones are slow, and no other
MAX_INTEGER: Final = 2**53 - 1


# ---- Ed25519, to sign ----------------------------------------------------------------------------

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int, int, int]
BASE_Y: Final = 4 * pow(5, -1, P) % P
BASE_X: Final = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE: Final[Point] = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def add(p: Point, q: Point) -> Point:
    """Return the sum of two points in extended coordinates."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


@functools.cache
def doubles() -> list[Point]:
    """Return the base point times 1, 2, 4 and so on."""
    points = [BASE]
    while len(points) < L.bit_length():
        points.append(add(points[-1], points[-1]))
    return points


def times_base(scalar: int) -> bytes:
    """Return the base point times a scalar below L, encoded."""
    point = (0, 1, 1, 0)
    for bit, double in enumerate(doubles()):
        if scalar >> bit & 1:
            point = add(point, double)
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


class Key:
    """An Ed25519 key of `vectors.py`."""

    def __init__(self, name: str) -> None:
        """Derive the key from its name."""
        digest = hashlib.sha512(hashlib.sha256(f"hearth-records test vectors: {name}".encode()).digest()).digest()
        clamped = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
        self._scalar, self._prefix = clamped % L, digest[32:]
        self.raw = times_base(self._scalar)
        self.keyid = hashlib.sha256(spki(self.raw)).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """Return the signature."""
        nonce = int.from_bytes(hashlib.sha512(self._prefix + message).digest(), "little") % L
        commitment = times_base(nonce)
        challenge = int.from_bytes(hashlib.sha512(commitment + self.raw + message).digest(), "little")
        return commitment + ((nonce + challenge * self._scalar) % L).to_bytes(32, "little")


def spki(raw: bytes) -> bytes:
    """Return an Ed25519 key as SubjectPublicKeyInfo."""
    return bytes.fromhex("302a300506032b6570032100") + raw


@functools.cache
def keys() -> dict[str, Key]:
    """Return the keys by key id."""
    return {key.keyid: key for key in map(Key, ("recorder", "second", "witness", "stranger"))}


# ---- Values --------------------------------------------------------------------------------------


def jcs(value: object) -> bytes:
    """Return the canonical bytes of a value within the profile, and something like them of any other."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")


def b64url(data: bytes) -> str:
    """Return unpadded base64url."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sha256(data: bytes) -> str:
    """Return a digest."""
    return hashlib.sha256(data).hexdigest()


EDGES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 80, MAX_INTEGER, MAX_INTEGER + 1, -MAX_INTEGER, -MAX_INTEGER - 1, 10**30),
    *("", "x", "...", "_sd", "\x00", "\x1f", "\x7f", "\u0080", "\u00e9", "e\u0301", "\u2028", "\ud7ff", "\ue000"),
    *("\uffff", "\U00010000", "\U0001f600", "a" * 128, "a" * 129, "__proto__", "constructor", "toString", "null"),
    *([], {}, [[]], [None], {"": 0}, {"_sd": []}, {"...": 0}, {"__proto__": 1}, {"a": {"_sd": ["x"]}}),
    *("0" * 64, "F" * 64, "f" * 63, "2026-11-22T16:00:01.000000Z", "2024-02-29T23:59:59.999999Z"),
    *("2023-02-29T00:00:00.000000Z", "2000-02-29T00:00:00.000000Z", "1900-02-29T00:00:00.000000Z"),
    *("0000-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"),
    *("2026-11-22T24:00:00.000000Z", "2026-11-22T16:00:60.000000Z", "2026-11-22T16:00:01.000000z", "\n"),
    *("MA==", "MB==", "MAA=", "MA", "MAA", "====", "-_-_", "ed25519", "ml-dsa-44", "ecdsa-p256-sha256", "-a", "a/b"),
)
SNIPPETS: Final[tuple[bytes, ...]] = (
    *(b"1.0", b"1e2", b"1E0", b"-0", b"00", b"-", b"+1", b".5", b"9007199254740991", b"9007199254740992", b"1" * 400),
    *(b'"\\ud800"', b'"\\udc00"', b'"\\ud83d\\ude00"', b'"\\u0061"', b'"\\/"', b'"\\n"', b'"\\u000a"', b'"\\x41"'),
    *(b"null", b"true", b"True", b"nul", b"NaN", b"Infinity", b'""', b"[]", b"{}", b"[" * 20, b'{"a":' * 20),
    *(b" ", b"\t", b"\r", b"\n", b"\r\n", b"\x00", b"\x0b", b"\x7f", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"),
    *(b"\xef\xbb\xbf", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8", b"\xc2\xa0", b"\xc2\x85", b"//", b"/**/"),
    *(b"'", b",", b":", b"}", b"]"),
    *(b'"a":1', b',"a":1', b',"\\u0061":1', b'"_sd":[],', b'"...":0,', b"],", b"\n,", b"{", b"[", b'"', b"\\"),
)  # fmt: skip
PUNCTUATION: Final = b'{}[]",:\\ 0123456789eE.+-\n\r\t\x00\x7f\x80\xffnutfaz/'


def chance(rng: Random, percent: int) -> bool:
    """Say yes so often."""
    return rng.randrange(100) < percent


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Yield every (object or array, name or index) in a value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


# ---- Bases ---------------------------------------------------------------------------------------


@dataclass
class Record:
    """A record as values: the events, and the closing line or None."""

    events: list[Any]
    closing: dict[str, Any] | None

    @classmethod
    def read(cls, data: bytes) -> Record | None:
        """Return a record out of bytes in the frame, or None."""
        lines = data.split(b"\n")
        if not data.startswith(OPENING) or lines[-1] != b"" or len(lines) < 3:  # noqa: PLR2004 - opening, event, end
            return None
        is_sealed = lines[-2].startswith(b"],")
        try:
            events = [json.loads(line.removeprefix(b",")) for line in lines[1 : -2 if is_sealed else -1]]
            closing = json.loads(b"{" + lines[-2][2:]) if is_sealed else None
        except (ValueError, RecursionError):
            return None
        if not all(isinstance(event, dict) for event in events):
            return None
        return cls(events, closing)


class Base(NamedTuple):
    """A vector to start from."""

    name: str
    data: bytes
    record: Record | None
    trust: bytes | None
    keys: tuple[bytes, ...]
    allow_reformatted: bool


@dataclass
class Mutant:
    """A case that nobody wrote: a record file, the policy, and what was done to them."""

    record: bytes
    trust: bytes | None
    keys: list[bytes]
    allow_reformatted: bool
    done: list[str] = field(default_factory=list)


# ---- Edits of bytes ------------------------------------------------------------------------------


def edit_bytes(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Turn, delete, double, swap or insert bytes somewhere, or cut the rest off."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((1, 1, 1, 2, 3, 8, 40, 300)))
    span = data[start:end]
    what = rng.choice(("flip", "flip", "set", "set", "delete", "delete", "double", "insert", "insert", "swap", "cut"))
    if what == "flip" and span:
        span = bytes([span[0] ^ 1 << rng.randrange(8)]) + span[1:]
    elif what == "set" and span:
        span = bytes([rng.choice(PUNCTUATION)]) + span[1:]
    elif what == "delete":
        span = b""
    elif what == "double":
        span *= 2
    elif what == "insert":
        span = rng.choice(SNIPPETS) + span
    elif what == "swap":
        end = min(len(data), start + 2 * len(span))
        span = data[start + len(span) : end] + span
    else:
        end = len(data)
        span = b""
    return data[:start] + span + data[end:], f"{what} at byte {start}"


def edit_lines(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Drop, double, swap, cut or turn whole lines, or what stands between them."""
    lines = data.split(b"\n")
    n, m = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.choice(("drop", "double", "swap", "end", "crlf", "comma", "join", "blank", "no line feed"))
    if what == "drop":
        del lines[n]
    elif what == "double":
        lines.insert(m, lines[n])
    elif what == "swap":
        lines[n], lines[m] = lines[m], lines[n]
    elif what == "end":
        del lines[n:]
        lines.append(rng.choice((b"", b"", b",", b"]", b"x")))
    elif what == "crlf":
        lines = [line + b"\r" if chance(rng, 50) or line else line for line in lines]
    elif what == "comma":
        lines[n] = lines[n][1:] if lines[n].startswith(b",") else b"," + lines[n]
    elif what == "join":
        lines[n : n + 2] = [b"".join(lines[n : n + 2])]
    elif what == "blank":
        lines[n] = rng.choice((b" ", b"\t", b"\r", b"\x0c")) + lines[n] + rng.choice((b"", b" "))
    else:
        return data.rstrip(b"\n") + rng.choice((b"", b" ", b"\n\n", b" \n")), what
    return b"\n".join(lines), f"{what} at line {n}"


def edit_tokens(rng: Random, line: bytes) -> tuple[bytes, str]:
    """Spell the same JSON, or nearly the same, in another way: one token of a line."""
    tokens = list(re.finditer(rb'"(?:[^"\\]|\\.)*"|-?[0-9.eE+-]+|[a-z]+|[][{},:]', line))
    if not tokens:
        return line, "no token"
    token = rng.choice(tokens)
    text = token.group()
    choices: list[bytes] = [text + rng.choice((b" ", b"\t", b"\r")), rng.choice(SNIPPETS), b"", text + text]
    if text.startswith(b'"') and len(text) > 2:  # noqa: PLR2004 - not empty
        at = rng.randrange(1, len(text) - 1)
        letter = text[at : at + 1]
        choices += [
            text[:at] + rb"\u%04x" % ord(letter) + text[at + 1 :],
            text[:at] + rb"\u%04X" % ord(letter) + text[at + 1 :],
            text[:at] + rng.choice((rb"\/", rb"\n", rb"\u000a", rb"\u007f", rb"\ud800", b"\x00")) + text[at:],
        ]
    elif text[:1].isdigit() or text.startswith(b"-"):
        choices += [text + b".0", text + b"e0", b"-" + text, b"0" + text, b'"' + text + b'"', b"9007199254740992"]
        choices += [b"%d" % (int(text) + rng.choice((-1, 1)))] if text.lstrip(b"-").isdigit() else []
    new = rng.choice(choices)
    return line[: token.start()] + new + line[token.end() :], f"{text[:20]!r} became {new[:20]!r}"


# ---- Edits of values -----------------------------------------------------------------------------


class Editor:
    """Edits values, with what it saw elsewhere under the same name."""

    def __init__(self, rng: Random, pools: dict[str, list[bytes]]) -> None:
        """Keep the pools: canonical bytes of values, by the name of the member that they were of."""
        self._rng = rng
        self._pools = pools

    def edit(self, root: object) -> str:
        """Change one place in a value; says what was done."""
        rng = self._rng
        found = list(places(root))
        if not found:
            return "nothing to edit"
        holder, key = rng.choice(found)
        what = rng.choice((*("seen",) * 8, "edge", "near", "drop", "add", "name", "double", "order"))
        if what == "seen":
            pool = self._pools.get(str(key)) if isinstance(holder, dict) else None
            holder[key] = json.loads(rng.choice(pool)) if pool else copy.deepcopy(rng.choice(EDGES))
        elif what == "edge":
            holder[key] = copy.deepcopy(rng.choice(EDGES))
        elif what == "near":
            holder[key] = self._near(holder[key])
        elif what == "drop":
            del holder[key]
        elif isinstance(holder, list):
            if what == "order":
                rng.shuffle(holder)
            else:
                holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
        elif what == "name":
            holder[rng.choice((str(key)[:-1], f"{key}x", str(key).upper(), "", "..."))] = holder.pop(key)
        else:
            name = rng.choice(("", "x", "_sd", "...", "\uffff", "__proto__", "a" * 128, *self._pools))
            holder[name] = copy.deepcopy(rng.choice(EDGES))
        return f"{what} {key!r}"

    def _near(self, value: object) -> object:
        """Return a value like another one."""
        rng = self._rng
        if isinstance(value, bool) or value is None:
            return rng.choice((True, False, None, 0, "null"))
        if isinstance(value, int):
            return rng.choice((value - 1, value + 1, -value, str(value), value * 2**20))
        if isinstance(value, str):
            at = rng.randrange(len(value) + 1)
            new = rng.choice(("", " ", "0", "a", "A", "\n", "\u0660", "\uff10", "\u00e9", "\U0001f600", "=", "_", "Z"))
            return rng.choice(
                (value[:at] + new + value[at + 1 :], value[:at] + new + value[at:], value[:at], value * 2)
            )
        if isinstance(value, list):
            return rng.choice((value[:-1], value + value, value[::-1], {}, [value]))
        return rng.choice(([value], [], None, {"a": value}))


def edit_events(rng: Random, events: list[Any], others: Sequence[Any]) -> str:
    """Drop, double, swap, insert or replace whole events."""
    n, m = rng.randrange(len(events)), rng.randrange(len(events))
    what = rng.choice(("drop", "double", "swap", "insert", "insert", "replace", "end"))
    if what == "drop":
        del events[n]
    elif what == "double":
        events.insert(m, copy.deepcopy(events[n]))
    elif what == "swap":
        events[n], events[m] = events[m], events[n]
    elif what == "insert":
        events.insert(rng.randrange(1, len(events) + 1), copy.deepcopy(rng.choice(others)))
    elif what == "replace":
        events[n] = copy.deepcopy(rng.choice(others))
    else:
        del events[n + 1 :]
    return f"{what} event {n}"


def disclose(rng: Random, record: Record, seen: Sequence[bytes]) -> str:
    """Withhold a made-up member of some event's details, and mostly disclose it; mostly as it ought to be."""
    event = rng.choice(record.events)
    if record.closing is None or not isinstance(event, dict) or not isinstance(event.get("details"), dict):
        return "nothing to disclose"
    details = event["details"]
    name = rng.choice(("a", "b", "é", "", "_sd", "...", "a" * 128, "a" * 129, "\uffff", *map(str, details)))
    salt = rng.choice((b64url(rng.randbytes(16)),) * 8 + (b64url(rng.randbytes(15)), "A" * 22, "A" * 21 + "B", ""))
    value: Any = json.loads(rng.choice(seen)) if chance(rng, 70) else rng.choice(EDGES)
    if chance(rng, 10):
        for _ in range(rng.randrange(12, 17)):
            value = rng.choice(([value], {"a": value}))
    text = jcs([salt, name, value] if chance(rng, 95) else [salt, name])
    if chance(rng, 20):
        text, _ = edit_tokens(rng, text)
    disclosure = b64url(text) + rng.choice(("",) * 20 + ("A", "="))
    disclosures, digests = record.closing.get("disclosures"), details.setdefault("_sd", [])
    if isinstance(digests, list) and chance(rng, 90):
        digests.append(b64url(hashlib.sha256(disclosure.encode()).digest()))
        if chance(rng, 95):
            digests.sort(key=str)
    if isinstance(disclosures, list) and chance(rng, 90):
        disclosures.insert(rng.randrange(len(disclosures) + 1), disclosure)
        if chance(rng, 95):
            disclosures.sort(key=str)
    return f"disclose {name[:20]!r}"


def edit_signatures(rng: Random, closing: dict[str, Any], preimage: bytes) -> str:
    """Edit the list of signatures: their order, their number, the bytes of one."""
    try:
        signatures = closing["seal"]["signatures"]
        one = rng.choice(signatures)
        raw = base64.b64decode(one["sig"])
    except (KeyError, TypeError, ValueError, IndexError):
        return "no signature to edit"
    commitment, scalar = raw[:32], int.from_bytes(raw[32:], "little")
    what = rng.choice(("flip", "scalar", "short", "zero", "commitment", "drop", "double", "order", "add", "add", "add"))
    if what == "flip" and raw:
        at = rng.randrange(len(raw))
        raw = raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]
    elif what == "scalar":
        scalar = scalar + L if scalar + L < 2**256 else L
        raw = commitment + (scalar % 2**256).to_bytes(32, "little")
    elif what == "short":
        raw = raw[: rng.choice((1, 32, 63))] + raw[: rng.choice((0, 0, 2))]
    elif what == "zero":
        raw = bytes(64)
    elif what == "commitment":
        raw = bytes([1] + [0] * 31) + raw[32:]
    elif what == "drop":
        signatures.remove(one)
    elif what == "double":
        signatures.append(copy.deepcopy(one))
    elif what == "order":
        rng.shuffle(signatures)
    else:
        key = rng.choice(list(keys().values()))
        sig = base64.b64encode(key.sign(preimage)).decode()
        signatures.insert(rng.randrange(len(signatures) + 1), {"evidence": [], "keyid": key.keyid, "sig": sig})
        if chance(rng, 70):
            signatures[1:] = sorted(signatures[1:], key=lambda signature: str(signature.get("keyid")))
    if raw:
        one["sig"] = base64.b64encode(raw).decode()
    return f"signatures: {what}"


# ---- Repairs -------------------------------------------------------------------------------------


def linked(events: Sequence[Any], respell: Callable[[int, bytes], bytes], *, numbered: bool) -> list[bytes]:
    """Return the bytes of each event, with links over whatever `respell` makes of them."""
    lines: list[bytes] = []
    for n, event in enumerate(events):
        if isinstance(event, dict):
            if "previous_event_hash" in event:
                event["previous_event_hash"] = sha256(lines[-1]) if lines else None
            if numbered and "seq" in event:
                event["seq"] = n
        lines.append(respell(n, jcs(event)))
    return lines


def bring_to_agree(statement: Any, events: Sequence[Any], lines: Sequence[bytes]) -> None:  # noqa: ANN401 - any JSON
    """Let a statement say what the events say, as far as both have the members."""
    first, last = events[0], events[-1]
    try:
        predicate, (subject,) = statement["predicate"], statement["subject"]
        predicate["chain"].update(head=sha256(lines[-1]), length=len(lines))
        subject["digest"]["sha256"] = sha256(lines[-1])
        for name in ("execution_id", "live_mode_state", "series"):
            predicate[name] = copy.deepcopy(first[name])
        subject["name"] = first["execution_id"]
        predicate["plan_id"] = first["plan"]["plan_id"]
        predicate["status"] = last["status"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return


def preimage_of(statement: object) -> bytes:
    """Return what signatures are over."""
    body = jcs(statement)
    return PREIMAGE % len(body) + body


def sign_again(seal: Any) -> None:  # noqa: ANN401 - any JSON
    """Make each signature by a key that is known anew."""
    try:
        preimage = preimage_of(seal["statement"])
        for signature in seal["signatures"]:
            if signature["keyid"] in keys():
                signature["sig"] = base64.b64encode(keys()[signature["keyid"]].sign(preimage)).decode()
    except (KeyError, TypeError):
        return


def respelled(rng: Random, value: object) -> bytes:
    """Return a value in any spelling of JSON."""
    indent = rng.choice((None, 0, 1, "\t", "  "))
    separators = rng.choice(((",", ":"), (", ", ": "), (" ,", " :")))
    return json.dumps(value, ensure_ascii=chance(rng, 50), indent=indent, separators=separators).encode(
        errors="surrogatepass"
    )


# ---- Mutants -------------------------------------------------------------------------------------


class Mutator:
    """Makes mutants out of a corpus."""

    def __init__(self, corpus: Path = CORPUS, without: Sequence[str] = ()) -> None:
        """Read the corpus; leave out what names an algorithm of `without`."""
        self._bases: list[Base] = []
        self._valid: list[Base] = []
        self._policies: list[bytes] = []
        self._pools: dict[str, list[bytes]] = {}
        self._events: list[Any] = []
        for case in json.loads((corpus / "manifest.json").read_bytes())["cases"]:
            if case["kind"] != "file" or case["padding"] is not None:
                continue
            policy = case["policy"] or {}
            trust = (corpus / policy["trust"]).read_bytes() if "trust" in policy else None
            pems = tuple((corpus / name).read_bytes() for name in policy.get("keys", ()))
            data = (corpus / case["file"]).read_bytes()
            named = [name for name in without if f'"{name}"'.encode() in data + (trust or b"")]
            if len(data) > MAX_BASE or named:
                continue
            if case["checks"] is None:
                self._policies += [trust] if trust else []
                continue
            record = Record.read(data)
            base = Base(case["name"], data, record, trust, pems, case["allow_reformatted"])
            self._bases.append(base)
            self._valid += [base] if case["exit_code"] == 0 else []
            if trust is not None and trust not in self._policies:
                self._policies.append(trust)
        if not self._valid or not self._policies:
            raise ValueError(f"{corpus}: there is nothing to make mutants of")
        self._collect()

    def _collect(self) -> None:
        """Fill the pools with what the records hold."""
        pools: dict[str, dict[bytes, None]] = {}
        for base in self._bases:
            if base.record is None:
                continue
            self._events += base.record.events
            for holder, key in places([base.record.events, base.record.closing]):
                if isinstance(holder, dict):
                    pools.setdefault(key, {})[jcs(holder[key])] = None
        self._pools = {name: [value for value in pool if len(value) < 2000] or [b"0"] for name, pool in pools.items()}  # noqa: PLR2004 - bytes

    def mutant(self, seed: int, index: int) -> Mutant:
        """Return mutant number `index` of a seed."""
        rng = random.Random(f"{seed}:{index}")  # noqa: S311 - nothing here is a secret
        base = rng.choice(self._bases if chance(rng, 40) else self._valid)
        kinds = (
            (40, self._of_values),
            (10, self._of_bytes),
            (6, self._of_lines),
            (6, self._of_policy),
            (2, self._of_keys),
        )
        make = rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
        mutant = Mutant(base.data, base.trust, list(base.keys), base.allow_reformatted, [base.name])
        make(rng, base, mutant)
        return mutant

    def _of_bytes(self, rng: Random, _base: Base, mutant: Mutant) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            mutant.record, done = edit_bytes(rng, mutant.record)
            mutant.done.append(done)

    def _of_lines(self, rng: Random, _base: Base, mutant: Mutant) -> None:
        for _ in range(rng.choice((1, 1, 2))):
            mutant.record, done = edit_lines(rng, mutant.record)
            mutant.done.append(done)
        mutant.allow_reformatted ^= chance(rng, 30)

    def _of_values(self, rng: Random, base: Base, mutant: Mutant) -> None:
        if base.record is None:
            self._of_bytes(rng, base, mutant)
            return
        record = copy.deepcopy(base.record)
        editor = Editor(rng, self._pools)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            mutant.done.append(self._edit(rng, editor, record))
        spelled: dict[int, bool] = {n: chance(rng, 30 // len(record.events)) for n in range(len(record.events))}

        def respell(n: int, line: bytes) -> bytes:
            if not spelled.get(n):
                return line
            line, done = edit_tokens(rng, line)
            mutant.done.append(f"event {n}: {done}")
            return line

        numbered = chance(rng, 95)
        is_linked = chance(rng, 90)
        lines = linked(record.events, respell, numbered=numbered) if is_linked else [jcs(e) for e in record.events]
        closing = record.closing
        last = b""
        if closing is not None:
            self._repair(rng, record, lines, mutant)
            last = jcs(closing)
            if chance(rng, 8):
                last, done = edit_tokens(rng, last)
                mutant.done.append(f"closing line: {done}")
            last = b"]," + last[1:] + b"\n"
        if chance(rng, 10):
            document = {"format": "hearth-record/1", "events": record.events, **(closing or {})}
            if chance(rng, 30):
                mutant.done.append(f"document: {editor.edit(document)}")
            mutant.record = respelled(rng, document)
            mutant.allow_reformatted = chance(rng, 70)
            mutant.done.append("re-formatted")
        else:
            mutant.record = OPENING + b"\n,".join(lines) + b"\n" * bool(lines) + last
        if chance(rng, 5):
            self._of_bytes(rng, base, mutant)

    def _edit(self, rng: Random, editor: Editor, record: Record) -> str:
        """Edit a record: one event, all events, details, or the closing line."""
        if not record.events:
            return "no event to edit"
        (what,) = rng.choices(("event", "events", "details", "closing"), (45, 25, 12, 18))
        if what == "events":
            return edit_events(rng, record.events, self._events)
        if what == "details":
            return disclose(rng, record, self._pools["details"])
        if what == "closing" and record.closing is not None:
            return f"closing line: {editor.edit(record.closing)}"
        n = rng.randrange(len(record.events))
        return f"event {n}: {editor.edit(record.events[n])}"

    def _repair(self, rng: Random, record: Record, lines: list[bytes], mutant: Mutant) -> None:
        """Bring the closing line to agree with the events, mostly, and sign it again, mostly."""
        seal = (record.closing or {}).get("seal")
        statement = seal.get("statement") if isinstance(seal, dict) else None
        if lines and chance(rng, 85):
            bring_to_agree(statement, record.events, lines)
            mutant.done.append("sealed again")
        if chance(rng, 15):
            mutant.done.append(f"statement: {Editor(rng, self._pools).edit(statement)}")
        if chance(rng, 90):
            sign_again(seal)
            mutant.done.append("signed again")
        if record.closing is not None and chance(rng, 15):
            mutant.done.append(edit_signatures(rng, record.closing, preimage_of(statement)))
            if chance(rng, 50):
                mutant.trust, mutant.keys = rng.choice(self._policies), []

    def _of_policy(self, rng: Random, _base: Base, mutant: Mutant) -> None:
        """Judge by another policy, or by one that is edited."""
        policy = rng.choice(self._policies)
        mutant.keys = []
        try:
            value = json.loads(policy)
        except (ValueError, RecursionError):
            mutant.trust, done = edit_bytes(rng, policy)
            mutant.done.append(f"policy: {done}")
            return
        if isinstance(value, dict) and chance(rng, 30):
            raw = rng.choice((rng.randbytes(32), rng.randbytes(31) + b"\x7f", b"\xff" * 31 + b"\x7f"))
            entry = {"algorithm": "ed25519", "keyid": sha256(spki(raw)), "name": "", "not_after": None}
            entry |= {"not_before": None, "public_key": base64.b64encode(spki(raw)).decode(), "revoked": None}
            if isinstance(value.get("keys"), list):
                value["keys"].append(entry | {"roles": ["seal"]})
            mutant.done.append("policy: a key of random bytes")
        else:
            pools = {name: [jcs(holder[name])] for holder, name in places(value) if isinstance(holder, dict)}
            for _ in range(rng.choice((1, 1, 2))):
                mutant.done.append(f"policy: {Editor(rng, {**self._pools, **pools}).edit(value)}")
        mutant.trust = respelled(rng, value)
        if chance(rng, 30):
            mutant.trust, done = edit_tokens(rng, mutant.trust)
            mutant.done.append(f"policy: {done}")

    def _of_keys(self, rng: Random, _base: Base, mutant: Mutant) -> None:
        """Judge by a public key in PEM or in OpenSSH's form, edited."""
        key = rng.choice(list(keys().values()))
        if chance(rng, 50):
            data = b"-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" % base64.b64encode(spki(key.raw))
        else:
            wire = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + key.raw
            data = b"ssh-ed25519 %s me@host\n" % base64.b64encode(wire)
        pieces = (b"\n", b" ", b"\t", b"\r\n", b"\x0b", b"\x0c", b"\xa0", b"-", b"=", b"x", b"")
        for _ in range(rng.choice((0, 1, 1, 2))):
            at = rng.choice([*(m.start() for m in re.finditer(rb"[\n -]|$", data)), rng.randrange(len(data))])
            new = rng.choice(pieces)
            data = data[:at] + new + data[at + rng.choice((0, 1)) :]
            mutant.done.append(f"key: {new!r} at byte {at}")
        mutant.trust, mutant.keys = None, [data] * rng.choice((1, 1, 1, 1, 2))


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="mutate.py", description="Write one mutant of the test vectors.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--without", action="append", default=[], metavar="ALGORITHM")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIRECTORY")
    args = parser.parse_args()
    mutant = Mutator(without=args.without).mutant(args.seed, args.index)
    args.output.mkdir(parents=True, exist_ok=True)
    for name in write(mutant, args.output):
        print(name)
    for done in mutant.done:
        print(f"# {done}")
    return 0


def write(mutant: Mutant, directory: Path) -> list[str]:
    """Write a mutant's files; returns the arguments of a verifier."""
    words = ["--trust", str(directory / "trust.json")] if mutant.trust is not None else []
    if mutant.trust is not None:
        (directory / "trust.json").write_bytes(mutant.trust)
    for n, pem in enumerate(mutant.keys if mutant.trust is None else ()):
        path = directory / f"key-{n}.pem"
        path.write_bytes(pem)
        words += ["--key", str(path)]
    words = words or ["--no-trust"]
    words += ["--allow-reformatted"] if mutant.allow_reformatted else []
    path = directory / "mutant.record.json"
    path.write_bytes(mutant.record)
    return [*words, str(path)]


if __name__ == "__main__":
    sys.exit(main())
