"""What an operator reads: summaries, irreversible actions, guidance, and a confirmation that executes nothing.

Everything that came out of a record is escaped (`errors.escape`) before it is put on a line.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from hearth_records import profile
from hearth_records.errors import escape
from hearth_records.model import SideEffectObserved, StepCompleted, StepFailed, StepStarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.disclosure import DisclosureFinding
    from hearth_records.model import ExecutionRecord, RollbackScaffold, SecuritySnapshot

__all__ = ["Hestia", "scaffold_to_markdown"]

_REVERSIBLE = {True: "reversible", False: "IRREVERSIBLE", None: "reversibility not known, taken as IRREVERSIBLE"}
_CONSENT = "yes"
_LONGEST_VALUE = 200
"""Code points of the value of a detail that are shown."""
_WITHHOLDABLE = "Details that can be withheld"
_NO_TERMINAL = "there is no terminal to ask at, so the answer is no"


class Hestia:
    """Shows records and scaffolds as text.

    `source` and `target` are where a confirmation is read and asked; standard input and output without them.
    """

    def __init__(self, source: TextIO | None = None, target: TextIO | None = None) -> None:
        self._source = source
        self._target = target

    def display_execution_summary(self, record: ExecutionRecord) -> str:
        """Return status, times, security states, steps and effects of an execution."""
        started, finished = record.started, record.finished
        lines = [f"EXECUTION {escape(record.execution_id)}", ""]
        rows = [
            ("status", _status(record)),
            (
                "plan",
                escape(record.plan_id) + (f", document sha256 {record.plan.sha256}" if record.plan.sha256 else ""),
            ),
            ("mode", record.live_mode_state.value),
            ("actor", _actor(record)),
            ("approvals", "; ".join(escape(approval.approver) for approval in started.approvals) or "none recorded"),
            ("reason", escape(started.reason) or "none recorded"),
            ("change", escape(started.change_ref) if started.change_ref is not None else "none recorded"),
            (
                "recorded by",
                f"{escape(started.origin.software)} on {escape(started.origin.host) or 'a host without a name'}",
            ),
            ("started", record.timestamp_start),
            (
                "finished",
                f"{finished.timestamp}, after {_duration(started.timestamp, finished.timestamp)}"
                if finished
                else "not yet",
            ),
            (
                "security",
                f"{_snapshot(record.security_snapshot_pre)} before, {_snapshot(record.security_snapshot_post)} after",
            ),
            ("events", str(len(record.events))),
            ("chain head", record.get_execution_hash()),
        ]
        lines += [f"  {name:<12} {value}" for name, value in rows]
        lines += ["", "STEPS", *_steps(record)]
        lines += ["", "EFFECTS OBSERVED", *_effects(record)]
        return "\n".join(lines) + "\n"

    def show_irreversible_actions(self, record: ExecutionRecord) -> str:
        """Return the effects, observed or declared for a step that ran, that are not reversible or not known to be."""
        from hearth_records.rollback import RollbackPlanner  # noqa: PLC0415 - only this method needs it

        scaffold = RollbackPlanner.plan_rollback(record)
        lines = ["IRREVERSIBLE ACTIONS", ""]
        if not scaffold.irreversible_effects:
            lines.append("  none observed or declared")
        lines += [
            f"  {_where(effect.step_index)}: {effect.category.value}: {escape(effect.description)}"
            f" ({effect.source}, {_REVERSIBLE[effect.reversible]})"
            for effect in scaffold.irreversible_effects
        ]
        if scaffold.unknown_effects:
            lines.append("  nobody vouches that every effect was observed: there may be more")
        return "\n".join(lines) + "\n"

    def show_withholdable_details(self, findings: Sequence[DisclosureFinding]) -> str:
        """Return what `VerificationReport.disclosures` says: details with what is disclosed in its place, and the rest.

        A digest without a disclosure is *withheld, or a decoy*: which of the two, nobody can tell.
        """
        lines = [_WITHHOLDABLE.upper(), "", *(f"  {line}" for line in _details(findings) or ["none"])]
        return "\n".join(lines) + "\n"

    def show_rollback_guidance(self, scaffold: RollbackScaffold) -> str:
        """Return the scaffold as text. It is guidance for a person; nothing is executed."""
        lines = [f"ROLLBACK GUIDANCE for execution {escape(scaffold.execution_id)}", ""]
        lines.append(f"  possible: {'yes, by hand' if scaffold.is_rollback_possible else 'NO'}")
        lines.append(f"  because {escape(scaffold.reason)}")
        lines.append("  nothing here is executed, and nothing was inferred")
        for title, body in _sections(scaffold):
            lines += ["", title.upper(), *(f"  {line}" for line in body or ["none"])]
        return "\n".join(lines) + "\n"

    def confirm_manual_rollback(self, scaffold: RollbackScaffold) -> tuple[bool, str]:
        """Show the scaffold, ask, and return whether a person said yes and what that means. Executes nothing.

        The answer is no without a terminal, when no rollback is possible, and on anything but `yes`.
        """
        source, target = self._source or sys.stdin, self._target or sys.stdout
        if target is None:
            return False, _NO_TERMINAL
        _write(target, self.show_rollback_guidance(scaffold))
        if not scaffold.is_rollback_possible:
            return False, f"no rollback is possible: {escape(scaffold.reason)}"
        if source is None or not (source.isatty() and target.isatty()):
            return False, _NO_TERMINAL
        _write(target, "\nDo you confirm that YOU will follow this by hand? Nothing is executed. Type yes to confirm: ")
        try:
            answer = source.readline()
        except (OSError, UnicodeError):  # the terminal went away, or what was typed is no text
            answer = ""
        if answer.strip().lower() == _CONSENT:
            return True, "confirmed by a person, who follows the guidance by hand; nothing was executed"
        return False, "not confirmed; nothing was executed"


def _write(target: TextIO, text: str) -> None:
    """Write text, with escapes for what the target's encoding cannot say."""
    encoding = target.encoding or "utf-8"
    target.write(text.encode(encoding, "backslashreplace").decode(encoding))
    target.flush()


def _status(record: ExecutionRecord) -> str:
    finished = record.finished
    if finished is None:
        return "started: the record has no end"
    cause = f" ({finished.cause.value})" if finished.cause else ""
    return f"{record.status.value}{cause}: {escape(finished.completion_reason) or 'no reason recorded'}"


def _actor(record: ExecutionRecord) -> str:
    actor = record.started.actor
    if actor is None:
        return "none recorded"
    name = f" {escape(actor.display_name)}" if actor.display_name else ""
    behalf = f" on behalf of {escape(actor.on_behalf_of)}" if actor.on_behalf_of else ""
    return f"{escape(actor.id)} ({actor.type.value}){name}{behalf}"


def _snapshot(snapshot: SecuritySnapshot | None) -> str:
    return f"{snapshot.security_state.value}/{snapshot.boundary_state.value}" if snapshot else "not yet known"


def _duration(start: str, end: str) -> str:
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return f"{seconds:.3f} s"


def _where(step_index: int | None) -> str:
    return "no step" if step_index is None else f"step {step_index}"


def _steps(record: ExecutionRecord) -> list[str]:
    lines: list[str] = []
    opened: StepStarted | None = None
    for event in record.step_events:
        if isinstance(event, StepStarted):
            opened = event
        elif isinstance(event, (StepCompleted, StepFailed)) and opened is not None:
            result = "completed" if isinstance(event, StepCompleted) else f"FAILED: {escape(event.error_message)}"
            lines.append(_step(opened, f"{result} ({_duration(opened.timestamp, event.timestamp)})"))
            opened = None
    if opened is not None:
        lines.append(_step(opened, "OPEN: it never ended"))
    return lines or ["  none"]


def _step(step: StepStarted, result: str) -> str:
    phase = "" if step.phase.value == "plan" else f" [{step.phase.value}]"
    return f"  {step.step_index}  {escape(step.step_name)}{phase}: {result}"


def _effects(record: ExecutionRecord) -> list[str]:
    lines = [
        f"  {_where(event.step_index)}: {event.category.value}: {escape(event.description)}"
        f" ({_REVERSIBLE[event.reversible]})"
        for event in record.events
        if isinstance(event, SideEffectObserved)
    ]
    if record.finished is None or record.finished.unknown_effects:
        lines.append("  nobody vouches that every effect was observed: there may be more")
    return lines or ["  none"]


def _details(findings: Sequence[DisclosureFinding]) -> list[str]:
    lines: list[str] = []
    for finding in findings:
        about = "" if finding.step_index is None else f", step {finding.step_index}"
        where = f"event {finding.seq} ({finding.type}{about})"
        for name, value in finding.details.items():
            note = " (disclosed)" if name in finding.disclosed else ""
            lines.append(f"{where}: {escape(name)}: {_value(value)}{note}")
        if finding.undisclosed:
            lines.append(f"{where}: {finding.undisclosed_in_words}")
    return lines


def _value(value: object) -> str:
    text = escape(profile.encode(value).decode())
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _sections(scaffold: RollbackScaffold) -> list[tuple[str, list[str]]]:
    """Return the parts of a scaffold, each a title and its lines; the text of both forms of output."""
    return [
        (
            "Manual checklist, latest step first",
            [
                f"[ ] step {item.step_index} {escape(item.step_name)}: {item.outcome}"
                f"{'' if item.has_hint else ', NO HINT'}{', IRREVERSIBLE' if item.irreversible else ''}"
                for item in scaffold.manual_checklist
            ],
        ),
        ("Hints, verbatim from the plan", _hints(scaffold)),
        (
            "You must have",
            [
                f"step {item.step_index}: {escape(item.name)}: {escape(item.description)}"
                for item in scaffold.required_inputs
            ],
        ),
        ("Risks", [f"step {item.step_index}: {escape(item.risk)}" for item in scaffold.risks]),
        ("Irreversible steps", [f"step {index}" for index in scaffold.irreversible_steps]),
        (
            "Irreversible effects",
            [
                f"{_where(effect.step_index)}: {effect.category.value}: {escape(effect.description)}"
                f" ({effect.source}, {_REVERSIBLE[effect.reversible]})"
                for effect in scaffold.irreversible_effects
            ],
        ),
        ("Executed steps without a hint", [f"step {index}" for index in scaffold.steps_without_hint]),
        (
            "Declared but never observed",
            [
                f"{_where(effect.step_index)}: {effect.category.value}: {escape(effect.description)}"
                for effect in scaffold.declared_not_observed
            ],
        ),
        (
            "Observed but never declared",
            [
                f"{_where(effect.step_index)}: {effect.category.value}: {escape(effect.description)}"
                for effect in scaffold.observed_not_declared
            ],
        ),
        (
            "Unknown effects",
            ["nobody vouches that every effect was observed"]
            if scaffold.unknown_effects
            else ["every effect was observed"],
        ),
    ]


def _hints(scaffold: RollbackScaffold) -> list[str]:
    lines: list[str] = []
    for item in scaffold.hints:
        hint = item.hint
        notes = [
            *([] if item.executed else ["its step did not run"]),
            *([] if item.recorded else ["NOT RECORDED BEFORE THE EXECUTION"]),
            *([f"about {escape(hint.estimated_duration)}"] if hint.estimated_duration else []),
        ]
        note = f" ({', '.join(notes)})" if notes else ""
        lines.append(f"step {hint.step_index}: {escape(hint.description)}{note}")
        lines += [f"    {number}. {escape(action)}" for number, action in enumerate(hint.actions, 1)]
    return lines


def scaffold_to_markdown(
    scaffold: RollbackScaffold, made_from: list[tuple[str, str]], findings: Sequence[DisclosureFinding] = ()
) -> str:
    """Return the scaffold as Markdown; text of the record stands in code spans, where no markup is read.

    Details that can be withheld are added where there are any.
    """
    lines = [
        f"# Rollback guidance for {_code(scaffold.execution_id)}",
        "",
        "Guidance for a person. Nothing here is executed, and nothing was inferred.",
        "",
        *(f"- {name}: {_code(value)}" for name, value in made_from),
        f"- rollback possible: **{'yes, by hand' if scaffold.is_rollback_possible else 'no'}**",
        f"- because: {_code(scaffold.reason)}",
    ]
    details = [(_WITHHOLDABLE, _details(findings))] if findings else []
    for title, body in (*_sections(scaffold), *details):
        lines += ["", f"## {title}", "", *(f"- {_code(line)}" for line in body or ["none"])]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """Return a code span whose fence is longer than any run of backticks inside."""
    text = escape(text)
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{pad}{text}{pad}{fence}"
