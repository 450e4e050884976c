"""A key of a transit engine (Vault, OpenBao): `transit:https://HOST[:PORT][/MOUNT][?ca=FILE]#KEY[@VERSION]`.

MOUNT is the engine's path, namespaces included (`team/transit`); without it, `transit`. `ca` is a file of certificates
in PEM which alone are trusted then. Without VERSION it is the latest one. The token needs two capabilities, no more:

    path "transit/keys/KEY" { capabilities = ["read"] }
    path "transit/sign/KEY" { capabilities = ["update"] }

1. Opening: `GET /v1/MOUNT/keys/KEY`. The key is of type ed25519 and not derived. The version and its public key are
   pinned here, since every version of a transit key is another key.
2. Signing: `POST /v1/MOUNT/sign/KEY` {"input": base64 of the message, "key_version": VERSION}; the answer's signature
   is "vault:vVERSION:" and base64 of it. By another version it is refused. Where signing fails, the key is read once
   more, to tell whether it was rotated underneath.

HTTPS, with the server's certificate and name verified; plain HTTP only to an address of this machine (127.0.0.0/8,
::1). One connection a request, no redirects, no proxies, no retries. Neither SSL_CERT_FILE, SSLKEYLOGFILE, http_proxy
nor VAULT_TOKEN is read. What the server says is limited in size, and escaped where it is shown.

Known gaps: the time limit is one for each wait, so that a server that drips can take longer; looking up a host's name
has the system's own limit. One token for all servers of a command. No ML-DSA: OpenBao 2.7 does not offer it.
"""

from __future__ import annotations

import binascii
import http.client
import ipaddress
import re
import ssl
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from hearth_records.errors import SealError, quote
from hearth_records.keys import ED25519, ed25519_spki
from hearth_records.signers.uri import attributes, uri_error

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from hearth_records.signers import Ask

_WAIT: Final = 10.0
"""Seconds to wait for a piece of an answer."""
_MAX_ANSWER: Final = 4 * 1024 * 1024
"""Bytes of an answer: a key with its thousands of versions fits."""
_HOST: Final = re.compile(r"[a-z0-9._:-]+")
_MOUNT: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_KEY: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)(?:@([1-9][0-9]{0,9}))?")
_FORM: Final = "transit:https://HOST[:PORT][/MOUNT][?ca=FILE]#KEY[@VERSION]"

_CODES: Final[dict[int, tuple[str, str, str | None]]] = {
    403: ("transit-denied", "the token may not do this, or is not valid", "read on keys/KEY, update on sign/KEY"),
    404: ("transit-key", "no such key, or no transit engine at this mount", "the path of the URL is the mount"),
    503: ("transit-sealed", "the server is sealed, or not available", "its operators unseal it"),
}
_T = TypeVar("_T")


class _Key(msgspec.Struct):
    type: str
    latest_version: int
    keys: dict[str, Any]
    min_encryption_version: int = 0
    derived: bool = False


class _Version(msgspec.Struct):
    public_key: str


class _Signed(msgspec.Struct):
    signature: str


def open_signer(rest: str, ask: Ask) -> TransitSigner:
    """Return the signer of a `transit:` URI, given without its scheme."""
    url, mount, name, version = _parse(rest)
    engine = _Engine(url, mount, _read_token(ask("token", url.netloc)))
    key = engine.read_key(name)
    version = key.latest_version if version is None else version
    return TransitSigner(engine, name, version, _public_key_of(key, version))


def _parse(rest: str) -> tuple[SplitResult, str, str, int | None]:
    if not (rest.isascii() and rest.isprintable()) or " " in rest:
        raise uri_error("a URL is printable ASCII without blanks", hint=_FORM)
    try:
        url = urlsplit(rest)
        host, _port = url.hostname, url.port
    except ValueError:
        host = None
    if not (host and _HOST.fullmatch(host)) or url.scheme not in ("http", "https") or url.username is not None:
        raise uri_error("not the URL of a server", hint=_FORM)
    if url.scheme == "http" and not _is_loopback(host):
        raise uri_error(
            "plain http would show the token to the network", hint="https, or an address of this machine: 127.0.0.1"
        )
    mount = url.path.strip("/") or "transit"
    found = _KEY.fullmatch(url.fragment)
    if found is None or not _MOUNT.fullmatch(mount):
        raise uri_error("not the mount and the name of a transit key", hint=_FORM)
    return url, mount, found[1], None if found[2] is None else int(found[2])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: whoever answers for it could be anybody
        return False


def _read_token(token: bytes | None) -> str:
    if not token:
        raise SealError("the server wants a token", code="transit-token", hint="give --token-file FILE")
    if not re.fullmatch(rb"[!-~]+", token):
        raise SealError("a token is printable ASCII without blanks", code="transit-token")
    return token.decode()


def _public_key_of(key: _Key, version: int) -> bytes:
    """Return the DER of a version's public key."""
    if key.type != ED25519 or key.derived:
        raise SealError(
            "the transit key is of a kind that cannot be used",
            code="key-unsupported",
            expected=ED25519,
            actual=f"{key.type}, derived" if key.derived else key.type,
        )
    if str(version) not in key.keys or version < key.min_encryption_version:
        raise SealError(
            "this version of the transit key does not sign",
            code="transit-version",
            expected=f"{max(key.min_encryption_version, 1)} to {key.latest_version}",
            actual=version,
        )
    try:
        text = msgspec.convert(key.keys[str(version)], _Version).public_key
        return ed25519_spki(binascii.a2b_base64(text, strict_mode=True))
    except (msgspec.ValidationError, ValueError) as error:
        raise _broken("no public key") from error


class TransitSigner:
    """One version of an Ed25519 key of a transit engine."""

    algorithm: Final = ED25519

    def __init__(self, engine: _Engine, name: str, version: int, public_key: bytes) -> None:
        self._engine = engine
        self._name = name
        self._version = version
        self.public_key = public_key

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature over `message`.

        Raises:
            SealError: `code` is "transit-rotated" when the pinned version does not sign any more, or as `open_signer`.

        """
        try:
            text = self._engine.sign(self._name, self._version, message)
        except SealError as error:
            if error.code == "transit-failed" and self._is_gone():
                raise self._rotated() from error
            raise
        prefix = f"vault:v{self._version}:"
        if not text.startswith(prefix):
            raise self._rotated()
        try:
            return binascii.a2b_base64(text.removeprefix(prefix), strict_mode=True)
        except ValueError as error:
            raise _broken("no signature") from error

    def _is_gone(self) -> bool:
        try:
            return _public_key_of(self._engine.read_key(self._name), self._version) != self.public_key
        except SealError as error:
            return error.code == "transit-version"

    def _rotated(self) -> SealError:
        return SealError(
            f"the transit key was rotated underneath: version {self._version} does not sign any more",
            code="transit-rotated",
            hint="open the key anew; a policy has to know the new version's public key (keys public)",
        )


class _Engine:
    """A transit engine behind its HTTP API."""

    def __init__(self, url: SplitResult, mount: str, token: str) -> None:
        self._host = url.hostname or ""
        self._port = url.port
        self._mount = mount
        self._headers = {"X-Vault-Token": token, "X-Vault-Request": "true", "Content-Type": "application/json"}
        ca = attributes(url.query, "&", ("ca",)).get("ca")
        self._context = _context(ca) if url.scheme == "https" else None

    def read_key(self, name: str) -> _Key:
        """Return what is known of a key."""
        return self._call("GET", f"keys/{name}", None, _Key)

    def sign(self, name: str, version: int, message: bytes) -> str:
        """Return the text that stands for a signature."""
        text = binascii.b2a_base64(message, newline=False).decode()
        body = msgspec.json.encode({"input": text, "key_version": version})
        return self._call("POST", f"sign/{name}", body, _Signed).signature

    def _call(self, method: str, path: str, body: bytes | None, kind: type[_T]) -> _T:
        status, data = self._exchange(method, f"/v1/{self._mount}/{path}", body)
        if status != http.HTTPStatus.OK:
            raise _refused(status, data)
        try:
            answer = msgspec.json.decode(data, type=dict[str, Any])
            return msgspec.convert(answer.get("data"), kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _broken(str(error)) from error

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._context is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_WAIT)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=_WAIT, context=self._context)
        try:
            connection.request(method, path, body, self._headers)
            with connection.getresponse() as response:
                data = response.read(_MAX_ANSWER + 1)
        except ssl.SSLCertVerificationError as error:
            raise SealError(
                f"the server's certificate is not trusted: {quote(error.verify_message)}",
                code="transit-untrusted",
                hint="?ca=FILE names the certificates of a private authority",
            ) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise SealError(
                f"{self._host} cannot be reached: {quote(str(error) or type(error).__name__)}",
                code="transit-unreachable",
            ) from error
        finally:
            connection.close()
        if len(data) > _MAX_ANSWER:
            raise _broken(f"more than {_MAX_ANSWER} bytes")
        return response.status, data


def _context(ca: bytes | None) -> ssl.SSLContext:
    """Return what verifies a server. `ssl.create_default_context` would read the environment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    paths = ssl.get_default_verify_paths()
    file, directory = (paths.openssl_cafile, paths.openssl_capath) if ca is None else (ca, None)
    try:
        context.load_verify_locations(file, directory)
    except OSError as error:
        raise SealError(
            f"no certificates to verify the server with: {quote(error.strerror or str(error))}", code="transit-ca"
        ) from error
    return context


def _refused(status: int, data: bytes) -> SealError:
    """Return the error for an answer that is none of 200."""
    try:
        said = " ".join(" ".join(msgspec.json.decode(data, type=dict[str, list[str]])["errors"]).split())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        said = ""
    code, reason, hint = _CODES.get(status, ("transit-failed", "the server refused", None))
    if status in range(300, 400):
        code, reason, hint = "transit-answer", "the server redirects, which is not followed", "name the active server"
    return SealError(f"{reason}: HTTP {status}{f', {quote(said)}' if said else ''}", code=code, hint=hint)


def _broken(reason: str) -> SealError:
    return SealError(f"the server's answer is not understood: {quote(reason)}", code="transit-answer")
