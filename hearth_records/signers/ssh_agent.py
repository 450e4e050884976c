"""A key in an SSH agent: `ssh-agent:SHA256:FINGERPRINT[?socket=PATH]`, the fingerprint as `ssh-add -l` prints it.

The protocol (draft-ietf-sshm-ssh-agent, OpenSSH's PROTOCOL.agent) over the agent's Unix socket. A string is its length,
four bytes, big-endian, and its bytes. One connection a request; request and answer are a string each:

    11                                         →  12 | count, four bytes | (string key blob | string comment) …
    13 | string key blob | string message | 0  →  14 | string(string "ssh-ed25519" | string of 64 bytes), or 5: refused

1. The agent lists its keys. The one whose blob has this SHA-256 is taken; its blob is pinned.
2. It has to be `ssh-ed25519` (RFC 8709): another kind, FIDO keys and certificates among them, signs something else.
3. For a signature the agent gets the blob and the message as it is.

What an agent signs here cannot pass for a log-in: it begins with "DSSEv1", where RFC 4252 §7 has the length of a
session identifier, and SSHSIG its own name.

Known gaps: a locked agent (`ssh-add -x`) lists no keys, so that it cannot be told from one without the key. An agent
that asks its user is waited for, a minute at most. Whoever can write to the socket can use the key.
"""

from __future__ import annotations

import hashlib
import re
import socket
from binascii import b2a_base64
from typing import TYPE_CHECKING, Final

from hearth_records.errors import SealError, quote
from hearth_records.keys import ED25519, ed25519_spki
from hearth_records.signers.uri import attributes, uri_error

if TYPE_CHECKING:
    from hearth_records.signers import Ask

_FAILURE: Final = 5
_REQUEST_IDENTITIES: Final = 11
_IDENTITIES_ANSWER: Final = 12
_SIGN_REQUEST: Final = 13
_SIGN_RESPONSE: Final = 14
_KIND: Final = b"ssh-ed25519"

_MAX_ANSWER: Final = 256 * 1024
"""Bytes of an answer, as OpenSSH limits them."""
_WAIT: Final = 60.0
"""Seconds to wait for a piece of an answer."""
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def open_signer(rest: str, ask: Ask) -> AgentSigner:
    """Return the signer of an `ssh-agent:` URI, given without its scheme."""
    fingerprint, _, query = rest.partition("?")
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise uri_error("not ssh-agent:SHA256: and 43 characters", hint="ssh-add -l lists an agent's keys")
    path = attributes(query, "&", ("socket",)).get("socket") or ask("socket", "ssh-agent")
    if not path:
        raise SealError(
            "nothing says where the agent is",
            code="agent-unreachable",
            hint="start one with ssh-agent, which sets SSH_AUTH_SOCK, or name its socket: ?socket=PATH",
        )
    return AgentSigner(path, _find(path, fingerprint))


def _find(path: bytes, fingerprint: str) -> bytes:
    """Return the key blob of this fingerprint."""
    kind, answer = _request(path, bytes([_REQUEST_IDENTITIES]))
    if kind != _IDENTITIES_ANSWER:
        raise _broken("it does not list its keys")
    count, rest = int.from_bytes(answer[:4], "big"), answer[4:]
    for _ in range(count):
        blob, rest = _take_string(rest)
        _comment, rest = _take_string(rest)
        if _fingerprint_of(blob) == fingerprint:
            return blob
    raise SealError(
        "the agent has no key of this fingerprint",
        code="agent-key",
        expected=fingerprint,
        hint="ssh-add -l lists its keys; one that is locked (ssh-add -x) shows none",
    )


def _fingerprint_of(blob: bytes) -> str:
    return f"SHA256:{b2a_base64(hashlib.sha256(blob).digest(), newline=False).rstrip(b'=').decode()}"


class AgentSigner:
    """An Ed25519 key that an agent holds."""

    algorithm: Final = ED25519

    def __init__(self, path: bytes, blob: bytes) -> None:
        self._path = path
        self._blob = blob
        kind, rest = _take_string(blob)
        if kind != _KIND:
            raise SealError(
                "the agent's key is of a kind that cannot be used",
                code="key-unsupported",
                expected=_KIND.decode(),
                actual=kind.decode("latin-1"),
            )
        raw, rest = _take_string(rest)
        if rest:
            raise _broken("a key is longer than it says")
        self.public_key = ed25519_spki(raw)

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature over `message`.

        Raises:
            SealError: `code` is "agent-refused", "agent-unreachable" or "agent-answer".

        """
        request = b"%c%b%b%b" % (_SIGN_REQUEST, _string(self._blob), _string(message), bytes(4))
        kind, answer = _request(self._path, request)
        if kind == _FAILURE:
            raise SealError(
                "the agent refused to sign",
                code="agent-refused",
                hint="its user may have said no, the key's lifetime may be over, or the agent is locked",
            )
        if kind != _SIGN_RESPONSE:
            raise _broken("it answers something else than a signature")
        framed, more = _take_string(answer)
        name, rest = _take_string(framed)
        signature, rest = _take_string(rest)
        if name != _KIND or rest or more:
            raise _broken("its signature is not one by ssh-ed25519")
        return signature


def _request(path: bytes, message: bytes) -> tuple[int, bytes]:
    """Send one message; return the answer's type and what follows it."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(_WAIT)
            connection.connect(path)
            connection.sendall(_string(message))
            length = int.from_bytes(_receive(connection, 4), "big")
            if not 0 < length <= _MAX_ANSWER:
                raise _broken(f"an answer has from 1 to {_MAX_ANSWER} bytes")
            answer = _receive(connection, length)
    except OSError as error:
        raise SealError(
            f"the agent at {quote(path.decode('utf-8', 'backslashreplace'))} cannot be reached: "
            f"{error.strerror or error}",
            code="agent-unreachable",
        ) from error
    return answer[0], answer[1:]


def _receive(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise _broken("it closed the connection")
        data += piece
    return bytes(data)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _take_string(data: bytes) -> tuple[bytes, bytes]:
    """Return the string at the beginning, and what follows it."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < max(end, 4):
        raise _broken("it is cut short")
    return data[4:end], data[end:]


def _broken(reason: str) -> SealError:
    return SealError(f"the agent's answer is not understood: {reason}", code="agent-answer")
