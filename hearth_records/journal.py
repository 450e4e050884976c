"""The journal: a record file that grows line by line while the execution runs (FORMAT §7).

System calls, in order; an error of any of them poisons the journal: every later call raises, nothing is tried again.

    create    open(O_RDWR|O_CREAT|O_EXCL|O_APPEND|O_CLOEXEC)  flock(LOCK_EX|LOCK_NB)  write(opening line)  fsync
              fsync(directory)
    append    write(one line)  fdatasync
    publish   write(closing line)  fsync  link(journal, record)  fsync(directory)  unlink(journal)  fsync(directory)

Whatever raises in the middle of a call poisons it as well, for example a signal handler: nobody knows what was written.
One event is one `write`; a short write counts as an error and leaves a torn tail. `append` returns after `fdatasync`,
so that what it took is durable: acknowledged. With `sync="step"` the events between two boundaries (the start and end
of a step, the end of the execution) are written at once but only durable with the next boundary.

Disclosures (FORMAT §6) lie in `<execution_id>.disclosures` until the closing line holds them. Their calls, which an
execution without them does not make, are `begin` before the first one, `disclose` before the event that refers to
them, `gather` before the record is sealed, and `withdraw` after the first fsync(directory) of `publish`:

    begin     open(O_RDWR|O_CREAT|O_APPEND|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK, 0600)  fsync(directory)
    disclose  write(one line each)  fdatasync
    gather    open(O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_NOCTTY)
    withdraw  unlink(disclosures)  fsync(directory)

So each is durable, whatever `sync` is, before its event is written, and no acknowledged event lacks one. A crash in
between leaves one that no event refers to, or a torn line: these are left out of the record. Once the journal's name is
gone, so is the disclosures file.

`link` never replaces a file. A crash after it leaves one file under two names, a crash before it a closed journal;
`recovery` finishes both.

One writer, of the disclosures as well: `flock` belongs to the open file, so that a second open fails in this process
and in any other, and is gone with its process. A forked child closes its copy of the descriptor, first of all, and may
not write.

Known gaps: a disk that acknowledges a sync before it is durable can lose what was acknowledged; after a sync that
failed the kernel may show bytes that never reach the disk, and a later sync of them succeeds; only the directory itself
is synced, not its own name in the directory above; `flock` holds on one machine (and between clients of a network file
system only as far as that implements it), and outlives its process for as long as a child that was just forked has not
run yet; whoever may write to the directory can remove the file, which only a `series` shows (FORMAT §3), or the
disclosures, which then are withheld; a file that is removed is not erased from the disk.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import weakref
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn, Self, get_args

from msgspec import Struct

from hearth_records import files
from hearth_records.canonical import OPENING, LineKind, decode_closing, decode_events, read_lines
from hearth_records.chain import ChainState
from hearth_records.disclosure import decode_disclosure
from hearth_records.errors import JournalError, SealError, quote
from hearth_records.lifecycle import LifecycleState
from hearth_records.model import ScalarError, check_identifier
from hearth_records.profile import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from hearth_records.canonical import LineSource

__all__ = [
    "DisclosureLines",
    "Journal",
    "Scan",
    "Sync",
    "disclosures_path",
    "journal_path",
    "read_disclosures",
    "record_path",
    "remove_disclosures",
    "scan",
]

Sync = Literal["event", "step"]

SUFFIX: Final = ".journal"
RECORD_SUFFIX: Final = ".record.json"
DISCLOSURES_SUFFIX: Final = ".disclosures"
_BUFFER: Final = 256 * 1024


def journal_path(directory: str | os.PathLike[str], execution_id: str) -> str:
    """Return the path of an execution's journal. Raises `JournalError` when the id is no identifier."""
    try:
        check_identifier("execution_id", execution_id)
    except ScalarError as error:
        raise JournalError(str(error), code="identifier") from None
    return os.path.join(directory, execution_id + SUFFIX)  # noqa: PTH118 - os.PathLike, not necessarily a Path


def check_name(path: str | os.PathLike[str]) -> str:
    """Return a journal's path as text. Raises `JournalError` when it is not the name of an execution's journal."""
    name = os.fspath(path)
    try:
        check_identifier("execution_id", _execution_id(name))
    except ScalarError:
        name = ""
    if not name.endswith(SUFFIX):
        raise JournalError(f"{quote(path)}: a journal's name is an execution's id and {SUFFIX}", code="name")
    return name


def is_published(descriptor: int, journal: str) -> bool:
    """Whether the open file of a journal has its record name: it is one file, for a moment under two names."""
    record = record_path(journal)
    return os.path.lexists(record) and os.path.samestat(os.fstat(descriptor), os.lstat(record))


def _execution_id(path: str) -> str:
    return os.path.basename(path).removesuffix(SUFFIX)  # noqa: PTH119 - os.PathLike, not necessarily a Path


def _check_sync(sync: str) -> None:
    if sync not in get_args(Sync):
        raise JournalError("sync is event or step", code="sync", actual=str(sync))


def record_path(journal: str) -> str:
    """Return the path under which a journal is published."""
    return journal.removesuffix(SUFFIX) + RECORD_SUFFIX


def disclosures_path(journal: str) -> str:
    """Return the path of a journal's disclosures."""
    return journal.removesuffix(SUFFIX) + DISCLOSURES_SUFFIX


class DisclosureLines(NamedTuple):
    """What a disclosures file holds: its whole lines, and how many bytes of a last line that was cut."""

    whole: list[str]
    torn_bytes: int


def read_disclosures(journal: str) -> DisclosureLines:
    """Return what the disclosures file of a journal holds; nothing when there is none.

    Raises:
        OSError: it cannot be read.
        JournalError: a whole line is no disclosure.

    """
    try:
        data = files.read_regular(disclosures_path(journal), DEFAULT_LIMITS.closing)
    except FileNotFoundError:
        return DisclosureLines([], 0)
    *lines, torn = data.split(b"\n")
    whole = [line.decode("ascii", "backslashreplace") for line in lines]
    try:
        for text in whole:
            decode_disclosure(text)
    except SealError as error:
        raise JournalError(
            f"{quote(disclosures_path(journal))}: {error.reason}",
            code="disclosures",
            hint="this is not what a crash leaves; without this file, all that it holds is withheld",
        ) from None
    return DisclosureLines(whole, len(torn))


def remove_disclosures(journal: str) -> bool:
    """Remove the disclosures file of a journal, whose name is not durable then. Returns whether there was one."""
    try:
        os.unlink(disclosures_path(journal))  # noqa: PTH108 - no pathlib on the fast path
    except FileNotFoundError:
        return False
    return True


class Journal:
    """A journal that this process may write. Made by `create` or `open`; a context manager that closes it.

    Attributes:
        path: where it lies.
        execution_id: whose it is, by its name.
        sync: "event", or "step".

    """

    def __init__(self, path: str, descriptor: int, size: int, sync: Sync) -> None:
        self.path = path
        self.sync: Sync = sync
        self.execution_id = _execution_id(path)
        self._place = os.path.abspath(path)  # noqa: PTH100 - as above; the current directory may change meanwhile
        self._published: Callable[[], bytes] | None = None
        self._descriptor = descriptor
        self._size = size
        self._disclosures = -1
        self._has_disclosures = True  # until it is known that there are none
        self._owner = os.getpid()
        self._fault: str | None = None
        self._claimed = False
        _open_journals.add(self)

    @classmethod
    def create(cls, directory: str | os.PathLike[str], execution_id: str, *, sync: Sync = "event") -> Self:
        """Make a new journal in `directory`.

        Raises:
            JournalError: there is one already, or a record of that name, or it cannot be made durable.

        """
        path = journal_path(directory, execution_id)
        _check_sync(sync)
        for other in (record_path(path), disclosures_path(path)):
            if os.path.lexists(other):
                raise JournalError(
                    f"{quote(other)} exists already",
                    code="exists",
                    hint="an execution is recorded once: use another id",
                )
        with translated(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        journal = cls(path, descriptor, 0, sync)
        journal._has_disclosures = False
        try:
            with translated(path):
                _lock(descriptor, path)
            journal._write(OPENING)
            journal._sync(os.fsync)
            journal._sync_directory()
        except BaseException as error:
            if getattr(error, "code", None) != "locked":  # somebody was quicker to open it: then it is theirs
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108 - nothing was acknowledged, so nothing is lost
            journal.close()
            raise
        return journal

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, sync: Sync = "event") -> Self:
        """Open an existing journal for writing. What it holds is for the caller to look at.

        Raises:
            JournalError: there is none, it is no regular file, or somebody writes it; the holder is named.

        """
        name = check_name(path)
        _check_sync(sync)
        with translated(name):
            descriptor = os.open(name, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            with translated(name):
                files.check_regular(descriptor, name)
                _lock(descriptor, name)
                size = os.fstat(descriptor).st_size
            return cls(name, descriptor, size, sync)
        except BaseException:
            os.close(descriptor)
            raise

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:  # noqa: ANN401 - as in object
        """Refuse to be copied or pickled: two objects would close one descriptor, and write to what has it next."""
        msg = "a journal cannot be copied or pickled: one object writes a file"
        raise TypeError(msg)

    # -- writing -------------------------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Take the journal for one observer. Raises `JournalError` when another one of this process has it."""
        if self._claimed:
            raise JournalError(
                f"{quote(self.path)} is being written by another observer of this process",
                code="locked",
                actual=os.getpid(),
                hint="one observer writes a journal; open it again once that one is done and closed",
            )
        self._claimed = True

    def append(self, line: bytes, *, boundary: bool) -> None:
        """Write one event's canonical bytes; see the module for when they are durable. Raises `JournalError`."""
        self._check()
        data = b",%b\n" % line if self._size > len(OPENING) else line + b"\n"
        self._fault = _INTERRUPTED  # as `_Poisoning`, in less time: here an execution waits
        try:
            _write_whole(self._descriptor, data)
            self._size += len(data)
            if boundary or self.sync == "event":
                os.fdatasync(self._descriptor)
        except OSError as error:
            self._poison(error)
        self._fault = None

    def disclose(self, disclosures: Sequence[str]) -> None:
        """Make disclosures durable, before the event with their digests is appended. Raises `JournalError`."""
        self._check()
        if self._disclosures < 0:
            with _Poisoning(self):
                self._open_disclosures()
        with _Poisoning(self):
            _write_whole(self._disclosures, "".join([f"{text}\n" for text in disclosures]).encode("ascii"))
            os.fdatasync(self._disclosures)

    def _open_disclosures(self) -> None:
        """Open the disclosures file for writing, without a torn line: its event was never written."""
        self._has_disclosures = True
        path = disclosures_path(self._place)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = self._disclosures = os.open(path, flags, 0o600)
        found = os.fstat(descriptor)
        files.check_regular(descriptor, path)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise OSError(errno.EPERM, "others may read or write the disclosures")
        whole = os.pread(descriptor, found.st_size, 0).rfind(b"\n") + 1
        if whole != found.st_size:
            os.ftruncate(descriptor, whole)
        files.sync_directory(os.path.dirname(self._place))  # noqa: PTH120 - as above

    def disclosures(self) -> list[str]:
        """Return the disclosures so far, also those whose event was never written. Raises `JournalError`."""
        if not self._has_disclosures:
            return []
        self._check()
        with translated(disclosures_path(self.path)):
            return read_disclosures(self._place).whole

    def publish(self, closing_line: bytes) -> Callable[[], bytes]:
        """Write the closing line, give the file its record name and take its journal name away; then it is closed.

        Returns what reads the record's file.

        Raises:
            JournalError: a file of the record's name exists, or a call failed; what was acknowledged is still there.

        """
        self.check_unpublished()
        self._write(closing_line)
        return self.link_record()

    def check_unpublished(self) -> None:
        """Raise `JournalError` when a file of the record's name exists."""
        if os.path.lexists(record_path(self._place)):
            raise JournalError(f"{quote(record_path(self.path))} exists already and is never replaced", code="exists")

    def link_record(self) -> Callable[[], bytes]:
        """Publish a file that holds its closing line, as `publish` does. Raises `JournalError`."""
        self._check()
        self._sync(os.fsync)  # whoever wrote the closing line may have been stopped before
        target = record_path(self._place)
        with _Poisoning(self):
            if not os.path.samestat(os.fstat(self._descriptor), os.lstat(self._place)):
                raise OSError(errno.ESTALE, "somebody put another file in its place")
            try:
                os.link(self._place, target)
            except FileExistsError:
                if not is_published(self._descriptor, self._place):
                    raise
        self._sync_directory()
        if self._has_disclosures:
            with _Poisoning(self):
                removed = remove_disclosures(self._place)
            if removed:
                self._sync_directory()
        with _Poisoning(self):
            os.unlink(self._place)  # noqa: PTH108 - as above
        self._sync_directory()
        self.close()
        self._published = lambda: files.read_regular(target, DEFAULT_LIMITS.file)
        return self._published

    def truncate(self, size: int) -> None:
        """Cut a torn tail, which nobody was told is there. Raises `JournalError`."""
        self._check()
        with _Poisoning(self):
            os.ftruncate(self._descriptor, size)
        self._size = size
        self._sync(os.fsync)

    def complete(self, data: bytes) -> None:
        """Write the rest of a closing line that was cut. Raises `JournalError`."""
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._check()
        with _Poisoning(self):
            self._put(data)

    def _put(self, data: bytes) -> None:
        _write_whole(self._descriptor, data)
        self._size += len(data)

    def _sync(self, call: Any) -> None:  # noqa: ANN401 - os.fsync or os.fdatasync
        with _Poisoning(self):
            call(self._descriptor)

    def _sync_directory(self) -> None:
        with _Poisoning(self):
            files.sync_directory(os.path.dirname(self._place))  # noqa: PTH120 - as above

    def _poison(self, error: OSError) -> NoReturn:
        self._fault = error.strerror or str(error)
        raise JournalError(
            f"{quote(self.path)}: {self._fault}",
            code="exists" if isinstance(error, FileExistsError) else "io",
            hint="stop relying on this recording; hearth-records recover says what is there",
        ) from error

    def _check(self) -> None:
        if self._owner != os.getpid():
            raise JournalError(
                f"{quote(self.path)} is written by process {self._owner}, not by its child", code="forked"
            )
        if self._fault is not None:
            raise JournalError(f"{quote(self.path)} cannot be relied on any more: {self._fault}", code="poisoned")
        if self._descriptor < 0:
            raise JournalError(f"{quote(self.path)} is closed", code="closed")

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return self._size

    def source(self, more: bytes = b"") -> LineSource:
        """Return a reader of what it holds, and `more` behind it. Raises `JournalError`."""
        self._check()
        return source_of(self.path, self._descriptor, self._size, more)

    def read(self) -> list[bytes]:
        """Return the canonical bytes of its events, also once it is published.

        Raises:
            JournalError: it cannot be relied on, or was closed.
            FormatError: it is no journal.
            OSError: the record it was published as cannot be read.

        """
        source = self.source() if self._published is None else io.BytesIO(self._published())
        return [line for kind, lines in read_lines(source) if kind is LineKind.EVENTS for line in lines]

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the file, and of the lock with it. What was acknowledged stays."""
        for descriptor in self._let_go():
            if self._owner == os.getpid():
                with contextlib.suppress(OSError):  # what was acknowledged is durable, whatever closing says
                    os.close(descriptor)

    def _let_go(self) -> list[int]:
        """Forget the open descriptors and return them, the one with the lock last."""
        found = [descriptor for descriptor in (self._disclosures, self._descriptor) if descriptor >= 0]
        self._disclosures = self._descriptor = -1
        return found

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __del__(self) -> None:
        """Close it: a journal that nobody refers to is written by nobody."""
        self.close()


_INTERRUPTED: Final = "it was interrupted in the middle of a call"


class _Poisoning:
    """Poisons a journal unless all that is done inside is done: a signal handler may raise anywhere in between."""

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> None:
        self._journal._fault = _INTERRUPTED  # noqa: SLF001 - this module's own

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._journal._fault = None  # noqa: SLF001 - as above
        elif isinstance(error, OSError):
            self._journal._poison(error)  # noqa: SLF001 - as above


def _write_whole(descriptor: int, data: bytes) -> None:
    """Write in one call. Raises `OSError` when not all of it was taken."""
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(errno.EIO, f"only {written} of {len(data)} bytes were written")


class Scan(Struct, frozen=True, kw_only=True):
    """What a journal holds: where the execution stands, how many bytes are whole lines, and what follows them.

    Of `closing_line` and `torn` one at most is not empty.
    """

    lifecycle: LifecycleState
    chain: ChainState
    size: int
    closing_line: bytes
    torn: bytes


def scan(source: LineSource) -> Scan:
    """Read a journal from its beginning, in constant memory.

    Raises:
        FormatError, ChainError, LifecycleError: it is damaged before its end; the error names the event.

    """
    lifecycle, chain = LifecycleState(), ChainState()
    size, closing_line, torn = len(OPENING), b"", b""
    for kind, lines in read_lines(source):
        if kind is LineKind.CLOSING:
            (closing_line,) = lines
            decode_closing(closing_line)
        elif kind is LineKind.TORN:
            torn += b"".join(lines)
        else:
            events, hashes, _ = decode_events(lines, chain.length)
            chain.follow(events, hashes)
            if chain.error is not None:
                raise chain.error
            lifecycle.follow(events)
            size += sum(len(line) + len(",\n") for line in lines)
    size -= bool(chain.length)  # the first event has no comma
    return Scan(lifecycle=lifecycle, chain=chain, size=size, closing_line=closing_line, torn=torn)


def check_execution(path: str, found: Scan) -> None:
    """Raise `JournalError` when a journal holds another execution than its name says: it would be published as that."""
    start = found.lifecycle.start
    if start is not None and start.execution_id != _execution_id(path):
        raise JournalError(
            f"{quote(path)} is not the journal of the execution that its name says",
            code="name",
            expected=_execution_id(path),
            actual=start.execution_id,
        )


class _Reader(io.RawIOBase):
    """Reads a descriptor from its beginning without moving it, and then some bytes more."""

    def __init__(self, path: str, descriptor: int, size: int, more: bytes) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size = size
        self._more = more
        self._place = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a writable buffer
        if self._place < self._size:
            with translated(self._path):
                data = os.pread(self._descriptor, min(len(buffer), self._size - self._place), self._place)
        else:
            start = self._place - self._size
            data = self._more[start : start + len(buffer)]
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def source_of(path: str, descriptor: int, size: int, more: bytes) -> LineSource:
    """Return a reader of the first `size` bytes of an open file, and of `more` behind them. Raises `JournalError`."""
    return io.BufferedReader(_Reader(path, descriptor, size, more), _BUFFER)


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn an error of the operating system into a `JournalError` that names the file."""
    try:
        yield
    except FileExistsError:
        raise JournalError(
            f"{quote(path)} exists already", code="exists", hint="hearth-records recover says what is there"
        ) from None
    except OSError as error:
        raise JournalError(f"{quote(path)}: {error.strerror or error}", code="io") from error


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        refuse_locked(descriptor, path)


def refuse_locked(descriptor: int, path: str) -> NoReturn:
    """Raise the `JournalError` that names who writes the file."""
    holder = _holder(descriptor)
    raise JournalError(
        f"{quote(path)} is being written by {f'process {holder}' if holder else 'another process'}",
        code="locked",
        actual=holder,
    )


def is_locked(descriptor: int) -> bool:
    """Whether somebody writes the file that `descriptor` reads. Leaves no lock behind.

    The kernel's list is asked first: trying the lock takes it for a moment, in which nobody could begin to write.
    """
    if _holder(descriptor) is not None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _holder(descriptor: int) -> int | None:
    """Return the process that writes the file, as far as the kernel tells (proc(5), /proc/locks)."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        place = f"{_device(descriptor)}:{os.fstat(descriptor).st_ino}"
        with open("/proc/locks", encoding="ascii") as locks:  # noqa: PTH123 - no pathlib on the fast path
            for line in locks:
                fields = line.split()
                if place in fields and "FLOCK" in fields and "WRITE" in fields:
                    return int(fields[fields.index(place) - 1]) or None
    return None


def _device(descriptor: int) -> str:
    """Return the device as /proc/locks has it: that of the mount, not always the one that stat tells (btrfs)."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as facts:  # noqa: PTH123 - as above
        mount = next(line.split()[1] for line in facts if line.startswith("mnt_id:"))
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123 - as above
        major, minor = next(line.split()[2].split(":") for line in mounts if line.startswith(f"{mount} "))
    return f"{int(major):02x}:{int(minor):02x}"


_open_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a forked child: close the copies of the descriptors, so that a lock ends with the process that took it."""
    for journal in list(_open_journals):
        for descriptor in journal._let_go():  # noqa: SLF001 - this module's own
            os.close(descriptor)


os.register_at_fork(after_in_child=_leave_to_parent)
