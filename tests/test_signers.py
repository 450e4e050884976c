"""Opening keys by URI: what each back-end does with the real thing, and what it says when something is wrong."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pkcs11.exceptions
import pytest
from custody import PIN, ROOT, fingerprint_of, running_agent, running_bao
from helpers import EXAMPLE_KEYS, needs_program, private_key, signer, standard_record, write_key

from hearth_records.errors import SealError
from hearth_records.keys import (
    EXAMPLE_KEYIDS,
    ML_DSA_44,
    generate_private_key,
    load_public_key,
    public_key,
)
from hearth_records.seal import seal_record
from hearth_records.signers import SCHEMES, open_signer
from hearth_records.signers.uri import attributes, file_path, percent_decode, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from custody import Agent, Bao, Hsm

    from hearth_records.keys import Signer
    from hearth_records.signers import Asked

MESSAGE: Final = b"DSSEv1 28 application/vnd.in-toto+json 2 {}"


def code_of(uri: str, **answers: str | bytes | None) -> str:
    """Return the code with which a URI is refused."""
    with pytest.raises(SealError) as caught:
        open_signer(uri, asking(**answers))
    return caught.value.code


def asking(**answers: str | bytes | None) -> Callable[[Asked, str], bytes | None]:
    def ask(what: Asked, _name: str) -> bytes | None:
        answer = answers.pop(what)  # once, and nothing that was not expected
        return answer.encode() if isinstance(answer, str) else answer

    return ask


def refusal(one: Signer) -> str:
    """Return the code with which a signer refuses to sign."""
    with pytest.raises(SealError) as caught:
        one.sign(MESSAGE)
    with pytest.raises(SealError) as sealing:  # and it is told as it is
        seal_record(standard_record(), one)
    assert sealing.value.code == caught.value.code
    return caught.value.code


def check(one: Signer) -> None:
    """Let a signer sign, and a record be sealed with it."""
    assert public_key(one.public_key).verify(one.sign(MESSAGE), MESSAGE)
    assert seal_record(standard_record(), one).seal.signatures[0].keyid == public_key(one.public_key).keyid


# --- URIs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri", ["pem+exec:cat key", "x:", "http://127.0.0.1", "gpg:1", "PKCS12:x", "ssh-agent2:x", "a.b-c+d:"]
)
def test_what_is_not_in_the_list_is_refused_with_the_list(uri: str) -> None:
    with pytest.raises(SealError) as caught:
        open_signer(uri)
    assert caught.value.code == "signer-scheme"
    assert all(f"{scheme}:" in str(caught.value.hint) for scheme in SCHEMES)


BAD_URIS: Final = [
    *(
        "file:",
        "file://host/key.pem",
        "file:key.pem?x",
        "file:key.pem#x",
        "file:%zz",
        "file:%0",
        "file:a%00b",
        "file://",
    ),
    *("ssh-agent:", "ssh-agent:MD5:00", "ssh-agent:SHA256:short", f"ssh-agent:SHA256:{'A' * 43}="),
    *(f"ssh-agent:SHA256:{'A' * 43}?sock=x", f"ssh-agent:SHA256:{'A' * 43}?socket=x&socket=y"),
    *("pkcs11:", "pkcs11:token=a", "pkcs11:object=a?pin-source=file:x", "pkcs11:tok=a?module-path=/x"),
    *("pkcs11:token=a;token=b?module-path=/x", "pkcs11:token?module-path=/x", "pkcs11:?module-path=/x&x-vendor=1"),
    *("pkcs11:type=public?module-path=/x", "pkcs11:token=a?module-path=/x&pin-value=1234"),
    *("transit:", "transit:#key", "transit:127.0.0.1#key", "transit:https://#key", "transit:https://host"),
    *("transit:https://host#", "transit:https://host#a/b", "transit:https://host#a@0", "transit:https://host#a@x"),
    *("transit:https://host/a/../b#key", "transit:https://host/a//b#key", "transit:https://host/a%2Fb#key"),
    *("transit:https://me:secret@host#key", "transit:https://me@host#key", "transit:https://host:x#key"),
    *(
        "transit:https://host:99999#key",
        "transit:https://ho st#key",
        "transit:https://höst#key",
        "transit:https://[::1#key",
    ),
    *(
        "transit:ftp://127.0.0.1#key",
        "transit:http://host#key",
        "transit:http://localhost#key",
        "transit:http://10.0.0.1#key",
    ),
    *(
        "transit:http://127.0.0.1.example#key",
        "transit:https://ho'st#key",
        "transit:http://2130706433#key",
        "transit:https://host#key\n",
    ),
    *("transit:https://host?ca=%zz#key", "transit:https://host?insecure=1#key"),
]


@pytest.mark.parametrize("uri", BAD_URIS)
def test_a_uri_that_is_not_understood_is_not_repeated(uri: str) -> None:
    with pytest.raises(SealError) as caught:
        open_signer(uri, asking(token="t"))
    assert caught.value.code == "signer-uri"
    assert not any(secret in str(caught.value) for secret in ("1234", "secret"))


def test_parts_of_a_uri() -> None:
    assert file_path("a%20b") == file_path("a b") == "a b"
    assert file_path("///a/b") == file_path("//localhost/a/b") == file_path("/a/b") == "/a/b"
    assert file_path("%FF") == os.fsdecode(b"\xff")
    assert percent_decode(os.fsdecode(b"\xff%fe")) == b"\xff\xfe"
    assert attributes("", ";", ("a",)) == {}
    assert attributes("a=1%3B2=;b=", ";", ("a", "b")) == {"a": b"1;2=", "b": b""}


def test_a_back_end_is_imported_when_its_uri_asks_for_it() -> None:
    program = (
        "import sys; from hearth_records.signers import open_signer\n"
        "try: open_signer('file:missing')\n"
        "except FileNotFoundError: pass\n"
        "print(*(set(sys.modules) & {'socket', 'ssl', 'http.client', 'pkcs11', 'asn1crypto'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "\n"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    monkeypatch.delitem(sys.modules, "hearth_records.signers.pkcs11", raising=False)
    with pytest.raises(SealError) as caught:
        open_signer("pkcs11:token=plant")
    assert caught.value.code == "signer-extra"
    assert "hearth-records[pkcs11]" in str(caught.value.hint)


# --- file: -----------------------------------------------------------------------------------------------------------

ENCRYPTIONS: Final = {
    "scrypt": ["-scrypt"],
    "PBKDF2, SHA-256": ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256", "-iter", "10000"],
    "PBKDF2, SHA-1": ["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"],
}


@pytest.fixture(scope="session")
def openssl_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a key by OpenSSL, `plain`, and `public`, and the same encrypted in each way."""
    path = tmp_path_factory.mktemp("openssl")
    openssl = needs_program("openssl")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], check=True, cwd=path, timeout=60, capture_output=True)

    (path / "phrase").write_bytes(b"correct horse\n")
    run("genpkey", "-algorithm", "ed25519", "-out", "plain")
    run("pkey", "-in", "plain", "-pubout", "-out", "public")
    for name, how in ENCRYPTIONS.items():
        run("pkcs8", "-topk8", "-in", "plain", "-out", name, *how, "-passout", "file:phrase")
        (path / name).chmod(0o600)
    (path / "plain").chmod(0o600)
    return path


def test_a_key_by_openssl(openssl_keys: Path) -> None:
    expected = load_public_key((openssl_keys / "public").read_bytes()).spki
    for uri in (f"file:{openssl_keys}/plain", f"file://{openssl_keys}/plain", f"FILE:{openssl_keys}/plain"):
        assert open_signer(uri).public_key == expected
    assert open_signer(str(openssl_keys / "plain")).public_key == expected
    check(open_signer(str(openssl_keys / "plain")))


@pytest.mark.parametrize("name", ENCRYPTIONS)
def test_a_key_that_openssl_encrypted(openssl_keys: Path, name: str) -> None:
    path = str(openssl_keys / name)
    one = open_signer(path, asking(passphrase="correct horse"))
    assert one.public_key == load_public_key((openssl_keys / "public").read_bytes()).spki
    check(one)
    assert code_of(path, passphrase="wrong horse") == "passphrase-wrong"
    assert code_of(path, passphrase="") == "passphrase-wrong"
    assert code_of(path, passphrase=None) == "passphrase-needed"
    with pytest.raises(SealError) as caught:  # and whoever says nothing has none
        open_signer(path)
    assert caught.value.code == "passphrase-needed"


def test_a_key_of_the_other_algorithm(tmp_path: Path) -> None:
    write_key(tmp_path / "pq.pem", generate_private_key(ML_DSA_44))
    one = open_signer(f"file:{tmp_path}/pq.pem")
    assert one.algorithm == ML_DSA_44
    check(one)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602, 0o601])
def test_a_key_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    write_key(path, private_key())
    path.chmod(mode)
    assert code_of(str(path)) == "secret-exposed"
    write_key(path, private_key(), b"phrase")
    path.chmod(mode)
    assert code_of(f"file:{path}") == "secret-exposed"  # and nobody was asked for the passphrase
    path.chmod(0o400)
    assert open_signer(str(path), asking(passphrase="phrase")).public_key == signer().public_key


def test_a_published_key_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "example.pem"
    path.write_bytes((EXAMPLE_KEYS / "example.pem").read_bytes())
    path.chmod(0o644)
    one = open_signer(str(path))
    assert public_key(one.public_key).keyid in EXAMPLE_KEYIDS
    with pytest.raises(SealError) as caught:
        seal_record(standard_record(), one)
    assert caught.value.code == "example-key"


def test_what_is_no_private_key(tmp_path: Path, openssl_keys: Path) -> None:
    assert code_of(f"file:{openssl_keys}/public") == "key-unreadable"  # its mode is as it should be
    for kind in (["rsa", "-pkeyopt", "rsa_keygen_bits:2048"], ["ed448"], ["x25519"]):
        words = [needs_program("openssl"), "genpkey", "-algorithm", *kind, "-out", str(tmp_path / kind[0])]
        subprocess.run(words, check=True, timeout=60, capture_output=True)
        assert code_of(str(tmp_path / kind[0])) == "key-unsupported"
    for missing in ("file:missing", str(tmp_path)):
        with pytest.raises(OSError, match=r"No such file|not a regular"):
            open_signer(missing)


def test_a_secret_is_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"s3cret\r\nsecond line\n")
    path.chmod(0o600)
    assert read_secret(str(path)) == b"s3cret"
    path.chmod(0o640)
    with pytest.raises(SealError) as caught:
        read_secret(str(path))
    assert caught.value.code == "secret-exposed"
    assert "s3cret" not in str(caught.value)


# --- ssh-agent: ------------------------------------------------------------------------------------------------------


def test_a_key_in_an_agent(agent: Agent, fingerprint: str) -> None:
    one = open_signer(f"ssh-agent:{fingerprint}?socket={agent.socket}")
    assert one.public_key == load_public_key((agent.directory / "sealing key.pub").read_bytes()).spki
    check(one)
    check(open_signer(f"ssh-agent:{fingerprint}", asking(socket=str(agent.socket))))


def test_one_of_many_keys_in_an_agent(agent: Agent, fingerprint: str) -> None:
    others = [agent.add(f"other {number}") for number in range(3)]
    found = {open_signer(f"ssh-agent:{one}?socket={agent.socket}").public_key for one in [fingerprint, *others]}
    assert len(found) == 4


def test_an_agent_without_the_key(agent: Agent, fingerprint: str) -> None:
    assert code_of(f"ssh-agent:SHA256:{'A' * 43}?socket={agent.socket}") == "agent-key"
    assert (
        code_of(f"ssh-agent:{fingerprint.swapcase()[:7].upper()}{fingerprint[7:].swapcase()}?socket={agent.socket}")
        == "agent-key"
    )


@pytest.mark.parametrize(("kind", "bits"), [("rsa", ("-b", "2048")), ("ecdsa", ())])
def test_a_key_of_another_kind_in_an_agent(agent: Agent, kind: str, bits: tuple[str, ...]) -> None:
    assert code_of(f"ssh-agent:{agent.add(kind, kind=kind, bits=bits)}?socket={agent.socket}") == "key-unsupported"


def test_an_agent_that_is_not_there(tmp_path: Path, fingerprint: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale"))
    for path in ("missing", "file", "stale", "x" * 200):
        assert code_of(f"ssh-agent:{fingerprint}?socket={tmp_path / path}") == "agent-unreachable"
    assert code_of(f"ssh-agent:{fingerprint}", socket=None) == "agent-unreachable"
    assert code_of(f"ssh-agent:{fingerprint}?socket=", socket="") == "agent-unreachable"


def test_an_agent_whose_user_says_no() -> None:
    with running_agent() as one:
        opened = open_signer(f"ssh-agent:{one.add('confirmed', '-c')}?socket={one.socket}")
        assert refusal(opened) == "agent-refused"


def test_an_agent_that_is_locked() -> None:
    with running_agent() as one:
        uri = f"ssh-agent:{one.add('key')}?socket={one.socket}"
        opened = open_signer(uri)
        one.tell("-x", answer="password")
        assert code_of(uri) == "agent-key"
        assert refusal(opened) == "agent-refused"
        one.tell("-X", answer="password")
        check(opened)
        one.tell("-D")
        assert refusal(opened) == "agent-refused"
    assert refusal(opened) == "agent-unreachable"


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def key_blob(raw: bytes) -> bytes:
    return string(b"ssh-ed25519") + string(raw)


RAW: Final = signer().public_key[-32:]
LISTED: Final = string(b"\x0c" + (1).to_bytes(4, "big") + string(key_blob(RAW)) + string(b"comment"))
SIGNATURE: Final = string(b"ssh-ed25519") + string(bytes(64))


@contextlib.contextmanager
def answering(listening: socket.socket, *answers: bytes) -> Iterator[None]:
    """Answer one connection after the other with these bytes, and close it."""

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    listening.settimeout(60)
    listening.listen()
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextlib.contextmanager
def false_agent(directory: Path, *answers: bytes) -> Iterator[str]:
    path = directory / "a"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        with answering(listening, *answers):
            yield str(path)
    path.unlink()


def write_public(directory: Path, raw: bytes) -> Path:
    path = directory / "k.pub"
    path.write_bytes(b"ssh-ed25519 " + base64.b64encode(key_blob(raw)) + b"\n")
    return path


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0\0",
        bytes(4),
        b"\xff\xff\xff\xff",
        (256 * 1024 + 1).to_bytes(4, "big") + b"\x0c",
        string(b"\x05"),
        string(b"\x0c"),
        string(b"\x0c\0\0\0\x01"),
        LISTED[:-1],
        string(b"\x0c\xff\xff\xff\xff" + string(b"blob") + string(b"comment")),
        string(b"\x0c\0\0\0\x01" + b"\0\0\0\xff" + key_blob(RAW)),
    ],
    ids=range(11),
)
def test_an_agent_that_lists_nonsense(tmp_path: Path, answer: bytes) -> None:
    wanted = fingerprint_of(write_public(tmp_path, RAW))
    with false_agent(tmp_path, answer) as path:
        assert code_of(f"ssh-agent:{wanted}?socket={path}") in ("agent-answer", "agent-key")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "agent-answer"),
        (string(b"\x05"), "agent-refused"),
        (string(b"\x06"), "agent-answer"),
        (string(b"\x0e"), "agent-answer"),
        (string(b"\x0e" + string(SIGNATURE))[:-1], "agent-answer"),
        (string(b"\x0e" + string(SIGNATURE) + b"x"), "agent-answer"),
        (string(b"\x0e" + string(SIGNATURE + b"x")), "agent-answer"),
        (string(b"\x0e" + string(string(b"ssh-rsa") + string(bytes(64)))), "agent-answer"),
    ],
    ids=range(8),
)
def test_an_agent_that_signs_nonsense(tmp_path: Path, answer: bytes, code: str) -> None:
    wanted = fingerprint_of(write_public(tmp_path, RAW))
    with false_agent(tmp_path, LISTED, answer, answer) as path:
        assert refusal(open_signer(f"ssh-agent:{wanted}?socket={path}")) == code


def test_a_signature_that_does_not_verify_seals_nothing(tmp_path: Path) -> None:
    wanted = fingerprint_of(write_public(tmp_path, RAW))
    with false_agent(tmp_path, LISTED, string(b"\x0e" + string(SIGNATURE))) as path:
        one = open_signer(f"ssh-agent:{wanted}?socket={path}")
        with pytest.raises(SealError) as caught:
            seal_record(standard_record(), one)
    assert caught.value.code == "signing-failed"


def test_a_key_in_an_agent_is_checked_as_strictly_as_any(tmp_path: Path) -> None:
    for blob, code in (
        (key_blob(bytes(32)), "key-small-order"),
        (key_blob(bytes(31)), "key-unsupported"),
        (key_blob(RAW) + b"x", "agent-answer"),
        (b"", "agent-answer"),
    ):
        listed = string(b"\x0c\0\0\0\x01" + string(blob) + string(b""))
        wanted = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        with false_agent(tmp_path, listed) as path:
            assert code_of(f"ssh-agent:SHA256:{wanted}?socket={path}") == code


# --- pkcs11: ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hsm(tokens: Hsm) -> Hsm:
    """Return the tokens, with nobody logged in."""
    tokens.log_out()
    return tokens


def test_a_key_on_a_token(hsm: Hsm, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(f"{PIN}\n")
    (tmp_path / "pin").chmod(0o600)
    one = open_signer(hsm.uri("token=plant;object=seal", f"&pin-source=file:{tmp_path}/pin"))
    check(one)
    assert one.algorithm == "ed25519"


def test_ways_to_name_a_key_on_a_token(hsm: Hsm) -> None:
    named = open_signer(hsm.uri("token=plant;object=seal"), asking(pin=PIN)).public_key
    for path in (
        "token=plant;id=%01",
        "object=seal;token=plant;type=private;id=%01",
        "manufacturer=SoftHSM%20project;model=SoftHSM%20v2;token=plant;object=seal",
    ):
        assert open_signer(hsm.uri(path), asking(pin=PIN)).public_key == named
    check(open_signer(hsm.uri("token=plant;object=Anlage%207%3B%20gr%C3%B6%C3%9Fer"), asking(pin=PIN)))


def test_two_keys_of_one_token(hsm: Hsm) -> None:
    one, two = (open_signer(hsm.uri(f"token=plant;id=%0{number}"), asking(pin=PIN)) for number in (1, 2))
    sealed = seal_record(standard_record(), one, two)
    assert len({signature.keyid for signature in sealed.seal.signatures}) == 2


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("token=none;object=seal", "pkcs11-token"),
        ("token=plant;serial=0;object=seal", "pkcs11-token"),
        ("token=twin;object=seal", "pkcs11-ambiguous"),
        ("object=seal", "pkcs11-ambiguous"),
        ("token=plant;object=none", "pkcs11-object"),
        ("token=plant;id=%99", "pkcs11-object"),
        ("token=plant;object=seal;id=%02", "pkcs11-object"),
        ("token=plant;object=%FF", "signer-uri"),
        ("token=plant;object=two", "pkcs11-ambiguous"),
        ("token=plant", "pkcs11-ambiguous"),
        ("token=plant;object=ecdsa", "key-unsupported"),
        ("token=plant;object=idle", "key-unsupported"),
        ("token=plant;object=lonely", "pkcs11-public-key"),
    ],
)
def test_a_token_or_a_key_that_is_not_there(hsm: Hsm, path: str, code: str) -> None:
    assert code_of(hsm.uri(path), pin=PIN) == code


@pytest.mark.parametrize(
    ("pin", "code"), [("0000", "pin-wrong"), ("1", "pin-wrong"), (b"\xff\xfe\xfd\xfc", "pin-wrong")]
)
def test_a_wrong_pin(hsm: Hsm, pin: str | bytes, code: str) -> None:
    assert code_of(hsm.uri("token=plant;object=seal"), pin=pin) == code
    check(open_signer(hsm.uri("token=plant;object=seal"), asking(pin=PIN)))


def test_no_pin(hsm: Hsm) -> None:
    assert code_of(hsm.uri("token=plant;object=seal"), pin=None) == "pin-needed"
    assert code_of(hsm.uri("token=plant;object=seal"), pin="") == "pin-needed"


def test_where_a_pin_comes_from(hsm: Hsm, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "pin").chmod(0o640)
    uri = hsm.uri("token=plant;object=seal", f"&pin-source=file:{tmp_path}/pin")
    assert code_of(uri) == "secret-exposed"
    for source in (f"{tmp_path}/pin", "|echo 5678", "file:"):
        assert code_of(hsm.uri("token=plant;object=seal", f"&pin-source={source}")) == "signer-uri"


@pytest.mark.parametrize("error", [pkcs11.exceptions.PinLocked, pkcs11.exceptions.PinExpired])
def test_a_locked_token(hsm: Hsm, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    # SoftHSM2 never locks a token, so that what a module answers then is put into its mouth.
    from hearth_records.signers import pkcs11 as back_end  # noqa: PLC0415 - an extra

    class Locked:
        label = "plant"

        def open(self, **_arguments: object) -> None:
            raise error

    monkeypatch.setattr(back_end, "_find_token", lambda *_arguments: Locked())
    assert code_of(hsm.uri("token=plant;object=seal"), pin=PIN) == "pin-locked"


def test_a_module_that_cannot_be_loaded(hsm: Hsm, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_bytes(b"text")
    other = next(Path(sys.prefix).rglob("_pkcs11*.so"))  # a library, but no module
    for module in (tmp_path / "missing.so", tmp_path / "text.so", tmp_path, other):
        assert code_of(f"pkcs11:token=plant?module-path={module}") == "pkcs11-module"
    assert code_of(f"pkcs11:token=plant?module-path={Path(hsm.module).name}") == "pkcs11-module"  # is not searched for


def test_a_token_that_fails_while_it_signs(hsm: Hsm) -> None:
    one = open_signer(hsm.uri("token=plant;object=seal"), asking(pin=PIN))
    hsm.log_out()  # as if it had been pulled out: the session is gone
    assert refusal(one) == "pkcs11-failed"


# --- transit: --------------------------------------------------------------------------------------------------------


class Recorder:
    """A key of its own in the transit engine, and a token that can read it and sign with it, and nothing else."""

    def __init__(self, bao: Bao, name: str) -> None:
        self.bao = bao
        self.name = name
        bao.add_key(name)
        self.token = bao.add_token(name, keys="read", sign="update")

    def open(self, key: str = "", mount: str = "") -> Signer:
        return open_signer(self.bao.uri(f"{self.name}{key}", mount), asking(token=self.token))

    def rotate(self, **configuration: int) -> None:
        self.bao.call("POST", f"transit/keys/{self.name}/rotate")
        if configuration:
            self.bao.call("POST", f"transit/keys/{self.name}/config", configuration)


@pytest.fixture
def recorder(bao: Bao, request: pytest.FixtureRequest) -> Recorder:
    return Recorder(bao, "".join(char if char.isalnum() else "-" for char in request.node.name).strip("-"))


def test_a_key_of_a_transit_engine(recorder: Recorder) -> None:
    one = recorder.open()
    check(one)
    stored = recorder.bao.call("GET", f"transit/keys/{recorder.name}")["data"]["keys"]["1"]["public_key"]
    assert one.public_key[-32:] == base64.b64decode(stored)
    assert recorder.open(mount="/transit").public_key == recorder.open(mount="/transit/").public_key == one.public_key


def test_a_version_is_pinned_when_the_key_is_opened(recorder: Recorder) -> None:
    first = recorder.open()
    recorder.rotate()
    check(first)  # by the version that was read, not by the latest
    second = recorder.open()
    check(second)
    assert (recorder.open("@1").public_key, recorder.open("@2").public_key) == (first.public_key, second.public_key)
    assert first.public_key != second.public_key


@pytest.mark.parametrize("limit", ["min_encryption_version", "min_decryption_version"])
def test_a_version_that_does_not_sign_any_more(recorder: Recorder, limit: str) -> None:
    opened = recorder.open()
    recorder.rotate(**{limit: 2})
    assert refusal(opened) == "transit-rotated"
    for version in ("@1", "@3"):
        assert code_of(recorder.bao.uri(f"{recorder.name}{version}"), token=recorder.token) == "transit-version"
    check(recorder.open("@2"))


def test_a_key_that_was_replaced_underneath(recorder: Recorder) -> None:
    opened = recorder.open()
    recorder.bao.call("POST", f"transit/keys/{recorder.name}/config", {"deletion_allowed": True})
    recorder.bao.call("DELETE", f"transit/keys/{recorder.name}")
    with pytest.raises(SealError) as caught:
        opened.sign(MESSAGE)
    assert caught.value.code in ("transit-key", "transit-failed")
    recorder.bao.add_key(recorder.name)  # the same name and version, another key
    with pytest.raises(SealError) as caught:
        seal_record(standard_record(), opened)
    assert caught.value.code == "signing-failed"


def test_a_token_that_may_not(recorder: Recorder) -> None:
    bao, name = recorder.bao, recorder.name
    bao.add_key(f"{name}-other")
    assert code_of(bao.uri(f"{name}-other"), token=recorder.token) == "transit-denied"
    assert code_of(bao.uri(name), token="none") == "transit-denied"
    assert code_of(bao.uri(name), token=bao.add_token(name, sign="update")) == "transit-denied"
    reader = open_signer(bao.uri(name), asking(token=bao.add_token(name, keys="read")))
    assert refusal(reader) == "transit-denied"
    bao.call("POST", "auth/token/revoke", {"token": recorder.token})
    assert code_of(bao.uri(name), token=recorder.token) == "transit-denied"


@pytest.mark.parametrize("token", [None, "", "two words", "line\nbreak", "tökën", "tab\t"])
def test_a_token_that_is_none(bao: Bao, token: str | None) -> None:
    assert code_of(bao.uri("key"), token=token) == "transit-token"


def test_keys_that_are_none(bao: Bao) -> None:
    assert code_of(bao.uri("missing"), token=ROOT) == "transit-key"
    assert code_of(bao.uri("key", "/elsewhere/transit"), token=ROOT) == "transit-key"
    for name, kind, members in [
        ("aes", "aes256-gcm96", {}),
        ("ecdsa", "ecdsa-p256", {}),
        ("rsa", "rsa-2048", {}),
        ("derived", "ed25519", {"derived": True}),
    ]:
        bao.add_key(name, kind, **members)
        assert code_of(bao.uri(name), token=ROOT) == "key-unsupported"


def test_a_server_that_is_sealed_and_then_gone(tmp_path: Path) -> None:
    with running_bao(tmp_path) as bao:
        one = Recorder(bao, "recorder")
        opened = one.open()
        bao.call("PUT", "sys/seal")
        assert refusal(opened) == "transit-sealed"
        assert code_of(bao.uri("recorder"), token=one.token) == "transit-sealed"
    assert refusal(opened) == "transit-unreachable"
    assert code_of(bao.uri("recorder"), token=one.token) == "transit-unreachable"


def test_a_server_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with running_bao(tmp_path, tls=True) as bao:
        assert code_of(bao.uri("recorder"), token=ROOT) == "transit-key"  # its word, so that it was reached
        monkeypatch.setenv("SSL_CERT_FILE", str(bao.ca))
        untrusted = f"transit:https://{bao.address}#recorder"
        assert code_of(untrusted, token=ROOT) == "transit-untrusted"
        by_name = bao.uri("recorder").replace("127.0.0.1", "127.0.0.2")  # not in its certificate
        assert code_of(by_name, token=ROOT) in ("transit-untrusted", "transit-unreachable")
        assert code_of(f"transit:http://{bao.address}#recorder", token=ROOT) == "transit-failed"
    for ca in ("missing", "log"):
        assert code_of(f"transit:https://{bao.address}?ca={tmp_path / ca}#recorder", token=ROOT) == "transit-ca"
    assert not (tmp_path / "secrets").exists()


@contextlib.contextmanager
def false_server(answers: Callable[[str, str], tuple[int, bytes, dict[str, str]]]) -> Iterator[tuple[str, list[str]]]:
    """Serve answers by method and path; gives the address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, data, headers = answers(self.command, self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # nobody reads on
                self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815 - as the library calls them

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join(60)


GOOD_KEY: Final = {
    "data": {"type": "ed25519", "latest_version": 1, "keys": {"1": {"public_key": base64.b64encode(RAW).decode()}}}
}


def changed(**members: Any) -> bytes:
    return json.dumps({"data": {**GOOD_KEY["data"], **members}}).encode()


@pytest.mark.parametrize(
    ("status", "data", "code"),
    [
        (200, b"", "transit-answer"),
        (200, b"[]", "transit-answer"),
        (200, b"{}", "transit-answer"),
        (200, b'{"data":null}', "transit-answer"),
        (200, b"\xff", "transit-answer"),
        (200, b"[" * 100_000, "transit-answer"),
        (200, b'{"data":"' + b"x" * (4 * 1024 * 1024) + b'"}', "transit-answer"),
        (200, changed(keys=[]), "transit-answer"),
        (200, changed(latest_version="1"), "transit-answer"),
        (200, changed(keys={"1": 1}), "transit-answer"),
        (200, changed(keys={"1": {"public_key": ""}}), "key-unsupported"),
        (200, changed(keys={"1": {"public_key": "%"}}), "transit-answer"),
        (200, changed(keys={"1": {"public_key": "ä"}}), "transit-answer"),
        (200, changed(keys={"1": {"public_key": base64.b64encode(bytes(32)).decode()}}), "key-small-order"),
        (200, changed(latest_version=2), "transit-version"),
        (200, changed(latest_version=-1), "transit-version"),
        (200, changed(type="\x1b[31m"), "key-unsupported"),
        (204, b"", "transit-failed"),
        (400, b'{"errors":["\x1b[31m"]}', "transit-failed"),
        (500, b'{"errors":["\\u001b[31m"]}', "transit-failed"),
        (500, b'{"errors":[]}', "transit-failed"),
        (429, b"[" * 100_000, "transit-failed"),
        (403, b"<html>", "transit-denied"),
        (404, b"", "transit-key"),
        (503, b"", "transit-sealed"),
    ],
)
def test_a_server_that_answers_nonsense(status: int, data: bytes, code: str) -> None:
    with (
        false_server(lambda _method, _path: (status, data, {})) as (address, _asked),
        pytest.raises(SealError) as caught,
    ):
        open_signer(f"transit:http://{address}#key", asking(token="t"))
    assert caught.value.code == code
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with (
        false_server(lambda _method, _path: (200, json.dumps(GOOD_KEY).encode(), {})) as (elsewhere, asked_there),
        false_server(lambda _m, path: (status, b"", {"Location": f"http://{elsewhere}{path}"})) as (address, asked),
    ):
        assert code_of(f"transit:http://{address}#key", token="t") == "transit-answer"
    assert (asked, asked_there) == (["/v1/transit/keys/key"], [])


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        ("vault:v2:AAAA", "transit-rotated"),
        ("vault:v10:AAAA", "transit-rotated"),
        ("", "transit-rotated"),
        ("vault:v1:%", "transit-answer"),
        ("vault:v1:ä", "transit-answer"),
        (None, "transit-answer"),
    ],
)
def test_a_server_that_signs_with_something_else(signature: str | None, code: str) -> None:
    def answer(method: str, _path: str) -> tuple[int, bytes, dict[str, str]]:
        data = GOOD_KEY if method == "GET" else {"data": {"signature": signature}}
        return 200, json.dumps(data).encode(), {}

    with false_server(answer) as (address, asked):
        assert refusal(open_signer(f"transit:http://{address}/team/transit#key", asking(token="t"))) == code
    assert asked == ["/v1/team/transit/keys/key", *["/v1/team/transit/sign/key"] * 2]


def test_what_a_server_says_after_a_refusal_does_not_hide_it() -> None:
    with false_server(
        lambda method, _path: (500, b"", {}) if method == "POST" else (200, json.dumps(GOOD_KEY).encode(), {})
    ) as (address, _asked):
        assert refusal(open_signer(f"transit:http://{address}#key", asking(token="t"))) == "transit-failed"


def test_what_is_no_http() -> None:
    cut_short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        uri = f"transit:http://127.0.0.1:{listening.getsockname()[1]}#key"
        with answering(listening, b"", b"SSH-2.0-x\r\n", cut_short):
            codes = [code_of(uri, token="t") for _ in range(3)]
    assert codes == ["transit-unreachable", "transit-unreachable", "transit-answer"]
