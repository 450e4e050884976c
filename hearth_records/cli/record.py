"""`hearth-records record`: recording from a shell, one short process a call, each of which continues the journal.

Exit codes beside those of FORMAT §8: a call that the lifecycle refuses is wrong usage (2), a security escalation ends
with 5, and `record run` passes on the exit status of its command; its own failures before the command ran are 125.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from hearth_records import canonical, files, profile
from hearth_records.cli.arguments import Parser, parse_index
from hearth_records.cli.common import UNREADABLE, USAGE, CommandError
from hearth_records.cli.recover import print_path, show
from hearth_records.cli.signing import add_key_options, read_signers
from hearth_records.errors import FormatError, HearthRecordsError, RecordingError, SecurityEscalationError
from hearth_records.journal import Journal, disclosures_path, record_path
from hearth_records.model import (
    Actor,
    ActorType,
    BoundaryState,
    LiveModeState,
    ScalarError,
    SecurityState,
    SideEffectCategory,
    StepPhase,
    check_identifier,
)
from hearth_records.observer import ExecutionObserver
from hearth_records.recordable import Withholdable, to_text
from hearth_records.recovery import inspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hearth_records.model import Plan

__all__ = ["command"]

ESCALATED: Final = 5
OWN_FAILURE: Final = 125
_MAX_PLAN: Final = 16 * 1024 * 1024
_END: Final = "stop, and end with: record finish --status incomplete"


def command(arguments: Sequence[str], prog: str) -> int:
    """Run one recording call."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        calls = "\n".join(f"  {known:<14} {call.text}" for known, call in CALLS.items())
        print(f"usage: {prog} CALL …\n\nRecord an execution from a shell: one short process a call.\n\n{calls}")
        print(f"\n{prog} CALL --help says more")
        return 0
    if name not in CALLS:
        raise CommandError(
            f"no such call: {name}" if name else "no call was given", exit_code=USAGE, hint=f"one of {', '.join(CALLS)}"
        )
    call = CALLS[name]
    parser = Parser(f"{prog} {name}", call.text)
    for add in call.options:
        add(parser)
    try:
        return call.run(parser, rest)
    except SecurityEscalationError as error:
        raise CommandError(str(error), exit_code=ESCALATED, hint=_END) from None
    except RecordingError as error:
        raise CommandError(str(error), exit_code=USAGE, hint=error.hint) from None


# --- values ----------------------------------------------------------------------------------------------------------


def _identifier(text: str) -> str:
    try:
        check_identifier("", text)
    except ScalarError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _detail(text: str) -> tuple[str, Any]:
    """Return a detail's name and value. An error does not repeat the value, which may be a secret."""
    name, given, value = text.partition("=")
    if not given or name in ("", ":"):
        raise argparse.ArgumentTypeError("not KEY=TEXT or KEY:=JSON")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], profile.decode_any(value.encode("utf-8", "surrogateescape"))
    except FormatError as error:
        raise argparse.ArgumentTypeError(f"{name} is not JSON ({error.code})") from None


def _details(options: argparse.Namespace) -> dict[str, Any]:
    given = [*options.detail, *((name, Withholdable(value)) for name, value in options.withholdable)]
    details = dict(given)
    if len(details) != len(given):
        raise CommandError("--detail, --withholdable: a key was given twice", exit_code=USAGE)
    return details


def _values(choices: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(str, choices))


# --- the journal -----------------------------------------------------------------------------------------------------


class StatedKernel:
    """A kernel that says what the operator stated: in this call, or else what was stated last."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.security_state: str | None = getattr(options, "security_state", None)
        self.boundary_state: str | None = getattr(options, "boundary_state", None)

    def get_security_state(self) -> str:
        """Return the security state."""
        return self.security_state or SecurityState.UNKNOWN

    def get_boundary_state(self) -> str:
        """Return the boundary state."""
        return self.boundary_state or BoundaryState.UNKNOWN


@contextlib.contextmanager
def _opened(options: argparse.Namespace, *, stated: bool = False) -> Iterator[ExecutionObserver]:
    """Give the observer of an open journal, for one call.

    With `stated`, what is known of the security has to be stated anew: the call is about how it is now.
    """
    kernel = StatedKernel(options)
    if not os.path.lexists(options.journal) and os.path.lexists(record := record_path(options.journal)):
        raise CommandError(f"{options.journal}: sealed already, as {record}", exit_code=USAGE)
    with Journal.open(options.journal) as journal:
        observer = ExecutionObserver.resume(journal, kernel)
        last = observer.last_security_snapshot
        for name in ("security_state", "boundary_state"):
            if getattr(kernel, name) is not None:
                continue
            if stated and getattr(last, name) != SecurityState.UNKNOWN:
                option = f"--{name.replace('_', '-')}"
                raise CommandError(f"{option} is needed: it was known before, and nobody said it now", exit_code=USAGE)
            setattr(kernel, name, getattr(last, name))
        yield observer


# --- calls -----------------------------------------------------------------------------------------------------------


def _parsed(action: Callable[[argparse.Namespace], None]) -> Callable[[Parser, Sequence[str]], int]:
    """Return a call that is over when its function is."""

    def run(parser: Parser, arguments: Sequence[str]) -> int:
        action(parser.parse_args(arguments))
        return 0

    return run


@_parsed
def _start(options: argparse.Namespace) -> None:
    plan = options.plan_id if options.plan is None else _read_plan(options.plan)
    details = _details(options)
    with Journal.create(options.directory, options.id) as journal:
        try:
            ExecutionObserver(
                options.id,
                plan,
                StatedKernel(options),
                live_mode_state=options.mode,
                actor=None if options.actor is None else Actor(id=to_text(options.actor), type=options.actor_type),
                reason=options.reason,
                change_ref=options.change_ref,
                details=details,
                journal=journal,
            )
        except BaseException:
            for path in (journal.path, disclosures_path(journal.path)):
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108 - nothing was acknowledged, so nothing is lost
            raise
    print_path(journal.path)


def _read_plan(path: str) -> Plan:
    try:
        return canonical.decode_plan(files.read_regular(path, _MAX_PLAN))
    except FormatError as error:
        raise CommandError(f"{path}: {error}", exit_code=UNREADABLE, hint=error.hint) from None


@_parsed
def _step_start(options: argparse.Namespace) -> None:
    with _opened(options) as observer:
        observer.record_step_started(options.step, options.name, _details(options), phase=options.phase)


@_parsed
def _step_complete(options: argparse.Namespace) -> None:
    with _opened(options) as observer:
        observer.record_step_completed(options.step, _name(options, observer), _details(options))


@_parsed
def _step_fail(options: argparse.Namespace) -> None:
    with _opened(options) as observer:
        observer.record_step_failed(options.step, _name(options, observer), options.error, _details(options))


def _name(options: argparse.Namespace, observer: ExecutionObserver) -> str:
    """Return the name given, or else that of the open step: a step ends under the name it started with."""
    if options.name is not None:
        return str(options.name)
    return observer.open_step.step_name if observer.open_step else ""


@_parsed
def _effect(options: argparse.Namespace) -> None:
    with _opened(options) as observer:
        observer.record_side_effect(options.category, options.name, options.reversible, options.step, _details(options))


@_parsed
def _security(options: argparse.Namespace) -> None:
    with _opened(options, stated=True) as observer:
        observer.record_security_observed(options.name, _details(options))
        if observer.is_escalated:
            raise CommandError("the security state got worse: no step may start", exit_code=ESCALATED, hint=_END)


@_parsed
def _finish(options: argparse.Namespace) -> None:
    with _opened(options, stated=True) as observer:
        if options.status == "completed":
            mark = observer.mark_completed
        elif options.status == "failed":
            mark = observer.mark_failed
        else:
            mark = observer.mark_incomplete_security_escalation if observer.is_escalated else observer.mark_abandoned
        mark(options.reason, _details(options), unknown_effects=not options.all_effects_observed)


@_parsed
def _seal(options: argparse.Namespace) -> None:
    with _opened(options) as observer:
        if not observer.is_finished:
            raise CommandError("the execution has not ended", exit_code=USAGE, hint="end it with: record finish")
        observer.seal(*read_signers(options), allow_example_keys=options.allow_example_keys)
        if observer.left_out:
            print(f"left out: {observer.left_out} disclosures of events that were never acknowledged", file=sys.stderr)
    print_path(record_path(options.journal))


@_parsed
def _status(options: argparse.Namespace) -> None:
    show(inspect(options.journal))


# --- running a command -----------------------------------------------------------------------------------------------


def _run(parser: Parser, arguments: Sequence[str]) -> int:
    """Run what stands after `--` as a step; return its exit status."""
    from hearth_records.cli.running import Runner  # noqa: PLC0415 - only this call starts a process

    try:
        options, words = _parse_run(parser, arguments)
        details = _details(options) | ({"command": words} if options.record_command else {})
        with _opened(options) as observer:
            observer.record_step_started(options.step, options.name, details, phase=options.phase)
    except (HearthRecordsError, CommandError, OSError) as error:
        raise CommandError(str(error), exit_code=OWN_FAILURE, hint=getattr(error, "hint", None)) from None
    with Runner() as runner:
        outcome = runner.run(words)
        status = outcome.exit_status
        ended = f"the command ended with {status}" if outcome.details else outcome.summary
        try:
            with _opened(options) as observer:
                if status == 0:
                    observer.record_step_completed(options.step, options.name, outcome.details)
                else:
                    observer.record_step_failed(options.step, options.name, outcome.summary, outcome.details)
        except (HearthRecordsError, CommandError, OSError) as error:
            message = f"{ended}, and that could not be recorded: {error}"
            raise CommandError(message, exit_code=status or OWN_FAILURE) from None
    if not outcome.details:
        raise CommandError(outcome.summary, exit_code=status)
    if outcome.lost is not None:
        message = f"{ended}, and not all of its output could be written: {outcome.lost}"
        raise CommandError(message, exit_code=status or OWN_FAILURE)
    return status


def _parse_run(parser: Parser, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser.usage = f"{parser.format_usage().removeprefix('usage: ').rstrip()} -- COMMAND …"
    place = arguments.index("--") if "--" in arguments else len(arguments)
    options, words = parser.parse_args(arguments[:place]), list(arguments[place + 1 :])
    if not words:
        parser.error("no COMMAND was given: it stands after --")
    return options, words


# --- the table of calls ---------------------------------------------------------------------------------------------

_Add: TypeAlias = Callable[[Any], object]
"""Adds an argument to a parser."""


class Call(NamedTuple):
    """A recording call: what it does, how it is run, what it takes."""

    text: str
    run: Callable[[Parser, Sequence[str]], int]
    options: tuple[_Add, ...]


def _option(name: str, **keywords: Any) -> _Add:  # noqa: ANN401 - as `add_argument`
    return lambda parser: parser.add_argument(name, **keywords)


def _one_of(*options: _Add, required: bool = False) -> _Add:
    def add(parser: argparse.ArgumentParser) -> None:
        group = parser.add_mutually_exclusive_group(required=required)
        for option in options:
            option(group)

    return add


_JOURNAL: Final = _option("journal", metavar="JOURNAL", help="the path that `record start` printed")
_STEP: Final = _option(
    "--step", type=parse_index, required=True, metavar="N", help="the step's index, from 0, increasing"
)
_STEP_NAME: Final = _option("--name", metavar="TEXT", required=True, help="the step's name")
_SAME_NAME: Final = _option("--name", metavar="TEXT", help="the step's name (default: the open one's)")
_PHASE: Final = _option("--phase", choices=_values(StepPhase), default="plan", help="cleanup: what follows a failure")
_DETAIL: Final = _option(
    "--detail",
    action="append",
    default=[],
    type=_detail,
    metavar="KEY=TEXT",
    help="a detail as text, or KEY:=JSON; may be repeated",
)
_WITHHOLDABLE: Final = _option(
    "--withholdable",
    action="append",
    default=[],
    type=_detail,
    metavar="KEY=TEXT",
    help="as --detail, but the event holds only a salted digest of it, so that it can be withheld later",
)
_DETAILS: Final = (_DETAIL, _WITHHOLDABLE)
_LAST: Final = "(default: what was stated last, else UNKNOWN)"
_STATES: Final = (
    _option("--security-state", choices=_values(SecurityState), help=f"how secure the system is {_LAST}"),
    _option("--boundary-state", choices=_values(BoundaryState), help=f"how its boundary is {_LAST}"),
)

CALLS: Final = {
    "start": Call(
        "begin a journal in DIR and print its path",
        _start,
        (
            _option("directory", metavar="DIR", help="where the journal and the record lie"),
            _option("--id", type=_identifier, required=True, metavar="ID", help="the execution's identifier"),
            _one_of(
                _option("--plan", metavar="FILE", help="a plan file (hearth-plan/1)"),
                _option("--plan-id", type=_identifier, metavar="ID", help="a plan's identifier, without its document"),
                required=True,
            ),
            _option("--mode", choices=_values(LiveModeState), default="LIVE", help="default: LIVE"),
            _option("--actor", metavar="ID", help="who or what runs the execution"),
            _option("--actor-type", choices=_values(ActorType), default="service", help="default: service"),
            _option("--reason", metavar="TEXT", default="", help="why it runs"),
            _option("--change-ref", metavar="TEXT", help="the change or ticket it belongs to"),
            *_STATES,
            *_DETAILS,
        ),
    ),
    "step-start": Call(
        "record that a step is about to run",
        _step_start,
        (_JOURNAL, _STEP, _STEP_NAME, _PHASE, *_STATES, *_DETAILS),
    ),
    "step-complete": Call(
        "record that the open step did what it should", _step_complete, (_JOURNAL, _STEP, _SAME_NAME, *_DETAILS)
    ),
    "step-fail": Call(
        "record that the open step failed",
        _step_fail,
        (
            _JOURNAL,
            _STEP,
            _SAME_NAME,
            _option("--error", metavar="TEXT", required=True, help="why it failed"),
            *_DETAILS,
        ),
    ),
    "run": Call(
        "run COMMAND as a step, record its outcome, pass its exit status on",
        _run,
        (
            _JOURNAL,
            _STEP,
            _STEP_NAME,
            _PHASE,
            *_STATES,
            *_DETAILS,
            _option("--record-command", action="store_true", help="record the command's words, secrets and all"),
        ),
    ),
    "effect": Call(
        "record that something changed in the world",
        _effect,
        (
            _JOURNAL,
            _option("--category", required=True, choices=_values(SideEffectCategory), help="what kind of change"),
            _option("--name", metavar="TEXT", required=True, help="what changed"),
            _option("--step", type=parse_index, metavar="N", help="the step that did it"),
            _one_of(
                _option("--reversible", action="store_true", default=None, help="it can be undone"),
                _option("--irreversible", action="store_false", dest="reversible", default=None, help="it cannot"),
            ),
            *_DETAILS,
        ),
    ),
    "security": Call(
        "record the security state",
        _security,
        (_JOURNAL, _option("--name", metavar="TEXT", default="", help="on what occasion"), *_STATES, *_DETAILS),
    ),
    "finish": Call(
        "end the record",
        _finish,
        (
            _JOURNAL,
            _option("--status", required=True, choices=("completed", "failed", "incomplete"), help="how it ended"),
            _option("--reason", metavar="TEXT", required=True, help="what to say about it"),
            _option("--all-effects-observed", action="store_true", help="vouch that every effect was observed"),
            *_STATES,
            *_DETAILS,
        ),
    ),
    "seal": Call("seal an ended record, publish it and print its path", _seal, (_JOURNAL, add_key_options)),
    "status": Call("say where a journal stands", _status, (_JOURNAL,)),
}
