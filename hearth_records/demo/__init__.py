"""A real migration of a small SQLite database, observed, sealed, verified, and then tampered with.

The plan file says what the steps are; this module does them. The customers it ships hold the same e-mail address
twice, spelled differently, so that loading them into a table with a unique column fails. It lies outside the recording
core: it is what HEARTH would be to the recorder.
"""

from __future__ import annotations

import csv
import importlib.resources
import os
import shlex
import sqlite3
import sysconfig
from contextlib import closing
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from hearth_records import documents, files, keys, schema
from hearth_records.canonical import decode_plan
from hearth_records.hestia import Hestia
from hearth_records.kernel import HearthKernel
from hearth_records.model import Actor, ActorType, ExecutionStatus, format_timestamp, system_clock
from hearth_records.observer import ExecutionObserver
from hearth_records.rollback import RollbackPlanner
from hearth_records.seal import seal_record
from hearth_records.trust import TrustPolicy, encode_policy
from hearth_records.verify import verify_file, verify_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hearth_records.model import Plan, SealedRecord

__all__ = ["run"]

_PRIVATE: Final = 0o600
_EXPECTED_VIOLATION: Final = "UNIQUE constraint failed"


class Tampered(Struct, frozen=True):
    """A copy that was tampered with, and what has to catch it."""

    name: str
    what: str
    check: str
    exit_code: int


_TAMPERED: Final = (
    Tampered("tampered-event.record.json", "an event edited", "chain", 1),
    Tampered("tampered-cut.record.json", "the tail cut", "sealed", 5),
    Tampered("tampered-reseal.record.json", "sealed again by another key", "trust", 4),
)


def run(directory: Path, *, succeed: bool, say: Callable[[str], None]) -> bool:
    """Run the demonstration in an empty directory; return whether everything came out as it says.

    Args:
        directory: where every artefact stays.
        succeed: load data without the violation.
        say: takes each line of output.

    Raises:
        OSError: a file cannot be written.

    """
    say(f"1. A migration, step by step, as {directory / 'plan.json'} says")
    source = importlib.resources.files(__name__)
    plan_bytes = source.joinpath("plan.json").read_bytes()
    files.write_new(directory / "plan.json", plan_bytes)
    files.write_new(
        directory / "customers.csv", source.joinpath("customers-clean.csv" if succeed else "customers.csv").read_bytes()
    )
    create_database(directory)
    observer = migrate(directory, decode_plan(plan_bytes), say)
    record = observer.get_execution_record("LIVE")
    say(f"   execution {record.execution_id}: {record.status.value}: {record.completion_reason}")

    say("2. The record, sealed with a key made on the spot")
    private = keys.generate_private_key()
    signer = keys.LocalSigner(private)
    sealed = observer.seal(signer)
    path = directory / sealed.file_name
    files.write_new(path, sealed.data)
    policy = TrustPolicy.from_keys([("demo key", keys.PublicKey(signer.public_key))])
    files.write_new(directory / "key.pem", keys.private_key_to_pem(private), mode=_PRIVATE)
    files.write_new(directory / "key.pub.pem", keys.public_key_to_pem(signer.public_key))
    files.write_new(directory / "trust.json", encode_policy(policy.document))
    say(f"   {path}: {len(record.events)} events, {len(sealed.data)} bytes, chain head {record.get_execution_hash()}")

    say("3. Carried to somebody who has only the public key")
    report = verify_record(path.read_bytes(), policy, now=format_timestamp(system_clock()))
    verified = report.require().record
    say(f"   verified: {', '.join(check.check for check in report.checks if check.status == 'pass')}")
    findings = schema.validate("record", sealed.data)
    say(f"   validated against the JSON Schema: {'valid' if not findings else findings[0].message}")

    say("4. As an operator sees it")
    operator = Hestia()
    scaffold = RollbackPlanner.plan_rollback(verified)
    for text in (
        operator.display_execution_summary(verified),
        operator.show_irreversible_actions(verified),
        operator.show_rollback_guidance(scaffold),
    ):
        say("")
        for line in text.splitlines():
            say(f"   | {line}".rstrip())
    say("")
    files.write_new(
        directory / "scaffold.json", documents.encode_document(documents.scaffold_document(scaffold, report))
    )
    say(f"5. The scaffold, regenerated from the file alone: {directory / 'scaffold.json'}")

    say("6. Copies that somebody tampered with, and what catches them")
    caught = [_judge(directory, case, sealed, policy, say) for case in _TAMPERED]
    files.write_new(directory / "COMMANDS.md", commands(directory, sealed.file_name).encode())
    say(f"7. Repeat every check yourself: {directory / 'COMMANDS.md'}")
    expected = ExecutionStatus.COMPLETED if succeed else ExecutionStatus.FAILED
    return record.status is expected and not findings and all(caught)


# --- the migration ---------------------------------------------------------------------------------------------------


def create_database(directory: Path) -> None:
    """Create the database to migrate from the customers that lie beside it."""
    with closing(sqlite3.connect(directory / "customers.db")) as database, database:
        database.execute("CREATE TABLE customers_v1 (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL)")
        database.execute("CREATE VIEW customers AS SELECT id, name, email FROM customers_v1")
        with (directory / "customers.csv").open(encoding="utf-8", newline="") as rows:
            database.executemany("INSERT INTO customers_v1 VALUES (:id, :name, :email)", csv.DictReader(rows))


def migrate(directory: Path, plan: Plan, say: Callable[[str], None]) -> ExecutionObserver:
    """Run the plan's steps under observation, and return the observer of the ended execution."""
    observer = ExecutionObserver(
        "demo-migration",
        plan,
        HearthKernel(),
        actor=Actor(id="demo", type=ActorType.SERVICE),
        reason="show a recorded execution",
    )
    steps: tuple[Callable[[Path, sqlite3.Connection], Iterator[tuple[str, str, bool]]], ...] = (
        back_up,
        create_table,
        load_rows,
        switch_view,
    )
    try:
        with closing(sqlite3.connect(directory / "customers.db", isolation_level=None)) as database:
            for planned, act in zip(plan.steps, steps, strict=True):
                with observer.step(planned.step_index, planned.step_name) as step:
                    for category, description, reversible in act(directory, database):
                        step.record_side_effect(category, description, reversible)
                    step.details["customers_v2"] = count_rows(database)
                say(f"   step {planned.step_index} {planned.step_name}: completed")
    except sqlite3.IntegrityError as error:
        say(f"   step {planned.step_index} {planned.step_name}: FAILED: {error}")
        observer.mark_failed(f"{planned.step_name}: {error}", unknown_effects=False)
    else:
        observer.mark_completed("all steps of the plan completed", unknown_effects=False)
    return observer


def count_rows(database: sqlite3.Connection) -> int | None:
    """Return how many customers the new table holds, None while there is no such table."""
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'customers_v2'").fetchone():
        return None
    (count,) = database.execute("SELECT count(*) FROM customers_v2").fetchone()
    return int(count)


def back_up(directory: Path, database: sqlite3.Connection) -> Iterator[tuple[str, str, bool]]:
    """Copy the database to backup.db."""
    with closing(sqlite3.connect(directory / "backup.db")) as backup:
        database.backup(backup)
    yield "file_system", "wrote backup.db", True


def create_table(_directory: Path, database: sqlite3.Connection) -> Iterator[tuple[str, str, bool]]:
    """Create the new table, in which an e-mail address stands once."""
    database.execute(
        "CREATE TABLE customers_v2 (id INTEGER PRIMARY KEY AUTOINCREMENT, legacy_id INTEGER NOT NULL,"
        " name TEXT NOT NULL, email TEXT NOT NULL COLLATE NOCASE UNIQUE)"
    )
    yield "data_mutation", "created table customers_v2", True


def load_rows(_directory: Path, database: sqlite3.Connection) -> Iterator[tuple[str, str, bool]]:
    """Load the customers one by one; what was loaded before a violation stays."""
    insert = "INSERT INTO customers_v2 (legacy_id, name, email) VALUES (?, ?, ?)"
    loaded = False
    for row in database.execute("SELECT id, name, email FROM customers_v1 ORDER BY id").fetchall():
        database.execute(insert, row)
        if not loaded:
            loaded = True
            yield "data_mutation", "loaded rows into customers_v2", True
            yield "data_mutation", "used up ids of customers_v2", False


def switch_view(_directory: Path, database: sqlite3.Connection) -> Iterator[tuple[str, str, bool]]:
    """Let the view read the new table."""
    database.execute("BEGIN")
    database.execute("DROP VIEW customers")
    database.execute("CREATE VIEW customers AS SELECT legacy_id AS id, name, email FROM customers_v2")
    database.execute("COMMIT")
    yield "configuration", "view customers reads customers_v2", True


# --- tampering -------------------------------------------------------------------------------------------------------


def _judge(
    directory: Path, case: Tampered, sealed: SealedRecord, policy: TrustPolicy, say: Callable[[str], None]
) -> bool:
    files.write_new(directory / case.name, _tamper(case, sealed))
    report = verify_file(directory / case.name, policy)
    found = report.decisive
    caught = found is not None and (found.check, report.exit_code) == (case.check, case.exit_code)
    check = found.check if found else "nothing"
    say(f"   {case.what}: {'caught' if caught else 'NOT CAUGHT'} by {check}, exit code {report.exit_code}")
    return caught


def _tamper(case: Tampered, sealed: SealedRecord) -> bytes:
    lines = sealed.data.splitlines(keepends=True)
    if case.check == "chain":
        lines[2] = lines[2].replace(b"Back up the database", b"Back up, or so it says")
    elif case.check == "sealed":
        lines = lines[:-2]
    else:
        other = keys.LocalSigner(keys.generate_private_key())
        return seal_record(sealed.record, other).data
    return b"".join(lines)


def commands(directory: Path, record: str) -> str:
    """Return the commands that repeat each check, from whichever directory they are called."""
    directory = directory.absolute()
    quote = shlex.quote
    programs = ("verify-record", "validate-record", "regenerate-scaffold", "hearth-records")
    verify, validate, scaffold, show = (quote(_program(name)) for name in programs)
    trust, path = quote(os.fspath(directory / "trust.json")), quote(os.fspath(directory / record))
    public = quote(os.fspath(directory / "key.pub.pem"))
    checks = [
        ("verify the record", f"{verify} --trust {trust} {path}", 0),
        ("the same, with the public key alone", f"{verify} --key {public} {path}", 0),
        ("validate it against the JSON Schema", f"{validate} {path}", 0),
        ("see it as an operator", f"{show} show --trust {trust} {path}", 0),
        ("regenerate the rollback guidance", f"{scaffold} --trust {trust} {path}", 0),
        *(
            (case.what, f"{verify} --trust {trust} {quote(os.fspath(directory / case.name))}", case.exit_code)
            for case in _TAMPERED
        ),
        (
            "the chain head by hand, without this software",
            f"tail -n 2 {path} | head -n 1 | sed 's/^,//' | tr -d '\\n' | sha256sum",
            0,
        ),
        ("the key id by hand", f"openssl pkey -pubin -in {public} -outform DER | sha256sum", 0),
    ]
    lines = ["# Repeat every check", "", "Each block ends with the exit code that stands above it.", ""]
    for what, command, code in checks:
        lines += [f"{what} (exit code {code}):", "", "```sh", command, "```", ""]
    return "\n".join(lines)


def _program(name: str) -> str:
    """Return the path of one of this package's programs, which need not be on the caller's path, or else its name."""
    path = os.path.join(sysconfig.get_path("scripts"), name)  # noqa: PTH118 - a text to print
    return path if os.path.isfile(path) else name  # noqa: PTH113 - as above
