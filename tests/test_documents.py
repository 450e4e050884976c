from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import rfc8785
from helpers import policy_for, signer
from hypothesis import given
from hypothesis import strategies as st

from hearth_records import documents
from hearth_records.keys import public_key
from hearth_records.model import RollbackScaffold
from hearth_records.rollback import RollbackPlanner
from hearth_records.schema import validate
from hearth_records.trust import TrustPolicy
from hearth_records.verify import CHECKS, verify_record

if TYPE_CHECKING:
    from hearth_records.model import SealedRecord
    from hearth_records.verify import VerificationReport

HOSTILE = "\x1b]0;x\x07\x9b31m\u202e\u200b\u2028\n\x7f\U000e0041\u3164é"


@pytest.fixture(scope="session")
def report(sealed: SealedRecord) -> VerificationReport:
    return verify_record(sealed.data, policy_for(signer()))


def as_json(document: documents.ReportDocument | documents.ScaffoldDocument) -> dict[str, Any]:
    """Return a document read back by another library, after looking at its bytes."""
    data = documents.encode_document(document)
    assert data.endswith(b"}\n")
    assert all(0x20 <= byte < 0x7F for byte in data[:-1])
    value: dict[str, Any] = json.loads(data)
    return value


def test_a_report_says_all_that_the_verifier_says(report: VerificationReport, sealed: SealedRecord) -> None:
    value = as_json(documents.report_document([documents.file_entry("a.json", report)]))
    (entry,) = value.pop("results")
    assert value == {"format": "hearth-verification/1", "exit_code": 0}
    assert [check["check"] for check in entry["checks"]] == list(CHECKS)
    assert {check["status"] for check in entry.pop("checks")[:-1]} == {"pass"}
    assert entry == {
        "file": "a.json",
        "sha256": hashlib.sha256(sealed.data).hexdigest(),
        "verdict": "verified",
        "exit_code": 0,
        "execution_id": "exec-1",
        "chain_head": sealed.record.get_execution_hash(),
        "events": 8,
        "sealed_at": "2026-11-22T17:00:00.000000Z",
        "signers": [
            {
                "keyid": signer().keyid,
                "algorithm": "ed25519",
                "name": "key 0",
                "role": "seal",
                "status": "good",
                "evidence": [],
            }
        ],
        "disclosures": [],
        "evidence": [],
        "reformatted": False,
        "warnings": [],
    }


def test_a_report_says_where_a_record_fails(sealed: SealedRecord) -> None:
    data = sealed.data.replace(b'"Deploy"', b'"Depl0y"', 1)
    entry = documents.file_entry("a.json", verify_record(data, None))
    checks = {check.check: check for check in entry.checks}
    assert (entry.verdict, entry.exit_code) == ("altered", 1)
    assert (checks["chain"].status, checks["chain"].code, checks["chain"].seq) == ("fail", "link", 1)
    assert checks["chain"].pointer == "/events/1/previous_event_hash"
    assert checks["trust"] == documents.CheckEntry(
        check="trust", status="not_run", code=None, reason=None, seq=None, pointer=None
    )


@pytest.mark.parametrize(("names", "exit_code"), [("", 2), ("good", 0), ("good bad", 1), ("none good", 4)])
def test_the_exit_code_of_several_files(sealed: SealedRecord, names: str, exit_code: int) -> None:
    reports = {
        "good": verify_record(sealed.data, policy_for(signer())),
        "bad": verify_record(sealed.data.replace(b'"Deploy"', b'"Depl0y"', 1), None),
        "none": verify_record(sealed.data, None),
    }
    document = documents.report_document([documents.file_entry(name, reports[name]) for name in names.split()])
    assert document.exit_code == exit_code
    assert [entry.file for entry in document.results] == names.split()


@given(st.text(st.characters(codec=None), max_size=30))
def test_any_file_name_and_key_name_can_be_reported(sealed: SealedRecord, name: str) -> None:
    policy = TrustPolicy.from_keys([(name, public_key(signer().public_key))])
    report = verify_record(sealed.data, policy)
    data = documents.encode_document(documents.report_document([documents.file_entry(name, report)]))
    assert all(0x20 <= byte < 0x7F for byte in data[:-1])
    (entry,) = json.loads(data)["results"]
    assert entry["file"] == entry["signers"][0]["name"] == name.encode("utf-8", "backslashreplace").decode()
    assert validate("verification", data) == []


def test_a_pointer_into_a_document_that_no_json_can_hold_is_reported() -> None:
    data = b'{"format":"hearth-record/1","events":[\n{"\\ud800":1}\n'
    entry = documents.file_entry("a.json", verify_record(data, None))
    value = as_json(documents.report_document([entry]))
    check = value["results"][0]["checks"][1]
    assert (check["status"], check["code"], check["pointer"]) == ("fail", "lone-surrogate", "/events/0/\\ud800")


def test_ascii_documents_are_canonical_and_others_escape_every_other_character(report: VerificationReport) -> None:
    plain = documents.encode_document(documents.report_document([documents.file_entry("a.json", report)]))
    assert plain == rfc8785.dumps(json.loads(plain)) + b"\n"
    for name in (HOSTILE, "\U0001f600", "\uffff", "\U0010ffff", "\U00010000"):
        value = as_json(documents.report_document([documents.file_entry(name, report)]))
        assert value["results"][0]["file"] == name


def test_a_scaffold_says_what_it_was_made_from(report: VerificationReport, sealed: SealedRecord) -> None:
    scaffold = RollbackPlanner.plan_rollback(sealed.record)
    value = as_json(documents.scaffold_document(scaffold, report))
    assert value["made_from"] == {
        "chain_head": sealed.record.get_execution_hash(),
        "events": 8,
        "file_sha256": hashlib.sha256(sealed.data).hexdigest(),
        "sealed_at": "2026-11-22T17:00:00.000000Z",
        "signers": [
            {"keyid": signer().keyid, "algorithm": "ed25519", "name": "key 0", "role": "seal", "status": "good"}
        ],
        "verdict": "verified",
    }
    assert (value["format"], value["notice"]) == ("hearth-scaffold/1", documents.NOTICE)
    assert msgspec.convert(value["scaffold"], RollbackScaffold) == scaffold


def test_a_scaffold_keeps_hints_verbatim_behind_escapes(report: VerificationReport, sealed: SealedRecord) -> None:
    scaffold = RollbackPlanner.plan_rollback(sealed.record)
    hint = msgspec.structs.replace(sealed.record.plan.rollback_hints[0], actions=(HOSTILE,))
    value = as_json(documents.scaffold_document(RollbackPlanner.plan_rollback(sealed.record, [hint]), report))
    assert [item["hint"]["actions"] for item in value["scaffold"]["hints"]] == [
        list(scaffold.hints[0].hint.actions),
        [HOSTILE],
    ]
