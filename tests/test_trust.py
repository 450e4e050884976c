from __future__ import annotations

import base64
import copy
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from helpers import DATA, EXAMPLE_KEYS, OTHER_SEED, SEALED_AT, json_objects, signer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hearth_records.errors import TrustError
from hearth_records.keys import ML_DSA_44, LocalSigner, generate_private_key, load_public_key, public_key
from hearth_records.model import SignerName
from hearth_records.trust import (
    EvidenceFinding,
    PolicyDocument,
    Requirement,
    Revocation,
    SignatureFinding,
    TrustedKey,
    TrustPolicy,
    encode_policy,
    trusted_key,
)

if TYPE_CHECKING:
    from hearth_records.model import SealedRecord, SealPredicate

BEFORE, AFTER = "2026-11-22T16:59:59.999999Z", "2026-11-22T17:00:00.000001Z"
ONE, TWO = signer(), signer(OTHER_SEED)
LATTICE = LocalSigner(generate_private_key(ML_DSA_44))


def entry(one: LocalSigner = ONE, /, **members: Any) -> dict[str, Any]:
    """Return a policy's entry for a key."""
    return {
        "keyid": one.keyid,
        "name": "plant 7 recorder",
        "algorithm": one.algorithm,
        "public_key": base64.b64encode(one.public_key).decode(),
        "roles": ["seal"],
        "not_before": None,
        "not_after": None,
        "revoked": None,
        **members,
    }


def document(*keys: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "format": "hearth-trust/1",
        "version": 1,
        "expires": None,
        "require_timestamp": False,
        "timestamp_authorities": [],
        "require": [{"role": "seal", "algorithm": None, "count": 1}],
        "keys": list(keys or (entry(),)),
        **members,
    }


def decode(value: Any, **arguments: Any) -> TrustPolicy:
    return TrustPolicy.decode(json.dumps(value, indent=1).encode(), **arguments)


def refused(value: Any) -> tuple[str, str | None]:
    with pytest.raises(TrustError) as caught:
        decode(value)
    return caught.value.code, caught.value.pointer


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_policy_is_read() -> None:
    value = document(
        entry(not_before=BEFORE, not_after=AFTER, revoked={"at": AFTER, "reason": "retired"}),
        entry(TWO, name="", roles=["countersign", "witness", "checkpoint"]),
        expires=AFTER,
        version=2**53 - 1,
        require_timestamp=True,
        timestamp_authorities=["PEM"],
        require=[
            {"role": "seal", "algorithm": "ed25519", "count": 2},
            {"role": "countersign", "algorithm": None, "count": 1},
        ],
    )
    policy = decode(value)
    assert list(policy.keys) == [ONE.keyid, TWO.keyid]
    assert policy.name_of(ONE.keyid) == "plant 7 recorder"
    assert policy.name_of("0" * 64) is None
    known = policy.key_of(TWO.keyid)
    assert known is not None
    assert known.spki == TWO.public_key
    assert policy.key_of("0" * 64) is None
    assert json.loads(encode_policy(policy.document)) == value
    assert encode_policy(policy.document) == json.dumps(value, indent=1).encode() + b"\n"  # in the order of FORMAT


@pytest.mark.parametrize("number", [-1, 0, 2**53, 2**54 - 1])
def test_numbers_have_a_range(number: int) -> None:
    # The door refuses integers over 2^53 - 1 itself; the structs say it as well, and the schemas come from them.
    for value, kind in ((document(version=number), PolicyDocument), (require(("seal", None, number))[0], Requirement)):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(value, kind)


def test_an_older_policy_is_refused() -> None:
    value = document(version=7)
    assert decode(value).document.version == decode(value, min_version=7).document.version == 7
    with pytest.raises(TrustError) as caught:
        decode(value, min_version=8)
    assert (caught.value.code, caught.value.expected, caught.value.actual) == ("policy-version", 8, 7)


def test_white_space_and_order_are_free() -> None:
    value = dict(reversed(document().items()))
    for data in (json.dumps(value).encode(), json.dumps(value, indent=7).encode(), b"\n" + json.dumps(value).encode()):
        assert list(TrustPolicy.decode(data).keys) == [ONE.keyid]


def test_a_policy_that_was_read_cannot_be_changed() -> None:
    document_read = decode(document(entry(revoked={"at": AFTER, "reason": "retired"}))).document
    for target in (document_read, document_read.keys[0], document_read.keys[0].revoked, document_read.require[0]):
        with pytest.raises(AttributeError):
            setattr(target, target.__struct_fields__[0], None)  # type: ignore[union-attr]


def test_a_policy_may_know_no_key() -> None:
    assert decode(document() | {"keys": []}).keys == {}


def test_the_policy_of_another_implementation() -> None:
    key = load_public_key((DATA / "exec-example-001.public.pem").read_bytes())
    policy = TrustPolicy.from_keys([("design example", key)])
    assert list(policy.keys) == ["bdc88605825a1b5f5b787596b3e246049a7571369effe21ea25d5f5cfcc1760f"]


def without(*path: str | int) -> Any:
    def edit(value: Any) -> None:
        for name in path[:-1]:
            value = value[name]
        del value[path[-1]]

    return edit


def with_value(*path: str | int, value: Any) -> Any:
    def edit(target: Any) -> None:
        for name in path[:-1]:
            target = target[name]
        target[path[-1]] = value

    return edit


WRONG: list[tuple[Any, str, str]] = [
    *((without(name), "missing", f"/{name}") for name in document()),
    *((without("keys", 0, name), "missing", f"/keys/0/{name}") for name in entry()),
    *((without("require", 0, name), "missing", f"/require/0/{name}") for name in ("role", "algorithm", "count")),
    (with_value("threshold", value=1), "unknown", "/threshold"),
    (with_value("keys", 0, "extra", value=1), "unknown", "/keys/0/extra"),
    (with_value("require", 0, "extra", value=1), "unknown", "/require/0/extra"),
    (
        with_value("keys", 0, "revoked", value={"at": AFTER, "reason": "retired", "x": 1}),
        "unknown",
        "/keys/0/revoked/x",
    ),
    (with_value("format", value="hearth-trust/2"), "value", "/format"),
    (with_value("version", value=0), "type", "/version"),
    (with_value("version", value=1.0), "not-integer", "/version"),
    (with_value("version", value=2**53), "integer-range", "/version"),
    (with_value("expires", value="2026"), "type", "/expires"),
    (with_value("expires", value="2026-02-29T00:00:00.000000Z"), "timestamp", "/expires"),
    (with_value("require_timestamp", value=0), "type", "/require_timestamp"),
    (with_value("timestamp_authorities", value=[1]), "type", "/timestamp_authorities/0"),
    (with_value("require", value=[]), "type", "/require"),
    (with_value("require", 0, "count", value=0), "type", "/require/0/count"),
    (with_value("require", 0, "count", value=-1), "type", "/require/0/count"),
    (with_value("require", 0, "count", value=True), "type", "/require/0/count"),
    (with_value("require", 0, "role", value="admin"), "value", "/require/0/role"),
    (with_value("require", 0, "role", value="checkpoint"), "requirement-role", "/require/0/role"),
    (with_value("require", 0, "role", value="witness"), "requirement-role", "/require/0/role"),
    (with_value("require", 0, "algorithm", value="no algorithm"), "identifier", "/require/0/algorithm"),
    (with_value("keys", value={}), "type", "/keys"),
    (with_value("keys", 0, "keyid", value="0" * 64), "keyid", "/keys/0/keyid"),
    (with_value("keys", 0, "keyid", value="f" * 64), "keyid", "/keys/0/keyid"),
    (with_value("keys", 0, "keyid", value=ONE.keyid.upper()), "digest", "/keys/0/keyid"),
    (with_value("keys", 0, "keyid", value="0"), "type", "/keys/0/keyid"),
    (with_value("keys", 0, "algorithm", value=ML_DSA_44), "algorithm", "/keys/0/algorithm"),
    (with_value("keys", 0, "algorithm", value="ecdsa-p256-sha256"), "algorithm", "/keys/0/algorithm"),
    (with_value("keys", 0, "algorithm", value="é"), "identifier", "/keys/0/algorithm"),
    (with_value("keys", 0, "name", value=None), "type", "/keys/0/name"),
    (with_value("keys", 0, "name", value="x" * 65_537), "type", "/keys/0/name"),
    (with_value("keys", 0, "roles", value=["root"]), "value", "/keys/0/roles/0"),
    (with_value("keys", 0, "roles", value="seal"), "type", "/keys/0/roles"),
    (with_value("keys", 0, "not_before", value="2026-11-22"), "type", "/keys/0/not_before"),
    (with_value("keys", 0, "not_after", value="2026-11-31T00:00:00.000000Z"), "timestamp", "/keys/0/not_after"),
    (with_value("keys", 0, "revoked", value={"at": None, "reason": "retired"}), "type", "/keys/0/revoked/at"),
    (
        with_value("keys", 0, "revoked", value={"at": "2026-11-31T00:00:00.000000Z", "reason": "retired"}),
        "timestamp",
        "/keys/0/revoked/at",
    ),
    (with_value("keys", 0, "revoked", value={"at": AFTER, "reason": "lost"}), "value", "/keys/0/revoked/reason"),
    (with_value("keys", 0, "revoked", value=True), "type", "/keys/0/revoked"),
    (with_value("keys", 0, "public_key", value="x"), "type", "/keys/0/public_key"),
    (with_value("keys", 0, "public_key", value="A_-="), "key-not-base64", "/keys/0/public_key"),
    (with_value("keys", 0, "public_key", value="AAAA\n"), "key-not-base64", "/keys/0/public_key"),
    (with_value("keys", 0, "public_key", value="AAAA"), "key-unsupported", "/keys/0/public_key"),
]


@pytest.mark.parametrize(("edit", "code", "pointer"), WRONG, ids=range(len(WRONG)))
def test_a_policy_is_looked_at_strictly(edit: Any, code: str, pointer: str) -> None:
    value = copy.deepcopy(document())
    edit(value)
    assert refused(value) == (code, pointer)


def spki(raw: int) -> str:
    return base64.b64encode(bytes.fromhex("302a300506032b6570032100") + raw.to_bytes(32, "little")).decode()


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (spki(0), "key-small-order"),
        (spki(1 + 2**255), "key-small-order"),
        (spki(2**255 - 19), "key-not-canonical"),
        (spki(2**256 - 1), "key-not-canonical"),
        (spki(2), "key-off-curve"),
    ],
)
def test_a_weak_key_is_refused_when_the_policy_is_read(key: str, code: str) -> None:
    assert refused(document(entry(TWO), entry(public_key=key))) == (code, "/keys/1/public_key")


@pytest.mark.parametrize(
    "other", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())], ids=["rsa", "ecdsa"]
)
def test_another_kind_of_key_is_refused(other: Any) -> None:
    der = other.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    value = document(entry(public_key=base64.b64encode(der).decode()))
    assert refused(value) == ("key-unsupported", "/keys/0/public_key")


def test_a_key_stands_once() -> None:
    assert refused(document(entry(), entry(TWO), entry(name="again"))) == ("duplicate-key", "/keys/2")


def test_the_example_keys_are_refused_unless_told_by_name() -> None:
    data = (EXAMPLE_KEYS / "trust.json").read_bytes()
    with pytest.raises(TrustError) as caught:
        TrustPolicy.decode(data)
    assert (caught.value.code, caught.value.pointer) == ("example-key", "/keys/0")
    assert caught.value.hint
    policy = TrustPolicy.decode(data, allow_example_keys=True)
    assert len(policy.keys) == 1
    with pytest.raises(TrustError):
        TrustPolicy(policy.document)
    key = load_public_key((EXAMPLE_KEYS / "example.pub.pem").read_bytes())
    with pytest.raises(TrustError) as caught:
        TrustPolicy.from_keys([("x", key)])
    assert caught.value.code == "example-key"
    TrustPolicy.from_keys([("x", key)], allow_example_keys=True)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xef\xbb\xbf{}", "byte-order-mark"),
        (b"\xff", "invalid-utf8"),
        (b"[]", "type"),
        (b"null", "type"),
        (b'{"format":"hearth-trust/1","\\u0066ormat":"hearth-trust/1"}', "duplicate-member"),
        (b"[" * 100_000, "too-deep"),
        (b"9" * 5000, "integer-range"),
    ],
)
def test_what_is_no_policy(data: bytes, code: str) -> None:
    with pytest.raises(TrustError) as caught:
        TrustPolicy.decode(data)
    assert caught.value.code == code


@given(st.binary(max_size=60) | json_objects.map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=100)
@example(b'{"a":' * 100_000)
@example(b'{"format":"\\ud800"}')
def test_arbitrary_bytes_give_only_trust_errors(data: bytes) -> None:
    with pytest.raises(TrustError):
        TrustPolicy.decode(data)


@given(st.data())
@settings(max_examples=200)
def test_an_edited_policy_gives_only_trust_errors(data: st.DataObject) -> None:
    text = json.dumps(document()).encode()
    place = data.draw(st.integers(0, len(text)))
    edited = text[:place] + data.draw(st.binary(max_size=3)) + text[place + data.draw(st.integers(0, 3)) :]
    try:
        TrustPolicy.decode(edited)
    except TrustError as error:
        assert error.code  # noqa: PT017 - it need not be raised


# --- the short form --------------------------------------------------------------------------------------------------


def test_the_short_form_trusts_each_of_its_keys() -> None:
    policy = TrustPolicy.from_keys([("one", public_key(ONE.public_key)), ("", public_key(LATTICE.public_key))])
    assert [policy.name_of(keyid) for keyid in policy.keys] == ["one", ""]
    assert json.loads(encode_policy(policy.document)) == document(entry(name="one"), entry(LATTICE, name=""))
    assert TrustPolicy.decode(encode_policy(policy.document)).document == policy.document


def test_the_short_form_needs_a_key_and_each_once() -> None:
    with pytest.raises(TrustError) as caught:
        TrustPolicy.from_keys([])
    assert caught.value.code == "no-key"
    key = public_key(ONE.public_key)
    with pytest.raises(TrustError) as caught:
        TrustPolicy.from_keys([("a", key), ("b", key)])
    assert caught.value.code == "duplicate-key"


# --- judging ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def predicate(sealed: SealedRecord) -> SealPredicate:
    return sealed.statement.predicate


def finding(
    one: LocalSigner = ONE, role: Any = "seal", status: Any = "good", times: tuple[str, ...] = ()
) -> SignatureFinding:
    """Return what was found of a signature, with good evidence of these times."""
    evidence = [EvidenceFinding(type="rfc3161", status="good", time=time, authority="0" * 64) for time in times]
    bad = EvidenceFinding(type="rfc3161", status="bad")
    return SignatureFinding(
        keyid=one.keyid,
        algorithm=one.algorithm,
        name=None,
        role=role,
        status=status,
        evidence=(bad, *evidence) if times else (),
    )


def signed_by(predicate: SealPredicate, *signers: LocalSigner) -> SealPredicate:
    names = tuple(SignerName(algorithm=one.algorithm, keyid=one.keyid) for one in signers)
    return msgspec.structs.replace(predicate, signers=names)


def judge(
    value: dict[str, Any], predicate: SealPredicate, *findings: SignatureFinding, now: str | None = None
) -> tuple[str, Any, Any] | None:
    """Return code, expected and actual of why the policy is not met, or None."""
    try:
        decode(value).check_seal(predicate, findings or (finding(),), now=now)
    except TrustError as error:
        return error.code, error.expected, error.actual
    return None


def reason_of(
    value: dict[str, Any], predicate: SealPredicate, *findings: SignatureFinding, now: str | None = None
) -> str:
    with pytest.raises(TrustError) as caught:
        decode(value).check_seal(predicate, findings or (finding(),), now=now)
    return caught.value.reason


def test_a_good_signature_by_a_known_key_is_trusted(predicate: SealPredicate) -> None:
    assert judge(document(), predicate) is None


def test_a_policy_ends_when_it_expires(predicate: SealPredicate) -> None:
    value = document(expires=SEALED_AT)
    assert judge(value, predicate, now=BEFORE) is None
    assert judge(value, predicate, now=SEALED_AT) == ("policy-expired", SEALED_AT, SEALED_AT)
    assert judge(value, predicate, now=AFTER) == ("policy-expired", SEALED_AT, AFTER)
    assert judge(value, predicate) == ("policy-expired", SEALED_AT, None)
    assert judge(document(), predicate, now=AFTER) is None
    assert "has expired" in reason_of(value, predicate, now=AFTER)
    assert "was not given" in reason_of(value, predicate)


def test_a_signer_has_to_be_known(predicate: SealPredicate) -> None:
    assert judge(document(entry(TWO)), predicate) == ("unknown-signer", None, ONE.keyid)
    both = signed_by(predicate, ONE, TWO)
    assert judge(document(), both, finding(), finding(TWO, status="not_run")) == ("unknown-signer", None, TWO.keyid)
    assert judge(document(entry(), entry(TWO)), both, finding(), finding(TWO)) is None


def test_seal_and_policy_have_to_agree_about_the_algorithm(predicate: SealPredicate) -> None:
    for algorithm in (ML_DSA_44, "ecdsa-p256-sha256", "x"):
        other = msgspec.structs.replace(predicate, signers=(SignerName(algorithm=algorithm, keyid=ONE.keyid),))
        assert judge(document(), other) == ("algorithm-mismatch", "ed25519", algorithm)


def test_a_signer_has_to_have_the_role(predicate: SealPredicate) -> None:
    for roles in ([], ["countersign"], ["checkpoint", "witness"]):
        assert judge(document(entry(roles=roles)), predicate) == ("role", "seal", ", ".join(roles))
    assert judge(document(entry(roles=["witness", "seal"])), predicate) is None


def test_windows_are_half_open(predicate: SealPredicate) -> None:
    for window in (
        {"not_before": SEALED_AT},
        {"not_before": BEFORE},
        {"not_after": AFTER},
        {"not_before": SEALED_AT, "not_after": AFTER},
    ):
        assert judge(document(entry(**window)), predicate) is None
    for window in (
        {"not_before": AFTER},
        {"not_after": SEALED_AT},
        {"not_after": BEFORE},
        {"not_before": SEALED_AT, "not_after": SEALED_AT},
        {"not_before": AFTER, "not_after": BEFORE},
    ):
        reason = judge(document(entry(**window)), predicate)
        first, last = window.get("not_before", "…"), window.get("not_after", "…")
        assert reason == ("outside-window", f"{first} to {last}", SEALED_AT)


@pytest.mark.parametrize("reason", ["superseded", "retired"])
def test_such_a_key_ends_when_it_is_revoked(predicate: SealPredicate, reason: str) -> None:
    assert judge(document(entry(revoked={"at": AFTER, "reason": reason})), predicate) is None
    for at in (SEALED_AT, BEFORE):
        value = document(entry(revoked={"at": at, "reason": reason}))
        assert judge(value, predicate) == ("revoked", None, SEALED_AT)


def test_a_compromised_key_is_void_whatever_the_seal_says(predicate: SealPredicate) -> None:
    for at in (BEFORE, SEALED_AT, AFTER, "9999-12-31T23:59:59.999999Z"):
        value = document(entry(revoked={"at": at, "reason": "compromised"}))
        assert judge(value, predicate) == ("revoked", None, None)


@pytest.mark.parametrize("lost", [ONE, TWO])
def test_a_timestamp_speaks_for_the_signature_that_it_stands_on(predicate: SealPredicate, lost: LocalSigner) -> None:
    (other,) = {ONE, TWO} - {lost}
    value = document(entry(lost, revoked={"at": AFTER, "reason": "compromised"}), entry(other))
    signed = signed_by(predicate, lost, other)
    dated, undated = {one: finding(one, times=(SEALED_AT,)) for one in (lost, other)}, finding(lost)
    assert judge(value, signed, dated[lost], finding(other)) is None
    assert judge(value, signed, finding(other), dated[lost]) is None
    for findings in ((undated, dated[other]), (dated[other], undated)):
        assert judge(value, signed, *findings) == ("revoked", None, None)


def test_only_who_lost_a_key_is_told_of_timestamps(predicate: SealPredicate) -> None:
    for reason, told in (("compromised", True), ("retired", False), ("superseded", False)):
        with pytest.raises(TrustError) as caught:
            decode(document(entry(revoked={"at": BEFORE, "reason": reason}))).check_seal(
                predicate, (finding(),), now=None
            )
        assert (caught.value.hint is not None) is told


def test_requirements_for_the_seal_are_looked_at_first(predicate: SealPredicate) -> None:
    for wanted, role in (
        ((("countersign", None, 1), ("seal", None, 1)), "countersign"),
        ((("countersign", None, 1), ("seal", None, 2)), "seal"),
        ((("seal", None, 2), ("countersign", None, 1)), "seal"),
    ):
        with pytest.raises(TrustError) as caught:
            decode(document(require=require(*wanted))).check_seal(predicate, (finding(),), now=None)
        assert (caught.value.code, caught.value.role) == ("requirement", role)


@pytest.mark.parametrize(
    "struct", [EvidenceFinding, PolicyDocument, Requirement, Revocation, SignatureFinding, TrustedKey]
)
def test_what_a_policy_says_is_named_and_cannot_be_changed(struct: type[msgspec.Struct]) -> None:
    assert struct.__struct_config__.frozen
    with pytest.raises(TypeError, match="positional"):
        struct(*[None] * len(struct.__struct_fields__))


def test_options_are_named(predicate: SealPredicate) -> None:
    known = decode(document())
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (TrustPolicy, (known.document, True)),
        (TrustPolicy.decode, (b"", True)),
        (TrustPolicy.from_keys, ([], True)),
        (known.check_seal, (predicate, (), None)),
        (trusted_key, (public_key(ONE.public_key), "", ("seal",))),
    ]
    for call, arguments in calls:
        with pytest.raises(TypeError):
            call(*arguments)


def test_a_compromised_key_counts_where_evidence_is_older(predicate: SealPredicate) -> None:
    value = document(entry(revoked={"at": SEALED_AT, "reason": "compromised"}))
    assert judge(value, predicate, finding(times=(AFTER, BEFORE))) is None  # the earliest one
    for time in (SEALED_AT, AFTER):
        assert judge(value, predicate, finding(times=(time,))) == ("revoked", None, time)
    # Another's evidence says nothing, nor does a second signature by the same key.
    assert judge(value, predicate, finding(), finding(TWO, "countersign", times=(BEFORE,))) == ("revoked", None, None)
    assert judge(value, predicate, finding(times=(AFTER,)), finding(times=(BEFORE,))) == ("revoked", None, AFTER)
    # The other reasons go by sealed_at, whatever evidence says.
    retired = document(entry(revoked={"at": BEFORE, "reason": "retired"}))
    assert judge(retired, predicate, finding(times=("2020-01-01T00:00:00.000000Z",))) == ("revoked", None, SEALED_AT)


def test_a_countersigner_is_judged_at_the_time_of_its_own_evidence(predicate: SealPredicate) -> None:
    require = [{"role": "countersign", "algorithm": None, "count": 1}]

    def counts(*times: str, **members: Any) -> bool:
        value = document(entry(), entry(TWO, **{"roles": ["countersign"], **members}), require=require)
        reason = judge(value, predicate, finding(), finding(TWO, "countersign", times=times))
        assert reason is None or reason[0] == "requirement"
        return reason is None

    assert counts()
    assert counts(AFTER)
    windows: list[dict[str, Any]] = [
        {"not_before": SEALED_AT},
        {"not_before": SEALED_AT, "not_after": AFTER},
        {"not_after": AFTER},
    ]
    for window in windows:
        assert not counts(**window)
        assert counts(SEALED_AT, **window)
    assert not counts(BEFORE, not_before=SEALED_AT)
    assert not counts(AFTER, not_after=AFTER)
    assert not counts(AFTER, revoked={"at": SEALED_AT, "reason": "retired"})
    for reason in ("compromised", "superseded", "retired"):
        ended = {"at": SEALED_AT, "reason": reason}
        assert not counts(revoked=ended)
        assert counts(BEFORE, revoked=ended)
        assert not counts(SEALED_AT, revoked=ended)
    assert not counts(BEFORE, roles=["seal"])


def test_reasons_come_in_their_order_whichever_signer_they_are_about(predicate: SealPredicate) -> None:
    both = signed_by(predicate, ONE, TWO)
    revoked = {"revoked": {"at": BEFORE, "reason": "retired"}}
    outside = {"not_after": BEFORE}
    other_role = {"roles": ["countersign"]}
    mismatch = msgspec.structs.replace(both, signers=(both.signers[0], SignerName(algorithm="x", keyid=TWO.keyid)))
    ladder: list[tuple[dict[str, Any], dict[str, Any], SealPredicate, str]] = [
        (revoked, {}, both, "revoked"),
        (revoked, outside, both, "outside-window"),
        (revoked | outside, other_role, both, "role"),
        (revoked | outside | other_role, {}, mismatch, "algorithm-mismatch"),
    ]
    for one, two, about, code in ladder:
        reason = judge(document(entry(**one), entry(TWO, **two)), about, finding(), finding(TWO))
        assert reason is not None
        assert reason[0] == code
    unknown = judge(document(entry(**revoked)), both)
    assert unknown is not None
    assert unknown[0] == "unknown-signer"
    expired = judge(document(entry(**revoked), expires=BEFORE), both, now=AFTER)
    assert expired is not None
    assert expired[0] == "policy-expired"


def require(*rows: tuple[str, str | None, int]) -> list[dict[str, Any]]:
    return [{"role": role, "algorithm": algorithm, "count": count} for role, algorithm, count in rows]


def test_requirements_count_distinct_signers_with_good_signatures(predicate: SealPredicate) -> None:
    keys = (entry(), entry(TWO), entry(LATTICE))
    both = signed_by(predicate, ONE, TWO)
    good = (finding(), finding(TWO))
    two = document(*keys, require=require(("seal", None, 2)))
    assert judge(two, both, *good) is None
    assert judge(two, predicate, finding()) == ("requirement", 2, 1)
    assert judge(two, predicate, finding(), finding()) == ("requirement", 2, 1)
    assert judge(two, both, finding(), finding(TWO, status="bad")) == ("requirement", 2, 1)
    assert judge(two, both, finding(), finding(TWO, status="not_run")) == ("requirement", 2, 1)
    assert judge(document(*keys, require=require(("seal", None, 3))), both, *good) == ("requirement", 3, 2)
    assert judge(document(*keys), predicate, finding(status="bad")) == ("requirement", 1, 0)


def test_requirements_may_name_an_algorithm(predicate: SealPredicate) -> None:
    keys = (entry(), entry(LATTICE))
    hybrid = document(*keys, require=require(("seal", "ed25519", 1), ("seal", ML_DSA_44, 1)))
    both = signed_by(predicate, ONE, LATTICE)
    assert judge(hybrid, both, finding(), finding(LATTICE)) is None
    assert judge(hybrid, predicate, finding()) == ("requirement", 1, 0)
    assert ML_DSA_44 in reason_of(hybrid, predicate, finding())
    assert "algorithm" not in reason_of(document(*keys, require=require(("seal", None, 2))), predicate, finding())
    assert judge(hybrid, signed_by(predicate, LATTICE), finding(LATTICE)) == ("requirement", 1, 0)
    unheard_of = document(*keys, require=require(("seal", "ecdsa-p256-sha256", 1)))
    assert judge(unheard_of, both, finding(), finding(LATTICE)) == ("requirement", 1, 0)


def test_countersignatures_are_counted_apart(predicate: SealPredicate) -> None:
    demand = require(("seal", None, 1), ("countersign", None, 1))
    good = (finding(), finding(TWO, "countersign"))
    known = document(entry(), entry(TWO, roles=["countersign"]), require=demand)
    assert judge(known, predicate, *good) is None
    assert judge(known, predicate, finding()) == ("requirement", 1, 0)
    assert judge(known, predicate, finding(), finding(TWO, "countersign", "bad")) == ("requirement", 1, 0)
    own = document(entry(roles=["seal", "countersign"]), require=demand)
    assert judge(own, predicate, finding()) == ("requirement", 1, 0)
    unknown = document(entry(), require=demand)
    assert judge(unknown, predicate, *good) == ("requirement", 1, 0)
    seal_only = document(entry(), entry(TWO, roles=["seal"]), require=demand)
    assert judge(seal_only, predicate, *good) == ("requirement", 1, 0)
    seals_need_signers = document(entry(), entry(TWO), require=require(("seal", None, 2)))
    assert judge(seals_need_signers, predicate, *good) == ("requirement", 2, 1)


@pytest.mark.parametrize(
    "end",
    [
        {"not_before": "0001-01-01T00:00:00.000000Z"},
        {"not_after": "9999-12-31T23:59:59.999999Z"},
        {"revoked": {"at": "9999-12-31T23:59:59.999999Z", "reason": "superseded"}},
    ],
)
def test_a_countersigner_with_a_window_or_an_end_does_not_count(predicate: SealPredicate, end: dict[str, Any]) -> None:
    value = document(
        entry(),
        entry(TWO, roles=["countersign"], **end),
        require=require(("seal", None, 1), ("countersign", None, 1)),
    )
    assert judge(value, predicate, finding(), finding(TWO, "countersign")) == ("requirement", 1, 0)
    assert not decode(value).countersignature_counts(TWO.keyid)
    # where none is required, nothing is wrong with it
    assert judge(document(*value["keys"]), predicate, finding(), finding(TWO, "countersign")) is None


def test_countersigners_that_count() -> None:
    policy = decode(document(entry(roles=["countersign"]), entry(TWO)))
    assert policy.countersignature_counts(ONE.keyid)
    assert not policy.countersignature_counts(TWO.keyid)
    assert not policy.countersignature_counts("0" * 64)


def test_names_of_keys_are_escaped_in_reasons(predicate: SealPredicate) -> None:
    with pytest.raises(TrustError) as caught:
        decode(document(entry(name="\x1b[2J\u202e", roles=[]))).check_seal(predicate, [finding()], now=None)
    assert caught.value.reason.isprintable()
