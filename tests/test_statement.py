from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from helpers import DATA, GOLDEN_HASHES, GOLDEN_LINES, SEALED_AT, observe, run_standard, signer

from hearth_records.canonical import MAX_STATEMENT, decode_closing, decode_event, encode_statement
from hearth_records.errors import FormatError, SealError
from hearth_records.keys import ALGORITHMS, ML_DSA_44, LocalSigner, generate_private_key
from hearth_records.model import (
    MAX_SIGNERS,
    ExecutionFinished,
    ExecutionStarted,
    LiveModeState,
    Series,
    SignerName,
)
from hearth_records.profile import MAX_INTEGER
from hearth_records.seal import seal_record
from hearth_records.statement import PAYLOAD_TYPE, build_statement, pae, preimage

if TYPE_CHECKING:
    from hearth_records.model import SealedRecord, Statement

KEYID = "a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5"
BODY = (
    b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"chain":{"head":"4dc4732170f36cf65ad9833a053886370b50bf8b5'
    b'e7d2c5a1c80d388f75e649d","length":8},"execution_id":"exec-1","format":"hearth-record/1","live_mode_state":"LIVE","p'
    b'lan_id":"plan-1","sealed_at":"2026-11-22T17:00:00.000000Z","series":{"id":"plant-7","previous":"0123456789abcdef012'
    b'3456789abcdef0123456789abcdef0123456789abcdef","sequence":1},"signers":[{"algorithm":"ed25519","keyid":"a050837d850'
    b'70582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5"}],"status":"incomplete"},"predicateType":"urn:hearth-records'
    b':execution-seal:1","subject":[{"digest":{"sha256":"4dc4732170f36cf65ad9833a053886370b50bf8b5e7d2c5a1c80d388f75e649d'
    b'"},"name":"exec-1"}]}'
)


def golden_statement() -> Statement:
    """Return the statement about the golden events."""
    started, finished = decode_event(GOLDEN_LINES[0]), decode_event(GOLDEN_LINES[-1], 7)
    assert isinstance(started, ExecutionStarted)
    assert isinstance(finished, ExecutionFinished)
    return build_statement(
        started,
        finished,
        head=GOLDEN_HASHES[-1],
        length=len(GOLDEN_LINES),
        sealed_at=SEALED_AT,
        signers=[SignerName(algorithm="ed25519", keyid=signer().keyid)],
    )


def test_golden_bytes_of_a_statement_and_its_preimage() -> None:
    assert signer().keyid == KEYID
    assert len(BODY) == 710
    assert encode_statement(golden_statement()) == BODY
    assert preimage(golden_statement()) == b"DSSEv1 28 application/vnd.in-toto+json 710 " + BODY


def test_pae_is_that_of_dsse() -> None:
    # the example of the DSSE v1 protocol
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("", b"") == b"DSSEv1 0  0 "
    assert pae("é", "é".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xa9"
    assert PAYLOAD_TYPE == "application/vnd.in-toto+json"
    assert len(PAYLOAD_TYPE) == 28


def test_preimages_cannot_be_confused_with_events() -> None:
    assert preimage(golden_statement())[:1] == b"D"
    assert {line[:1] for line in GOLDEN_LINES} == {b"{"}


def test_the_signature_of_the_design_example_is_over_the_preimage() -> None:
    data = (DATA / "exec-example-001.record.json").read_bytes()
    statement = decode_closing(data.splitlines()[-1]).seal.statement
    value = json.loads(data)["seal"]
    key = load_pem_public_key((DATA / "exec-example-001.public.pem").read_bytes())
    message = preimage(statement)
    key.verify(base64.b64decode(value["signatures"][0]["sig"]), message)  # type: ignore[call-arg, union-attr]
    body = json.dumps(value["statement"], separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    assert message == b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(body), body)


def test_a_sealed_record_turns_into_a_dsse_envelope(sealed: SealedRecord) -> None:
    body = msgspec.json.format(msgspec.json.encode(json.loads(sealed.data)["seal"]["statement"]), indent=-1)
    assert preimage(sealed.statement).endswith(body)


def test_what_has_not_finished_has_no_statement() -> None:
    started = decode_event(GOLDEN_LINES[0])
    assert isinstance(started, ExecutionStarted)
    with pytest.raises(SealError) as caught:
        build_statement(started, None, head="0" * 64, length=1, sealed_at=SEALED_AT, signers=[])
    assert caught.value.code == "not-finished"
    assert caught.value.hint


def test_a_statement_that_is_too_large_is_not_signed() -> None:
    statement = golden_statement()
    signers = tuple(SignerName(algorithm="a" * 128, keyid=f"{number:064x}") for number in range(16))
    predicate = msgspec.structs.replace(statement.predicate, signers=signers, plan_id="p" * 128)
    with pytest.raises(FormatError) as caught:
        preimage(msgspec.structs.replace(statement, predicate=predicate))
    assert caught.value.code == "statement-too-large"
    assert caught.value.actual is not None
    assert int(caught.value.actual) > 4096


def test_no_record_of_ours_makes_a_statement_that_is_too_large() -> None:
    identifier = "i" * 128
    algorithms = (*ALGORITHMS, "ecdsa-p256-sha256")  # the reserved one too
    started, finished = decode_event(GOLDEN_LINES[0]), decode_event(GOLDEN_LINES[-1], 7)
    assert isinstance(started, ExecutionStarted)
    assert isinstance(finished, ExecutionFinished)
    extreme = build_statement(
        msgspec.structs.replace(
            started,
            execution_id=identifier,
            plan=msgspec.structs.replace(started.plan, plan_id=identifier),
            live_mode_state=max(LiveModeState, key=len),
            series=Series(id=identifier, previous="f" * 64, sequence=MAX_INTEGER),
        ),
        msgspec.structs.replace(finished, status="incomplete"),
        head="f" * 64,
        length=MAX_INTEGER,
        sealed_at="9999-12-31T23:59:59.999999Z",
        signers=[SignerName(algorithm=max(algorithms, key=len), keyid=f"{n:064x}") for n in range(MAX_SIGNERS)],
    )
    assert len(encode_statement(extreme)) == 2875 < MAX_STATEMENT


def test_a_record_at_the_extreme_is_sealed() -> None:
    observer = observe("e" * 128, "p" * 128, series=Series(id="s" * 128, previous="f" * 64, sequence=MAX_INTEGER))
    signers = [LocalSigner(generate_private_key(ML_DSA_44)) for _ in range(MAX_SIGNERS)]
    sealed = seal_record(run_standard(observer).get_execution_record("LIVE"), *signers, sealed_at=SEALED_AT)
    assert 2700 < len(encode_statement(sealed.statement)) < MAX_STATEMENT
