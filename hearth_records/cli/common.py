"""What the commands share: exit codes, errors on standard error, trust options, the terminal."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TextIO, TypeVar

from hearth_records import files, keys
from hearth_records.errors import HearthRecordsError, TrustError, escape
from hearth_records.model import format_timestamp, system_clock
from hearth_records.profile import DEFAULT_LIMITS, MAX_INTEGER
from hearth_records.trust import TrustPolicy
from hearth_records.verify import unreadable, verify_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hearth_records.verify import VerificationReport

USAGE: Final = 2
UNREADABLE: Final = 3
INTERNAL: Final = 70
INTERRUPTED: Final = 130
_MAX_POLICY: Final = 16 * 1024 * 1024


class CommandError(Exception):
    """A command cannot do what it was asked: what is wrong, what to do about it, and the exit code."""

    def __init__(self, message: str, *, exit_code: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.hint = hint


def run(prog: str, command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Run a command and return its exit code. Whatever goes wrong is said on standard error, without a traceback.

    Output that could not be written ends with 70, whatever the command found: nobody saw it.
    """
    _prepare_streams()
    code = _attempt(prog, command, arguments)
    if (error := _finish(sys.stdout)) is not None:
        code = INTERNAL
        if not isinstance(error, BrokenPipeError):
            complain(prog, f"standard output: {error.strerror or error}")
    _finish(sys.stderr)
    return code


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the command; a file opened later must not take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - stays open
        elif isinstance(stream, io.TextIOWrapper):  # what a terminal's encoding cannot say is escaped, not an error
            stream.reconfigure(errors="backslashreplace")


def _finish(stream: TextIO) -> OSError | None:
    """Write what is buffered. What cannot be written goes nowhere, so that the interpreter does not fail at exit."""
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def _attempt(prog: str, command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    try:
        return command(arguments)
    except SystemExit as error:  # --help
        return error.code if isinstance(error.code, int) else INTERNAL
    except CommandError as error:
        complain(prog, str(error), error.hint)
        return error.exit_code
    except HearthRecordsError as error:
        complain(prog, str(error), error.hint)
        return UNREADABLE
    except BrokenPipeError:  # whoever read the output is gone
        return INTERNAL
    except OSError as error:
        # Every file is opened by its name, so that what has none is the output.
        name = "standard output" if error.filename is None else error.filename
        complain(prog, f"{name}: {error.strerror or error}")
        return INTERNAL if error.filename is None else UNREADABLE
    except KeyboardInterrupt:
        complain(prog, "interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback, and never a success
        complain(
            prog,
            f"internal error: {type(error).__name__}: {error}",
            "this is a fault of hearth-records; please report it",
        )
        return INTERNAL


def complain(prog: str, message: str, hint: str | None = None) -> None:
    """Say on standard error what is wrong and what to do about it."""
    with contextlib.suppress(OSError):  # nobody listens; the exit code still says it
        print(f"{prog}: error: {escape(message)}", file=sys.stderr)
        if hint:
            print(f"hint: {escape(hint)}", file=sys.stderr)


class Palette:
    """Colours, where standard output is a terminal that wants them (https://no-color.org)."""

    def __init__(self) -> None:
        self._on = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, text: str, good: bool | None) -> str:  # noqa: FBT001 - good, bad or neither
        """Return `text` in green, red or, for None, yellow."""
        if not self._on:
            return text
        return f"\x1b[{'33' if good is None else '32' if good else '31'}m{text}\x1b[0m"


# --- trust -----------------------------------------------------------------------------------------------------------


class TrustOptions(Protocol):
    """What the options say about trust: a policy file, public keys, or going without."""

    trust: str | None
    min_policy_version: int | None
    accept_rotation: list[str] | None
    key: list[str] | None
    without_trust: bool
    allow_example_keys: bool


def read_policy(options: TrustOptions, without: str) -> TrustPolicy | None:
    """Return the policy that the options name, None when they ask to go without."""
    policy = _read_policy(options, without)
    if not options.accept_rotation:
        return policy
    if policy is None:
        raise CommandError("--accept-rotation is about the policy of --trust FILE or --key", exit_code=USAGE)
    for path in options.accept_rotation:
        policy = accept_rotation(path, policy, allow_example_keys=options.allow_example_keys)
    return policy


def accept_rotation(path: str, policy: TrustPolicy, *, allow_example_keys: bool) -> TrustPolicy:
    """Return a policy that knows the new key of a rotation too. Raises `CommandError`."""
    from hearth_records import rotation  # noqa: PLC0415 - start-up time

    return read_file(
        path,
        lambda data: rotation.admit(policy, rotation.read_rotation(data), allow_example_keys=allow_example_keys),
        rotation.MAX_ROTATION,
    )


def _read_policy(options: TrustOptions, without: str) -> TrustPolicy | None:
    chosen = [
        name
        for name, given in (("--trust", options.trust), ("--key", options.key), (without, options.without_trust))
        if given
    ]
    if len(chosen) != 1:
        raise CommandError(
            f"{' and '.join(chosen)} exclude each other" if chosen else "nothing says whose signature is accepted",
            exit_code=USAGE,
            hint=f"give one of --trust FILE, --key PUBLIC.pem, {without}",
        )
    if options.trust:
        return read_file(
            options.trust,
            lambda data: TrustPolicy.decode(
                data, allow_example_keys=options.allow_example_keys, min_version=options.min_policy_version or 1
            ),
        )
    if options.min_policy_version is not None:
        raise CommandError("--min-policy-version is about the policy of --trust FILE", exit_code=USAGE)
    if options.key:
        found = [(path, read_file(path, keys.load_public_key)) for path in options.key]
        try:
            return TrustPolicy.from_keys(found, allow_example_keys=options.allow_example_keys)
        except TrustError as error:
            raise CommandError(f"--key: {error}", exit_code=UNREADABLE, hint=error.hint) from None
    return None


def parse_version(text: str) -> int | None:
    """Return the policy version, from 1 to 2^53 - 1, that a command line says; None when it is none."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_INTEGER)) else 0
    return number if 1 <= number <= MAX_INTEGER else None


_Read = TypeVar("_Read")


def read_file(path: str, decode: Callable[[bytes], _Read], limit: int = _MAX_POLICY, *, stdin: bool = False) -> _Read:
    """Return what a file of at most `limit` bytes holds; with `stdin`, `-` is standard input.

    Raises:
        CommandError: it cannot be read, or is refused.

    """
    try:
        return decode(read_input(path, limit) if stdin else files.read_regular(path, limit))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}", exit_code=UNREADABLE) from None
    except HearthRecordsError as error:
        raise CommandError(f"{path}: {error}", exit_code=UNREADABLE, hint=error.hint) from None


def read_certificate(path: str) -> str:
    """Return a timestamp authority's certificate in PEM, as a policy holds it. Raises `CommandError`."""
    from hearth_records import timestamp  # noqa: PLC0415 - start-up time

    def decode(data: bytes) -> str:
        text = data.decode("latin-1").strip().replace("\r\n", "\n") + "\n"
        timestamp.read_authority(text)
        return text

    return read_file(path, decode, timestamp.MAX_RESPONSE)


def present_time() -> str:
    """Return the present time as a timestamp."""
    return format_timestamp(system_clock())


def read_input(path: str, limit: int = DEFAULT_LIMITS.file) -> bytes:
    """Return the bytes of a record file, or of standard input for `-`, at most `limit` of them. Raises `OSError`."""
    if path != "-":
        return files.read_regular(path, limit)
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    data = sys.stdin.buffer.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes")
    return data


def verify_input(
    path: str, policy: TrustPolicy | None, *, allow_reformatted: bool = False, require_timestamp: bool = False
) -> tuple[bytes, VerificationReport]:
    """Return a file's bytes and what the verifier says about them. Raises `CommandError` when it cannot be read."""
    try:
        data = read_input(path)
    except OSError as error:
        raise CommandError(f"{path}: {unreadable(error).reason}", exit_code=UNREADABLE) from None
    return data, verify_record(
        data, policy, now=present_time(), allow_reformatted=allow_reformatted, require_timestamp=require_timestamp
    )


def refuse(path: str, report: VerificationReport) -> NoReturn:
    """Raise the `CommandError` for a record that does not verify, with the exit code of the verification."""
    decisive = report.decisive
    reason = f"{decisive.check}: {decisive.reason or 'did not run'}" if decisive else "not verified"
    raise CommandError(
        f"{path}: {report.verdict}: {reason}", exit_code=report.exit_code, hint=(decisive.hint if decisive else None)
    )


def write_output(text: str, out: str | None) -> None:
    """Write to a new file in UTF-8, or to standard output in what its reader understands."""
    if out is None:
        print(text, end="")
    else:
        write_file(out, text.encode())


def write_file(path: str, data: bytes, *, mode: int = 0o644) -> None:
    """Write a new file. Raises `CommandError` when there is one of that name, `OSError` when it cannot be written."""
    try:
        files.write_new(path, data, mode=mode)
    except FileExistsError:
        raise exists_already(path) from None


def replace_record(path: str, before: bytes, after: bytes) -> None:
    """Put a record with another closing line in the place of the one that was read: whole and durable, or not at all.

    Raises:
        CommandError: the file is not the one any more that was read.
        OSError: it cannot be written; the old one stays.

    """
    import fcntl  # noqa: PLC0415 - start-up time

    real = os.path.realpath(path)  # a link stays one
    with files.open_regular(real) as stream:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _changed(path) from None
        old = os.fstat(stream.fileno())
        if not os.path.samestat(old, os.stat(real)) or stream.read(len(before) + 1) != before:  # noqa: PTH116 - text
            raise _changed(path)
        files.replace_file(real, after, old)


def _changed(path: str) -> CommandError:
    return CommandError(
        f"{path}: somebody else changed it at this moment", exit_code=UNREADABLE, hint="nothing was written: try again"
    )


def write_changed(path: str, before: bytes, after: bytes, out: str | None) -> str:
    """Write a record with another closing line into a new file, or in the place of the old one. Returns its name."""
    if out is not None:
        write_file(out, after)
        return out
    replace_record(path, before, after)
    return path


def check_output(path: str, out: str | None) -> None:
    """Raise `CommandError`, before anything is done, for an output that cannot be written for sure."""
    if out is None and path == "-":
        raise CommandError("standard input has no place to write to", exit_code=USAGE, hint="name a new file: -o OUT")
    if out is not None and os.path.lexists(out):
        raise exists_already(out)


def exists_already(path: str) -> CommandError:
    """Return the error for a file that would have to be replaced."""
    return CommandError(f"{path}: exists already", exit_code=USAGE, hint="nothing is ever replaced: name another file")
