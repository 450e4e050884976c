"""Vectors that others made, from packages of the registries: named with their version, never copied in.

    poc-evidence-vectors, canonical       from the package, in the test extra
    agent-evidence-vectors, a2a-jcs-v01   from the package, in the test extra
    rfc8785, JCS test assets              from its source distribution, fetched into .third-party/ when it is not there
    cryptography-vectors, Ed25519         from the package, in the test extra

What lies within the profile has to come out as they say; what lies outside (fractions, larger integers) is refused.
"""

from __future__ import annotations

import binascii
import hashlib
import importlib.resources
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import rfc8785

from hearth_records import FormatError, PublicKey, TrustError, profile
from hearth_records.keys import load_public_key

ROOT = Path(__file__).resolve().parent.parent
SDIST = ROOT / ".third-party" / "rfc8785-0.1.4.tar.gz"
POC = importlib.resources.files("poc_evidence_vectors") / "corpus" / "canonical"
A2A = importlib.resources.files("agent_evidence_vectors") / "corpora" / "vectors-a2a-jcs-v01"
ED25519 = importlib.resources.files("cryptography_vectors") / "asymmetric" / "Ed25519"
SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410


class Vector(NamedTuple):
    """A value and its canonical bytes, or their digest."""

    name: str
    value: Any
    expected: bytes | None
    sha256: str | None


def poc_vectors() -> list[Vector]:
    found = []
    for path in sorted(POC.iterdir(), key=lambda item: item.name):
        case = json.loads(path.read_text("utf-8"))
        found.append(Vector(case["id"], json.loads(case["text"]), None, case["canonical_sha256"]))
    return found


def a2a_cases() -> list[dict[str, Any]]:
    folders = (folder for folder in sorted(A2A.iterdir(), key=lambda item: item.name) if folder.is_dir())
    paths = (path for folder in folders for path in sorted(folder.iterdir(), key=lambda item: item.name))
    return [json.loads(path.read_text("utf-8")) for path in paths]


def a2a_vectors() -> list[Vector]:
    return [
        Vector(case["id"], case["input"], bytes.fromhex(case["expected"]["canonical_utf8_hex"]), None)
        for case in a2a_cases()
        if case["disposition"] == "MUST-ACCEPT" and case["clause"].startswith("RFC8785")
    ]


def within_profile(value: object) -> bool:
    try:
        profile.check_value(value)
    except FormatError:
        return False
    return True


def check(vector: Vector) -> None:
    expected = vector.expected if vector.expected is not None else rfc8785.dumps(vector.value)
    if vector.sha256 is not None:
        assert hashlib.sha256(expected).hexdigest() == vector.sha256
    written = json.loads(expected)  # 1.0 is written as 1, which lies within the profile
    if within_profile(written):
        assert profile.encode(written) == expected
        assert profile.decode(expected) == written
    else:
        with pytest.raises(FormatError):
            profile.decode(expected)


@pytest.mark.parametrize("vector", poc_vectors(), ids=lambda vector: vector.name)
def test_poc_evidence(vector: Vector) -> None:
    check(vector)


@pytest.mark.parametrize("vector", a2a_vectors(), ids=lambda vector: vector.name)
def test_a2a_jcs(vector: Vector) -> None:
    check(vector)


@pytest.mark.parametrize(
    "case",
    [case for case in a2a_cases() if case["disposition"] == "MUST-REJECT" and case["clause"].startswith("RFC8785")],
    ids=lambda case: str(case["id"]),
)
def test_a2a_jcs_rejects(case: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        profile.decode(case["input_raw"].encode("utf-8", "surrogatepass"))


def test_the_packages_hold_what_the_tests_expect() -> None:
    inside = [vector.name for vector in (*poc_vectors(), *a2a_vectors()) if within_profile(vector.value)]
    assert len(poc_vectors()) == 9
    assert len(a2a_vectors()) >= 40
    assert len(inside) >= 35


def test_rfc8785_assets() -> None:
    if not SDIST.is_file():
        command = ["pip", "download", "-q", "--no-deps", "--no-binary", "rfc8785", "rfc8785==0.1.4"]
        subprocess.run([sys.executable, "-m", *command, "-d", SDIST.parent], check=True)
    contents: dict[str, bytes] = {}
    with tarfile.open(SDIST) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member) if "/assets/" in member.name else None
            if stream is not None:
                contents[member.name] = stream.read()
    names = sorted(name.rpartition("/")[2] for name in contents if "/input/" in name)
    assert names == ["arrays.json", "french.json", "structures.json", "unicode.json", "values.json", "weird.json"]
    base = "rfc8785-0.1.4/test/assets"
    for name in names:
        value = json.loads(contents[f"{base}/input/{name}"])
        check(Vector(name, value, contents[f"{base}/output/{name}"].rstrip(b"\n"), None))


def test_ed25519_signatures_of_the_reference_implementation() -> None:
    lines = (ED25519 / "sign.input").read_text("ascii").splitlines()
    assert len(lines) == 1024
    for line in lines:
        _secret, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        key, signature = PublicKey(SPKI + public), signed[:64]
        assert key.verify(signature, message)
        assert not key.verify(signature, message + b"x")
        assert not key.verify(signature[:32] + bytes([signature[32] ^ 1]) + signature[33:], message)


def test_an_ed25519_key_with_bits_behind_its_end_is_refused() -> None:
    der = (ED25519 / "ed25519-pub-non-zero-unused-bits.der").read_bytes()
    assert len(der) > len(SPKI)
    with pytest.raises(TrustError):
        PublicKey(der)
    pem = b"".join([b"-----BEGIN PUBLIC KEY-----\n", binascii.b2a_base64(der), b"-----END PUBLIC KEY-----\n"])
    with pytest.raises(TrustError):
        load_public_key(pem)
