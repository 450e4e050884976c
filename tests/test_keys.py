from __future__ import annotations

import base64
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from helpers import DATA, EXAMPLE_KEYS, needs_program, private_key, signer
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth_records.errors import SealError, TrustError
from hearth_records.keys import (
    ALGORITHMS,
    ED25519,
    EXAMPLE_KEYIDS,
    ML_DSA_44,
    LocalSigner,
    PublicKey,
    check_ed25519_point,
    generate_private_key,
    keyid_of,
    load_private_key,
    load_public_key,
    private_key_to_pem,
    public_key,
    public_key_to_pem,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hearth_records.keys import Signer

PREFIX = bytes.fromhex("302a300506032b6570032100")
ORDER = 2**252 + 27742317777372353535851937790883648493
SPKI_FORMAT = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
PEM_FORMAT = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
EXAMPLE_PEM = (DATA / "exec-example-001.public.pem").read_bytes()


def refused(spki: bytes) -> str:
    with pytest.raises(TrustError) as caught:
        PublicKey(spki)
    return caught.value.code


# --- public keys -----------------------------------------------------------------------------------------------------


def test_a_key_id_is_the_hash_of_the_der() -> None:
    key = load_public_key(EXAMPLE_PEM)
    assert key.keyid == keyid_of(key.spki) == "bdc88605825a1b5f5b787596b3e246049a7571369effe21ea25d5f5cfcc1760f"
    assert key.algorithm == ED25519 == "ed25519"
    assert key.spki[: len(PREFIX)] == PREFIX
    assert (ALGORITHMS, ML_DSA_44) == (("ed25519", "ml-dsa-44"), "ml-dsa-44")


def test_the_same_bytes_are_the_same_key() -> None:
    spki = signer().public_key
    assert public_key(spki) is public_key(bytes(bytearray(spki)))
    for _ in range(2):
        with pytest.raises(TrustError):
            public_key(b"x")


def test_signatures_by_ed25519() -> None:
    one = signer()
    key = public_key(one.public_key)
    signature = one.sign(b"message")
    assert (one.algorithm, len(signature), one.keyid) == (ED25519, 64, key.keyid)
    assert key.verify(signature, b"message")
    assert not key.verify(signature, b"Message")
    for damaged in (b"", signature[:-1], signature + b"\0", bytes(64), signature[:-1] + bytes([signature[-1] ^ 1])):
        assert not key.verify(damaged, b"message")


def test_a_signature_has_one_form() -> None:
    signature = signer().sign(b"message")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert scalar < 2**256
    assert not public_key(signer().public_key).verify(signature[:32] + scalar.to_bytes(32, "little"), b"message")


def test_signatures_by_ml_dsa_44() -> None:
    one = LocalSigner(generate_private_key(ML_DSA_44))
    key = PublicKey(one.public_key)
    signature = one.sign(b"message")
    assert (one.algorithm, key.algorithm, len(one.public_key), len(signature)) == (ML_DSA_44, ML_DSA_44, 1334, 2420)
    assert one.public_key.startswith(bytes.fromhex("30820532300b0609608648016503040311"))
    assert key.verify(signature, b"message")
    assert not key.verify(signature, b"Message")
    assert not key.verify(signature[:-1], b"message")
    assert not key.verify(bytes(2420), b"message")
    assert load_public_key(public_key_to_pem(one.public_key)).keyid == one.keyid


def test_what_is_no_signature_at_all_is_a_fault_of_the_program() -> None:
    bad: Any = None
    with pytest.raises(TypeError):
        public_key(signer().public_key).verify(bad, b"message")


@pytest.mark.parametrize(
    "spki",
    [
        b"",
        PREFIX,
        PREFIX + bytes(31),
        PREFIX + bytes(33),
        signer().public_key + b"\0",
        signer().public_key[12:],
        b"\0" + signer().public_key,
        # X25519, whose DER differs in one byte
        x25519.X25519PrivateKey.generate().public_key().public_bytes(*SPKI_FORMAT),
        ed448.Ed448PrivateKey.generate().public_key().public_bytes(*SPKI_FORMAT),
        ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*SPKI_FORMAT),
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(*SPKI_FORMAT),
        # the same key with NULL parameters, and with a length in the long form: other encodings of the same value
        bytes.fromhex("302c300706032b65700500032100") + signer().public_key[12:],
        bytes.fromhex("30812a300506032b6570032100") + signer().public_key[12:],
        bytes.fromhex("30820532300b06096086480165030403110382052100") + bytes(1311),
        bytes.fromhex("30820532300b06096086480165030403120382052100") + bytes(1312),
    ],
    ids=range(15),
)
def test_other_keys_and_other_encodings_are_refused(spki: bytes) -> None:
    assert refused(spki) == "key-unsupported"


SMALL_ORDER = [
    # the eight points of small order
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    # 1 and -1 with the sign of an x that is zero
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
NOT_CANONICAL = [
    # y = p, p + 1, 2^255 - 1, with either sign, and p + 3, which is on the curve as 3
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("raw", SMALL_ORDER)
def test_points_of_small_order_are_refused(raw: str) -> None:
    assert refused(PREFIX + bytes.fromhex(raw)) == "key-small-order"


def test_such_a_key_would_let_one_signature_verify_any_message() -> None:
    # what the refusal is for: `cryptography` itself takes the neutral element as a key
    neutral = bytes.fromhex(SMALL_ORDER[0])
    key = Ed25519PublicKey.from_public_bytes(neutral)
    for message in (b"one", b"another"):
        key.verify(neutral + bytes(32), message)


@pytest.mark.parametrize("raw", NOT_CANONICAL)
def test_encodings_that_are_not_canonical_are_refused(raw: str) -> None:
    assert refused(PREFIX + bytes.fromhex(raw)) == "key-not-canonical"


@pytest.mark.parametrize("y", [2, 7, 2**255 - 19 - 2])
def test_what_is_not_on_the_curve_is_refused(y: int) -> None:
    for sign in (0, 2**255):
        assert refused(PREFIX + (y + sign).to_bytes(32, "little")) == "key-off-curve"


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


@given(st.integers(0, 2**256 - 1) | st.integers(0, 1000))
@settings(max_examples=60)
def test_every_other_point_is_taken_if_its_x_exists(encoded: int) -> None:
    y = encoded % 2**255
    x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(x_squared, (P + 3) // 8, P)
    exists = any(pow(candidate, 2, P) == x_squared for candidate in (root, root * pow(2, (P - 1) // 4, P) % P))
    raw = encoded.to_bytes(32, "little")
    try:
        check_ed25519_point(raw)
    except TrustError as error:
        assert error.code != "key-off-curve" or not exists  # noqa: PT017 - it need not be raised
    else:
        assert exists


@pytest.mark.parametrize("number", range(20))
def test_real_keys_are_taken(number: int) -> None:
    raw = private_key(bytes([number]) * 32).public_key().public_bytes_raw()
    assert PublicKey(PREFIX + raw).spki == PREFIX + raw


# --- public keys in PEM ----------------------------------------------------------------------------------------------

BODY = EXAMPLE_PEM.splitlines()[1]


@pytest.mark.parametrize(
    "data",
    [
        EXAMPLE_PEM,
        EXAMPLE_PEM.strip(),
        b"\n\n  " + EXAMPLE_PEM + b"\t\n",
        EXAMPLE_PEM.replace(b"\n", b"\r\n"),
        EXAMPLE_PEM.replace(BODY, BODY[:20] + b"\n" + BODY[20:]),
    ],
)
def test_one_block_with_white_space_around_it_is_taken(data: bytes) -> None:
    assert public_key_to_pem(load_public_key(data).spki) == EXAMPLE_PEM


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        signer().public_key,
        BODY,
        EXAMPLE_PEM * 2,
        b"Public key of plant 7:\n" + EXAMPLE_PEM,
        EXAMPLE_PEM + b"Public key of plant 7\n",
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\n" + BODY,
        EXAMPLE_PEM.replace(b"PUBLIC KEY", b"CERTIFICATE"),
        EXAMPLE_PEM.replace(b"PUBLIC KEY", b"PRIVATE KEY"),
        EXAMPLE_PEM.replace(b"END PUBLIC KEY", b"END CERTIFICATE"),
        EXAMPLE_PEM.replace(BODY, b"Comment: x\n\n" + BODY),
        EXAMPLE_PEM.replace(BODY, BODY[:20] + b" " + BODY[20:]),
        EXAMPLE_PEM.replace(BODY, BODY[:-1]),
        EXAMPLE_PEM.replace(BODY, BODY + b"="),
        EXAMPLE_PEM.replace(BODY, BODY.replace(b"/", b"_")),
        private_key_to_pem(private_key()),
    ],
    ids=range(18),
)
def test_what_is_no_public_key_in_pem_is_refused(data: bytes) -> None:
    with pytest.raises(TrustError) as caught:
        load_public_key(data)
    assert caught.value.code == "key-not-pem"


@pytest.mark.parametrize(
    "other",
    [
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
    ],
    ids=["rsa", "ecdsa", "x25519"],
)
def test_other_kinds_of_key_in_pem_are_refused(other: Any) -> None:
    with pytest.raises(TrustError) as caught:
        load_public_key(other.public_bytes(*PEM_FORMAT))
    assert caught.value.code == "key-unsupported"


@pytest.mark.parametrize("one", [signer(), LocalSigner(generate_private_key(ML_DSA_44))], ids=ALGORITHMS)
def test_our_pem_is_everybodys(one: LocalSigner) -> None:
    pem = public_key_to_pem(one.public_key)
    loaded: Any = serialization.load_pem_public_key(pem)
    assert loaded.public_bytes(*PEM_FORMAT) == pem
    assert loaded.public_bytes(*SPKI_FORMAT) == one.public_key


def test_a_weak_key_in_pem_is_refused() -> None:
    with pytest.raises(TrustError) as caught:
        load_public_key(public_key_to_pem(PREFIX + bytes(32)))
    assert caught.value.code == "key-small-order"


# --- public keys in OpenSSH's form -----------------------------------------------------------------------------------

SSH_FORMAT = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
SSH = private_key().public_key().public_bytes(*SSH_FORMAT)
SSH_BLOB = base64.b64decode(SSH.split()[1])


def ssh(blob: bytes) -> bytes:
    return b"ssh-ed25519 " + base64.b64encode(blob)


@pytest.mark.parametrize(
    "data", [SSH, SSH + b"\n", b"\n " + SSH + b" me@host two words\r\n", SSH + b" \xff\xfe", SSH + b" " + SSH]
)
def test_an_openssh_line_is_read(data: bytes) -> None:
    assert load_public_key(data).spki == signer().public_key


def test_a_key_of_ssh_keygen_is_read(tmp_path: Path) -> None:
    program = needs_program("ssh-keygen")
    path = tmp_path / "id"
    subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-C", "plant 7", "-f", path], check=True)
    pem = subprocess.run([program, "-e", "-m", "PKCS8", "-f", path], check=False, capture_output=True).stdout
    key = load_public_key((tmp_path / "id.pub").read_bytes())
    assert key.algorithm == ED25519
    if pem:  # not every version writes Ed25519 in that form
        assert load_public_key(pem).spki == key.spki


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"ssh-ed25519", "key-not-openssh"),
        (b"ssh-ed25519 ", "key-not-openssh"),
        (b"ssh-ed25519  " + SSH.split()[1], "key-not-openssh"),
        (b"ssh-ed25519\t" + SSH.split()[1], "key-unsupported"),
        (SSH[:-1], "key-not-openssh"),
        (SSH + b"=", "key-not-openssh"),
        (SSH + b"\tcomment", "key-not-openssh"),
        (ssh(SSH_BLOB[:-1]), "key-not-openssh"),
        (ssh(SSH_BLOB + b"\0"), "key-not-openssh"),
        (ssh(SSH_BLOB[:-33] + b"\x21" + SSH_BLOB[-32:] + b"\0"), "key-not-openssh"),
        (ssh(SSH_BLOB.replace(b"ed25519", b"ed25518")), "key-not-openssh"),
        (ssh(SSH_BLOB[:-32] + bytes(32)), "key-small-order"),
        (ssh(SSH_BLOB[:-32] + b"\xff" * 32), "key-not-canonical"),
        (ssh(SSH_BLOB[:-32] + (2).to_bytes(32, "little")), "key-off-curve"),
        (b"ssh-rsa AAAA", "key-unsupported"),
        (b"ecdsa-sha2-nistp256 AAAA", "key-unsupported"),
        (b"sk-ssh-ed25519@openssh.com AAAA", "key-unsupported"),
        (SSH + b"\n" + SSH, "key-not-pem"),
        (b"# comment\n" + SSH, "key-not-pem"),
        (b"no-pty " + SSH, "key-not-pem"),
        (SSH.upper(), "key-not-pem"),
    ],
)
def test_an_openssh_line_has_one_form(data: bytes, code: str) -> None:
    with pytest.raises(TrustError) as caught:
        load_public_key(data)
    assert caught.value.code == code


# --- private keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_private_keys_go_to_pem_and_back(algorithm: str) -> None:
    key = generate_private_key(algorithm)
    one = LocalSigner(key)
    pem = private_key_to_pem(key)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert LocalSigner(load_private_key(pem)).public_key == one.public_key
    assert LocalSigner(load_private_key(pem, b"not needed")).public_key == one.public_key
    encrypted = private_key_to_pem(key, b"open sesame")
    assert encrypted.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert LocalSigner(load_private_key(encrypted, b"open sesame")).public_key == one.public_key
    for passphrase, code in ((None, "passphrase-needed"), (b"wrong", "passphrase-wrong"), (b"", "passphrase-wrong")):
        with pytest.raises(SealError) as caught:
            load_private_key(encrypted, passphrase)
        assert caught.value.code == code


def test_new_keys_differ() -> None:
    assert LocalSigner(generate_private_key()).keyid != LocalSigner(generate_private_key()).keyid


@pytest.mark.parametrize("data", [b"", b"x", b"\xff", EXAMPLE_PEM, private_key_to_pem(private_key())[:-40]])
def test_what_is_no_private_key_is_refused(data: bytes) -> None:
    with pytest.raises(SealError) as caught:
        load_private_key(data)
    assert caught.value.code == "key-unreadable"


@pytest.mark.parametrize("algorithm", ["", "rsa", "ED25519", "ecdsa-p256-sha256"])
def test_no_key_is_made_for_another_algorithm(algorithm: str) -> None:
    with pytest.raises(SealError) as caught:
        generate_private_key(algorithm)
    assert caught.value.code == "algorithm-unsupported"


@pytest.mark.parametrize(
    "key",
    [
        None,
        object(),
        private_key().public_key(),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        x25519.X25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=range(7),
)
def test_other_keys_do_not_sign(key: Any) -> None:
    with pytest.raises(SealError) as caught:
        LocalSigner(key)
    assert caught.value.code == "key-unsupported"


def test_a_local_signer_is_a_signer() -> None:
    one: Signer = signer()
    assert public_key(one.public_key).verify(one.sign(b""), b"")


# --- example keys ----------------------------------------------------------------------------------------------------


def test_the_published_keys_are_known() -> None:
    published = load_public_key((EXAMPLE_KEYS / "example.pub.pem").read_bytes())
    assert {published.keyid} == EXAMPLE_KEYIDS
    assert LocalSigner(load_private_key((EXAMPLE_KEYS / "example.pem").read_bytes())).keyid == published.keyid


@pytest.mark.parametrize(
    "edit",
    [
        lambda pem, other: pem + other,
        lambda pem, other: other + pem,
        lambda pem, _other: b"Bag Attributes\n" + pem,
        lambda pem, _other: pem + b"ENCRYPTED\n",
        lambda pem, _other: pem.replace(b"PRIVATE KEY", b"EC PRIVATE KEY"),
        lambda pem, _other: pem.replace(b"-----END PRIVATE KEY-----\n", b""),
        lambda _pem, _other: b"",
    ],
)
def test_a_private_key_is_one_block_and_nothing_else(edit: Callable[[bytes, bytes], bytes]) -> None:
    pem, other = (private_key_to_pem(generate_private_key()) for _ in range(2))
    load_private_key(b"\n" + pem + b" \n")
    load_private_key(pem.replace(b"\n", b"\r\n"))
    with pytest.raises(SealError) as caught:
        load_private_key(edit(pem, other))
    assert caught.value.code == "key-unreadable"
