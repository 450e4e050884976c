"""RFC 3161 responses: what is good evidence, and what is not (FORMAT §6). The independent verifiers have to agree."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from authority import (
    NULL,
    UNKNOWN,
    Authority,
    Holder,
    certify,
    directory_name,
    forge,
    info_extension,
    integer,
    make_root,
    make_signer,
    oid,
    reissue,
    tlv,
    tsa,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID
from helpers import needs_program
from verifiers import TOOLS, VECTORS, tool

from hearth_records.errors import TrustError
from hearth_records.timestamp import make_request, read_authority, verify_response

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIGNATURE = bytes(range(64))
TIME = "2026-11-22T16:05:00.000000Z"
THEN = dt.datetime(2026, 11, 22, 16, 5, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
ROOT = make_root()
SIGNER = make_signer(ROOT)
GOOD = forge(SIGNATURE, SIGNER)
TIME_STAMPING, SERVER_AUTH = ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH


class Case(NamedTuple):
    """A response, the authorities that are trusted, and what comes of it: a time, or a code."""

    what: str
    response: bytes
    authorities: Sequence[Holder]
    expected: str


def good(what: str, response: bytes, *authorities: Holder, time: str = TIME) -> Case:
    return Case(what, response, authorities or (ROOT,), time)


def bad(what: str, response: bytes, *authorities: Holder, code: str = "malformed") -> Case:
    return Case(what, response, authorities or (ROOT,), f"timestamp-{code}")


def untrusted(what: str, response: bytes, *authorities: Holder) -> Case:
    return bad(what, response, *authorities, code="authority")


def by(issuer: Holder = ROOT, **more: Any) -> bytes:
    """Return a response by a signer with another certificate."""
    return forge(SIGNATURE, make_signer(issuer, **more))


def stating(rest: bytes = b"", **more: Any) -> bytes:
    """Return a response whose TSTInfo ends so."""
    return forge(SIGNATURE, SIGNER, rest=rest, **more)


def through(*extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    """Return a response over a link with such extensions."""
    link = certify("Link", ROOT, ca=True, key_usage=("key_cert_sign",), extensions=extensions)
    return forge(SIGNATURE, make_signer(link), link)


def edited(old: bytes, new: bytes, *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    """Return a response by a signer whose certificate was changed and signed again."""
    return forge(SIGNATURE, reissue(make_signer(ROOT, extensions=extensions), ROOT, old, new))


def accuracy(*parts: bytes) -> bytes:
    """Return a response with this accuracy."""
    return stating(accuracy=tlv(0x30, *parts))


def unknown(value: bytes = NULL, kind: str = UNKNOWN) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(kind), value)


DATA = "1.2.840.113549.1.7.1"
LINK = certify("Link", ROOT, ca=True, key_usage=("key_cert_sign",))
BEYOND = make_signer(LINK)
SELF = certify("Self", usage=[TIME_STAMPING])
NAMESAKE = make_root()
OLD = make_root(not_after=THEN - SECOND)
SHORT = make_root(path_length=0)
RSA = rsa.generate_private_key(65537, 2048)
NO_CA = certify("No CA", ROOT)
TOO_MUCH = certify("Link", SHORT, ca=True, key_usage=("key_cert_sign",))
SAME_NAME = certify("Test authority", ROOT, serial=SIGNER.certificate.serial_number)
NAMED = make_signer(
    ROOT,
    extensions=[
        (x509.SubjectAlternativeName([x509.DNSName("tsa.test"), x509.DirectoryName(LINK.certificate.subject)]), False)
    ],
)
NAMES = x509.NameConstraints([x509.DNSName("tsa.test")], None)
CONSTRAINED = make_root(extensions=[(NAMES, True)])
ODD = make_root(extensions=[(x509.InhibitAnyPolicy(0), True)])
ADDRESSES = "1.3.6.1.5.5.7.1.7"
LISTS = x509.CRLDistributionPoints(
    [x509.DistributionPoint([x509.UniformResourceIdentifier("http://tsa.test/")], None, None, None)]
)
POLICIES = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(UNKNOWN), None)])

CASES = [
    good("plain", GOOD),
    good("root-included", forge(SIGNATURE, SIGNER, ROOT)),
    good("sha384", forge(SIGNATURE, SIGNER, imprint="sha384")),
    good("sha512", forge(SIGNATURE, SIGNER, imprint="sha512")),
    good("ess-of-version-1", forge(SIGNATURE, SIGNER, ess=1)),
    good("fraction", forge(SIGNATURE, SIGNER, time="20261122160500.0001Z"), time="2026-11-22T16:05:00.000100Z"),
    good("fraction-is-cut", forge(SIGNATURE, SIGNER, time="20261122160500.1234569Z"), time=TIME[:20] + "123456Z"),
    good("accuracy-is-not-added", forge(SIGNATURE, SIGNER, accuracy=tlv(0x30, integer(86400)))),
    good("nonce", forge(SIGNATURE, SIGNER, rest=integer(2**63))),
    good("rsa", by(key=RSA)),
    good("p-384", by(key=ec.generate_private_key(ec.SECP384R1()))),
    good("no-basic-constraints", by(ca=None)),
    good("no-key-usage", by(key_usage=())),
    good("content-commitment", by(key_usage=("content_commitment",))),
    good("valid-from-then", by(not_before=THEN)),
    good("valid-until-later", by(not_after=THEN + SECOND)),
    good("link-included", forge(SIGNATURE, BEYOND, LINK)),
    good("link-trusted", forge(SIGNATURE, BEYOND), LINK, ROOT),
    good("two-of-one-name", GOOD, NAMESAKE, ROOT),
    good("self-signed", forge(SIGNATURE, SELF), SELF),
    good("nine-digits", stating(time="20261122160500.000000001Z")),
    good("nonce-of-1000-bits", stating(integer(2**1000))),
    good("nonce-0", stating(integer(0))),
    good("serial-negative", stating(serial=integer(-5))),
    good("ordered", stating(tlv(0x01, b"\xff") + integer(5))),
    good("millis-999-micros-1", accuracy(tlv(0x80, b"\x03\xe7"), tlv(0x81, b"\x01"))),
    good("seconds-0", accuracy(integer(0))),
    good("maker-is-subject", stating(tsa(directory_name(SIGNER)))),
    good("maker-is-subject-beside-others", forge(SIGNATURE, NAMED, rest=tsa(directory_name(NAMED)))),
    good("maker-is-alternative-name", forge(SIGNATURE, NAMED, rest=tsa(tlv(0x82, b"tsa.test")))),
    good("maker-is-alternative-directory-name", forge(SIGNATURE, NAMED, rest=tsa(directory_name(LINK)))),
    good("extension", stating(info_extension())),
    good("everything", stating(tlv(0x01, b"\xff") + integer(5) + tsa(directory_name(SIGNER)) + info_extension())),
    good("link-with-policies", through((POLICIES, True), (LISTS, False))),
    good("link-with-the-unknown", through((unknown(), False))),
    good("link-with-the-unreadable", through((unknown(b"\xff\xff"), False))),
    good("p-521", by(key=ec.generate_private_key(ec.SECP521R1()))),
    bad("maker-is-another", stating(tsa(directory_name(ROOT)))),
    bad("maker-is-another-host", stating(tsa(tlv(0x82, b"tsa.test")))),
    bad("maker-is-another-than-all", forge(SIGNATURE, NAMED, rest=tsa(tlv(0x82, b"tsb.test")))),
    bad("maker-spelled-otherwise", forge(SIGNATURE, SIGNER, rest=tsa(directory_name(certify("test AUTHORITY"))))),
    bad("maker-not-wrapped", stating(directory_name(SIGNER))),
    bad("maker-empty", stating(tsa(b""))),
    bad("two-makers", stating(tsa(directory_name(SIGNER) * 2))),
    bad("critical-extension", stating(info_extension(tlv(0x01, b"\xff")))),
    bad("extension-explicit-default", stating(info_extension(tlv(0x01, b"\0")))),
    bad("extension-with-junk", stating(info_extension(NULL))),
    bad("junk-at-the-end", stating(NULL)),
    bad("junk-after-nonce", stating(integer(5) + NULL)),
    bad("unknown-member", stating(tlv(0xA2))),
    bad("out-of-order", stating(integer(5) + tlv(0x01, b"\xff"))),
    bad("ordering-1", stating(tlv(0x01, b"\1"))),
    bad("ordering-explicit-default", stating(tlv(0x01, b"\0"))),
    bad("ordering-long", stating(tlv(0x01, b"\xff\xff"))),
    bad("ordering-empty", stating(tlv(0x01))),
    bad("nonce-negative", stating(integer(-5))),
    bad("nonce-padded", stating(tlv(0x02, b"\0\5"))),
    bad("nonce-empty", stating(tlv(0x02))),
    bad("ten-digits", stating(time="20261122160500.0000000001Z")),
    bad("twenty-digits", stating(time="20261122160500." + "1" * 20 + "Z")),
    bad("point-without-digits", stating(time="20261122160500.Z")),
    bad("millis-0", accuracy(tlv(0x80, b"\0"))),
    bad("millis-1000", accuracy(tlv(0x80, b"\x03\xe8"))),
    bad("millis-negative", accuracy(tlv(0x80, b"\xff"))),
    bad("micros-1000", accuracy(tlv(0x81, b"\x03\xe8"))),
    bad("seconds-negative", accuracy(integer(-1))),
    bad("seconds-padded", accuracy(tlv(0x02, b"\0\1"))),
    bad("accuracy-out-of-order", accuracy(tlv(0x80, b"\1"), integer(1))),
    bad("accuracy-with-junk", accuracy(NULL)),
    bad("serial-padded", stating(serial=tlv(0x02, b"\0\5"))),
    bad("serial-is-no-number", stating(serial=tlv(0x04, b"\5"))),
    bad("policy-is-null", stating(policy=NULL)),
    bad("policy-cut", stating(policy=tlv(0x06, b"\x2a\x81"))),
    bad("policy-padded", stating(policy=tlv(0x06, b"\x80\1"))),
    bad("policy-too-long", stating(policy=oid("1.2" + 63 * ".3"))),
    bad("imprint-with-junk", stating(imprint_end=NULL)),
    bad("imprint-with-parameters", stating(parameters=integer(1))),
    bad("imprint-hash-with-junk", stating(parameters=NULL + NULL)),
    bad("link-with-constraints", through((NAMES, True))),
    bad("link-with-constraints-not-critical", through((NAMES, False))),
    bad(
        "link-that-excludes-the-signer",
        through((x509.NameConstraints(None, [x509.DirectoryName(SIGNER.certificate.subject)]), False)),
    ),
    bad("link-with-addresses", through((unknown(tlv(0x30, tlv(0x30, tlv(0x04, b"\0\1"), NULL)), ADDRESSES), False))),
    bad("link-with-critical-lists", through((LISTS, True))),
    bad("link-with-the-unknown-critical", through((unknown(), True))),
    bad("signer-with-constraints", by(extensions=[(NAMES, True)])),
    bad("signer-with-the-unknown-critical", by(extensions=[(unknown(), True)])),
    bad(
        "signer-with-explicit-default",
        edited(b"\x03\x2a\x03\x04\x01\x01\xff", b"\x03\x2a\x03\x04\x01\x01\x00", (unknown(), True)),
    ),
    bad(
        "signer-with-one-twice",
        edited(b"\x2a\x03\x05", b"\x2a\x03\x04", (unknown(), False), (unknown(kind="1.2.3.5"), False)),
    ),
    bad("rsa-1024", by(key=rsa.generate_private_key(65537, 1024))),
    bad("rsa-2047", by(key=rsa.generate_private_key(65537, 2047))),
    bad("p-224", by(key=ec.generate_private_key(ec.SECP224R1()))),
    bad("secp256k1", by(key=ec.generate_private_key(ec.SECP256K1()))),
    bad("brainpool-256", by(key=ec.generate_private_key(ec.BrainpoolP256R1()))),
    bad("empty", b""),
    bad("not-der", b"0" * 50),
    bad("indefinite-length", b"0\x80" + GOOD[4:] + b"\0\0"),
    bad("bytes-behind", GOOD + b"\0"),
    bad("cut", GOOD[:-1]),
    bad("granted-with-changes", forge(SIGNATURE, SIGNER, status=1), code="status"),
    bad("rejected", tlv(0x30, tlv(0x30, integer(2))), code="status"),
    bad("status-unheard-of", tlv(0x30, tlv(0x30, integer(77))), code="status"),
    bad("no-token", tlv(0x30, tlv(0x30, integer(0)))),
    bad("sha1", forge(SIGNATURE, SIGNER, imprint="sha1")),
    bad("other-data", forge(b"other", SIGNER), code="imprint"),
    bad("version-2", forge(SIGNATURE, SIGNER, version=2)),
    bad("no-binding", forge(SIGNATURE, SIGNER, ess=None)),
    bad("bound-to-another", forge(SIGNATURE, SIGNER, bound=ROOT.der)),
    bad("no-signed-attributes", forge(SIGNATURE, SIGNER, signed=False)),
    bad("content-is-data", forge(SIGNATURE, SIGNER, content_type=DATA, signed_type=DATA)),
    bad("signed-as-data", forge(SIGNATURE, SIGNER, signed_type=DATA)),
    bad("no-certificate", forge(SIGNATURE, SIGNER, with_signer=False)),
    bad("certificate-twice", forge(SIGNATURE, SIGNER, SIGNER)),
    bad("two-of-one-serial", forge(SIGNATURE, SIGNER, SAME_NAME)),
    bad("info-of-another-shape", forge(SIGNATURE, SIGNER, info=tlv(0x30, integer(1)))),
    bad("no-signer", forge(SIGNATURE, SIGNER, signers=0)),
    bad("signer-version-is-null", forge(SIGNATURE, SIGNER, signer_version=NULL)),
    bad("two-signers", forge(SIGNATURE, SIGNER, signers=2)),
    bad("fraction-ends-in-zero", forge(SIGNATURE, SIGNER, time="20261122160500.10Z")),
    bad("no-seconds", forge(SIGNATURE, SIGNER, time="202611221605Z")),
    bad("offset", forge(SIGNATURE, SIGNER, time="20261122160500+0100")),
    bad("no-day", forge(SIGNATURE, SIGNER, time="20261131160500Z")),
    bad("leap-second", forge(SIGNATURE, SIGNER, time="20261122160560Z")),
    untrusted("wrong-digest", forge(SIGNATURE, SIGNER, digest=bytes(32))),
    untrusted("wrong-signature", forge(SIGNATURE, SIGNER, edit=lambda data: data[:-1] + bytes([data[-1] ^ 1]))),
    untrusted("root-with-constraints", by(CONSTRAINED), CONSTRAINED),
    untrusted("root-with-the-critical", by(ODD), ODD),
    untrusted("nobody", GOOD, make_root("Another")),
    untrusted("namesake", GOOD, NAMESAKE),
    untrusted("signer-trusted", GOOD, SIGNER),
    untrusted("link-missing", forge(SIGNATURE, BEYOND)),
    untrusted("link-alone", forge(SIGNATURE, BEYOND), LINK),
    untrusted("no-usage", by(usage=None)),
    untrusted("usage-not-critical", by(critical=False)),
    untrusted("other-usage", by(usage=[SERVER_AUTH])),
    untrusted("usage-beside", by(usage=[TIME_STAMPING, SERVER_AUTH])),
    untrusted("unknown-usage-beside", by(usage=[TIME_STAMPING, x509.ObjectIdentifier("1.2.3.4")])),
    untrusted("signer-is-ca", by(ca=True)),
    untrusted("key-for-encryption", by(key_usage=("digital_signature", "key_encipherment"))),
    untrusted("key-not-for-signatures", by(key_usage=("crl_sign",))),
    untrusted("expired", by(not_after=THEN)),
    untrusted("not-valid-yet", by(not_before=THEN + SECOND)),
    untrusted("root-expired", by(OLD), OLD),
    untrusted("link-is-no-ca", forge(SIGNATURE, make_signer(NO_CA), NO_CA)),
    untrusted("path-too-long", forge(SIGNATURE, make_signer(TOO_MUCH), TOO_MUCH), SHORT),
]


def judge(response: bytes, authorities: Sequence[str] | None, signature: bytes = SIGNATURE) -> str:
    try:
        return verify_response(response, signature, authorities).time
    except TrustError as error:
        return error.code


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_what_is_good_and_what_is_not(case: Case) -> None:
    assert judge(case.response, [holder.pem for holder in case.authorities]) == case.expected


def test_good_evidence_names_its_authority() -> None:
    pems = [NAMESAKE.pem, ROOT.pem]
    assert verify_response(GOOD, SIGNATURE, pems) == (TIME, hashlib.sha256(ROOT.der).hexdigest())
    assert read_authority(ROOT.pem).digest == hashlib.sha256(ROOT.der).hexdigest()


def test_no_authority_vouches_for_nothing() -> None:
    assert judge(GOOD, []) == "timestamp-authority"
    assert judge(GOOD, ["", "authority", ROOT.pem * 2, "x" + ROOT.pem, ROOT.pem.replace("M", "!")]) == (
        "timestamp-authority"
    )
    assert judge(GOOD, ["", ROOT.pem]) == TIME


def test_without_authorities_the_token_alone_is_judged() -> None:
    assert verify_response(GOOD, SIGNATURE, None) == (TIME, None)
    assert judge(by(key=RSA), None) == TIME
    by_name = {case.what: case.response for case in CASES}
    for what, code in (
        ("wrong-digest", "signature"),
        ("wrong-signature", "signature"),
        ("other-data", "imprint"),
        ("rejected", "status"),
        ("no-certificate", "malformed"),
        ("unknown-usage-beside", "authority"),
    ):
        assert judge(by_name[what], None) == f"timestamp-{code}"
    ed25519 = Ed25519PrivateKey.generate()
    signer = Holder(make_signer(ROOT, key=ed25519).certificate, SIGNER.key)
    assert judge(forge(SIGNATURE, signer), None) == "timestamp-malformed"


def test_a_request_is_over_these_bytes(tmp_path: Path) -> None:
    request, nonce = make_request(SIGNATURE)
    (tmp_path / "req.tsq").write_bytes(request)
    command = [needs_program("openssl"), "ts", "-query", "-in", "req.tsq", "-text"]
    text = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "Hash Algorithm: sha256" in text
    assert "Certificate required: yes" in text
    assert f"Nonce: 0x{nonce:016X}" in text
    assert hashlib.sha256(SIGNATURE).digest() in request
    assert make_request(SIGNATURE)[1] != nonce


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    needs_program("openssl")
    return Authority(tmp_path_factory.mktemp("authority"))


def test_a_real_authority(authority: Authority) -> None:
    request, nonce = make_request(SIGNATURE)
    response = authority.respond(request)
    pems = [authority.root.pem]
    before = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    found = verify_response(response, SIGNATURE, pems, nonce=nonce)
    assert before < found.time
    assert found.authority == hashlib.sha256(authority.root.der).hexdigest()
    with pytest.raises(TrustError) as caught:
        verify_response(response, SIGNATURE, pems, nonce=nonce + 1)
    assert caught.value.code == "timestamp-nonce"
    with pytest.raises(TrustError) as caught:
        verify_response(authority.stamp(SIGNATURE), SIGNATURE, pems, nonce=nonce)
    assert caught.value.code == "timestamp-nonce"
    assert judge(response, pems, SIGNATURE[1:]) == "timestamp-imprint"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_was_changed_only_a_trust_error_comes_out(seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(seed)
    base = forge(SIGNATURE, SIGNER, accuracy=tlv(0x30, integer(1)), rest=integer(5))
    for _ in range(250):
        data = bytearray(base)
        for _ in range(chance.randint(1, 3)):
            place, size = chance.randrange(len(data)), chance.randrange(3)
            data[place : place + size] = chance.randbytes(chance.randrange(3))
        for authorities in ([ROOT.pem], None):
            found = judge(bytes(data), authorities)
            assert found == TIME or found.startswith("timestamp-")
    assert capfd.readouterr() == ("", "")


# --- the independent verifiers ---------------------------------------------------------------------------------------


def test_the_second_verifier_agrees() -> None:
    needs_program("openssl")
    for case in CASES:
        piece = {"type": "rfc3161", "data": base64.b64encode(case.response).decode()}
        found = tool.examine(piece, SIGNATURE, [holder.pem for holder in case.authorities])
        assert (found["time"] or "bad", case.what) == ("bad" if case.expected[0] == "t" else case.expected, case.what)


def test_the_third_verifier_agrees(tmp_path: Path) -> None:
    node = needs_program("node")
    source = (TOOLS / "verify_record.mjs").read_text("utf-8")
    call = """
const cases = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const judged = ([data, pems]) => judgeEvidence(
  new Map([["type", "rfc3161"], ["data", data]]), Buffer.from(process.argv[3], "hex"), authoritiesOf(pems));
console.log(JSON.stringify(cases.map(judged)));
"""
    head, main, _ = source.rpartition("process.exitCode = main();")
    assert main
    (tmp_path / "judge.mjs").write_text(head + call)
    cases = [case for case in CASES if case.response]
    pems = [[holder.pem for holder in case.authorities] for case in cases]
    data = [base64.b64encode(case.response).decode() for case in cases]
    (tmp_path / "cases.json").write_text(json.dumps(list(zip(data, pems, strict=True))))
    command = [node, "judge.mjs", "cases.json", SIGNATURE.hex()]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for case, found in zip(cases, json.loads(done.stdout), strict=True):
        assert (found["time"] or "bad", case.what) == ("bad" if case.expected[0] == "t" else case.expected, case.what)


def test_without_openssl_the_second_verifier_says_that_it_cannot_tell(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOLS / "verify_record.py"), "--format", "json"]
    command += ["--trust", str(VECTORS / "policies" / "timestamp-required.json")]
    environment = {"PATH": str(tmp_path)}
    done = subprocess.run(
        [*command, str(VECTORS / "valid" / "timestamp.json")], env=environment, check=False, capture_output=True
    )
    (result,) = json.loads(done.stdout)["results"]
    assert (done.returncode, result["exit_code"]) == (4, 4)
    assert result["checks"][-1]["status"] == "not_run"
    assert [item["status"] for item in result["signers"][0]["evidence"]] == ["not_run"]
    assert shutil.which("openssl", path=os.fspath(tmp_path)) is None
