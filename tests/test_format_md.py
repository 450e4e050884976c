"""The example bytes of schemas/FORMAT.md, taken out of the text and run.

A fenced block with two words behind its fence (```json canonical) is an example; the second word says of what. Each is
checked with the library and, where that is possible, without it: hashlib, rfc8785, `cryptography`, the shell commands.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hearth_records import (
    canonical,
    chain,
    disclosure,
    documents,
    model,
    profile,
    recordable,
    rotation,
    schema,
    statement,
    timestamp,
)
from hearth_records.errors import FormatError, TrustError
from hearth_records.export import sshsig
from hearth_records.export.dsse import export_dsse
from hearth_records.export.sigstore_bundle import export_bundle
from hearth_records.export.sshsig import export_sshsig
from hearth_records.keys import EXAMPLE_KEYIDS, LocalSigner, load_private_key, load_public_key
from hearth_records.lifecycle import check_lifecycle
from hearth_records.profile import DEFAULT_LIMITS
from hearth_records.rollback import REASONS, RollbackPlanner
from hearth_records.trust import TrustPolicy
from hearth_records.verify import CHECKS, EXIT_CODES, VERDICTS, verify_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records.model import SealedRecord
    from hearth_records.verify import VerificationReport

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "schemas" / "FORMAT.md").read_text(encoding="utf-8")
FLAT = " ".join(TEXT.split())
KEYS = ROOT / "keys_example"
OPENING = b'{"format":"hearth-record/1","events":[\n'
NOW = "2026-11-23T00:00:00.000000Z"
MINIMAL = "exec-minimal.record.json"
CUSTOMERS = "exec-customers-1.record.json"


class Block(NamedTuple):
    line: int
    language: str
    tag: str
    text: str

    @property
    def data(self) -> bytes:
        """The bytes between the fences without the last line break."""
        return self.text.encode()


def find_blocks(text: str) -> list[Block]:
    found: list[Block] = []
    opened: tuple[int, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("```") and opened is None:
            opened, lines = (number, line[3:]), []
        elif line == "```" and opened is not None:
            language, _, tag = opened[1].partition(" ")
            found.append(Block(opened[0], language, tag or language, "\n".join(lines)))
            opened = None
        else:
            lines.append(line)
    assert opened is None, f"the fence of line {opened} is not closed"
    return found


BLOCKS = find_blocks(TEXT)
TAGS = {block.tag for block in BLOCKS}


def examples(tag: str) -> list[Block]:
    found = [block for block in BLOCKS if block.tag == tag]
    assert found, f"no example of {tag}"
    return found


def example(tag: str) -> Block:
    (found,) = examples(tag)
    return found


def after(tag: str, *following: str) -> list[tuple[Block, ...]]:
    """Return each block of that tag and the blocks behind it, which have the other tags."""
    groups = [tuple(BLOCKS[n : n + 1 + len(following)]) for n, block in enumerate(BLOCKS) if block.tag == tag]
    return [group for group in groups if tuple(block.tag for block in group[1:]) == following]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def events() -> list[bytes]:
    return [block.data for block in examples("event")]


def minimal() -> bytes:
    return example("record").data + b"\n"


def customers() -> bytes:
    return OPENING + b"\n,".join(events()) + b"\n" + example("closing").data + b"\n"


def policy() -> TrustPolicy:
    return TrustPolicy.decode(example("trust").data, allow_example_keys=True)


def verified(data: bytes) -> VerificationReport:
    return verify_record(data, policy(), now=NOW)


# --- the text itself -------------------------------------------------------------------------------------------------


def test_every_example_is_run() -> None:
    assert set(EXAMPLES) == TAGS


def test_the_sections_that_the_code_cites_are_there() -> None:
    assert re.findall(r"^## (\d+)\. ", TEXT, re.MULTILINE) == [str(number) for number in range(1, 16)]


# --- §1 --------------------------------------------------------------------------------------------------------------


def check_values() -> None:
    groups = after("value", "canonical", "sha256")
    assert groups
    for free, strict, digest in groups:
        value = json.loads(free.text)
        assert rfc8785.dumps(value) == profile.encode(value) == strict.data
        assert profile.decode(strict.data) == profile.decode_lenient(free.data) == value
        assert sha256(strict.data) == profile.sha256_hex(strict.data) == digest.text
    assert len(groups) == len(examples("canonical")) == len(examples("sha256"))
    assert len(groups) + len(after("value", "printed")) == len(examples("value"))


def check_refused() -> None:
    rows = [line.split(maxsplit=1) for line in example("refused").text.split("\n")]
    for code, data in rows:
        with pytest.raises(FormatError) as caught:
            profile.decode(data.encode())
        assert (caught.value.check, caught.value.code) == ("canonical", code), data
    assert len({code for code, _ in rows}) == 8


def test_the_limits_are_those_of_the_reader() -> None:
    found = re.search(
        r"event 0: ([\d,]+); any other event: ([\d,]+); the closing line: ([\d,]+); a file: ([\d,]+)", TEXT
    )
    assert found is not None
    sizes = [int(size.replace(",", "")) for size in found.groups()]
    limits = DEFAULT_LIMITS
    assert sizes == [limits.first_event, limits.event, limits.closing, limits.file]


# --- §3, §4 ----------------------------------------------------------------------------------------------------------


def check_events() -> None:
    previous = None
    decoded = []
    for seq, (block, digest) in enumerate(after("event", "event_hash")):
        value = json.loads(block.text)
        assert rfc8785.dumps(value) == block.data
        assert (value["seq"], value["previous_event_hash"]) == (seq, previous)
        previous = sha256(block.data)
        event = canonical.decode_event(block.data, seq)
        assert canonical.encode_event(event) == block.data
        assert chain.event_hash(event) == previous == digest.text
        assert schema.validate("event", block.data) == []
        decoded.append(event)
    assert len(decoded) == len(examples("event")) == len(examples("event_hash"))
    assert {type(event) for event in decoded} == set(model.EVENT_TYPES)
    assert chain.check_chain(tuple(decoded)) == previous
    assert check_lifecycle(tuple(decoded)).finished is decoded[-1]


def check_cut_text() -> None:
    text = "a" * 70_000
    cut = recordable.to_text(text)
    kept = cut.removesuffix(example("cut-text").text)
    assert len(cut) == 65_536
    assert set(kept) == {"a"}
    assert sha256(text.encode()) in example("cut-text").text


def check_cut_details() -> None:
    details = rfc8785.dumps({"a": "x" * 1_048_576})
    mark = rfc8785.dumps({"hearth_cut": {"bytes": len(details), "sha256": sha256(details)}})
    assert recordable.cut_details(details) == mark == example("cut-details").data


def check_marks() -> None:
    day = date(2026, 11, 22)
    assert recordable.to_details({"n": float("nan"), "r": 1.5, "_sd": 1, "day": day}) == example("marks").data
    assert rfc8785.dumps(json.loads(example("marks").text)) == example("marks").data


# --- §5 --------------------------------------------------------------------------------------------------------------


def check_seal() -> None:
    seal = json.loads(minimal())["seal"]
    body, preimage, sig = example("statement").data, example("preimage").data, example("signature").text
    assert rfc8785.dumps(seal["statement"]) == body
    assert preimage == b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(body), body)
    assert [one["sig"] for one in seal["signatures"]] == [sig]
    closing = canonical.decode_closing(minimal().split(b"\n")[-2])
    assert canonical.encode_statement(closing.seal.statement) == body
    assert statement.preimage(closing.seal.statement) == preimage
    key = load_public_key((KEYS / "example.pub.pem").read_bytes())
    assert key.keyid == sha256(key.spki)
    assert {key.keyid} == EXAMPLE_KEYIDS
    assert seal["statement"]["predicate"]["signers"] == [{"algorithm": "ed25519", "keyid": key.keyid}]
    assert key.verify(base64.b64decode(sig), preimage)
    assert not key.verify(base64.b64decode(sig), preimage + b" ")
    private = load_pem_private_key((KEYS / "example.pem").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    assert base64.b64encode(private.sign(preimage)).decode() == sig


def check_timestamp(directory: Path) -> None:
    response, pem = base64.b64decode(example("timestamp-response").text, validate=True), example("authority").text
    sig = base64.b64decode(example("signature").text)
    found = timestamp.verify_response(response, sig, [pem])
    assert f"`{found.time}`" in FLAT
    assert f"`{found.authority}`" in FLAT
    if shutil.which("openssl"):
        for name, data in (("response", response), ("sig", sig), ("root.pem", pem.encode())):
            (directory / name).write_bytes(data)
        words = ["openssl", "ts", "-verify", "-in", "response", "-data", "sig", "-CAfile", "root.pem"]
        done = subprocess.run(words, cwd=directory, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, b"Verification: OK\n")


def test_every_code_of_a_timestamp_is_listed() -> None:
    listed = set().union(*(codes_in(row[0]) for row in table_rows("code | rule")))
    source = (ROOT / "hearth_records" / "timestamp.py").read_text(encoding="utf-8")
    raised = set(re.findall(r'code="(timestamp-[a-z]+)"', source))
    assert raised == listed | {"timestamp-request", "timestamp-nonce"}  # who asks for one knows these


def check_envelope() -> None:
    envelope = json.loads(example("envelope").text)
    assert rfc8785.dumps(envelope) == example("envelope").data
    body = base64.b64decode(envelope["payload"], validate=True)
    assert body == example("statement").data
    assert statement.pae(envelope["payloadType"], body) == example("preimage").data
    (signature,) = envelope["signatures"]
    assert signature["sig"] == example("signature").text
    assert {signature["keyid"]} == EXAMPLE_KEYIDS


# --- §6, §8 ----------------------------------------------------------------------------------------------------------


def check_record() -> None:
    report = verified(minimal())
    assert report.exit_code == 0
    assert report.warnings == ()
    opening, *lines, closing = minimal().split(b"\n")[:-1]
    assert opening + b"\n" == canonical.OPENING == OPENING
    assert closing.startswith(b'],"disclosures":[],"seal":{')
    head = sha256(lines[-1].removeprefix(b","))
    assert report.chain_head == head
    assert f"chain head `{head}`" in FLAT
    assert json.loads(closing.replace(b"],", b"{", 1))["seal"]["statement"]["predicate"]["chain"]["head"] == head
    assert schema.validate("record", minimal()) == []


def check_closing() -> None:
    report = verified(customers())
    assert report.exit_code == 0
    assert report.events == len(events())
    assert report.chain_head == sha256(events()[-1])
    assert report.sha256 == sha256(customers())
    assert f"SHA-256 `{sha256(customers())}`" in FLAT
    assert schema.validate("record", customers()) == []
    assert json.loads(example("closing").data.replace(b"],", b"{", 1))["disclosures"] == [
        example("disclosure-text").text
    ]


def check_disclosure() -> None:
    plain, text, digest = example("disclosure-json"), example("disclosure-text").text, example("digest").text
    salt, name, value = json.loads(plain.text)
    assert rfc8785.dumps([salt, name, value]) == plain.data
    assert base64url(plain.data) == text
    assert base64url(hashlib.sha256(text.encode()).digest()) == disclosure.digest_of(text) == digest
    decoded = disclosure.decode_disclosure(text)
    assert (decoded.salt, decoded.name, decoded.value) == (salt, name, value)
    held = [json.loads(data)["details"].get("_sd", []) for data in events()]
    assert [position for position, digests in enumerate(held) if digest in digests] == [2]
    assert held[2] == sorted(held[2])
    assert len(held[2]) == 2


def check_altered(directory: Path) -> None:
    (directory / CUSTOMERS).write_bytes(customers())
    checks = set()
    for row in example("altered").text.split("\n"):
        exit_code, check, code, script = row.split(maxsplit=3)
        command = ["sed", "-e", script, CUSTOMERS]
        done = subprocess.run(command, cwd=directory, env=os.environ | {"LC_ALL": "C"}, capture_output=True, check=True)
        assert done.stdout != customers(), script
        report = verified(done.stdout)
        decisive = report.decisive
        found = ("-", "-") if decisive is None else (decisive.check, decisive.code)
        assert (str(report.exit_code), *found) == (exit_code, check, code), script
        checks.add(check)
    assert checks - {"-"} == set(CHECKS) - {"read", "trust", "timestamp"}


# --- §9 to §12 -------------------------------------------------------------------------------------------------------


def check_trust() -> None:
    data = example("trust").data + b"\n"
    assert data == (KEYS / "trust.json").read_bytes()
    assert schema.validate("trust", data) == []
    (entry,) = json.loads(data)["keys"]
    assert sha256(base64.b64decode(entry["public_key"])) == entry["keyid"]
    assert policy().key_of(entry["keyid"]) is not None
    with pytest.raises(TrustError) as caught:
        TrustPolicy.decode(data)
    assert (caught.value.code, caught.value.pointer) == ("example-key", "/keys/0")


def check_rotation() -> None:
    envelope, body = json.loads(example("rotation").text), example("rotation-statement").data
    said = json.loads(body)
    assert rfc8785.dumps(said) == body
    assert base64.b64decode(envelope["payload"], validate=True) == body
    assert envelope["payloadType"] == statement.PAYLOAD_TYPE
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(body), body)
    old = load_pem_private_key((KEYS / "example.pem").read_bytes(), None)
    assert isinstance(old, Ed25519PrivateKey)
    parts = (said["predicate"]["from"], said["predicate"]["to"])
    made_by = (old, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    for part, signature, private in zip(parts, envelope["signatures"], made_by, strict=True):
        assert sha256(base64.b64decode(part["public_key"])) == part["keyid"] == signature["keyid"]
        assert base64.b64encode(private.sign(message)).decode() == signature["sig"]
    keyid = parts[1]["keyid"]
    assert said["subject"] == [{"digest": {"sha256": keyid}, "name": keyid}]
    assert said["predicateType"] == rotation.ROTATION_PREDICATE_TYPE
    found = rotation.read_rotation(example("rotation").data + b"\n")
    assert (found.at, found.old.keyid, found.new.keyid) == (said["predicate"]["at"], parts[0]["keyid"], keyid)
    (_, (entry, _key)) = rotation.admit(policy(), found, allow_example_keys=True).keys.values()
    assert (entry.keyid, entry.not_before, entry.not_after, entry.roles) == (keyid, found.at, None, ("seal",))


def ascii_line(value: Any) -> bytes:
    """Return what §10 asks for, written without the library."""
    text = rfc8785.dumps(value).decode().encode("utf-16-be", "surrogatepass")
    units = [text[n] << 8 | text[n + 1] for n in range(0, len(text), 2)]
    return "".join(chr(unit) if unit < 0x7F else f"\\u{unit:04x}" for unit in units).encode() + b"\n"


def check_printed() -> None:
    for free, printed in after("value", "printed"):
        value = json.loads(free.text)
        assert ascii_line(value) == documents.encode_document(value) == printed.data + b"\n"
    assert len(after("value", "printed")) == len(examples("printed"))


def check_scaffold() -> None:
    data = example("scaffold").data + b"\n"
    value = json.loads(data)
    assert ascii_line(value) == data
    report = verified(customers())
    scaffold = RollbackPlanner.plan_rollback(report.require().record)
    assert documents.encode_document(documents.scaffold_document(scaffold, report)) == data
    assert schema.validate("scaffold", data) == []
    assert f'`"{value["notice"]}"`' in TEXT
    named = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in table_rows("member of `scaffold`"))))
    assert named == set(value["scaffold"])
    assert b"\\u" in data


def check_verification() -> None:
    data = example("verification").data + b"\n"
    value = json.loads(data)
    assert ascii_line(value) == data
    entry = documents.file_entry(MINIMAL, verified(minimal()))
    assert documents.encode_document(documents.report_document([entry])) == data
    assert schema.validate("verification", data) == []
    named = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in table_rows("member of a result"))))
    assert named == set(value["results"][0])


def check_plans() -> None:
    least, whole = examples("plan")
    for block in (least, whole):
        assert schema.validate("plan", block.data) == []
    assert canonical.decode_plan(least.data).steps == ()
    plan = canonical.decode_plan(whole.data + b"\n")
    start = canonical.decode_event(events()[0])
    assert isinstance(start, model.ExecutionStarted)
    assert plan == start.plan
    assert plan.sha256 == sha256(whole.data + b"\n")
    assert f"`{plan.sha256}`" in FLAT


UNSEEN_BY_SCHEMAS: list[tuple[str, str, Any]] = [
    ("canonical", "/events/1/seq", 1.0),
    ("canonical", "/events/1/completion_reason", "\ud800"),
    ("canonical", "/events/1/details", {"a": [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}),
    ("shape", "/events/1/details", {"_sd": ["B" * 42 + "A", "A" * 43]}),
    ("shape", "/seal/statement/predicate/signers", [{"algorithm": name, "keyid": "0" * 64} for name in "ab"]),
    ("chain", "/events/1/seq", 2),
    ("chain", "/events/1/previous_event_hash", None),
    ("lifecycle", "/events/1/security_snapshot/security_state", "LOCKDOWN"),
    ("disclosures", "/disclosures", ["A"]),
    ("head", "/events/1/completion_reason", "x"),
    ("signature", "/seal/signatures", []),
]


@pytest.mark.parametrize(("check", "pointer", "value"), UNSEEN_BY_SCHEMAS)
def test_what_a_schema_cannot_say_a_check_does(check: str, pointer: str, value: object) -> None:
    document = json.loads(minimal())
    *path, member = [int(part) if part.isdigit() else part for part in pointer[1:].split("/")]
    place = document
    for part in path:
        place = place[part]
    assert member in place
    place[member] = value
    data = json.dumps(document).encode()
    assert schema.validate("record", data) == []
    decisive = verify_record(data, policy(), now=NOW, allow_reformatted=True).decisive
    assert decisive is not None
    assert (decisive.check, decisive.status) == (check, "fail")


# --- §15 -------------------------------------------------------------------------------------------------------------


def exported() -> SealedRecord:
    sealed = verified(minimal()).sealed_record
    assert sealed is not None
    return sealed


def check_bundle() -> None:
    bundle = json.loads(example("bundle").text)
    assert rfc8785.dumps(bundle) == example("bundle").data
    assert bundle["dsseEnvelope"] == json.loads(example("envelope").text)
    assert export_dsse(exported()) == example("envelope").data + b"\n"
    assert export_bundle(exported()) == example("bundle").data + b"\n"


def check_ssh_signature() -> None:
    private = LocalSigner(load_private_key((KEYS / "example.pem").read_bytes()))
    members = export_sshsig(exported(), private, allow_example_keys=True)
    assert members == {
        "allowed_signers": example("allowed-signers").data + b"\n",
        "preimage": example("preimage").data,
        "preimage.sig": example("sshsig").data + b"\n",
    }
    assert sshsig.verify_command("KEYID") in TEXT


# --- shell commands --------------------------------------------------------------------------------------------------


def check_commands(directory: Path) -> None:
    groups = after("sh", "output")
    assert len(groups) == len(examples("sh")) == len(examples("output"))
    for command, output in groups:
        if "openssl" not in command.text or shutil.which("openssl"):
            (folder := directory / str(command.line)).mkdir()
            (folder / MINIMAL).write_bytes(minimal())
            (folder / CUSTOMERS).write_bytes(customers())
            shutil.copy(KEYS / "example.pub.pem", folder)
            shell = ["sh", "-eu", "-c", command.text]
            done = subprocess.run(shell, cwd=folder, capture_output=True, check=False, text=True)
            assert (done.returncode, done.stdout) == (0, f"{output.text}\n"), (command.text, done.stderr)


def test_openssl_is_there_for_its_commands() -> None:
    assert any("openssl pkeyutl -verify -rawin" in block.text for block in examples("sh"))
    assert any("openssl pkey -pubin" in block.text for block in examples("sh"))
    if shutil.which("openssl") is None:
        assert not os.environ.get("CI"), "the program openssl is missing"
        pytest.skip("the program openssl is missing: its commands in FORMAT.md were not run")


EXAMPLES: dict[str, Callable[..., None]] = {
    "allowed-signers": check_ssh_signature,
    "altered": check_altered,
    "bundle": check_bundle,
    "canonical": check_values,
    "closing": check_closing,
    "cut-details": check_cut_details,
    "cut-text": check_cut_text,
    "digest": check_disclosure,
    "disclosure-json": check_disclosure,
    "disclosure-text": check_disclosure,
    "envelope": check_envelope,
    "event": check_events,
    "event_hash": check_events,
    "marks": check_marks,
    "output": check_commands,
    "plan": check_plans,
    "preimage": check_seal,
    "printed": check_printed,
    "record": check_record,
    "refused": check_refused,
    "scaffold": check_scaffold,
    "rotation": check_rotation,
    "rotation-statement": check_rotation,
    "sh": check_commands,
    "sha256": check_values,
    "signature": check_seal,
    "sshsig": check_ssh_signature,
    "statement": check_seal,
    "authority": check_timestamp,
    "timestamp-response": check_timestamp,
    "trust": check_trust,
    "value": check_values,
    "verification": check_verification,
}
"""What checks the examples of each tag."""


@pytest.mark.parametrize("check", list(dict.fromkeys(EXAMPLES.values())))
def test_the_examples_are_what_the_text_says(check: Callable[..., None], tmp_path: Path) -> None:
    if check in (check_altered, check_commands, check_timestamp):
        check(tmp_path)
    else:
        check()


# --- tables ----------------------------------------------------------------------------------------------------------


def table_rows(first: str) -> list[list[str]]:
    """Return the rows of the table whose head begins with a cell, without the head."""
    start = TEXT.index(f"\n| {first} |")
    table = TEXT[start + 1 :].split("\n\n", 1)[0].split("\n")
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in table[2:]]


def codes_in(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_-]+)`", cell))


def test_the_checks_stand_in_order_with_their_exit_codes() -> None:
    rows = table_rows("check | what it establishes")
    assert {row[0].strip("`"): int(row[2]) for row in rows} == EXIT_CODES
    assert tuple(row[0].strip("`") for row in rows) == CHECKS


def test_the_exit_codes_have_their_verdicts() -> None:
    verdicts = {int(row[0]): row[1].strip("`") for row in table_rows("exit code")}
    assert verdicts.pop(2) == ""
    assert verdicts == VERDICTS


def test_the_reasons_stand_verbatim() -> None:
    assert {row[0].strip("`"): row[1] for row in table_rows("reason code")} == REASONS


CODES_BY_MODULE = {
    "canonical": ("canonical", "shape", "read"),
    "chain": ("chain",),
    "disclosure": ("disclosures",),
    "lifecycle": ("lifecycle",),
    "profile": ("canonical", "shape"),
    "verify": ("read", "canonical", "lifecycle", "sealed", "signature", "timestamp"),
}
NOT_IN_REPORTS = {
    "chain": {"empty"},  # check_chain of no events at all
    "canonical": {"no-start"},  # decode_record, which does not verify
    "disclosure": {"argument", "randomness"},  # of those who record
    "profile": {"inexact-number"},  # decode_any, where schemas are compared
    "verify": {"no-record"},  # require() of a report by verify_file
}


def test_every_code_of_other_forms_is_listed() -> None:
    listed = set().union(*(codes_in(row[0]) for row in table_rows("code | refused form")))
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "hearth_records" / "export").glob("*.py"))
    raised = set(re.findall(r'code="([a-z0-9-]+)"', "\n".join(sources)))
    assert raised - {"signing-failed", "frame"} == listed


def test_every_code_of_a_rotation_is_listed() -> None:
    listed = set().union(*(codes_in(row[0]) for row in table_rows("code | refused rotation")))
    source = (ROOT / "hearth_records" / "rotation.py").read_text(encoding="utf-8")
    raised = set(re.findall(r'raise TrustError\([^#]*?code="([a-z0-9-]+)"', source, re.DOTALL))
    assert raised == listed


@pytest.mark.parametrize("module", sorted(CODES_BY_MODULE))
def test_every_code_that_a_verifier_reports_is_listed(module: str) -> None:
    listed = {row[0].strip("`"): codes_in(row[1]) for row in table_rows("check | codes")}
    assert tuple(listed) == CHECKS
    source = (ROOT / "hearth_records" / f"{module}.py").read_text(encoding="utf-8")
    raised = set(re.findall(r'(?:code=|_fail\()\s*"([a-z0-9-]+)"', source)) - NOT_IN_REPORTS.get(module, set())
    assert raised
    assert raised <= set().union(*(listed[check] for check in CODES_BY_MODULE[module]))


def test_the_rules_of_the_lifecycle_have_the_codes_that_are_listed() -> None:
    (listed,) = (codes_in(row[1]) for row in table_rows("check | codes") if row[0] == "`lifecycle`")
    assert set().union(*(codes_in(row[2]) for row in table_rows("asked of"))) == listed


def test_every_code_of_a_scalar_is_listed() -> None:
    source = (ROOT / "hearth_records" / "model.py").read_text(encoding="utf-8")
    raised = set(re.findall(r'(?:ScalarError|_refuse)\(\s*"?\w+"?, "([a-z0-9-]+)"', source)) - {"step-index"}
    (shape,) = (codes_in(row[1]) for row in table_rows("check | codes") if row[0] == "`shape`")
    assert {"timestamp", "digest", "base64"} <= raised
    assert raised <= shape | {"member-name"}  # of a value that never was JSON
    assert "(code `step-index`)" in FLAT


def test_every_code_of_a_policy_is_listed() -> None:
    listed = set().union(*(codes_in(row[0]) for row in table_rows("code | what is wrong")))
    judged = set().union(*(codes_in(row[0]) for row in table_rows("code | applies when")))
    (trust,) = (codes_in(row[1]) for row in table_rows("check | codes") if row[0] == "`trust`")
    assert judged == trust
    sources = [(ROOT / "hearth_records" / f"{name}.py").read_text(encoding="utf-8") for name in ("trust", "keys")]
    raised = set(re.findall(r'(?:raise|error =) TrustError\([^#]*?code="([a-z0-9-]+)"', "\n".join(sources), re.DOTALL))
    assert {"key-small-order", "duplicate-key", "requirement"} <= raised
    assert raised <= listed | trust


def test_every_warning_is_listed() -> None:
    listed = {row[0].strip("`") for row in table_rows("code | meaning")}
    sources = [(ROOT / "hearth_records" / f"{name}.py").read_text(encoding="utf-8") for name in ("verify", "lifecycle")]
    raised = set(re.findall(r'[Ww]arn(?:ed)?\(\s*"([a-z-]+)"', "\n".join(sources)))
    assert {"torn-tail", "time-went-back"} <= raised
    assert raised == listed
