"""`hearth-records export`: a record that verifies, in a form that others check without our code (FORMAT §15)."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Final

from hearth_records import files, keys
from hearth_records.cli.arguments import Parser, add_policy_options, add_trust_options
from hearth_records.cli.common import (
    UNREADABLE,
    USAGE,
    CommandError,
    exists_already,
    read_policy,
    refuse,
    verify_input,
    write_file,
)
from hearth_records.cli.signing import add_key_options, read_signers
from hearth_records.errors import SealError, escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hearth_records.model import SealedRecord
    from hearth_records.trust import TrustPolicy

_FORMS: Final = {
    "dsse": "a DSSE envelope (import takes it back)",
    "sigstore-bundle": "a Sigstore bundle v0.3, of a record with one signature",
    "sshsig": "a directory: a second signature, made with --key, for ssh-keygen -Y verify",
    "evidence": "a directory: preimage, signatures, keys, timestamps, and the commands that check them",
}
_SIGNS: Final = "sshsig"
"""The one form for which something is signed: its `--key` is a private key."""
_WITHOUT: Final = "--unverified"
_HELP_WITHOUT: Final = "go without a key: whatever is consistent is exported"
_USAGE_CODES: Final = ("bundle-signatures", "sshsig-algorithm")


def command(arguments: Sequence[str], prog: str) -> int:
    """Write one form of a record; ends with the code of the verification when the record does not verify."""
    options = _parse(arguments, prog)
    if os.path.lexists(options.out):
        raise exists_already(options.out)
    signs = options.to == _SIGNS
    if signs and not options.trust and not options.without_trust:
        raise CommandError(
            "nothing says whose signature is accepted",
            exit_code=USAGE,
            hint=f"give --trust FILE or {_WITHOUT}; --key is what is signed with",
        )
    policy = read_policy(argparse.Namespace(**{**vars(options), "key": None if signs else options.key}), _WITHOUT)
    if options.to == "evidence" and policy is None:
        raise CommandError(
            "evidence holds the public keys, and a record has none", exit_code=USAGE, hint="give --trust FILE or --key"
        )
    if signs and len(options.key) != 1:
        raise CommandError("an SSH signature is made with one key", exit_code=USAGE, hint="export once for each key")
    _data, report = verify_input(options.file, policy, require_timestamp=options.require_timestamp)
    sealed = report.sealed_record
    if sealed is None or (report.exit_code and (policy is not None or options.require_timestamp)):
        refuse(options.file, report)
    try:
        notes = _write(sealed, policy, options)
    except SealError as error:
        code = USAGE if error.code in _USAGE_CODES else UNREADABLE
        raise CommandError(f"{options.file}: {error}", exit_code=code, hint=error.hint) from None
    print(f"exported {sealed.execution_id} to {escape(options.out)}")
    for note in notes:
        print(f"  {note}")
    if policy is None:
        print(f"NOT VERIFIED: no signature was checked, because of {_WITHOUT}.")
    return 0


def _parse(arguments: Sequence[str], prog: str) -> argparse.Namespace:
    # What `--key` means depends on the form, so that it is looked at first.
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--to", nargs="?")
    parser = Parser(prog, "Export a record that verifies, in a form that others check without this program.")
    parser.add_argument("file", metavar="FILE", help="a sealed record; - is standard input")
    parser.add_argument(
        "--to", required=True, choices=_FORMS, help="; ".join(f"{name}: {text}" for name, text in _FORMS.items())
    )
    parser.add_argument("-o", dest="out", required=True, metavar="OUT", help="a new file or, as --to says, directory")
    if first.parse_known_args(arguments)[0].to == _SIGNS:
        add_policy_options(parser, _WITHOUT, _HELP_WITHOUT)
        add_key_options(parser)
    else:
        add_trust_options(parser, _WITHOUT, _HELP_WITHOUT)
    return parser.parse_args(arguments)


def _write(sealed: SealedRecord, policy: TrustPolicy | None, options: argparse.Namespace) -> Sequence[str]:
    """Write the form that is asked for, and return what to say about it."""
    if options.to == "dsse":
        from hearth_records.export.dsse import export_dsse  # noqa: PLC0415 - one form is needed

        write_file(options.out, export_dsse(sealed))
        return ()
    if options.to == "sigstore-bundle":
        from hearth_records.export.sigstore_bundle import export_bundle  # noqa: PLC0415 - as above

        write_file(options.out, export_bundle(sealed))
        return ()
    if options.to == _SIGNS:
        from hearth_records.export import sshsig  # noqa: PLC0415 - as above

        (signer,) = read_signers(options)
        members = sshsig.export_sshsig(sealed, signer, allow_example_keys=options.allow_example_keys)
        _write_directory(options.out, members)
        return ("to check it, in that directory:", sshsig.verify_command(keys.keyid_of(signer.public_key)))
    from hearth_records.export.evidence import export_evidence  # noqa: PLC0415 - as above

    assert policy is not None  # noqa: S101 - asked above
    _write_directory(options.out, export_evidence(sealed, policy))
    return ("VERIFY.md has the commands that check it",)


def _write_directory(path: str, members: Mapping[str, bytes]) -> None:
    try:
        files.write_new_directory(path, members)
    except FileExistsError:
        raise exists_already(path) from None
