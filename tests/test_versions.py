"""The policy on versions: what was published never changes, and every version is read for ever.

`hearth_record_2` is a made-up second version with its own structs and schemas. Registered in two tables it goes through
the one reader there is: verifying, views, guidance, schemas, the commands.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from hearth_record_2.structs import DIRECTORY, DOCUMENTS, FORMAT, VERSION, Closing2
from helpers import SEALED_AT, policy_for, relink, signer, standard_sealed

from hearth_records import canonical, schema
from hearth_records.canonical import VERSIONS, decode_record, encode_closing, read_lines
from hearth_records.cli import schema as command
from hearth_records.errors import FormatError
from hearth_records.hestia import Hestia
from hearth_records.profile import encode, sha256_hex
from hearth_records.rollback import RollbackPlanner
from hearth_records.schema_check import check_schema
from hearth_records.schema_diff import compare_schemas
from hearth_records.statement import preimage
from hearth_records.trust import TrustPolicy
from hearth_records.verify import verify_file, verify_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records.verify import VerificationReport

TESTS: Final = Path(__file__).parent
SCHEMAS: Final = TESTS.parent / "schemas"
GOLDEN: Final = TESTS / "golden"
RECORDS: Final = sorted(GOLDEN.glob("hearth-record/*/*.record.json"))
POLICY: Final = TrustPolicy.decode((GOLDEN / "trust.json").read_bytes(), allow_example_keys=True)
Value = Any


def sums(directory: Path) -> dict[str, str]:
    """Return what a list of sha256sum says, by path."""
    lines = (directory / "SHA256SUMS").read_text("ascii").splitlines()
    return {line[66:]: line[:64] for line in lines}


# --- what was published ----------------------------------------------------------------------------------------------


def test_a_published_schema_never_changes() -> None:
    files = {str(path.relative_to(SCHEMAS)): path.read_bytes() for path in SCHEMAS.rglob("*.schema.json")}
    assert {path: hashlib.sha256(data).hexdigest() for path, data in files.items()} == sums(SCHEMAS)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of the published schemas."""
    return shutil.copytree(SCHEMAS, tmp_path / "schemas")


def export(directory: Path, *more: str) -> int:
    return command.command(["export", "-o", str(directory), *more], "schema")


@pytest.mark.parametrize("more", [(), ("--check",)])
def test_the_command_refuses_to_change_what_is_published(
    copied: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    listed = copied / "SHA256SUMS"
    text = listed.read_text("ascii")
    record = sums(copied)["hearth-record/1/record.schema.json"]
    listed.write_text(text.replace(record, "0" * 64), "ascii")
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    assert export(copied, *more) == 1
    assert "hearth-record/1/record.schema.json" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_a_schema_of_another_release_has_to_stay_as_it_is(copied: Path) -> None:
    old = copied / "hearth-record" / "0" / "record.schema.json"
    old.parent.mkdir()
    old.write_bytes(b"{}\n")
    with (copied / "SHA256SUMS").open("a", encoding="ascii") as stream:
        stream.write(f"{sha256_hex(old.read_bytes())}  hearth-record/0/record.schema.json\n")
    assert export(copied) == 0
    assert "hearth-record/0/record.schema.json" in sums(copied)
    assert export(copied, "--check") == 0
    old.write_bytes(b"{} \n")
    assert export(copied, "--check") == 1
    old.unlink()
    assert export(copied, "--check") == 1


# --- golden records --------------------------------------------------------------------------------------------------


def test_every_version_has_golden_records_and_they_never_change() -> None:
    versions = {document.format for document in schema.DOCUMENTS.values() if document.name == "record"}
    assert versions == set(VERSIONS)
    for version in versions:
        files = {path.name: sha256_hex(path.read_bytes()) for path in (GOLDEN / version).glob("*.record.json")}
        assert files
        assert files == sums(GOLDEN / version)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_every_golden_record_is_verified_by_this_release(path: Path) -> None:
    for report in (verify_record(path.read_bytes(), POLICY), verify_file(path, POLICY)):
        assert (report.exit_code, report.verdict) == (0, "verified")
    assert schema.validate("record", path.read_bytes()) == []
    assert schema.infer_version(path.read_bytes()) == str(path.parent.relative_to(GOLDEN))


# --- a second version ------------------------------------------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this release read the made-up version: these two tables are all that there is to do."""
    monkeypatch.setitem(VERSIONS, FORMAT, VERSION)
    for key, document in DOCUMENTS.items():
        monkeypatch.setitem(schema.DOCUMENTS, key, document)


def events_2() -> list[dict[str, Value]]:
    """Return the events of the standard record as version 2 has them."""
    events: list[dict[str, Value]] = json.loads(standard_sealed().data)["events"]
    events[0] |= {"format": FORMAT, "labels": ["blue", "canary"]}
    events[-1]["duration_ms"] = 7042
    return events


def seal_2(events: list[dict[str, Value]], change: Callable[[Value], None] = lambda _: None) -> bytes:
    """Return a file of version 2 with these events, linked and sealed; `change` bends the seal before it is signed."""
    lines = relink(events)
    head = sha256_hex(lines[-1])
    seal = json.loads(standard_sealed().data)["seal"]
    predicate = seal["statement"]["predicate"]
    predicate |= {"format": FORMAT, "chain": {"head": head, "length": len(lines)}, "sealed_at": SEALED_AT}
    seal["statement"]["subject"][0]["digest"]["sha256"] = head
    change(seal)
    closing = msgspec.convert({"disclosures": [], "seal": seal}, Closing2)
    seal["signatures"][0]["sig"] = base64.b64encode(signer().sign(preimage(closing.seal.statement))).decode()
    closing = msgspec.convert({"disclosures": [], "seal": seal}, Closing2)
    return VERSION.opening + b"\n,".join(lines) + b"\n" + encode_closing(closing)


def verify(data: bytes) -> VerificationReport:
    return verify_record(data, policy_for(signer()))


def test_a_version_that_is_not_registered_is_not_judged() -> None:
    report = verify(seal_2(events_2()))
    assert (report.exit_code, report["shape"].code, report["canonical"].status) == (
        3,
        "unsupported-version",
        "not_run",
    )


@pytest.mark.usefixtures("registered")
def test_both_versions_go_through_one_reader(tmp_path: Path) -> None:
    data = seal_2(events_2())
    path = tmp_path / "two.record.json"
    path.write_bytes(data)
    report = verify(data)
    assert (report.exit_code, report.events) == (0, len(events_2()))
    assert verify_file(path, policy_for(signer())).exit_code == 0
    assert verify(standard_sealed().data).exit_code == 0
    for golden in RECORDS:
        assert verify_record(golden.read_bytes(), POLICY).exit_code == 0


@pytest.mark.usefixtures("registered")
def test_the_views_and_the_guidance_are_those_of_any_record() -> None:
    data = seal_2(events_2())
    record = verify(data).require().record
    assert record.events[0].labels == ("blue", "canary")  # type: ignore[attr-defined]
    assert record.finished is not None
    assert record.finished.duration_ms == 7042  # type: ignore[attr-defined]
    assert record.get_execution_hash() == sha256_hex(data.split(b"\n,")[-1].split(b"\n")[0])
    assert decode_record(data) == record
    assert [encode(event) for event in record.events] == relink(events_2())
    mine, old = RollbackPlanner.plan_rollback(record), RollbackPlanner.plan_rollback(standard_sealed().record)
    assert msgspec.structs.replace(mine, chain_head=old.chain_head) == old
    assert Hestia().display_execution_summary(record)


def without_labels(events: list[dict[str, Value]]) -> None:
    del events[0]["labels"]


def of_version_1(events: list[dict[str, Value]]) -> None:
    events[0]["format"] = "hearth-record/1"


def too_long_a_label(events: list[dict[str, Value]]) -> None:
    events[0]["labels"] = ["x" * 65_537]


def negative(events: list[dict[str, Value]]) -> None:
    events[-1]["duration_ms"] = -1


def retried(events: list[dict[str, Value]]) -> None:
    events[4]["step_index"] = 0


@pytest.mark.parametrize(
    ("change", "check", "code"),
    [
        (without_labels, "shape", "missing"),
        (of_version_1, "shape", "value"),
        (too_long_a_label, "shape", "type"),
        (negative, "shape", "type"),
        (retried, "lifecycle", "step-order"),
    ],
)
@pytest.mark.usefixtures("registered")
def test_the_rules_of_a_version_are_its_own(
    change: Callable[[list[dict[str, Value]]], None], check: Any, code: str
) -> None:
    events = events_2()
    change(events)
    report = verify(seal_2(events))
    assert (report.decisive.check, report.decisive.code) == (check, code)  # type: ignore[union-attr]


@pytest.mark.usefixtures("registered")
def test_lines_of_one_version_have_no_place_in_a_file_of_the_other() -> None:
    one, two = standard_sealed().data, seal_2(events_2())
    swapped = canonical.OPENING + two.removeprefix(VERSION.opening)
    assert verify(swapped)["shape"].status == "fail"
    assert verify(VERSION.opening + one.removeprefix(canonical.OPENING))["shape"].status == "fail"


@pytest.mark.usefixtures("registered")
def test_every_altered_byte_is_found_in_either_version() -> None:
    data = seal_2(events_2())
    for place in range(0, len(data), 29):
        altered = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert verify(altered).exit_code in (1, 3, 4)


@pytest.mark.usefixtures("registered")
def test_a_reformatted_record_is_put_into_the_frame_of_its_version() -> None:
    data = seal_2(events_2())
    loose = json.dumps(json.loads(data), indent=1).encode()
    assert verify(loose)["canonical"].code == "reformatted"
    report = verify_record(loose, policy_for(signer()), allow_reformatted=True)
    assert (report.exit_code, report.reformatted) == (0, True)
    assert report.sealed_record is not None
    assert report.sealed_record.data == data


@pytest.mark.usefixtures("registered")
def test_only_the_newest_version_is_written_and_recovered() -> None:
    class Source:
        def readline(self, size: int, /) -> bytes:
            return VERSION.opening[:size]

    with pytest.raises(FormatError) as caught:
        read_lines(Source())
    assert (caught.value.code, caught.value.check) == ("unsupported-version", "shape")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("key", DOCUMENTS)
def test_its_schemas_stand_in_their_own_directory(key: str) -> None:
    document = DOCUMENTS[key]
    assert (DIRECTORY / document.path).read_bytes() == schema.encode_schema(key)
    found = check_schema(json.loads((DIRECTORY / document.path).read_bytes()))
    assert {finding.keyword for finding in found} <= {"described"}  # no words were written for its new members
    assert {finding.pointer.rpartition("/")[2] for finding in found} <= {"labels", "duration_ms"}


@pytest.mark.usefixtures("registered")
def test_a_document_is_validated_by_the_schema_of_its_version() -> None:
    two = seal_2(events_2())
    assert schema.infer_version(two) == FORMAT
    assert schema.validate("record", two) == []
    assert schema.validate("record", standard_sealed().data) == []
    without = json.loads(two)
    del without["events"][0]["labels"]
    (finding,) = schema.validate("record", json.dumps(without).encode())
    assert (finding.pointer, finding.keyword) == ("/events/0", "required")
    disguised = json.loads(two) | {"format": "hearth-record/1"}
    assert {item.pointer for item in schema.validate("record", json.dumps(disguised).encode())} >= {"/events/0"}


@pytest.mark.usefixtures("registered")
def test_exporting_adds_it_beside_what_is_published(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sums(copied)
    assert export(copied) == 0
    after = sums(copied)
    assert after.items() >= before.items()
    assert after.keys() - before.keys() == {document.path for document in DOCUMENTS.values()}
    assert export(copied, "--check") == 0
    capsys.readouterr()
    assert command.command(["list"], "schema") == 0
    listed = {tuple(line.split()[:3]) for line in capsys.readouterr().out.splitlines()}
    assert {("record", FORMAT), ("record", "hearth-record/1")} <= {words[:2] for words in listed}
    assert {digest.removeprefix("sha256:") for _name, _format, digest in listed} == set(after.values())


def test_a_new_version_is_where_breaking_changes_go() -> None:
    old = json.loads((SCHEMAS / "hearth-record/1/record.schema.json").read_bytes())
    new = json.loads((DIRECTORY / "hearth-record/2/record.schema.json").read_bytes())
    comparison = compare_schemas(old, new)
    assert comparison.verdict == "breaking"
    effects = [change for change in comparison.changes if change.effect != "none"]
    assert {change.effect for change in effects} == {"narrower", "wider"}
    assert {change.keyword for change in effects} == {"const", "required", "properties"}
