"""An Ansible callback that records a run of `ansible-playbook`.

    export ANSIBLE_CALLBACK_PLUGINS="$(python -m hearth_records.integrations.ansible --path)"
    export ANSIBLE_CALLBACKS_ENABLED=hearth_records
    HEARTH_RECORDS_DIRECTORY=records HEARTH_RECORDS_KEY=private.pem ansible-playbook site.yml

`ansible-doc -t callback hearth_records` lists the options, which also stand in `ansible.cfg` under
`[callback_hearth_records]`. Both packages lie in one Python environment.

What becomes of a run:

- Each playbook of the command is an execution, its plan the playbook: file name and SHA-256 of the file, no steps, as
  nobody knows beforehand which tasks will run. With `--check` it is a `DRY_RUN`.
- Each task, over all its hosts, is a step: numbered from 0 as they start, named like the task. It ends when the next
  one starts, with the hosts in its `details`: `ok`, `changed`, `would_change` (check mode), `skipped`, and with message
  and return code `failed`, `unreachable`, `rescued`, `ignored`.
- A task that changes something is a side effect: of the file system where it names a path, else `other`. Whether it
  can be undone is not known (`reversible` null). Nothing changes in check mode.
- Of a task with `no_log` nothing is recorded but its name, its place and what became of it on which host. No task's
  arguments are recorded, and no result but the message of a failure, its return code and its standard error.
- Nobody knows the security state: it is UNKNOWN at both ends.

Failures. After a `step_failed` only `cleanup` steps start (FORMAT §3), but Ansible goes on with the hosts that are
left, and with a host whose failure is ignored or rescued. So a step is failed when its failure ended the plan: when no
task follows, or only `always` and handlers and no host of the play is left. Where the plan goes on, the step is
completed with the failure in its `details`; `failed` and `unreachable` there name the hosts that are out. The execution
is `failed` when a host failed for good or could not be reached, whichever way its step ended.

Tasks in `rescue` are `cleanup`. So are those in `always` after a failure in their block, and handlers after a host of
their play is out. What else starts after a `step_failed` (`meta: clear_host_errors`, or another play in spite of it) is
`cleanup` as well, because the format knows nothing else there; the `section` in its details is then `tasks`.

Under a strategy that runs hosts independently (`free`, `host_pinned`) tasks overlap, and only one step is open at a
time: there the whole play is one step, and what it records names the task.

A run that is broken off (a signal, an error of Ansible's own) leaves a journal for `hearth-records recover`, as does a
recorder that fails. It says so once, records no more, and the play goes on.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from ansible import context
from ansible.playbook.block import Block
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as ansible_version

from hearth_records import files, recordable
from hearth_records.errors import HearthRecordsError, escape
from hearth_records.journal import Journal, record_path
from hearth_records.model import (
    BoundaryState,
    LiveModeState,
    Plan,
    SecurityState,
    SideEffectCategory,
    StepPhase,
    system_clock,
)
from hearth_records.observer import ExecutionObserver
from hearth_records.profile import sha256_hex
from hearth_records.redaction import MASK, mask_secrets
from hearth_records.signers import open_signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hearth_records.redaction import Redact
    from hearth_records.signers import Asked

__all__ = ["CallbackModule", "plugin_directory"]

_MAX_MESSAGE: Final = 2000
"""Code points of one host's message, or standard error, that are recorded."""
_MAX_PLAYBOOK: Final = 64 * 1024 * 1024
_MAX_PASSPHRASE_FILE: Final = 4096

_META: Final = frozenset({"meta", "ansible.builtin.meta", "ansible.legacy.meta"})
_BUILTIN: Final = re.compile(r"^ansible\.(builtin|legacy)\.")
_IN_MEMORY: Final = frozenset({"add_host", "group_by", "set_fact"})
"""Actions that change nothing but what Ansible knows."""


def plugin_directory() -> str:
    """Return the directory for `ANSIBLE_CALLBACK_PLUGINS`."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "ansible_callbacks")  # noqa: PTH100, PTH118, PTH120 - text in, text out


# --- what is used of Ansible's objects -------------------------------------------------------------------------------


class _Host(Protocol):
    name: str


class _Node(Protocol):
    """A task, an include or a block in the tree that a playbook is."""

    _uuid: str
    _parent: _Node | None


class _Section(_Node, Protocol):
    """A block."""

    rescue: Sequence[_Node]
    always: Sequence[_Node]


class _Task(_Node, Protocol):
    action: str
    no_log: object
    ignore_unreachable: object
    loop: object
    delegate_to: object
    check_mode: object
    args: Mapping[str, object]

    def get_name(self) -> str: ...
    def get_path(self) -> str: ...


class _Result(Protocol):
    host: _Host
    task: _Task
    result: Mapping[str, Any]

    def is_changed(self) -> bool: ...


class _Variables(Protocol):
    def get_vars(self, *, play: _PlayObject, include_hostvars: bool) -> Mapping[str, Any]: ...


class _PlayObject(Protocol):
    strategy: object

    def get_name(self) -> str: ...
    def get_variable_manager(self) -> _Variables: ...


class _Playbook(Protocol):
    _file_name: str


class _Stats(Protocol):
    processed: Mapping[str, int]

    def summarize(self, host: str) -> Mapping[str, int]: ...


# --- where the run stands --------------------------------------------------------------------------------------------


class _UnknownKernel:
    """Ansible knows nothing of a security state."""

    def get_security_state(self) -> str:
        return SecurityState.UNKNOWN

    def get_boundary_state(self) -> str:
        return BoundaryState.UNKNOWN


class _Play:
    """A play, or a batch of it: its hosts, and what failed in it so far."""

    def __init__(self, play: _PlayObject) -> None:
        self._play = play
        self.name = play.get_name()
        self.strategy = str(play.strategy)
        # The built-in `linear` and `debug`, and others that call themselves so, finish a task before the next one.
        self.in_lockstep = _BUILTIN.sub("", self.strategy) == "debug" or self.strategy.endswith("linear")
        self._batch = self._hosts("ansible_play_batch")
        self.failed = False
        self.failed_blocks: set[str] = set()

    def _hosts(self, variable: str) -> frozenset[str]:
        found = self._play.get_variable_manager().get_vars(play=self._play, include_hostvars=False)[variable]
        return frozenset(str(name) for name in found)

    def hosts_left(self) -> frozenset[str]:
        """Return the hosts of the batch that have not failed, were rescued, or can be reached."""
        return self._batch & self._hosts("ansible_play_hosts")


class _Trouble:
    """A failure on one host."""

    def __init__(self, kind: str, host: str, facts: Mapping[str, object]) -> None:
        self.kind = kind
        self.host = host
        self.facts = facts


class _Step:
    """The open step, and what its hosts said so far."""

    def __init__(self, index: int, name: str, play: _Play, task: _Task | None) -> None:
        self.index = index
        self.name = name
        self.play = play
        self.task = task
        self.hosts: dict[str, dict[str, None]] = {}
        self.troubles: list[_Trouble] = []

    def settle(self) -> list[_Trouble]:
        """Find out what was rescued; return what was not."""
        if any(trouble.kind == "failed" for trouble in self.troubles):
            # Ansible takes a host out that fails to include a file, and rescues it all the same.
            rescues = self.task is not None and any(
                section == "block" and block.rescue for section, block in _blocks_around(self.task)
            )
            left = self.play.hosts_left()
            for trouble in self.troubles:
                if trouble.kind == "failed" and (rescues or trouble.host in left):
                    trouble.kind = "rescued"
        lasting = [trouble for trouble in self.troubles if trouble.kind in {"failed", "unreachable"}]
        self.play.failed |= bool(lasting)
        return lasting

    def details(self) -> dict[str, object]:
        """Return what to record with the end of the step."""
        found: dict[str, Any] = {status: list(hosts) for status, hosts in self.hosts.items() if hosts}
        for trouble in self.troubles:
            found.setdefault(trouble.kind, []).append({"host": trouble.host, **trouble.facts})
        return found


_P = ParamSpec("_P")
_Self = TypeVar("_Self", bound="CallbackModule")


def _guarded(method: Callable[Concatenate[_Self, _P], None]) -> Callable[Concatenate[_Self, _P], None]:
    """Make a callback never break the play: what goes wrong is said once, and recording stops."""

    @functools.wraps(method)
    def call(self: _Self, /, *arguments: _P.args, **named: _P.kwargs) -> None:
        try:
            method(self, *arguments, **named)
        except Exception as error:  # noqa: BLE001 - whatever it is, the play goes on
            self.give_up(error)

    return call


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible is not typed
    """The callback. Ansible calls it from the process that runs the strategy, one call at a time."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "hearth_records"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._journal: Journal | None = None
        self._observer: ExecutionObserver | None = None
        self._executions = 0
        self._playbook_directory = ""
        self._play: _Play | None = None
        self._step: _Step | None = None
        self._next_index = 0
        self._step_failed = False
        self._out: set[str] = set()

    # -- the run ------------------------------------------------------------------------------------------------------

    @_guarded
    def v2_playbook_on_start(self, playbook: _Playbook) -> None:
        """Begin an execution."""
        path = os.path.abspath(playbook._file_name)  # noqa: PTH100, SLF001 - text, and where every callback reads it
        self._playbook_directory, name = os.path.split(path)
        self._play = self._step = None
        self._next_index, self._step_failed, self._out = 0, False, set()
        self._executions += 1
        plan = Plan(plan_id=self._text_option("plan_id") or _identifier(name), sha256=_sha256_of(path))
        check = bool(context.CLIARGS.get("check"))
        redact = _redaction(self._text_option("mask"))  # like the plan, before there is a journal
        self._journal = Journal.create(self.get_option("directory"), self._execution_id(plan.plan_id))
        self._observer = ExecutionObserver(
            self._journal.execution_id,
            plan,
            _UnknownKernel(),
            live_mode_state=LiveModeState.DRY_RUN if check else LiveModeState.LIVE,
            reason=self._text_option("reason") or "",
            change_ref=self._text_option("change_ref"),
            details={"playbook": name, "ansible_core": ansible_version, **_selection()},
            journal=self._journal,
            redact=redact,
        )

    def _execution_id(self, plan_id: str) -> str:
        if given := self._text_option("execution_id"):
            return given if self._executions == 1 else f"{given}-{self._executions}"
        return f"{plan_id[:100]}-{system_clock():%Y%m%dT%H%M%SZ}-{os.urandom(4).hex()}"

    def _text_option(self, name: str) -> str | None:
        """Return an option as a plain text, without the tags of Ansible's own type; None when it is empty."""
        return recordable.to_text(self.get_option(name)) or None

    @_guarded
    def v2_playbook_on_play_start(self, play: _PlayObject) -> None:
        """Remember the play; its first task ends the step before."""
        if self._observer is not None:
            self._play = _Play(play)

    @_guarded
    def v2_playbook_on_stats(self, stats: _Stats) -> None:
        """End the execution and seal it."""
        if self._observer is None or self._journal is None:
            return
        self._end_step(goes_on=False)
        hosts = sorted(stats.processed)
        # A list: a host's name is no member's name, which could look like a secret's.
        details = {"hosts": [{"host": host, **stats.summarize(host)} for host in hosts]}
        if self._out:
            self._observer.mark_failed(
                f"{len(self._out)} of {len(hosts)} hosts failed or could not be reached", details
            )
        else:
            self._observer.mark_completed(f"{len(hosts)} hosts, none failed", details)
        self._seal(self._observer, self._journal)
        self._leave()

    def _seal(self, observer: ExecutionObserver, journal: Journal) -> None:
        """Seal and publish the record; without a key, or where that fails, the journal stays."""
        if not (path := self.get_option("key")):
            self._say(f"{journal.path} is not sealed yet: hearth-records record seal")
            return
        try:
            observer.seal(open_signer(path, self._ask))
        except (HearthRecordsError, OSError) as error:
            self._display.warning(
                f"hearth-records: {escape(journal.path)} is whole but not sealed: {escape(str(error))}"
            )
        else:
            self._say(record_path(journal.path))

    def _ask(self, what: Asked, _name: str) -> bytes | None:
        path = self.get_option("passphrase_file")
        if what != "passphrase" or not path:
            return None
        return files.read_regular(path, _MAX_PASSPHRASE_FILE).partition(b"\n")[0]

    def _say(self, text: str) -> None:
        self._display.display(f"hearth-records: {escape(text)}", stderr=True)  # standard output may be a document

    def _leave(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = self._observer = None

    def give_up(self, error: Exception) -> None:
        """Stop recording and say so. The journal is left as it is, without an end."""
        self.disabled = True  # Ansible calls a disabled callback no more
        self._leave()
        what = str(error) if isinstance(error, (HearthRecordsError, OSError)) else f"{type(error).__name__}: {error}"
        self._display.warning(f"hearth-records: recording stopped, the play goes on: {escape(what)}")

    # -- steps --------------------------------------------------------------------------------------------------------

    @_guarded
    def v2_playbook_on_task_start(self, task: _Task, is_conditional: bool) -> None:  # noqa: ARG002, FBT001 - Ansible's own
        """Begin a step."""
        self._start_task(task, is_handler=False)

    @_guarded
    def v2_playbook_on_handler_task_start(self, task: _Task) -> None:
        """Begin a step."""
        self._start_task(task, is_handler=True)

    def _start_task(self, task: _Task, *, is_handler: bool) -> None:
        if self._observer is None or self._play is None:
            return
        if not self._play.in_lockstep:
            if self._step is None or self._step.play is not self._play:
                self._end_step(goes_on=True)
                self._start_step(self._play.name, None, "play", {"strategy": self._play.strategy})
            return
        if task.action in _META and self._step and self._step.task and _uuid(self._step.task) == _uuid(task):
            return  # a meta task is announced for each host
        if self._step is not None:
            self._step.settle()
        section, cleanup = self._section(task, is_handler=is_handler)
        self._end_step(goes_on=not cleanup or bool(self._step and self._step.play.hosts_left()))
        details: dict[str, object] = {"action": task.action, "at": self._place(task)}
        if task.action in _META:
            details["meta"] = task.args.get("_raw_params")
        self._start_step(task.get_name(), task, section, details, cleanup=cleanup)

    def _section(self, task: _Task, *, is_handler: bool) -> tuple[str, bool]:
        """Return which section of its block a task stands in, and whether it cleans up after a failure."""
        assert self._play is not None  # noqa: S101 - the caller looked
        if is_handler:
            return "handlers", self._play.failed
        sections = list(_blocks_around(task))
        if any(section == "rescue" for section, _block in sections):
            return "rescue", True
        if always := [_uuid(block) for section, block in sections if section == "always"]:
            return "always", not self._play.failed_blocks.isdisjoint(always)
        return "tasks", False

    def _place(self, task: _Task) -> str:
        """Return file and line of a task, relative to the playbook where it lies below it."""
        path = task.get_path() or ""
        inside = path.startswith(os.path.join(self._playbook_directory, ""))  # noqa: PTH118 - text
        return os.path.relpath(path, self._playbook_directory) if inside else path

    def _start_step(
        self, name: str, task: _Task | None, section: str, details: Mapping[str, object], *, cleanup: bool = False
    ) -> None:
        assert self._observer is not None  # noqa: S101 - as above
        assert self._play is not None  # noqa: S101
        phase = StepPhase.CLEANUP if cleanup or self._step_failed else StepPhase.PLAN
        self._step = _Step(self._next_index, name, self._play, task)
        self._next_index += 1
        self._observer.record_step_started(
            self._step.index, name, {"play": self._play.name, "section": section, **details}, phase=phase
        )

    def _end_step(self, *, goes_on: bool) -> None:
        """End the open step: failed when something failed for good and the plan does not go on."""
        step, self._step = self._step, None
        if step is None or self._observer is None:
            return
        lasting = step.settle()
        self._out.update(trouble.host for trouble in lasting)
        if lasting and not goes_on:
            self._step_failed = True
            message = "; ".join(f"{trouble.host}: {trouble.facts.get('message', trouble.kind)}" for trouble in lasting)
            self._observer.record_step_failed(step.index, step.name, message, step.details())
        else:
            self._observer.record_step_completed(step.index, step.name, step.details())

    # -- results ------------------------------------------------------------------------------------------------------

    @_guarded
    def v2_runner_on_ok(self, result: _Result) -> None:
        """Take what one host did."""
        self._take(result, "ok" if not result.is_changed() else "would_change" if result.task.check_mode else "changed")

    @_guarded
    def v2_runner_on_skipped(self, result: _Result) -> None:
        """Take that one host had nothing to do."""
        self._take(result, "skipped")

    @_guarded
    def v2_runner_on_failed(self, result: _Result, ignore_errors: bool = False) -> None:  # noqa: FBT001, FBT002 - Ansible's own
        """Take one host's failure; whether it is rescued shows when the step ends."""
        self._take_trouble(result, "ignored" if ignore_errors else "failed")

    @_guarded
    def v2_runner_on_unreachable(self, result: _Result) -> None:
        """Take that one host could not be reached."""
        self._take_trouble(result, "ignored" if result.task.ignore_unreachable else "unreachable")

    def _take(self, result: _Result, status: str) -> None:
        if self._step is not None:
            self._step.hosts.setdefault(status, {})[result.host.name] = None
            self._record_effects(result)

    def _take_trouble(self, result: _Result, kind: str) -> None:
        step = self._step
        if step is None:
            return
        if step.task is not None:  # an include that fails was announced as done before
            step.hosts.get("ok", {}).pop(result.host.name, None)
        if kind != "ignored" and step.task is not None:
            step.play.failed_blocks.update(_uuid(block) for _section, block in _blocks_around(step.task))
        facts: dict[str, object] = {} if step.task else {"task": result.task.get_name()}
        if kind == "ignored" and result.result.get("unreachable"):
            facts["unreachable"] = True
        step.troubles.append(_Trouble(kind, result.host.name, facts | _failure(result)))
        self._record_effects(result)

    def _record_effects(self, result: _Result) -> None:
        """Record what a task changed on one host: each file, or that it says so."""
        action = _BUILTIN.sub("", result.task.action)
        if self._observer is None or self._step is None or action in _IN_MEMORY or result.task.check_mode:
            return
        hidden = _is_hidden(result)
        for change in _parts(result):
            if not change.get("changed"):
                continue
            path = None if hidden else _path_of(change)
            details: dict[str, object] = {"action": result.task.action, "host": result.host.name}
            if path:
                details["path"] = path
            if hidden:
                details["no_log"] = True
            if delegate := result.task.delegate_to:
                details["delegated_to"] = str(delegate)
            if self._step.task is None:
                details["task"] = result.task.get_name()
            self._observer.record_side_effect(
                SideEffectCategory.FILE_SYSTEM if path else SideEffectCategory.OTHER,
                f"{result.host.name}: {result.task.action} changed {path or 'something'}",
                None,
                self._step.index,
                details,
            )


# --- reading Ansible's objects ---------------------------------------------------------------------------------------


def _uuid(node: _Node) -> str:
    return node._uuid  # noqa: SLF001 - Ansible's copies of a task or block share it; nothing public does


def _blocks_around(task: _Task) -> Iterator[tuple[str, _Section]]:
    """Give the blocks around a task, the innermost first, and in which section of each the task stands."""
    below = {_uuid(task)}
    node = task._parent  # noqa: SLF001 - as `_uuid`
    while node is not None:
        if isinstance(node, Block):
            block: _Section = node
            if not below.isdisjoint(map(_uuid, block.rescue)):
                yield "rescue", block
            elif not below.isdisjoint(map(_uuid, block.always)):
                yield "always", block
            else:
                yield "block", block
        below.add(_uuid(node))
        node = node._parent  # noqa: SLF001


def _is_hidden(result: _Result) -> bool:
    """Whether `no_log` holds for a result, or for one item of its loop."""
    return "censored" in result.result or result.task.no_log is True


def _parts(result: _Result) -> list[Mapping[str, Any]]:
    """Return the results of a loop's items, or else the only one."""
    items = result.result.get("results")
    if result.task.loop is not None and isinstance(items, list):
        return [item for item in items if isinstance(item, dict)]
    return [result.result]


def _path_of(change: Mapping[str, Any]) -> str | None:
    """Return the path that a changed result names, or the arguments that its module was called with."""
    invocation = change.get("invocation")
    called = invocation.get("module_args") if isinstance(invocation, dict) else None
    for source in (change, called):
        if isinstance(source, dict):
            for name in ("dest", "path"):
                if isinstance(path := source.get(name), str) and path:
                    return recordable.to_text(path)
    return None


def _failure(result: _Result) -> dict[str, object]:
    """Return what to record of a failure."""
    if _is_hidden(result):
        return {"no_log": True}
    facts = _facts(result.result)
    if (parts := _parts(result)) != [result.result]:
        facts["items"] = [{"item": index, **_facts(part)} for index, part in enumerate(parts) if part.get("failed")]
    return facts


def _facts(result: Mapping[str, Any]) -> dict[str, object]:
    message = next((text for name in ("msg", "reason", "module_stderr") if (text := result.get(name))), "failed")
    facts: dict[str, object] = {"message": _short(message)}
    if result.get("rc") is not None:
        facts["rc"] = result["rc"]
    if result.get("stderr"):
        facts["stderr"] = _short(result["stderr"])
    return facts


def _short(value: object) -> str:
    text = recordable.to_text(value)
    if len(text) <= _MAX_MESSAGE:
        return text
    return f"{text[:_MAX_MESSAGE]}…[cut: {len(text)} code points, sha256 {sha256_hex(text.encode())}]"


def _redaction(pattern: str | None) -> Redact:
    """Return the library's own redaction, which goes by names, and one of texts besides where a pattern is given."""
    if not pattern:
        return mask_secrets
    find = re.compile(pattern)

    def redact(name: str, value: Any) -> Any:  # noqa: ANN401 - as `Redact`
        value = mask_secrets(name, value)
        return find.sub(MASK, value) if isinstance(value, str) else value

    return redact


def _identifier(name: str) -> str:
    """Return a file name as an identifier (FORMAT §2)."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:128] or "playbook"


def _sha256_of(path: str) -> str | None:
    try:
        return sha256_hex(files.read_regular(path, _MAX_PLAYBOOK))
    except OSError:
        return None  # `ansible` without a playbook names none


def _selection() -> dict[str, object]:
    """Return what of the playbook was asked for, where that is not everything."""
    given = {name: context.CLIARGS.get(option) for name, option in _SELECTIONS.items()}
    texts = {name: list(value) if isinstance(value, (list, tuple)) else value for name, value in given.items()}
    return {name: value for name, value in texts.items() if value and value != ["all"]}


_SELECTIONS: Final = {"limit": "subset", "tags": "tags", "skip_tags": "skip_tags", "start_at_task": "start_at_task"}


def main(arguments: Sequence[str]) -> int:
    """Print the directory for `ANSIBLE_CALLBACK_PLUGINS`."""
    if list(arguments) != ["--path"]:
        sys.stderr.write("usage: python -m hearth_records.integrations.ansible --path\n")
        return 2
    sys.stdout.write(f"{plugin_directory()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
