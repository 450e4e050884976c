#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["cryptography"]
# ///
"""Make rollback guidance from a hearth-record/1 file alone, once it verifies. Nothing is executed.

    regenerate_scaffold.py --key PUBLIC.pem FILE      seals by these keys are trusted
    regenerate_scaffold.py --trust POLICY.json FILE   a trust policy decides (§9)
    regenerate_scaffold.py --unverified FILE          what is consistent, marked as not verified

    --format json   the scaffold as canonical JSON, ASCII only: the same bytes as those of
                    `regenerate-scaffold --format json` of the package
    -o OUT          a new file to write to; nothing is ever replaced

It stands on verify_record.py, the file beside it, and is written from schemas/FORMAT.md (§10),
so that a second program has to come to the same guidance. `-` is standard input.

Whether a rollback by hand is possible:

    status                closing security state   hint of an executed step   possible
    no terminal event     any                      any                        no
    completed             any                      any                        no
    incomplete            any                      any                        no
    failed                not OPERATIONAL          any                        no
    failed                OPERATIONAL              none                       no
    failed                OPERATIONAL              at least one               yes

Nothing is inferred. Hints stand verbatim as they were recorded before the first step. A step is
irreversible when an effect, observed or declared for a step that ran, is not known to be
reversible. An effect is the one that was declared when category, description and step are equal;
one that was declared for no step, when category and description are.

Exit codes: 0, or that of the verification (1 altered, 3 unreadable, 4 untrusted, 5 incomplete);
2 wrong usage, or OUT exists; 3 also a policy, key or output that cannot be used; 70 internal
error. With --unverified, 4 and 5 are let pass when there is an event to tell of.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

try:
    import verify_record
except ModuleNotFoundError as missing:
    print(
        f"regenerate_scaffold.py: error: there is no {missing.name}\nhint: keep verify_record.py beside it",
        file=sys.stderr,
    )
    raise SystemExit(70) from None

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verify_record import JsonObject, Policy, Result

PROG = "regenerate_scaffold.py"
USAGE, REFUSED, INTERNAL, INTERRUPTED = 2, 3, 70, 130
CONSISTENT = (0, 4, 5)  # exit codes of records that say the same everywhere
NOTICE = "Guidance for a person. Nothing here is executed, and nothing was inferred."

# §10: each reason_code, and its text.
REASONS = {
    "still-running": "the record has no end: the execution still runs, or its record was cut short",
    "completed": "the execution completed: there is nothing to roll back; hints are listed for reference",
    "security_escalation": "a security escalation stopped the execution: there is no recovery without a restart",
    "recovered": "the record was recovered after a crash: what ran after its last event is not known",
    "abandoned": "the execution was abandoned",
    "incomplete": "the execution is incomplete, and its cause is not recorded",
    "security-state": "the execution failed and the closing security state is not OPERATIONAL: fail-closed",
    "no-hint": "the execution failed and the plan declares no rollback hint for a step that ran",
    "failed-with-hints": "the execution failed and the plan declares rollback hints for steps that ran",
}


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the program
    """Why there is no scaffold, what to do about it, and the exit code."""

    def __init__(self, exit_code: int, reason: str, hint: str) -> None:
        """Note all three."""
        super().__init__(reason)
        self.exit_code, self.hint = exit_code, hint


# ---- §10  From events to a scaffold ---------------------------------------------------------


def make_scaffold(events: Sequence[JsonObject], chain_head: str) -> JsonObject:
    """Return the guidance for the events of a record."""
    first, end = events[0], events[-1] if events[-1]["type"] == "execution_finished" else None
    plan: JsonObject = first["plan"]
    hints: list[JsonObject] = plan["rollback_hints"]
    started = [event for event in events if event["type"] == "step_started"]
    executed = {event["step_index"] for event in started}
    hinted = {hint["step_index"] for hint in hints}
    observed = [tell_effect("observed", event) for event in events if event["type"] == "side_effect_observed"]
    declared = [tell_effect("declared", effect) for effect in plan["declared_side_effects"]]
    about_what_ran = [effect for effect in declared if effect["step_index"] in {None, *executed}]
    irreversible = [effect for effect in observed + about_what_ran if effect["reversible"] is not True]
    irreversible_steps = {effect["step_index"] for effect in irreversible} - {None}
    seen = {key_of(effect, anywhere=anywhere) for effect in observed for anywhere in (False, True)}
    announced = {key_of(effect) for effect in declared}
    reason_code = judge(end, hints_apply=bool(hinted & executed))
    return {
        "execution_id": first["execution_id"],
        "plan_id": plan["plan_id"],
        "chain_head": chain_head,
        "status": end["status"] if end else "started",
        "cause": end["cause"] if end else None,
        "closing_security_state": end["security_snapshot"]["security_state"] if end else None,
        "is_rollback_possible": reason_code == "failed-with-hints",
        "reason_code": reason_code,
        "reason": REASONS[reason_code],
        "hints": [{"executed": hint["step_index"] in executed, "hint": hint, "recorded": True} for hint in hints],
        "manual_checklist": make_checklist(events, hinted, irreversible_steps),
        "irreversible_steps": sorted(irreversible_steps),
        "irreversible_effects": irreversible,
        "steps_without_hint": sorted(executed - hinted),
        "declared_not_observed": [
            {name: effect[name] for name in effect if name != "source"}
            for effect in declared
            if key_of(effect) not in seen
        ],
        "observed_not_declared": [
            effect for effect in observed if announced.isdisjoint({key_of(effect), key_of(effect, anywhere=True)})
        ],
        "required_inputs": [
            {"description": hint["required_inputs"][name], "name": name, "step_index": hint["step_index"]}
            for hint in hints
            for name in sorted(hint["required_inputs"])
        ],
        "risks": [{"risk": risk, "step_index": hint["step_index"]} for hint in hints for risk in hint["risks"]],
        "unknown_effects": end["unknown_effects"] if end else True,
    }


def tell_effect(source: str, effect: JsonObject) -> JsonObject:
    """Return an effect as the scaffold has it; `source` is observed or declared."""
    return {"source": source} | {name: effect[name] for name in ("category", "description", "reversible", "step_index")}


def key_of(effect: JsonObject, *, anywhere: bool = False) -> tuple[str, str, int | None]:
    """Return what two effects have to share to be one; with `anywhere`, as if it named no step."""
    return effect["category"], effect["description"], None if anywhere else effect["step_index"]


def judge(end: JsonObject | None, *, hints_apply: bool) -> str:
    """Return the reason_code: the first row of the table that fits."""
    if end is None:
        return "still-running"
    if end["status"] == "completed":
        return "completed"
    if end["status"] == "incomplete":
        return end["cause"] or "incomplete"
    if end["security_snapshot"]["security_state"] != "OPERATIONAL":
        return "security-state"
    return "failed-with-hints" if hints_apply else "no-hint"


def make_checklist(events: Sequence[JsonObject], hinted: set[int], irreversible: set[int]) -> list[JsonObject]:
    """Return the steps that ran, the latest first, each with how it ended."""
    steps: dict[int, JsonObject] = {}
    for event in events:
        if event["type"] == "step_started":
            steps[event["step_index"]] = {
                "step_index": event["step_index"],
                "step_name": event["step_name"],
                "phase": event["phase"],
                "outcome": "open",
                "has_hint": event["step_index"] in hinted,
                "irreversible": event["step_index"] in irreversible,
            }
        elif event["type"] in ("step_completed", "step_failed"):
            steps[event["step_index"]]["outcome"] = event["type"].removeprefix("step_")
    return list(reversed(steps.values()))


# ---- Verification comes first -------------------------------------------------------------


def read(name: str, limit: int) -> bytes:
    """Read a file, or refuse it."""
    try:
        return verify_record.read_file(name, limit)
    except verify_record.Defect as defect:
        raise Refusal(REFUSED, f"{name}: {defect.reason}", "no record was looked at") from None


def read_policy(args: argparse.Namespace) -> Policy | None:
    """Return the policy that was asked for, None for --unverified. A key is called by the path it came from."""
    names: list[str] = [args.trust] if args.trust else args.key or []
    found = [read(name, verify_record.MAX_POLICY) for name in names]
    allow: bool = args.allow_example_keys
    try:
        if args.trust:
            return verify_record.load_policy(found[0], allow)
        if not found:
            return None
        policy = verify_record.policy_from_keys(found, allow_example_keys=allow)
    except verify_record.PolicyError as error:
        where = f"{args.trust}{error.pointer or ''}" if args.trust else names[int(error.path[0])]
        raise Refusal(REFUSED, f"{where}: {error.reason}", "no record was looked at") from None
    keys = {
        keyid: dataclasses.replace(key, name=printable_name(name))
        for (keyid, key), name in zip(policy.keys.items(), names, strict=True)
    }
    return dataclasses.replace(policy, keys=keys)


def printable_name(name: str) -> str:
    r"""Return the name of a file, which may be any bytes, as text: those that are not UTF-8 stand as \udc80."""
    return name.encode("utf-8", "backslashreplace").decode()


def verify(name: str, policy: Policy | None) -> Result:
    """Return the result of a record that may be told of; all others are refused with their exit code."""
    data = read(name, verify_record.MAX_FILE)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    result = verify_record.verify_bytes(data, policy, now=now)
    code = result.exit_code
    if code == 0 or (policy is None and code in CONSISTENT and result.events):
        return result
    found = {status: next((c for c in result.checks if c.status == status), None) for status in ("fail", "not_run")}
    decisive = found["fail"] or found["not_run"]
    why = f"{decisive.check}: {decisive.reason or 'did not run'}" if decisive else "not verified"
    raise Refusal(code, f"{name}: {verify_record.VERDICTS[code]}: {why}", "verify_record.py shows every check")


def make_document(result: Result) -> JsonObject:
    """Return the hearth-scaffold/1 document: the scaffold, and what it was made from."""
    events, about = result.events or [], result.to_json(file="")
    return {
        "format": "hearth-scaffold/1",
        "made_from": {
            "chain_head": about["chain_head"],
            "events": about["events"],
            "file_sha256": about["sha256"],
            "sealed_at": about["sealed_at"],
            "signers": [{name: row[name] for name in row if name != "evidence"} for row in about["signers"]],
            "verdict": about["verdict"],
        },
        "notice": NOTICE,
        "scaffold": make_scaffold(events, about["chain_head"]),
        "withholdable": result.details,
    }


# ---- Output -------------------------------------------------------------------------------


def to_json(document: JsonObject) -> bytes:
    """Return RFC 8785 bytes, but for characters beyond ASCII, which are escaped, and an LF."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def to_text(document: JsonObject) -> bytes:
    """Return the document for a person to read; all that came out of a record is escaped."""
    source, guidance = document["made_from"], document["scaffold"]
    verified = source["verdict"] == "verified"
    signers = [
        f"{row['name'] or 'a key that is not known'} ({row['keyid']}, {row['status']})" for row in source["signers"]
    ]
    lines = [
        f"ROLLBACK GUIDANCE for execution {guidance['execution_id']}, plan {guidance['plan_id']}",
        f"  made from    {source['events']} events, chain head {source['chain_head']}",
        f"  of a file    sha256 {source['file_sha256']}",
        f"  sealed by    {', '.join(signers) or 'nobody'}",
        f"  verdict      {source['verdict'] if verified else source['verdict'].upper() + ': NOT VERIFIED'}",
        f"  possible     {'yes, by hand' if guidance['is_rollback_possible'] else 'NO'}: {guidance['reason']}",
        f"  notice       {NOTICE}",
    ]
    shown = (
        [("DETAILS THAT CAN BE WITHHELD", show_details(document["withholdable"]))] if document["withholdable"] else []
    )
    for title, items in sections(guidance) + shown:
        lines += ["", title, *(f"  {item}" for item in items or ["none"])]
    return "".join(f"{verify_record.escape(line)}\n" for line in lines).encode("utf-8", "backslashreplace")


def sections(guidance: JsonObject) -> list[tuple[str, list[str]]]:
    """Return the parts of the text, each a title and its lines."""
    return [
        ("MANUAL CHECKLIST, latest step first", [show_step(item) for item in guidance["manual_checklist"]]),
        ("HINTS, verbatim from the plan", [line for item in guidance["hints"] for line in show_hint(item)]),
        (
            "YOU MUST HAVE",
            [f"step {i['step_index']}: {i['name']}: {i['description']}" for i in guidance["required_inputs"]],
        ),
        ("RISKS", [f"step {item['step_index']}: {item['risk']}" for item in guidance["risks"]]),
        ("IRREVERSIBLE STEPS", [f"step {index}" for index in guidance["irreversible_steps"]]),
        ("IRREVERSIBLE EFFECTS", show_effects(guidance["irreversible_effects"])),
        ("EXECUTED STEPS WITHOUT A HINT", [f"step {index}" for index in guidance["steps_without_hint"]]),
        ("DECLARED BUT NEVER OBSERVED", show_effects(guidance["declared_not_observed"])),
        ("OBSERVED BUT NEVER DECLARED", show_effects(guidance["observed_not_declared"])),
        ("UNKNOWN EFFECTS", ["nobody vouches that every effect was observed"] * guidance["unknown_effects"]),
    ]


def show_step(item: JsonObject) -> str:
    """Return a line of the checklist."""
    cleanup = " (cleanup)" if item["phase"] == "cleanup" else ""
    notes = ", NO HINT" * (not item["has_hint"]) + ", IRREVERSIBLE" * item["irreversible"]
    return f"[ ] step {item['step_index']} {item['step_name']}{cleanup}: {item['outcome']}{notes}"


def show_hint(item: JsonObject) -> list[str]:
    """Return the lines of a hint."""
    hint = item["hint"]
    about = f", about {hint['estimated_duration']}" if hint["estimated_duration"] else ""
    ran = "" if item["executed"] else ", its step did not run"
    actions = [f"    {number}. {action}" for number, action in enumerate(hint["actions"], 1)]
    return [f"step {hint['step_index']}: {hint['description']}{about}{ran}", *actions]


def show_details(details: Iterable[JsonObject]) -> list[str]:
    """Return the lines about events whose details hold digests."""
    lines = []
    for item in details:
        step = "" if item["step_index"] is None else f" of step {item['step_index']}"
        where = f"event {item['seq']}, {item['type']}{step}"
        for name, value in sorted(item["details"].items()):
            text = json.dumps(value, ensure_ascii=False, sort_keys=True)
            lines.append(f"{where}: {name} = {text}{' (disclosed)' * (name in item['disclosed'])}")
        if item["undisclosed"]:
            lines.append(f"{where}: {item['undisclosed']} withheld, or decoys")
    return lines


def show_effects(effects: Iterable[JsonObject]) -> list[str]:
    """Return a line for each effect."""
    known = {True: "reversible", False: "IRREVERSIBLE", None: "reversibility not known, taken as IRREVERSIBLE"}
    return [
        f"{'no step' if effect['step_index'] is None else 'step ' + str(effect['step_index'])}: {effect['category']}:"
        f" {effect['description']} ({effect.get('source', 'declared')}, {known[effect['reversible']]})"
        for effect in effects
    ]


def write(data: bytes, out: str | None) -> None:
    """Write to a new file, of which nothing is left when that fails, or to standard output."""
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        with open(out, "xb") as stream:  # noqa: PTH123 - the path is printed as it was given
            try:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            except BaseException:
                Path(out).unlink()
                raise
    except FileExistsError:
        raise Refusal(USAGE, f"{out}: exists already", "nothing is ever replaced: name another file") from None
    except OSError as error:
        raise Refusal(REFUSED, f"{out}: {error.strerror or 'it cannot be written'}", "no file was written") from None


# ---- The command line ---------------------------------------------------------------------


def complain(message: str, hint: str) -> None:
    """Print an error and a hint."""
    print(f"{PROG}: error: {verify_record.escape(message)}", file=sys.stderr)
    print(f"hint: {verify_record.escape(hint)}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """The arguments; what is wrong with them is exit 2, in the form of all errors here."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise Refusal(USAGE, message, "--help lists the arguments")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog=PROG, allow_abbrev=False)
    parser.description = "Make rollback guidance from a record that verifies. Nothing is executed."
    add: Any = parser.add_argument
    add("--trust", metavar="FILE", help="a trust policy")
    add("--key", metavar="PUBLIC.pem", action="append", help="a key that may seal (repeatable)")
    add("--unverified", action="store_true", help="whatever is consistent, marked as not verified")
    add("--allow-example-keys", action="store_true", help="trust published keys, for a try")
    add("--format", choices=["text", "json"], default="text", help="of the output (default: text)")
    add("-o", dest="out", metavar="OUT", help="a new file to write to")
    add("file", metavar="FILE", help="a record; - is standard input")
    args = parser.parse_args(argv)
    if sum(map(bool, (args.trust, args.key, args.unverified))) != 1:
        hint = "name whose seal counts, or go without a key with --unverified"
        raise Refusal(USAGE, "exactly one of --trust, --key and --unverified is required", hint)
    return args


def run(argv: Sequence[str] | None) -> int:
    """Do what the command line says, and return the exit code."""
    args = parse_arguments(argv)
    document = make_document(verify(args.file, read_policy(args)))
    write(to_json(document) if args.format == "json" else to_text(document), args.out)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(argv)
    except Refusal as refusal:
        complain(str(refusal), refusal.hint)
        return refusal.exit_code
    except KeyboardInterrupt:
        complain("interrupted", "nothing was written")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort
        if isinstance(error, OSError):  # the scaffold cannot be written: do not try again
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        complain(f"internal error: {type(error).__name__}", "nothing was decided")
        return INTERNAL


if __name__ == "__main__":
    sys.exit(main())
