"""`hearth-records trust`: trust policies, made, edited and shown, so that nobody writes one by hand (FORMAT §9).

An edit is whole or not at all: the new policy is written beside the old one, read back as a reader would, and renamed
over it; its `version` counts up by one. Two edits at the same time cannot lose one another: the second is refused.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, get_args

import msgspec

from hearth_records import files, keys, profile, timestamp
from hearth_records.cli.arguments import Parser, add_min_version
from hearth_records.cli.common import (
    UNREADABLE,
    USAGE,
    CommandError,
    accept_rotation,
    present_time,
    read_certificate,
    read_file,
    write_file,
)
from hearth_records.errors import HearthRecordsError, escape, quote
from hearth_records.model import ScalarError, check_identifier, check_timestamp
from hearth_records.trust import (
    POLICY_FORMAT,
    PolicyDocument,
    Requirement,
    Revocation,
    RoleName,
    TrustPolicy,
    encode_policy,
    trusted_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.trust import TrustedKey

__all__ = ["command", "find_key", "fingerprint", "parse_time"]

_MAX_POLICY: Final = 16 * 1024 * 1024
_ROLES: Final[tuple[RoleName, ...]] = get_args(RoleName)
_MIN_PREFIX: Final = 8
"""Digits of a key id that name a key, if it is the only one that begins so."""


def command(arguments: Sequence[str], prog: str) -> int:
    """Make, edit, show or check a policy."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        calls = "\n".join(f"  {known:<8} {call.text}" for known, call in CALLS.items())
        print(f"usage: {prog} CALL POLICY …\n\nWhose seals count: a trust policy (hearth-trust/1).\n\n{calls}")
        print(f"\n{prog} CALL --help says more")
        return 0
    if name not in CALLS:
        raise CommandError(
            f"no such call: {name}" if name else "no call was given", exit_code=USAGE, hint=f"one of {', '.join(CALLS)}"
        )
    call = CALLS[name]
    parser = Parser(f"{prog} {name}", call.text)
    parser.add_argument("policy", metavar="POLICY", help="the policy's file")
    for add in call.options:
        add(parser)
    parser.add_argument(
        "--allow-example-keys", action="store_true", help="admit the published example keys, which prove nothing"
    )
    return call.run(parser.parse_args(rest))


# --- values ----------------------------------------------------------------------------------------------------------


def parse_time(text: str) -> str:
    """Return a timestamp for a day, a second or a microsecond of UTC."""
    if re.fullmatch(r"[0-9-]{10}", text):
        text = f"{text}T00:00:00.000000Z"
    elif re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", text):
        text = f"{text[:-1]}.000000Z"
    try:
        check_timestamp("", text)
    except ScalarError:
        raise argparse.ArgumentTypeError("not a time of UTC like 2026-11-22 or 2026-11-22T16:03:05Z") from None
    return text


def _requirement(text: str) -> Requirement:
    """Return what ROLE=COUNT or ROLE:ALGORITHM=COUNT demands."""
    what, _, count = text.partition("=")
    role, colon, algorithm = what.partition(":")
    if role not in ("seal", "countersign"):
        raise argparse.ArgumentTypeError("not ROLE=COUNT or ROLE:ALGORITHM=COUNT with the role seal or countersign")
    if not re.fullmatch(r"[1-9][0-9]{0,3}", count):
        raise argparse.ArgumentTypeError("a count is from 1 to 9999")
    try:
        if colon:
            check_identifier("", algorithm)
    except ScalarError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Requirement(role="seal" if role == "seal" else "countersign", algorithm=algorithm or None, count=int(count))


def _name(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("not UTF-8") from None
    return text


def fingerprint(keyid: str) -> str:
    """Return the first 128 bits of a key id in groups of four digits: enough to compare a key by voice.

    Somebody who wants another key with the same ones has to try about 2^128 keys.
    """
    return " ".join(keyid[place : place + 4] for place in range(0, 32, 4))


def find_key(document: PolicyDocument, text: str) -> int:
    """Return the position of the key that a key id, the beginning of one or a fingerprint names.

    Raises:
        CommandError: none is named so, more than one, or by fewer than 8 digits.

    """
    prefix = text.replace(" ", "").lower()
    found = [index for index, entry in enumerate(document.keys) if entry.keyid.startswith(prefix)]
    if len(prefix) < _MIN_PREFIX or len(found) != 1:
        raise CommandError(
            f"{'more than one key' if prefix and len(found) > 1 else 'no key of the policy'} begins so: {text}",
            exit_code=USAGE,
            hint=f"give the key id, or at least its first {_MIN_PREFIX} digits; trust show lists them",
        )
    return found[0]


# --- files -----------------------------------------------------------------------------------------------------------


def _read(path: str, options: argparse.Namespace) -> TrustPolicy:
    least = getattr(options, "min_policy_version", None) or 1
    return read_file(
        path, lambda data: TrustPolicy.decode(data, allow_example_keys=options.allow_example_keys, min_version=least)
    )


def _encode(path: str, document: PolicyDocument, options: argparse.Namespace) -> bytes:
    """Return the bytes of a policy that a reader accepts."""
    data = encode_policy(document)
    try:
        TrustPolicy.decode(data, allow_example_keys=options.allow_example_keys)
    except HearthRecordsError as error:
        raise CommandError(f"{path}: would be refused: {error}", exit_code=UNREADABLE, hint=error.hint) from None
    return data


def _edit(options: argparse.Namespace, change: Callable[[PolicyDocument], PolicyDocument]) -> PolicyDocument:
    """Put a changed policy of the next version in the place of the old one, and return it."""
    path = os.path.realpath(options.policy)  # a link stays one
    with files.open_regular(path) as stream:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(options.policy) from None
        old = os.fstat(stream.fileno())
        if not os.path.samestat(old, os.stat(path)):  # noqa: PTH116 - as its name was opened
            raise _busy(options.policy)
        document = _read(options.policy, options).document
        if document.version == profile.MAX_INTEGER:
            raise CommandError(f"{options.policy}: there is no version after {document.version}", exit_code=UNREADABLE)
        changed = msgspec.structs.replace(change(document), version=document.version + 1)
        files.replace_file(path, _encode(options.policy, changed, options), old)
    print(f"policy       {escape(options.policy)}, now version {changed.version}")
    return changed


def _busy(path: str) -> CommandError:
    return CommandError(f"{path}: somebody else edits it at this moment", exit_code=UNREADABLE, hint="try again")


# --- calls -----------------------------------------------------------------------------------------------------------


def _add_terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--require",
        action="append",
        type=_requirement,
        metavar="ROLE[:ALGORITHM]=COUNT",
        help="how many keys have to have signed; may be repeated, and all of them count (default: seal=1)",
    )
    expiry = parser.add_mutually_exclusive_group()
    expiry.add_argument(
        "--expires", type=parse_time, metavar="T", help="from when on the policy is not to be used any more"
    )
    expiry.add_argument("--no-expiry", action="store_true", help="it does not expire")
    parser.add_argument(
        "--require-timestamp",
        action=argparse.BooleanOptionalAction,
        help="whether every signer's signature needs a trusted timestamp",
    )
    parser.add_argument(
        "--timestamp-authority",
        action="append",
        metavar="CERT.pem",
        help="the root certificate of a timestamp authority; may be repeated, and takes the place of those before",
    )


def _with_terms(document: PolicyDocument, options: argparse.Namespace) -> PolicyDocument:
    if options.expires is not None and options.expires <= present_time():
        raise CommandError(f"--expires: {options.expires} is past", exit_code=USAGE)
    changes: dict[str, object] = {}
    if options.require:
        changes["require"] = tuple(options.require)
    if options.expires is not None or options.no_expiry:
        changes["expires"] = options.expires
    if options.require_timestamp is not None:
        changes["require_timestamp"] = options.require_timestamp
    if options.timestamp_authority:
        authorities = tuple(read_certificate(path) for path in options.timestamp_authority)
        if not any(timestamp.read_authority(pem).is_root for pem in authorities):
            raise CommandError(
                "--timestamp-authority: no certificate is self-signed, so that no chain ends",
                exit_code=USAGE,
                hint="name the authority's root; other certificates may stand beside it as links of a chain",
            )
        changes["timestamp_authorities"] = authorities
    return msgspec.structs.replace(document, **changes)


def _init(options: argparse.Namespace) -> int:
    document = PolicyDocument(
        format=POLICY_FORMAT,
        version=1,
        expires=None,
        require_timestamp=False,
        timestamp_authorities=(),
        require=(Requirement(role="seal", algorithm=None, count=1),),
        keys=(),
    )
    write_file(options.policy, _encode(options.policy, _with_terms(document, options), options))
    print(f"policy       {escape(options.policy)}, version 1, which knows no key yet")
    return 0


def _set(options: argparse.Namespace) -> int:
    def change(document: PolicyDocument) -> PolicyDocument:
        changed = _with_terms(document, options)
        if changed == document:
            raise CommandError("nothing would change", exit_code=USAGE, hint="trust set --help")
        return changed

    _show_terms(_edit(options, change))
    return 0


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("public", nargs="?", metavar="PUBLIC", help="a public key: PEM, or OpenSSH's ssh-ed25519 line")
    parser.add_argument(
        "--rotation",
        metavar="FILE",
        help="in the place of PUBLIC: admit the new key of a rotation, with the roles of the old one, from its time on",
    )
    parser.add_argument(
        "--supersede", action="store_true", help="with --rotation: end the old key, as superseded, at that time"
    )
    parser.add_argument("--name", type=_name, metavar="TEXT", help="what the key is called (default: its file's name)")
    parser.add_argument(
        "--role", action="append", choices=_ROLES, help="what it may sign; may be repeated (default: seal)"
    )
    parser.add_argument("--not-before", type=parse_time, metavar="T", help="from when on it counts")
    parser.add_argument("--not-after", type=parse_time, metavar="T", help="from when on it counts no more")


def _add(options: argparse.Namespace) -> int:
    if (options.public is None) == (options.rotation is None):
        raise CommandError("name either PUBLIC or --rotation FILE", exit_code=USAGE, hint="trust add --help")
    if options.rotation is not None:
        return _add_rotated(options)
    if options.supersede:
        raise CommandError("--supersede is about the old key of --rotation FILE", exit_code=USAGE)
    if options.not_before and options.not_after and options.not_before >= options.not_after:
        raise CommandError("--not-after: the window ends before it begins", exit_code=USAGE)
    key = read_file(options.public, keys.load_public_key)
    name = options.name
    if name is None:
        name = os.path.basename(options.public).encode("utf-8", "backslashreplace").decode()  # noqa: PTH119 - text
    entry = trusted_key(
        key,
        name,
        roles=tuple(role for role in _ROLES if role in (options.role or ("seal",))),
        not_before=options.not_before,
        not_after=options.not_after,
    )

    def change(document: PolicyDocument) -> PolicyDocument:
        for known in document.keys:
            if known.keyid == entry.keyid:
                raise CommandError(
                    f"{options.public}: the policy knows this key already, as {quote(known.name)}", exit_code=USAGE
                )
        return msgspec.structs.replace(document, keys=(*document.keys, entry))

    _edit(options, change)
    _show_key(entry)
    print("Ask the key's holder to read the fingerprint out: the first 32 digits of the key id.")
    return 0


def _add_rotated(options: argparse.Namespace) -> int:
    if options.role or options.not_before or options.not_after:
        raise CommandError("--rotation gives the key its roles and its window", exit_code=USAGE)

    def change(document: PolicyDocument) -> PolicyDocument:
        policy = TrustPolicy(document, allow_example_keys=options.allow_example_keys)
        admitted = accept_rotation(options.rotation, policy, allow_example_keys=options.allow_example_keys)
        *entries, new = admitted.document.keys
        if options.name is not None:
            new = msgspec.structs.replace(new, name=options.name)
        if options.supersede:
            old = list(admitted.keys).index(admitted.counted_as[new.keyid])
            at = new.not_before or present_time()
            if entries[old].revoked is None:
                entries[old] = msgspec.structs.replace(entries[old], revoked=Revocation(at=at, reason="superseded"))
        return msgspec.structs.replace(document, keys=(*entries, new))

    changed = _edit(options, change)
    _show_key(changed.keys[-1])
    if not options.supersede:
        print(
            "The old key still counts as before, beside the new one: two keys for a requirement, perhaps in one hand."
        )
        print("trust revoke --reason superseded ends it.")
    return 0


def _add_end(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help=f"the key id, or its first {_MIN_PREFIX} digits or more")
    parser.add_argument("--at", type=parse_time, metavar="T", help="from when on (default: now)")


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reason",
        required=True,
        choices=("compromised", "superseded", "retired"),
        help="compromised voids every signature that no trusted timestamp shows to be older than --at, which is "
        "needed then; the others end the key at that time",
    )


def _revoke(options: argparse.Namespace) -> int:
    if options.reason == "compromised" and options.at is None:
        raise CommandError(
            "--at T is needed: since when the key may have been in other hands",
            exit_code=USAGE,
            hint="a day long before it was noticed is on the safe side",
        )
    return _end(options, Revocation(at=options.at or present_time(), reason=options.reason))


def _retire(options: argparse.Namespace) -> int:
    return _end(options, Revocation(at=options.at or present_time(), reason="retired"))


def _end(options: argparse.Namespace, revoked: Revocation) -> int:
    index = 0

    def change(document: PolicyDocument) -> PolicyDocument:
        nonlocal index
        index = find_key(document, options.key)
        entry = document.keys[index]
        if entry.revoked is not None and not _is_stricter(revoked, entry.revoked):
            raise CommandError(
                f"{quote(entry.name)} was revoked already, as {entry.revoked.reason} at {entry.revoked.at}",
                exit_code=USAGE,
                hint="a revocation is only ever made stricter: earlier, or to compromised",
            )
        ended = msgspec.structs.replace(entry, revoked=revoked)
        return msgspec.structs.replace(document, keys=(*document.keys[:index], ended, *document.keys[index + 1 :]))

    _show_key(_edit(options, change).keys[index])
    return 0


def _is_stricter(new: Revocation, old: Revocation) -> bool:
    if (new.reason == "compromised") != (old.reason == "compromised"):
        return new.reason == "compromised"
    return new.at < old.at


def _show(options: argparse.Namespace) -> int:
    document = _read(options.policy, options).document
    print(f"policy       {escape(options.policy)}, version {document.version}")
    _show_terms(document)
    for entry in document.keys:
        _show_key(entry)
    return 0


def _show_terms(document: PolicyDocument) -> None:
    print(f"expires      {document.expires or 'never'}")
    needed = "needed" if document.require_timestamp else "not needed"
    print(f"timestamps   {needed}; {len(document.timestamp_authorities)} authorities")
    for pem in document.timestamp_authorities:
        print(f"  authority  {_describe_authority(pem)}")
    for item in document.require:
        print(f"requires     {item.count} of role {item.role}, {escape(item.algorithm or 'any algorithm')}")


def _describe_authority(pem: str) -> str:
    try:
        authority = timestamp.read_authority(pem)
    except HearthRecordsError as error:
        return f"NONE: {error}"
    subject = escape(authority.certificate.subject.rfc4514_string())
    return f'"{subject}", sha256 {authority.digest}{"" if authority.is_root else ", no root but a link of a chain"}'


def _show_key(entry: TrustedKey) -> None:
    window = f"{entry.not_before or '…'} to {entry.not_after or '…'}" if entry.not_before or entry.not_after else "none"
    facts = [
        ("key id", entry.keyid),
        ("fingerprint", fingerprint(entry.keyid)),
        ("algorithm", escape(entry.algorithm)),
        ("roles", ", ".join(entry.roles) or "none"),
        ("window", window),
    ]
    if entry.revoked is not None:
        facts.append(("REVOKED", f"{entry.revoked.reason} at {entry.revoked.at}"))
    print(f'key          "{escape(entry.name)}"')
    for name, value in facts:
        print(f"  {name:<11}  {value}")


def _check(options: argparse.Namespace) -> int:
    document = _read(options.policy, options).document
    if document.expires is not None and document.expires <= present_time():
        raise CommandError(f"{options.policy}: the policy expired at {document.expires}", exit_code=UNREADABLE)
    for index, pem in enumerate(document.timestamp_authorities):
        try:
            timestamp.read_authority(pem)
        except HearthRecordsError as error:
            error.pointer = f"/timestamp_authorities/{index}"
            raise CommandError(f"{options.policy}: {error}", exit_code=UNREADABLE) from None
    if document.require_timestamp and not document.timestamp_authorities:
        print("note: timestamps are required, and the policy names no timestamp authority: no record meets that")
    for item in document.require:
        able = [
            entry
            for entry in document.keys
            if item.role in entry.roles
            and item.algorithm in (None, entry.algorithm)
            and (entry.revoked is None or entry.revoked.reason != "compromised")
        ]
        if len(able) < item.count:
            print(
                f"note: {item.count} of role {item.role}, {escape(item.algorithm or 'any algorithm')}, are required, "
                f"and the policy knows {len(able)}: no record meets that"
            )
    print(f"{escape(options.policy)}: good, version {document.version}, {len(document.keys)} keys")
    return 0


_Add: TypeAlias = Callable[[argparse.ArgumentParser], None]


class _Call(NamedTuple):
    """A call: what it does, its options, how it runs."""

    text: str
    options: tuple[_Add, ...]
    run: Callable[[argparse.Namespace], int]


CALLS: Final = {
    "init": _Call("make a policy that knows no key yet", (_add_terms,), _init),
    "set": _Call("change what a policy demands", (_add_terms,), _set),
    "add": _Call("admit a public key", (_add_key,), _add),
    "revoke": _Call("revoke a key", (_add_end, _add_reason), _revoke),
    "retire": _Call("end a key that has served its time", (_add_end,), _retire),
    "show": _Call("show a policy", (), _show),
    "check": _Call("say whether a policy is good: 0, or 3", (add_min_version,), _check),
}
