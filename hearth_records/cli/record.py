"""`hearth-records record`: recording from a shell, one short process a call, each of which continues the journal.

Exit codes beside those of FORMAT §8: a call that the lifecycle refuses is wrong usage (2), a security escalation ends
with 5, and `record run` passes on the exit status of its command; its own failures before the command ran are 125.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from hearth_records import canonical, files, profile
from hearth_records.cli.arguments import Parser
from hearth_records.cli.common import UNREADABLE, USAGE, CommandError
from hearth_records.cli.signing import add_key_options, read_signers
from hearth_records.errors import FormatError, HearthRecordsError, RecordingError, SecurityEscalationError
from hearth_records.journal import Journal, record_path
from hearth_records.model import (
    Actor,
    ActorType,
    BoundaryState,
    LiveModeState,
    SecurityState,
    SideEffectCategory,
    StepPhase,
)
from hearth_records.observer import ExecutionObserver
from hearth_records.recovery import inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hearth_records.model import Plan

__all__ = ["command"]

ESCALATED: Final = 5
OWN_FAILURE: Final = 125
_MAX_PLAN: Final = 16 * 1024 * 1024


class StatedKernel:
    """A kernel that says what the operator stated on the command line, and else what was stated last."""

    def __init__(self, security_state: str | None, boundary_state: str | None) -> None:
        self._stated = (security_state, boundary_state)
        self.last: tuple[str, str] = (SecurityState.UNKNOWN, BoundaryState.UNKNOWN)

    def get_security_state(self) -> str:
        """Return the security state."""
        return self._stated[0] or self.last[0]

    def get_boundary_state(self) -> str:
        """Return the boundary state."""
        return self._stated[1] or self.last[1]


def command(arguments: Sequence[str], prog: str) -> int:
    """Run one recording call."""
    options = _parser(prog).parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = options.action
    try:
        return action(options)
    except SecurityEscalationError as error:
        raise CommandError(
            str(error), exit_code=ESCALATED, hint="stop, and end with: record finish --status incomplete"
        ) from None
    except RecordingError as error:
        raise CommandError(str(error), exit_code=USAGE, hint=error.hint) from None


# --- options ---------------------------------------------------------------------------------------------------------


class _Sub(argparse.ArgumentParser):
    error = Parser.error


def _parser(prog: str) -> Parser:
    parser = Parser(prog, "Record an execution from a shell, or any language: one short process a call.")
    actions = parser.add_subparsers(required=True, metavar="ACTION", parser_class=_Sub)

    def add(name: str, text: str, action: Callable[[argparse.Namespace], int], *, journal: bool = True) -> _Sub:
        sub = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(action=action)
        if journal:
            sub.add_argument("journal", metavar="JOURNAL", help="the path that `record start` printed")
        return sub

    start = add("start", "begin a journal in DIR and print its path", _start, journal=False)
    start.add_argument("directory", metavar="DIR")
    start.add_argument("--id", required=True, help="the execution's identifier")
    plan = start.add_mutually_exclusive_group(required=True)
    plan.add_argument("--plan", metavar="FILE", help="a plan file (hearth-plan/1)")
    plan.add_argument("--plan-id", metavar="ID", help="a plan's identifier, without its document")
    start.add_argument("--mode", choices=_values(LiveModeState), default="LIVE")
    start.add_argument("--actor", metavar="ID", help="who or what runs the execution")
    start.add_argument("--actor-type", choices=_values(ActorType), default="service")
    start.add_argument("--reason", default="", help="why it runs")
    start.add_argument("--change-ref", help="the change or ticket it belongs to")
    _add_states(start, "UNKNOWN")
    _add_details(start)

    for name, text, action in (
        ("step-start", "record that a step is about to run", _step_start),
        ("step-complete", "record that the open step did what it should", _step_complete),
        ("step-fail", "record that the open step failed", _step_fail),
        ("run", "run COMMAND as a step, record its outcome, pass its exit status on", _run),
    ):
        step = add(name, text, action)
        step.add_argument(
            "--step", type=_index, required=True, metavar="N", help="the step's index, from 0, increasing"
        )
        needed = name in ("step-start", "run")
        step.add_argument(
            "--name", required=needed, help="the step's name" + ("" if needed else " (default: the open one's)")
        )
        if name == "step-fail":
            step.add_argument("--error", required=True, help="why it failed")
        if needed:
            step.add_argument("--phase", choices=_values(StepPhase), default="plan")
            _add_states(step, None)
        _add_details(step)
        if name == "run":
            step.add_argument("--record-command", action="store_true", help="record the command's words as well")
            step.add_argument("command", nargs="+", metavar="COMMAND", help="after --, the command and its words")

    effect = add("effect", "record that something changed in the world", _effect)
    effect.add_argument("--category", required=True, choices=_values(SideEffectCategory))
    effect.add_argument("--name", "--description", dest="name", required=True, help="what changed")
    effect.add_argument("--step", type=_index, metavar="N", help="the step that did it")
    known = effect.add_mutually_exclusive_group()
    known.add_argument("--reversible", action="store_true", default=None)
    known.add_argument("--irreversible", action="store_false", dest="reversible", default=None)
    _add_details(effect)

    security = add("security", "record the security state", _security)
    _add_states(security, "UNKNOWN")
    security.add_argument("--name", "--context", dest="name", default="", help="on what occasion")
    _add_details(security)

    finish = add("finish", "end the record", _finish)
    finish.add_argument("--status", required=True, choices=("completed", "failed", "incomplete"))
    finish.add_argument("--reason", required=True, help="what to say about it")
    finish.add_argument("--all-effects-observed", action="store_true", help="vouch that every effect was observed")
    _add_states(finish, None)
    _add_details(finish)

    seal = add("seal", "seal an ended record, publish it and print its path", _seal)
    add_key_options(seal)

    add("status", "say where a journal stands", _status)
    return parser


def _add_states(parser: argparse.ArgumentParser, default: str | None) -> None:
    note = f"default: {default}" if default else "default: what was stated last"
    parser.add_argument("--security-state", choices=_values(SecurityState), default=default, help=note)
    parser.add_argument("--boundary-state", choices=_values(BoundaryState), default=default, help=note)


def _add_details(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detail",
        action="append",
        default=[],
        type=_detail,
        metavar="KEY=TEXT",
        help="a detail as text, or KEY:=JSON; may be repeated",
    )


def _values(
    choices: type[SecurityState | BoundaryState | LiveModeState | ActorType | StepPhase | SideEffectCategory],
) -> tuple[str, ...]:
    return tuple(choice.value for choice in choices)


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(profile.MAX_INTEGER))):
        raise argparse.ArgumentTypeError(f"not an index: {text}")
    return int(text)


def _detail(text: str) -> tuple[str, Any]:
    name, given, value = text.partition("=")
    if not given or name in ("", ":"):
        raise argparse.ArgumentTypeError(f"not KEY=TEXT or KEY:=JSON: {text}")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], profile.decode_any(value.encode("utf-8", "surrogateescape"))
    except FormatError as error:
        raise argparse.ArgumentTypeError(f"{name[:-1]}: {error}") from None


# --- calls -----------------------------------------------------------------------------------------------------------


def _start(options: argparse.Namespace) -> int:
    plan = options.plan_id if options.plan is None else _read_plan(options.plan)
    kernel = StatedKernel(options.security_state, options.boundary_state)
    with Journal.create(options.directory, options.id) as journal:
        try:
            ExecutionObserver(
                options.id,
                plan,
                kernel,
                live_mode_state=options.mode,
                actor=Actor(id=options.actor, type=ActorType(options.actor_type))
                if options.actor is not None
                else None,
                reason=options.reason,
                change_ref=options.change_ref,
                details=dict(options.detail),
                journal=journal,
            )
        except RecordingError:
            os.unlink(journal.path)  # noqa: PTH108 - it holds no event
            raise
        print(journal.path)
    return 0


def _read_plan(path: str) -> Plan:
    try:
        return canonical.decode_plan(files.read_regular(path, _MAX_PLAN))
    except FormatError as error:
        raise CommandError(f"{path}: {error}", exit_code=UNREADABLE, hint=error.hint) from None


@contextlib.contextmanager
def opened(options: argparse.Namespace) -> Iterator[ExecutionObserver]:
    """Give the observer of an open journal, for one call."""
    kernel = StatedKernel(getattr(options, "security_state", None), getattr(options, "boundary_state", None))
    with Journal.open(options.journal) as journal:
        observer = ExecutionObserver.resume(journal, kernel)
        last = observer.last_security_snapshot
        kernel.last = (last.security_state, last.boundary_state)
        yield observer


def _step_start(options: argparse.Namespace) -> int:
    with opened(options) as observer:
        observer.record_step_started(options.step, options.name, dict(options.detail), phase=options.phase)
    return 0


def _step_complete(options: argparse.Namespace) -> int:
    with opened(options) as observer:
        observer.record_step_completed(options.step, _name(options, observer), dict(options.detail))
    return 0


def _step_fail(options: argparse.Namespace) -> int:
    with opened(options) as observer:
        observer.record_step_failed(options.step, _name(options, observer), options.error, dict(options.detail))
    return 0


def _name(options: argparse.Namespace, observer: ExecutionObserver) -> str:
    """Return the name given, or else that of the open step: a step ends under the name it started with."""
    if options.name is not None:
        return str(options.name)
    step = observer.open_step
    return step.step_name if step is not None else f"step {options.step}"


def _effect(options: argparse.Namespace) -> int:
    with opened(options) as observer:
        observer.record_side_effect(
            options.category, options.name, options.reversible, options.step, dict(options.detail)
        )
    return 0


def _security(options: argparse.Namespace) -> int:
    with opened(options) as observer:
        observer.record_security_observed(options.name, dict(options.detail))
        escalated = observer.is_escalated
    if escalated:
        raise CommandError(
            "the security state got worse: no step may start",
            exit_code=ESCALATED,
            hint="end with: record finish --status incomplete",
        )
    return 0


def _finish(options: argparse.Namespace) -> int:
    with opened(options) as observer:
        last = observer.last_security_snapshot
        for given, known, name in (
            (options.security_state, last.security_state, "--security-state"),
            (options.boundary_state, last.boundary_state, "--boundary-state"),
        ):
            if given is None and known != SecurityState.UNKNOWN:
                raise CommandError(f"{name} is needed: nobody stated it for the end", exit_code=USAGE)
        mark = {
            "completed": observer.mark_completed,
            "failed": observer.mark_failed,
            "incomplete": observer.mark_abandoned,
        }[options.status]
        if options.status == "incomplete" and observer.is_escalated:
            mark = observer.mark_incomplete_security_escalation
        mark(options.reason, dict(options.detail), unknown_effects=not options.all_effects_observed)
    return 0


def _seal(options: argparse.Namespace) -> int:
    signers = read_signers(options)
    with opened(options) as observer:
        observer.seal(*signers, allow_example_keys=options.allow_example_keys)
    print(record_path(options.journal))
    return 0


def _status(options: argparse.Namespace) -> int:
    found = inspect(options.journal)
    print(
        f"{found.state}: {found.events} events, {'ended' if found.finished else 'not ended'}, {found.torn_bytes} torn bytes"
    )
    if found.damage is not None:
        raise CommandError(f"{options.journal}: damaged: {found.damage}", exit_code=UNREADABLE)
    return 0


# --- running a command -----------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    from hearth_records.cli.running import CommandNotRun, run_command  # noqa: PLC0415 - only this call starts a process

    details = dict(options.detail)
    if options.record_command:
        details["command"] = options.command
    try:
        with opened(options) as observer:
            observer.record_step_started(options.step, options.name, details, phase=options.phase)
    except (HearthRecordsError, CommandError, OSError) as error:
        raise CommandError(str(error), exit_code=OWN_FAILURE, hint=getattr(error, "hint", None)) from None
    try:
        outcome = run_command(options.command)
    except CommandNotRun as error:
        with opened(options) as observer:
            observer.record_step_failed(options.step, options.name, str(error))
        raise CommandError(str(error), exit_code=error.exit_status) from None
    try:
        with opened(options) as observer:
            if outcome.exit_status == 0:
                observer.record_step_completed(options.step, options.name, outcome.details)
            else:
                observer.record_step_failed(options.step, options.name, outcome.summary, outcome.details)
    except (HearthRecordsError, OSError) as error:
        message = f"the command ended with {outcome.exit_status}, and that could not be recorded: {error}"
        raise CommandError(message, exit_code=outcome.exit_status or OWN_FAILURE) from None
    return outcome.exit_status
