from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from helpers import EXAMPLE_KEYS, GOLDEN_LINES, OTHER_SEED, SEALED_AT, observe, policy_for, relink, run_standard, signer
from msgspec import Raw
from test_statement import BODY, KEYID

from hearth_records.canonical import decode_event, decode_record, encode_event
from hearth_records.errors import SealError
from hearth_records.keys import EXAMPLE_KEYIDS, LocalSigner, generate_private_key, load_private_key
from hearth_records.model import ExecutionRecord, format_timestamp, system_clock
from hearth_records.seal import check_sealed, make_closing, name_signers, rewrite_closing, seal_record
from hearth_records.verify import verify_record

if TYPE_CHECKING:
    from hearth_records.keys import Signer
    from hearth_records.model import Closing, SealedRecord

GOLDEN = ExecutionRecord(tuple(decode_event(line, seq) for seq, line in enumerate(GOLDEN_LINES)))
CLOSING = (
    b'],"disclosures":[],"seal":{"evidence":[],"signatures":[{"evidence":[],"keyid":"a050837d85070582ccf7394b0988847cc31'
    b'2cb88259b894899f6f239cf1791a5","sig":"k3OHheU4yMHjRKeguehKlmlyA7+U/q59HuXLZlWy+hysorL13OS9WZTUogzDESCw+6AuywEe1m9'
    b'rsNKREWYWBQ=="}],"statement":' + BODY + b"}}\n"
)


class Broken:
    """A signer with its own idea of each of its answers."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"algorithm": "ed25519", "public_key": signer().public_key, **answers}

    def _answer(self, name: str) -> Any:
        answer = self.answers[name]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def algorithm(self) -> str:
        return str.__str__(self._answer("algorithm"))

    @property
    def public_key(self) -> bytes:
        return self._answer("public_key")  # type: ignore[no-any-return]

    def sign(self, message: bytes) -> bytes:
        signature = self.answers.get("signature", signer().sign)
        if callable(signature):
            return signature(message)  # type: ignore[no-any-return]
        return self._answer("signature")  # type: ignore[no-any-return]


def refused(record: ExecutionRecord, *signers: Signer, **arguments: Any) -> str:
    with pytest.raises(SealError) as caught:
        seal_record(record, *signers, **arguments)
    return caught.value.code


def closing_of(*signers: Signer, **arguments: Any) -> Closing:
    head, length = GOLDEN.get_execution_hash(), len(GOLDEN.events)
    arguments = {"head": head, "length": length, "signers": signers, "sealed_at": SEALED_AT, **arguments}
    return make_closing(GOLDEN.started, GOLDEN.finished, **arguments)


def verdict(sealed: SealedRecord, *signers: Signer) -> str:
    return verify_record(sealed.data, policy_for(*signers)).verdict


# --- what a seal is --------------------------------------------------------------------------------------------------


def test_golden_bytes_of_a_sealed_file() -> None:
    sealed = seal_record(GOLDEN, signer(), sealed_at=SEALED_AT)
    assert sealed.data == (b'{"format":"hearth-record/1","events":[\n' + b"\n,".join(GOLDEN_LINES) + b"\n" + CLOSING)
    assert sealed.seal.signatures[0].keyid == KEYID
    assert sealed.record == GOLDEN == decode_record(sealed.data)
    assert verdict(sealed, signer()) == "verified"


def test_a_seal_says_what_the_events_say(record: ExecutionRecord, sealed: SealedRecord) -> None:
    predicate = sealed.statement.predicate
    assert (predicate.chain.head, predicate.chain.length) == (record.get_execution_hash(), len(record.events))
    assert (predicate.execution_id, predicate.plan_id, predicate.status) == ("exec-1", "plan-1", "failed")
    assert (predicate.live_mode_state, predicate.series, predicate.sealed_at) == ("LIVE", None, SEALED_AT)
    assert [(name.algorithm, name.keyid) for name in predicate.signers] == [("ed25519", signer().keyid)]
    assert sealed.statement.subject[0].name == "exec-1"
    assert sealed.statement.subject[0].digest.sha256 == record.get_execution_hash()
    assert (sealed.execution_id, sealed.chain_head) == ("exec-1", record.get_execution_hash())
    assert (sealed.seal.evidence, sealed.seal.signatures[0].evidence) == ((), ())


def test_without_a_time_the_system_clock_is_asked(record: ExecutionRecord) -> None:
    before = format_timestamp(system_clock())
    sealed_at = seal_record(record, signer()).statement.predicate.sealed_at
    assert before <= sealed_at <= format_timestamp(system_clock())


def test_several_signers_sign_in_their_order(record: ExecutionRecord) -> None:
    one, two, three = signer(OTHER_SEED), signer(), LocalSigner(generate_private_key("ml-dsa-44"))
    sealed = seal_record(record, one, two, three, sealed_at=SEALED_AT)
    keyids = [one.keyid, two.keyid, three.keyid]
    assert [signature.keyid for signature in sealed.seal.signatures] == keyids
    assert [name.keyid for name in sealed.statement.predicate.signers] == keyids
    assert [name.algorithm for name in sealed.statement.predicate.signers] == ["ed25519", "ed25519", "ml-dsa-44"]
    assert verdict(sealed, one, two, three) == "verified"
    assert verdict(sealed, one, two) == "untrusted"


def test_up_to_sixteen_sign(record: ExecutionRecord) -> None:
    signers = [signer(bytes([number]) * 32) for number in range(17)]
    sealed = seal_record(record, *signers[:16])
    assert len(sealed.seal.signatures) == 16
    assert verdict(sealed, *signers) == "verified"
    assert refused(record, *signers) == "signers"


def test_the_largest_statement_of_known_algorithms_can_be_signed() -> None:
    observer = observe("e" * 128, plan="p" * 128)
    observer.mark_failed("x")
    signers = [signer(bytes([number]) * 32) for number in range(16)]
    seal_record(observer.get_execution_record("LIVE"), *signers)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_sealing_is_refused_before_the_end(record: ExecutionRecord) -> None:
    assert refused(ExecutionRecord(record.events[:-1]), signer()) == "not-finished"
    observer = observe()
    with pytest.raises(SealError) as caught:
        observer.seal(signer())
    assert caught.value.code == "not-finished"
    run_standard(observer)
    observer.seal(signer())


def test_a_broken_chain_is_refused(record: ExecutionRecord) -> None:
    edited = msgspec.structs.replace(record.events[2], details_json=Raw(b'{"a":1}'))
    events = [*record.events[:2], edited, *record.events[3:]]
    with pytest.raises(SealError) as caught:
        seal_record(ExecutionRecord(tuple(events)), signer())
    assert (caught.value.code, caught.value.seq) == ("link", 3)


def test_events_that_cannot_follow_each_other_are_refused(record: ExecutionRecord) -> None:
    values = [msgspec.json.decode(encode_event(event)) for event in record.events]
    values[-1]["status"] = "completed"
    events = [decode_event(line, seq) for seq, line in enumerate(relink(values))]
    with pytest.raises(SealError) as caught:
        seal_record(ExecutionRecord(tuple(events)), signer())
    assert (caught.value.code, caught.value.seq) == ("step-failed", len(events) - 1)


@pytest.mark.parametrize(
    "members",
    [{"completion_reason": 5}, {"unknown_effects": "yes"}, {"details_json": Raw(b"[]")}, {"timestamp": "soon"}],
)
def test_an_event_that_is_none_is_found_before_anybody_sees_the_seal(
    record: ExecutionRecord, members: dict[str, Any]
) -> None:
    last = msgspec.structs.replace(record.events[-1], **members)
    assert refused(ExecutionRecord((*record.events[:-1], last)), signer()) == "not-verified"


def test_what_cannot_be_written_is_refused(record: ExecutionRecord) -> None:
    last = msgspec.structs.replace(record.events[-1], completion_reason="\ud800")
    assert refused(ExecutionRecord((*record.events[:-1], last)), signer()) == "lone-surrogate"


@pytest.mark.parametrize("sealed_at", ["yesterday", "2026-02-29T00:00:00.000000Z", "2026-11-22T16:00:00Z", 5])
def test_a_time_that_is_none_is_refused(record: ExecutionRecord, sealed_at: Any) -> None:
    assert refused(record, signer(), sealed_at=sealed_at) == "timestamp"
    with pytest.raises(SealError):
        run_standard(observe()).seal(signer(), sealed_at=sealed_at)


def test_nobody_seals_nothing() -> None:
    with pytest.raises(SealError) as caught:
        closing_of()
    assert (caught.value.code, caught.value.actual) == ("signers", 0)


def test_an_algorithm_is_compared_as_a_text(record: ExecutionRecord) -> None:
    seal_record(record, Broken(algorithm=b"ed25519".decode()))


def test_what_a_seal_is_about_is_given_by_name() -> None:
    arguments: tuple[Any, ...] = (GOLDEN.started, GOLDEN.finished, GOLDEN.get_execution_hash())
    with pytest.raises(TypeError):
        make_closing(*arguments, length=len(GOLDEN.events), signers=[signer()], sealed_at=SEALED_AT)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        name_signers([signer()], True)  # type: ignore[call-arg]  # noqa: FBT003 - what is refused
    assert closing_of(signer()).seal.statement.predicate.chain.head == GOLDEN.get_execution_hash()


def test_a_key_signs_once(record: ExecutionRecord) -> None:
    assert refused(record, signer(), signer()) == "duplicate-signer"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"signature": b""}, "signing-failed"),
        ({"signature": None}, "signing-failed"),
        ({"signature": "text"}, "signing-failed"),
        ({"signature": 64}, "signing-failed"),
        ({"signature": b"x"}, "signing-failed"),
        ({"signature": bytes(64)}, "signing-failed"),
        ({"signature": signer(OTHER_SEED).sign}, "signing-failed"),
        ({"signature": lambda message: signer().sign(message + b" ")}, "signing-failed"),
        ({"signature": lambda message: signer().sign(message)[:-1]}, "signing-failed"),
        ({"signature": lambda message: signer().sign(message) + b"\0"}, "signing-failed"),
        ({"signature": RuntimeError("the HSM is gone")}, "signing-failed"),
        ({"signature": RuntimeError()}, "signing-failed"),
        ({"signature": SealError("no", code="agent-refused")}, "agent-refused"),
        ({"public_key": RuntimeError()}, "signing-failed"),
        ({"public_key": None}, "signing-failed"),
        ({"public_key": "text"}, "signing-failed"),
        ({"algorithm": RuntimeError()}, "signing-failed"),
        ({"public_key": b"x"}, "key-unsupported"),
        ({"public_key": bytes.fromhex("302a300506032b6570032100") + bytes(32)}, "key-small-order"),
        ({"algorithm": "ml-dsa-44"}, "algorithm"),
        ({"algorithm": ""}, "algorithm"),
        ({"public_key": signer(OTHER_SEED).public_key}, "signing-failed"),
    ],
    ids=range(22),
)
def test_a_signer_that_fails_is_found_before_anybody_sees_the_seal(
    record: ExecutionRecord, answers: dict[str, Any], code: str
) -> None:
    assert refused(record, Broken(**answers)) == code
    assert refused(record, signer(OTHER_SEED), Broken(**answers)) in {code, "duplicate-signer"}
    observer = run_standard(observe())
    with pytest.raises(SealError) as caught:
        observer.seal(Broken(**answers))
    assert caught.value.code == code
    assert verdict(observer.seal(signer()), signer()) == "verified"  # sealing can be tried again


@pytest.mark.parametrize(
    ("error", "text"), [(RuntimeError("the HSM is gone"), "the HSM is gone"), (RuntimeError(), "RuntimeError")]
)
def test_the_error_of_a_signer_is_told(record: ExecutionRecord, error: Exception, text: str) -> None:
    with pytest.raises(SealError) as caught:
        seal_record(record, Broken(signature=error))
    assert text in caught.value.reason


def test_a_signer_whose_key_changes_is_found(record: ExecutionRecord) -> None:
    keys = iter([signer().public_key, signer(OTHER_SEED).public_key])

    class Changing(Broken):
        @property
        def public_key(self) -> bytes:
            return next(keys)

    assert refused(record, Changing()) == "not-verified"  # a good signature, by a key that is not the signer's


def test_what_is_no_signer_is_refused(record: ExecutionRecord) -> None:
    signers: list[Any] = [None, object(), signer().public_key]
    assert {refused(record, one) for one in signers} == {"signing-failed"}


def test_what_stops_the_program_is_not_swallowed(record: ExecutionRecord) -> None:
    with pytest.raises(KeyboardInterrupt):
        seal_record(record, Broken(signature=KeyboardInterrupt()))


def test_an_answer_of_another_type_of_bytes_is_taken(record: ExecutionRecord) -> None:
    broken = Broken(
        public_key=bytearray(signer().public_key), signature=lambda message: memoryview(signer().sign(message))
    )
    assert verdict(seal_record(record, broken), signer()) == "verified"


def test_the_example_keys_do_not_seal(record: ExecutionRecord) -> None:
    example = LocalSigner(load_private_key((EXAMPLE_KEYS / "example.pem").read_bytes()))
    assert example.keyid in EXAMPLE_KEYIDS
    assert refused(record, example) == "example-key"
    assert refused(record, signer(), example) == "example-key"
    with pytest.raises(SealError) as caught:
        closing_of(example)
    assert caught.value.code == "example-key"
    assert closing_of(example, allow_example_keys=True).seal.signatures
    sealed = seal_record(record, example, allow_example_keys=True)
    assert sealed.statement.predicate.signers[0].keyid == example.keyid
    observer = run_standard(observe())
    with pytest.raises(SealError) as caught:
        observer.seal(example)
    assert caught.value.code == "example-key"
    observer.seal(example, allow_example_keys=True)


# --- the check after it ----------------------------------------------------------------------------------------------


def test_only_the_closing_line_is_rewritten(sealed: SealedRecord) -> None:
    def empty(closing: Closing) -> Closing:
        return msgspec.structs.replace(closing, seal=msgspec.structs.replace(closing.seal, signatures=()))

    assert rewrite_closing(sealed.data, lambda closing: closing) == sealed.data
    changed = rewrite_closing(sealed.data, empty)
    assert changed.splitlines()[:-1] == sealed.data.splitlines()[:-1]
    assert b'"signatures":[]' in changed.splitlines()[-1]


def test_what_does_not_verify_is_no_sealed_record(sealed: SealedRecord) -> None:
    check_sealed(io.BytesIO(sealed.data), [signer()])
    for data, code in (
        (sealed.data[:-1], "not-verified"),
        (sealed.data.replace(b"db1", b"db2"), "not-verified"),
        (sealed.data.replace(SEALED_AT.encode(), SEALED_AT.replace("17", "18").encode()), "signing-failed"),
    ):
        with pytest.raises(SealError) as caught:
            check_sealed(io.BytesIO(data), [signer()])
        assert caught.value.code == code
    with pytest.raises(SealError) as caught:
        check_sealed(io.BytesIO(sealed.data), [signer(OTHER_SEED)])
    assert caught.value.code in {"not-verified", "signing-failed"}
