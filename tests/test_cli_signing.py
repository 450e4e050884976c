"""Every command that signs, with keys from everywhere; what fails leaves everything as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from custody import PIN, running_agent
from helpers import private_key, write_key
from test_cli import Done, call, run, run_on_terminal
from test_cli_record import snapshot

from hearth_records.keys import ML_DSA_44, generate_private_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from custody import Agent, Bao, Hsm
    from test_cli import Call

__all__ = ["call"]

PROGRAM: Final = "hearth-records"
PLACES: Final = ("path", "file", "ml-dsa-44", "ssh-agent", "pkcs11", "transit")
FINGERPRINT: Final = f"ssh-agent:SHA256:{'A' * 43}"


class Desk:
    """A directory with a journal that has ended, and keys from everywhere, as the words that name and unlock them."""

    def __init__(self, call: Call, path: Path, keys: dict[str, list[str]], hsm: Hsm) -> None:
        self._call = call
        self.path = path
        self.keys = keys
        self._hsm = hsm
        self.call("record", "start", ".", "--id", "exec-1", "--plan-id", "plan-1")
        self.call("record", "finish", "exec-1.journal", "--status", "completed", "--reason", "x")

    def call(self, *words: str, code: int = 0) -> Done:
        """Run `hearth-records`; it ends with this code."""
        if any(word.startswith("pkcs11:") for word in words):
            self._hsm.log_out()  # as a new process would find it
        done = self._call(PROGRAM, *words, cwd=self.path)
        assert done.code == code, done
        return done

    def public(self, name: str) -> str:
        """Return the file of a key's public half."""
        out = f"{name}.pub.pem"
        if not (self.path / out).exists():
            self.call("keys", "public", *self.keys[name], "-o", out)
        return out

    def verify(self, file: str, *names: str, trust: Iterable[str] = ()) -> Any:
        """Return what `verify-record` says with these keys, or a policy."""
        words = [word for name in names for word in ("--key", self.public(name))]
        return self._call("verify-record", *words, *trust, "--format", "json", file, cwd=self.path).json["results"][0]


@pytest.fixture(autouse=True)
def agent_of_the_session(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))


@pytest.fixture
def desk(call: Call, tmp_path: Path, fingerprint: str, tokens: Hsm, bao: Bao) -> Desk:
    path = tmp_path / "here"
    path.mkdir()
    write_key(path / "key.pem", private_key())
    write_key(path / "locked.pem", private_key(bytes(range(64, 96))), b"correct horse")
    write_key(path / "quantum.pem", generate_private_key(ML_DSA_44))
    bao.add_key("recorder")
    for secret, text in {
        "phrase": "correct horse",
        "pin": PIN,
        "token": bao.add_token("recorder", keys="read", sign="update"),
        "reader": bao.add_token("recorder", keys="read"),
        "wrong": "0000",
    }.items():
        (path / secret).write_text(f"{text}\n")
        (path / secret).chmod(0o600)
    keys = {
        "path": ["key.pem"],
        "file": ["file:locked.pem", "--passphrase-file", "phrase"],
        "ml-dsa-44": ["file:quantum.pem"],
        "ssh-agent": [f"ssh-agent:{fingerprint}"],
        "pkcs11": [tokens.uri("token=plant;object=seal"), "--pin-file", "pin"],
        "transit": [bao.uri("recorder"), "--token-file", "token"],
    }
    return Desk(call, path, keys, tokens)


@pytest.mark.parametrize("place", PLACES)
def test_every_command_signs_with_a_key_from_everywhere(desk: Desk, place: str) -> None:
    key = ["--key", *desk.keys[place]]
    other = "file" if place == "path" else "path"

    desk.call("record", "seal", "exec-1.journal", "--signer", *desk.keys[place])
    assert desk.verify("exec-1.record.json", place)["verdict"] == "verified"

    desk.call("record", "start", ".", "--id", "exec-2", "--plan-id", "plan-1")
    desk.call("recover", "exec-2.journal", "--close", "--reason", "crashed", *key)
    assert desk.verify("exec-2.record.json", place)["verdict"] == "verified"

    desk.call("record", "start", ".", "--id", "exec-3", "--plan-id", "plan-1")
    desk.call("recover", "exec-3.journal", "--close", "--reason", "crashed", "--key", *desk.keys[other])
    desk.call("countersign", "exec-3.record.json", *key, "-o", "c.json")
    roles = [(found["role"], found["status"]) for found in desk.verify("c.json", place, other)["signers"]]
    assert roles == [("seal", "good"), ("countersign", "good")]

    desk.call("keys", "rotate", *key, "--new", "new.pem", "-o", "away.json")
    rotated = ["--key", desk.public(other), "--accept-rotation", "to.json"]
    desk.call("keys", "rotate", "--key", *desk.keys[other], "--to", *desk.keys[place], "-o", "to.json")
    assert desk.verify("exec-1.record.json", trust=rotated)["verdict"] == "untrusted"  # sealed before
    assert desk.verify("exec-3.record.json", trust=rotated)["verdict"] == "verified"


@pytest.mark.parametrize("place", PLACES)
def test_the_public_half_of_a_key_from_everywhere(desk: Desk, place: str) -> None:
    done = desk.call("keys", "public", *desk.keys[place], "-o", "out.pem")
    assert desk.call("keys", "public", *desk.keys[place]).out == done.out.partition("\n")[2]
    desk.call("trust", "init", "trust.json")
    added = desk.call("trust", "add", "trust.json", "out.pem", "--name", place)
    facts = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()}
    shown = {line.split()[0]: line.split()[1:] for line in added.out.splitlines()}
    assert facts["key"] == shown["key"] or facts["key"][1:] == shown["key"][1:]
    assert facts["fingerprint"] == shown["fingerprint"]
    assert len(facts["fingerprint"]) == 8
    desk.call("keys", "public", *desk.keys[place], "-o", "out.pem", code=2)


def test_keys_from_everywhere_seal_together(desk: Desk) -> None:
    secrets = ["--passphrase-file", "phrase", "--pin-file", "pin", "--token-file", "token"]
    spellings = ("--key", "--signer")
    named = [word for number, place in enumerate(PLACES) for word in (spellings[number % 2], desk.keys[place][0])]
    done = run(PROGRAM, "record", "seal", "exec-1.journal", *named, *secrets, cwd=desk.path)  # as a process
    assert done == Done(0, "exec-1.record.json\n", "")
    found = desk.verify("exec-1.record.json", *PLACES)
    assert (found["verdict"], len(found["signers"])) == ("verified", len(PLACES))
    for place in PLACES:  # all of them have to be trusted
        others = [name for name in PLACES if name != place]
        assert desk.verify("exec-1.record.json", *others)["verdict"] == "untrusted"


UNUSABLE: Final[dict[str, tuple[int, list[str]]]] = {
    "unknown scheme": (2, ["pem+exec:cat key.pem"]),
    "unknown part": (2, [f"{FINGERPRINT}?host=x"]),
    "no URL": (2, ["transit:host#key"]),
    "plain http": (2, ["transit:http://vault.example#key", "--token-file", "token"]),
    "PIN in the URI": (2, ["{hsm}token=plant;object=seal{module}&pin-value=5678"]),
    "no token of access": (2, ["{transit}"]),
    "no PIN": (2, ["{hsm}token=plant;object=seal{module}"]),
    "no passphrase": (2, ["file:locked.pem"]),
    "missing file": (3, ["file:missing.pem"]),
    "wrong passphrase": (3, ["file:locked.pem", "--passphrase-file", "wrong"]),
    "exposed key": (3, ["exposed.pem"]),
    "exposed PIN": (3, ["{hsm}token=plant;object=seal{module}", "--pin-file", "exposed.pem"]),
    "exposed token": (3, ["{transit}", "--token-file", "exposed.pem"]),
    "missing token file": (3, ["{transit}", "--token-file", "missing"]),
    "agent without the key": (3, [FINGERPRINT]),
    "no agent": (3, [f"{FINGERPRINT}?socket=missing"]),
    "no module": (3, ["pkcs11:token=plant?module-path=missing.so", "--pin-file", "pin"]),
    "no such token": (3, ["{hsm}token=none{module}", "--pin-file", "pin"]),
    "no such object": (3, ["{hsm}token=plant;object=none{module}", "--pin-file", "pin"]),
    "several objects": (3, ["{hsm}token=plant;object=two{module}", "--pin-file", "pin"]),
    "wrong PIN": (3, ["{hsm}token=plant;object=seal{module}", "--pin-file", "wrong"]),
    "wrong token of access": (3, ["{transit}", "--token-file", "wrong"]),
    "token that may not sign": (3, ["{transit}", "--token-file", "reader"]),
    "version that there is not": (3, ["{transit}@99", "--token-file", "token"]),
    "no server": (3, ["transit:http://127.0.0.1:9#key", "--token-file", "token"]),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_cannot_be_used_leaves_everything_as_it_was(desk: Desk, tokens: Hsm, bao: Bao, name: str) -> None:
    (desk.path / "exposed.pem").write_bytes((desk.path / "key.pem").read_bytes())
    (desk.path / "exposed.pem").chmod(0o644)
    code, words = UNUSABLE[name]
    scheme, _, module = tokens.uri("").partition("?")
    places = {"hsm": scheme, "module": f"?{module}", "transit": bao.uri("recorder")}
    words = [word.format(**places) for word in words]
    before = snapshot(desk.path)
    done = desk.call("record", "seal", "exec-1.journal", "--key", "key.pem", "--key", *words, code=code)
    assert done.err.startswith("hearth-records record: error: ")
    assert PIN not in done.err
    assert snapshot(desk.path) == before
    desk.call("record", "seal", "exec-1.journal", "--key", "key.pem")
    assert desk.verify("exec-1.record.json", "path")["verdict"] == "verified"


@pytest.mark.parametrize("command", ["seal", "recover", "countersign", "rotate", "rotate to"])
@pytest.mark.parametrize("place", ["agent", "transit"])
def test_a_refused_signature_leaves_nothing_half_written(desk: Desk, command: str, place: str) -> None:
    with running_agent() as one:
        asks = f"ssh-agent:{one.add('asks', '-c')}?socket={one.socket}"
        key = [asks] if place == "agent" else [desk.keys["transit"][0], "--token-file", "reader"]
        if command == "countersign":
            desk.call("record", "seal", "exec-1.journal", "--key", "key.pem")
        before = snapshot(desk.path)
        words = {
            "seal": ["record", "seal", "exec-1.journal", "--key", *key],
            "recover": ["recover", "exec-1.journal", "--close", "--reason", "x", "--key", *key],
            "countersign": ["countersign", "exec-1.record.json", "--key", *key, "-o", "out.json"],
            "rotate": ["keys", "rotate", "--key", *key, "--new", "new.pem", "-o", "out.json"],
            "rotate to": ["keys", "rotate", "--key", "key.pem", "--to", *key, "-o", "out.json"],
        }
        desk.call(*words[command], code=3)
        assert snapshot(desk.path) == before


def test_an_open_journal_is_closed_when_its_signer_fails_and_sealed_later(desk: Desk) -> None:
    desk.call("record", "start", ".", "--id", "exec-2", "--plan-id", "plan-1")
    words = ["recover", "exec-2.journal", "--close", "--reason", "crashed", "--key"]
    desk.call(*words, desk.keys["transit"][0], "--token-file", "reader", code=3)
    assert not (desk.path / "exec-2.record.json").exists()
    desk.call(*words, *desk.keys["transit"])
    assert desk.verify("exec-2.record.json", "transit")["verdict"] == "verified"


def test_the_agent_of_the_session_is_asked_when_none_is_named(
    desk: Desk, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = desk.keys["ssh-agent"][0]
    desk.call("keys", "public", uri)
    monkeypatch.setenv("SSH_AUTH_SOCK", "missing")
    desk.call("keys", "public", uri, code=3)
    desk.call("keys", "public", f"{uri}?socket={agent.socket}")
    monkeypatch.delenv("SSH_AUTH_SOCK")
    assert "SSH_AUTH_SOCK" in desk.call("keys", "public", uri, code=3).err


def test_a_pin_and_a_token_are_asked_for_on_a_terminal(desk: Desk) -> None:
    for place, prompt, secret in (("pkcs11", b"PIN of plant", "pin"), ("transit", b"Token for 127.0.0.1", "token")):
        words = ["keys", "public", desk.keys[place][0]]
        good = (desk.path / secret).read_bytes()
        for answer, code in ((b"0000\n", 3), (good, 0), (b"\x04", 2)):
            done = run_on_terminal(PROGRAM, *words, dialogue=[(prompt, answer)])
            assert done.code == code
            assert answer.decode() not in done.out


# --- two algorithms --------------------------------------------------------------------------------------------------


@pytest.fixture
def hybrid(desk: Desk) -> list[str]:
    """Seal by both algorithms; return the trust options of a policy that demands both."""
    desk.call("record", "seal", "exec-1.journal", "--signer", "key.pem", "--signer", "file:quantum.pem")
    desk.call("trust", "init", "trust.json")
    for name in ("path", "ml-dsa-44"):
        desk.call("trust", "add", "trust.json", desk.public(name), "--name", name)
    desk.call("trust", "set", "trust.json", "--require", "seal:ed25519=1", "--require", "seal:ml-dsa-44=1")
    return ["--trust", "trust.json"]


def test_a_policy_demands_both_algorithms(desk: Desk, hybrid: list[str]) -> None:
    found = desk.verify("exec-1.record.json", trust=hybrid)
    assert (found["verdict"], [one["algorithm"] for one in found["signers"]]) == ("verified", ["ed25519", "ml-dsa-44"])


@pytest.mark.parametrize("kept", [0, 1])
def test_a_signature_of_either_algorithm_cannot_be_stripped(desk: Desk, hybrid: list[str], kept: int) -> None:
    data = (desk.path / "exec-1.record.json").read_bytes()
    start, end = data.rindex(b'"signatures":[') + len(b'"signatures":['), data.rindex(b'],"statement"')
    signatures = json.loads(b"[" + data[start:end] + b"]")
    one = json.dumps(signatures[kept], separators=(",", ":")).encode()
    two = json.dumps(dict(signatures[1 - kept], sig=signatures[kept]["sig"]), separators=(",", ":")).encode()
    for number, instead in enumerate([one, one + b"," + one, b",".join([one, two] if kept == 0 else [two, one]), b""]):
        name = f"stripped-{number}.json"
        (desk.path / name).write_bytes(data[:start] + instead + data[end:])
        found = desk.verify(name, trust=hybrid)
        assert found["verdict"] not in ("verified", "untrusted"), (number, found)
        for other in ("path", "ml-dsa-44"):
            assert desk.verify(name, other)["verdict"] != "verified"


@pytest.mark.parametrize(("key", "missing"), [("key.pem", "ml-dsa-44"), ("quantum.pem", "ed25519")])
def test_a_seal_of_one_algorithm_does_not_meet_it(desk: Desk, hybrid: list[str], key: str, missing: str) -> None:
    desk.call("record", "start", ".", "--id", "exec-2", "--plan-id", "plan-1")
    desk.call("recover", "exec-2.journal", "--close", "--reason", "x", "--key", key)
    found = desk.verify("exec-2.record.json", trust=hybrid)
    failed = next(one for one in found["checks"] if one["status"] == "fail")
    assert (found["verdict"], failed["check"], failed["code"]) == ("untrusted", "trust", "requirement")
    assert missing in failed["reason"]


def test_a_countersignature_is_no_second_seal(desk: Desk, hybrid: list[str]) -> None:
    desk.call("record", "start", ".", "--id", "exec-2", "--plan-id", "plan-1")
    desk.call("recover", "exec-2.journal", "--close", "--reason", "x", "--key", "key.pem")
    desk.call("countersign", "exec-2.record.json", "--key", "quantum.pem", "-o", "c.json")
    assert desk.verify("c.json", trust=hybrid)["verdict"] == "untrusted"
