from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import msgspec
import pytest
from helpers import observe, run_standard, standard_plan
from hypothesis import given
from hypothesis import strategies as st

from hearth_records.errors import escape
from hearth_records.hestia import Hestia, scaffold_to_markdown
from hearth_records.kernel import HearthKernel
from hearth_records.model import (
    Actor,
    ActorType,
    Approval,
    ExecutionRecord,
    Plan,
    RollbackHint,
    SideEffect,
    SideEffectCategory,
)
from hearth_records.rollback import RollbackPlanner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hearth_records.model import RollbackScaffold

HOSTILE = "\x1b]0;x\x07\x9b31m\u202e\u200b\u2028\n\r\x7f\U000e0041\u3164"
HERE = Path(__file__).parent
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(?P<text>.*?)(?<!`)\1(?!`)")


def possible() -> RollbackScaffold:
    return RollbackPlanner.plan_rollback(run_standard(observe()).get_execution_record("LIVE"))


def impossible() -> RollbackScaffold:
    observer = observe()
    observer.mark_completed("done")
    return RollbackPlanner.plan_rollback(observer.get_execution_record("LIVE"))


def hostile_record(text: str) -> ExecutionRecord:
    """Return a failed record with `text` wherever a record takes text."""
    plan = Plan(
        plan_id="plan-1",
        declared_side_effects=(SideEffect(category=SideEffectCategory.SYSTEM, description=text, step_index=7),),
        rollback_hints=(
            RollbackHint(
                step_index=0,
                description=text,
                actions=(text, text),
                required_inputs={"".join(char for char in text if char <= "\uffff")[:128] or "x": text},
                risks=(text,),
                estimated_duration=text,
            ),
        ),
    )
    observer = observe(
        plan=plan,
        actor=Actor(id=text, type=ActorType.HUMAN, display_name=text, on_behalf_of=text),
        approvals=[Approval(approver=text, role=text, meaning=text, reference=text)],
        reason=text,
        change_ref=text,
    )
    observer.record_step_started(0, text, {"note": text})
    observer.record_side_effect("system", text, reversible=False, step_index=0)
    observer.record_step_failed(0, text, text)
    observer.mark_failed(text)
    return observer.get_execution_record("LIVE")


def all_texts(record: ExecutionRecord) -> list[str]:
    operator, scaffold = Hestia(), RollbackPlanner.plan_rollback(record)
    return [
        operator.display_execution_summary(record),
        operator.show_irreversible_actions(record),
        operator.show_rollback_guidance(scaffold),
        scaffold_to_markdown(scaffold, [("name", record.execution_id)]),
    ]


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_summary_shows_what_the_record_says(record: ExecutionRecord) -> None:
    text = Hestia().display_execution_summary(record)
    started = record.started
    for part in (
        "exec-1",
        "plan-1",
        "LIVE",
        "failed",
        "Migrate failed",
        "OPERATIONAL/NOMINAL",
        started.origin.software,
        started.timestamp,
        record.timestamp_end,
        record.get_execution_hash(),
        "Deploy",
        "Migrate",
        "Constraint violation",
        "told the load balancer",
        "rows written",
    ):
        assert part is not None
        assert part in text
    assert text.endswith("\n")


def test_the_summary_shows_who_and_why() -> None:
    text = Hestia().display_execution_summary(
        run_standard(
            observe(
                actor=Actor(id="u1", type=ActorType.AGENT, display_name="Agent One", on_behalf_of="u2"),
                approvals=[Approval(approver="boss"), Approval(approver="deputy")],
                reason="because",
                change_ref="CHG-7",
                plan=msgspec.structs.replace(standard_plan(), sha256="ab" * 32),
            )
        ).get_execution_record("LIVE")
    )
    for part in ("u1", "agent", "Agent One", "u2", "boss", "deputy", "because", "CHG-7", "ab" * 32):
        assert part in text


def test_the_summary_of_a_record_without_an_end_shows_the_open_step(record: ExecutionRecord) -> None:
    text = Hestia().display_execution_summary(ExecutionRecord(record.events[:5]))
    assert "OPEN" in text
    assert str(record.timestamp_end) not in text


def test_the_summary_shows_an_escalation_and_cleanup_steps() -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel)
    observer.record_step_started(0, "Deploy")
    kernel.trigger_kill_switch("pulled")
    observer.mark_incomplete_security_escalation("stopped")
    text = Hestia().display_execution_summary(observer.get_execution_record("LIVE"))
    assert "LOCKDOWN/LOCKDOWN" in text
    assert "security_escalation" in text


def test_a_record_without_steps_and_effects_can_be_shown() -> None:
    observer = observe(plan="plan-2")
    observer.mark_completed("")
    summary, actions, guidance, _markdown = all_texts(observer.get_execution_record("LIVE"))
    assert "plan-2" in summary
    assert "exec-1" in guidance
    assert "none" in actions


def test_irreversible_actions_are_those_not_known_to_be_reversible() -> None:
    observer = observe(plan="plan-2")
    observer.record_step_started(0, "Deploy")
    observer.record_side_effect("system", "can be undone", reversible=True, step_index=0)
    observer.record_side_effect("system", "cannot be undone", reversible=False, step_index=0)
    observer.record_side_effect("network", "nobody knows", reversible=None, step_index=None)
    observer.record_step_failed(0, "Deploy", "no")
    observer.mark_failed("no")
    text = Hestia().show_irreversible_actions(observer.get_execution_record("LIVE"))
    assert "can be undone" not in text
    assert [line for line in text.splitlines() if "undone" in line or "nobody knows" in line] == [
        "  step 0: system: cannot be undone (observed, IRREVERSIBLE)",
        "  no step: network: nobody knows (observed, reversibility not known, taken as IRREVERSIBLE)",
    ]


def test_guidance_holds_every_part_of_the_scaffold() -> None:
    scaffold = possible()
    for text in (Hestia().show_rollback_guidance(scaffold), scaffold_to_markdown(scaffold, [("head", "H" * 64)])):
        for part in (
            "exec-1",
            scaffold.reason,
            "Drop the new table",
            "DROP TABLE t2",
            "2 min",
            "dsn",
            "database address",
            "rows written since are lost",
            "rows written",
        ):
            assert part in text
        assert text.index("step 1 Migrate") < text.index("step 0 Deploy")  # the latest first
    assert "H" * 64 in scaffold_to_markdown(scaffold, [("head", "H" * 64)])


def test_guidance_marks_a_hint_that_was_not_recorded_before_and_a_step_that_did_not_run() -> None:
    record = run_standard(observe()).get_execution_record("LIVE")
    later = RollbackHint(step_index=9, description="an afterthought")
    text = Hestia().show_rollback_guidance(RollbackPlanner.plan_rollback(record, [later]))
    (line,) = [line for line in text.splitlines() if "an afterthought" in line]
    assert "NOT RECORDED" in line
    assert line.count("(") == 1
    assert "NOT RECORDED" not in text.replace(line, "")


# --- nothing that is foreign acts ------------------------------------------------------------------------------------


def is_plain(text: str) -> bool:
    return all(line == escape(line) for line in text.split("\n"))


def test_hostile_text_is_escaped_and_forges_no_line() -> None:
    harmless, hostile = all_texts(hostile_record("x")), all_texts(hostile_record(f"a{HOSTILE}\nVERIFIED\n# b"))
    for before, after in zip(harmless, hostile, strict=True):
        assert is_plain(after)
        assert after.count("\n") == before.count("\n")
        assert not [line for line in after.splitlines() if line.strip() == "VERIFIED"]
    assert "\\x1b]0;x\\x07\\x9b31m\\u202e" in hostile[0]


@given(st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), min_size=1, max_size=20))
def test_any_text_is_escaped(text: str) -> None:
    harmless, shown = all_texts(hostile_record("x")), all_texts(hostile_record(text))
    assert [part.count("\n") for part in shown] == [part.count("\n") for part in harmless]
    assert all(is_plain(part) for part in shown)


MARKUP = [
    "`",
    "``",
    "` `` ```",
    "```\n# Title\n",
    "<script>",
    "[a](javascript:b)",
    "**b**",
    "![i](http://h/)",
    " ",
    "`a",
]


def outside_of_code(markdown: str) -> str:
    """Return a document without what stands in code spans (CommonMark §6.1: a fence is closed by one of its length)."""
    return "\n".join(CODE_SPAN.sub("CODE", line) for line in markdown.splitlines())


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_a_record_stays_text(text: str) -> None:
    _summary, _actions, _guidance, expected = all_texts(hostile_record("x"))
    _summary, _actions, _guidance, markdown = all_texts(hostile_record(text))
    assert outside_of_code(markdown) == outside_of_code(expected)
    assert escape(text) in markdown


@given(st.text(st.sampled_from("`` \\<>[]()*_#-~|!\nab"), min_size=1, max_size=12))
def test_no_mixture_of_markup_gets_out_of_its_code_span(text: str) -> None:
    facts = [("name", text)]
    expected = scaffold_to_markdown(RollbackPlanner.plan_rollback(hostile_record("x")), [("name", "x")])
    markdown = scaffold_to_markdown(RollbackPlanner.plan_rollback(hostile_record(text)), facts)
    assert outside_of_code(markdown) == outside_of_code(expected)


# --- the question ----------------------------------------------------------------------------------------------------


class Terminal:
    """A real terminal: what a person types, and what was shown there."""

    def __init__(self, controller: int, source: TextIO, target: TextIO) -> None:
        self._controller = controller
        self.source = source
        self.target = target

    def type(self, data: bytes) -> None:
        os.write(self._controller, data)

    def shown(self) -> str:
        os.set_blocking(self._controller, False)
        data = b""
        while True:
            try:
                data += os.read(self._controller, 65536)
            except BlockingIOError:
                return data.decode("utf-8", "replace").replace("\r\n", "\n")


@contextmanager
def terminal(encoding: str = "utf-8") -> Iterator[Terminal]:
    controller, device = pty.openpty()
    with (
        io.TextIOWrapper(io.FileIO(device, "rb"), encoding=encoding) as source,
        io.TextIOWrapper(io.FileIO(os.dup(device), "wb"), encoding=encoding) as target,
    ):
        yield Terminal(controller, source, target)
    os.close(controller)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (b"yes\n", True),
        (b" YES \n", True),
        (b"y\n", False),
        (b"no\n", False),
        (b"\n", False),
        (b"yes please\n", False),
        (b"\x04", False),  # end of file
        (b"\xff\xfe\n", False),  # no UTF-8
    ],
)
def test_only_an_explicit_yes_at_a_terminal_is_a_yes(typed: bytes, *, answer: bool) -> None:
    with terminal() as tty:
        tty.type(typed)
        result = Hestia(tty.source, tty.target).confirm_manual_rollback(possible())
        shown = tty.shown()
    assert result[0] is answer
    assert type(result) is tuple
    assert result[1]
    assert type(result[1]) is str
    assert Hestia().show_rollback_guidance(possible()) in shown


def test_nobody_is_asked_when_no_rollback_is_possible() -> None:
    with terminal() as tty:
        tty.type(b"yes\n")
        answer, reason = Hestia(tty.source, tty.target).confirm_manual_rollback(impossible())
        assert tty.source.readline() == "yes\n"  # still there: it was not read
        assert "exec-1" in tty.shown()
    assert answer is False
    assert impossible().reason in reason


def test_the_answer_is_no_without_a_terminal_on_either_side() -> None:
    streams: list[Callable[[Terminal], tuple[TextIO, TextIO]]] = [
        lambda tty: (tty.source, io.StringIO()),
        lambda tty: (io.StringIO("yes\n"), tty.target),
        lambda _tty: (io.StringIO("yes\n"), io.StringIO()),
    ]
    for choose in streams:
        with terminal() as tty:
            tty.type(b"yes\n")
            source, target = choose(tty)
            answer, reason = Hestia(source, target).confirm_manual_rollback(possible())
            if isinstance(target, io.StringIO):
                assert target.getvalue() == Hestia().show_rollback_guidance(possible())
        assert (answer, bool(reason)) == (False, True)


def test_a_terminal_that_cannot_say_a_character_gets_an_escape() -> None:
    scaffold = RollbackPlanner.plan_rollback(hostile_record("é①"))
    with terminal("ascii") as tty:
        tty.type(b"yes\n")
        assert Hestia(tty.source, tty.target).confirm_manual_rollback(scaffold)[0] is True
        assert "\\xe9\\u2460" in tty.shown()


def confirm_in_a_process(stdin: int, stdout: int) -> int:
    script = """
        import sys, test_hestia
        from hearth_records import Hestia
        answer, reason = Hestia().confirm_manual_rollback(test_hestia.possible())
        sys.exit(10 if answer is True else 20 if answer is False and reason else 30)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, check=False, timeout=60, cwd=HERE, stdin=stdin, stdout=stdout).returncode


def test_standard_input_and_output_are_used_by_default() -> None:
    with terminal() as tty:
        tty.type(b"yes\n")
        assert confirm_in_a_process(tty.source.fileno(), tty.target.fileno()) == 10
        assert "DROP TABLE t2" in tty.shown()
    with terminal() as tty:
        tty.type(b"yes\n")
        assert confirm_in_a_process(tty.source.fileno(), subprocess.DEVNULL) == 20
        assert confirm_in_a_process(subprocess.DEVNULL, tty.target.fileno()) == 20


@pytest.mark.parametrize("closed", ["stdin", "stdout"])
def test_closed_standard_streams_are_no_terminal(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal() as tty:
        tty.type(b"yes\n")
        monkeypatch.setattr(sys, "stdin", tty.source)
        monkeypatch.setattr(sys, "stdout", tty.target)
        monkeypatch.setattr(sys, closed, None)  # what the interpreter does when the descriptor is closed
        assert Hestia().confirm_manual_rollback(possible())[0] is False


def test_nothing_is_executed_written_or_opened() -> None:
    # An audit hook sees what the interpreter does, and cannot be taken off again: so in a process of its own.
    script = """
        import sys, test_hestia
        from hearth_records import Hestia
        record, seen = test_hestia.hostile_record("touch /tmp/x; $(touch /tmp/y)"), []
        scaffold = test_hestia.RollbackPlanner.plan_rollback(record)
        with test_hestia.terminal() as tty:
            tty.type(b"yes\\n")
            operator = Hestia(tty.source, tty.target)
            sys.addaudithook(lambda event, arguments: seen.append(event))
            operator.display_execution_summary(record)
            operator.show_irreversible_actions(record)
            operator.show_rollback_guidance(scaffold)
            answer, _reason = operator.confirm_manual_rollback(scaffold)
            found = set(seen)
        print(answer, sorted(found - {"object.__getattr__"}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=False,
        timeout=60,
        capture_output=True,
        cwd=HERE,
    )
    assert done.stderr == b""
    assert done.stdout == b"True []\n"
