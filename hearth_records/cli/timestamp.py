"""`hearth-records timestamp`: ask an authority by when a signature existed, and attach its answer (RFC 3161).

Nothing is sent but the hash of a signature, and only with `--tsa URL`. Without it the request goes to the authority by
whatever means exist, and the response comes back as a file.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from hearth_records import canonical, countersignature, evidence, timestamp
from hearth_records.cli.arguments import Parser, add_min_version
from hearth_records.cli.common import (
    UNREADABLE,
    USAGE,
    CommandError,
    check_output,
    present_time,
    read_certificate,
    read_file,
    refuse,
    verify_input,
    write_changed,
    write_file,
)
from hearth_records.errors import SealError, TrustError, escape
from hearth_records.trust import TrustPolicy
from hearth_records.verify import TIMESTAMP_TYPE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from hearth_records.model import Signature
    from hearth_records.verify import VerificationReport

_CALLS: Final = {
    "request": "write a timestamp request over a signature of a sealed record",
    "attach": "verify a timestamp response and attach it to the signature that it is over",
}
_TIME_LIMIT: Final = 30
"""Seconds that an authority has to answer."""
_CHUNK: Final = 65536
_ALTERED: Final = 1
_UNTRUSTED: Final = 4
_EXIT_CODES: Final = {
    "timestamp-imprint": _ALTERED,
    "timestamp-nonce": _ALTERED,
    "timestamp-signature": _ALTERED,
    "timestamp-authority": _UNTRUSTED,
}
"""Of a response that is refused; any other one is malformed, or none at all."""


def command(arguments: Sequence[str], prog: str) -> int:
    """Write a request, or attach a response."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        calls = "\n".join(f"  {known:<8} {text}" for known, text in _CALLS.items())
        print(f"usage: {prog} CALL FILE …\n\nBy when a signature existed (RFC 3161).\n\n{calls}")
        print(f"\n{prog} CALL --help says more")
        return 0
    if name not in _CALLS:
        raise CommandError(
            f"no such call: {name}" if name else "no call was given",
            exit_code=USAGE,
            hint=f"one of {', '.join(_CALLS)}",
        )
    parser = Parser(f"{prog} {name}", _CALLS[name])
    parser.add_argument("file", metavar="FILE", help="a sealed record; - is standard input")
    parser.add_argument(
        "--keyid", metavar="K", help="whose signature: the key id, or its first 8 digits or more (default: the first)"
    )
    if name == "request":
        parser.add_argument("-o", dest="out", metavar="OUT", required=True, help="the new file for the request")
        return _request(parser.parse_args(rest))
    parser.add_argument("response", nargs="?", metavar="RESPONSE", help="the authority's response, a file")
    parser.add_argument("--tsa", metavar="URL", help="in the place of RESPONSE: ask this authority, over http or https")
    parser.add_argument("-o", dest="out", metavar="OUT", help="a new file to write to (default: FILE is replaced)")
    parser.add_argument("--trust", metavar="POLICY", help="check it against the authorities of a trust policy")
    add_min_version(parser)
    parser.add_argument(
        "--authority", metavar="CERT.pem", action="append", help="check it against this authority; may be repeated"
    )
    return _attach(parser.parse_args(rest))


def _request(options: argparse.Namespace) -> int:
    check_output(options.file, options.out)
    signature, *_others = _find(options, *_read(options.file))
    request, _nonce = timestamp.make_request(signature.sig_bytes)
    write_file(options.out, request)
    print(f"request      {escape(options.out)}")
    print(f"  over       the signature by {signature.keyid}")
    return 0


def _attach(options: argparse.Namespace) -> int:
    if (options.response is None) == (options.tsa is None):
        raise CommandError("give either RESPONSE or --tsa URL", exit_code=USAGE, hint="timestamp attach --help")
    check_output(options.file, options.out)
    authorities = _read_authorities(options)
    data, report = _read(options.file)
    signatures = _find(options, data, report)
    nonce = None
    if options.tsa is not None:
        source = _shown(options.tsa)
        del signatures[1:]
        request, nonce = timestamp.make_request(signatures[0].sig_bytes)
        response = _ask(options.tsa, request)
    else:
        source = options.response
        response = read_file(source, lambda data: data, timestamp.MAX_RESPONSE)
    try:
        signature, found = _verify(response, signatures, authorities, nonce)
    except TrustError as error:
        code = _EXIT_CODES.get(error.code, UNREADABLE)
        raise CommandError(f"{source}: {error}", exit_code=code, hint=error.hint) from None
    try:
        result = evidence.attach_evidence(data, signature.keyid, TIMESTAMP_TYPE, response, report=report)
    except SealError as error:
        raise CommandError(f"{options.file}: {error}", exit_code=USAGE, hint=error.hint) from None
    written = write_changed(options.file, data, result, options.out)
    print(f"timestamped  {escape(written)}")
    print(f"  over       the signature by {signature.keyid}")
    print(f"  time       {found.time}")
    if found.authority is not None:
        print(f"  authority  {found.authority}")
    else:
        print("The authority was not checked: neither --trust nor --authority was given. Anybody can be one.")
    return 0


def _read(path: str) -> tuple[bytes, VerificationReport]:
    """Return a record that holds, as far as that needs no key."""
    data, report = verify_input(path, None)
    if countersignature.blocking_check(report) is not None:
        refuse(path, report)
    return data, report


def _find(options: argparse.Namespace, data: bytes, report: VerificationReport) -> list[Signature]:
    """Return the signature that `--keyid` names, or all."""
    countersignature.check_holds(data, report)
    seal = canonical.decode_closing(data.removesuffix(b"\n").rpartition(b"\n")[2]).seal
    if options.keyid is None:
        return list(seal.signatures)
    try:
        return [evidence.find_signature(seal, options.keyid)]
    except SealError as error:
        raise CommandError(f"{options.file}: {error}", exit_code=USAGE, hint=error.hint) from None


def _verify(
    response: bytes, signatures: list[Signature], authorities: tuple[str, ...] | None, nonce: int | None
) -> tuple[Signature, timestamp.Timestamp]:
    """Return the signature that a response is over, and what it says. Raises `TrustError`."""
    *others, last = signatures
    for signature in others:
        try:
            return signature, timestamp.verify_response(response, signature.sig_bytes, authorities, nonce=nonce)
        except TrustError as error:
            if error.code != "timestamp-imprint":
                raise
    return last, timestamp.verify_response(response, last.sig_bytes, authorities, nonce=nonce)


def _read_authorities(options: argparse.Namespace) -> tuple[str, ...] | None:
    """Return the certificates that the options name, or None for nobody's."""
    if options.trust and options.authority:
        raise CommandError("--trust and --authority exclude each other", exit_code=USAGE)
    if options.min_policy_version is not None and not options.trust:
        raise CommandError("--min-policy-version is about the policy of --trust POLICY", exit_code=USAGE)
    if options.authority:
        return tuple(read_certificate(path) for path in options.authority)
    if not options.trust:
        return None
    least = options.min_policy_version or 1
    # Only its authorities are used: whose signature it is, is not asked here.
    policy = read_file(options.trust, lambda data: TrustPolicy.decode(data, allow_example_keys=True, min_version=least))
    if not policy.document.timestamp_authorities:
        raise CommandError(
            f"{options.trust}: the policy names no timestamp authority",
            exit_code=USAGE,
            hint="hearth-records trust set POLICY --timestamp-authority CERT.pem",
        )
    try:
        policy.check_expiry(present_time())
    except TrustError as error:
        raise CommandError(f"{options.trust}: {error}", exit_code=_UNTRUSTED, hint=error.hint) from None
    return policy.document.timestamp_authorities


def _ask(url: str, request: bytes) -> bytes:
    """Return an authority's answer: no proxy, no redirect, limits of time and size. Raises `CommandError`."""
    import http.client  # noqa: PLC0415 - only who wants a network
    from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, Request  # noqa: PLC0415 - as above

    shown = _shown(url)
    opener = OpenerDirector()  # not the usual one: that takes proxies from the environment, and follows redirects
    opener.add_handler(HTTPHandler())
    opener.add_handler(HTTPSHandler())
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    end = time.monotonic() + _TIME_LIMIT
    body = bytearray()
    try:
        with opener.open(Request(url, request, headers), timeout=_TIME_LIMIT) as response:  # noqa: S310 - looked at above
            status: int = response.status
            while status == http.client.OK and (chunk := response.read1(_CHUNK)):
                body += chunk
                if len(body) > timestamp.MAX_RESPONSE:
                    raise _no_answer(shown, f"the answer is longer than {timestamp.MAX_RESPONSE} bytes")
                if time.monotonic() > end:
                    raise TimeoutError
    except TimeoutError:
        raise _no_answer(shown, f"no answer within {_TIME_LIMIT} seconds") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _no_answer(shown, str(getattr(error, "reason", None) or error)) from None
    if status != http.client.OK:
        raise _no_answer(shown, f"the authority answered {status} {http.client.responses.get(status, '')}".rstrip())
    return bytes(body)


def _shown(url: str) -> str:
    """Return a URL as it may be shown: without its query. Raises `CommandError`, which repeats nothing, for no URL."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - as above

    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not (url.isascii() and url.isprintable()) or " " in url:
        raise CommandError("--tsa is not a URL of http or https", exit_code=USAGE, hint="--tsa https://HOST/PATH")
    if "@" in parts.netloc:
        raise CommandError(
            "--tsa holds a name or a password, which would be seen by others",
            exit_code=USAGE,
            hint="timestamp request FILE -o req.tsq makes a request to send by other means",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _no_answer(url: str, reason: str) -> CommandError:
    return CommandError(
        f"{url}: {reason}", exit_code=UNREADABLE, hint="timestamp request FILE -o req.tsq makes a request to send later"
    )
