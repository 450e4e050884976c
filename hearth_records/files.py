"""Files: opened so that nothing blocks, written so that nothing is half there, and replaced only as a whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "check_regular",
    "open_regular",
    "read_private",
    "read_regular",
    "replace_file",
    "sync_directory",
    "write_new",
    "write_new_directory",
]

PathLike = str | os.PathLike[str]


def open_regular(path: PathLike) -> IO[bytes]:
    """Open a regular file for reading; a FIFO, a directory, a device is refused and never blocks. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        check_regular(descriptor, path)
        return open(descriptor, "rb")  # noqa: PTH123 - a descriptor, which the caller closes
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(descriptor: int, path: PathLike) -> None:
    """Raise `OSError` unless an open file is a regular one."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))


def read_regular(path: PathLike, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes. Raises `OSError`."""
    return read_private(path, limit)[0]


def read_private(path: PathLike, limit: int) -> tuple[bytes, bool]:
    """Return the bytes of a regular file, and whether only its owner can get at them: `chmod 600`, or less.

    Raises:
        OSError: it cannot be read, or holds more than `limit` bytes.

    """
    with open_regular(path) as stream:
        found = os.fstat(stream.fileno())
        too_large = found.st_size > limit  # looked at first: such a file is not read at all
        data = b"" if too_large else stream.read(limit + 1)
    if too_large or len(data) > limit:  # it may have grown
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", os.fspath(path))
    return data, not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def write_new(path: PathLike, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file that does not exist yet: it is there whole and durable, or not at all.

    The bytes go to a name beside it, are synced, and get the real name by `link`, which never replaces a file.

    Raises:
        FileExistsError: there is a file of that name already.
        OSError: the file cannot be written; nothing is left behind.

    """
    target = os.fspath(path)
    directory = os.path.dirname(target)  # noqa: PTH120 - no pathlib on the fast path
    scratch = _beside(directory)
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with open(descriptor, "wb") as stream:  # noqa: PTH123 - as above
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(scratch, target)
        finally:
            os.unlink(scratch)  # noqa: PTH108 - as above
        try:
            sync_directory(directory or ".")
        except OSError:
            os.unlink(target)  # noqa: PTH108 - as above
            raise
    except OSError as error:
        error.filename, error.filename2 = target, None  # what the caller named, not the name beside it
        raise


def _beside(directory: str) -> str:
    """Return a name in a directory that nobody has: short, since the one it stands for may be as long as names are."""
    return os.path.join(directory, f".{os.urandom(8).hex()}.new")  # noqa: PTH118 - as in write_new


def write_new_directory(path: PathLike, members: Mapping[str, bytes]) -> None:
    """Write a directory of files that does not exist yet: it is there whole and durable, or not at all.

    The files go to a directory beside it, which then gets the real name by `rename`. That never replaces anything but
    an empty directory, and only one that somebody makes while this runs.

    Raises:
        FileExistsError: there is something of that name already.
        OSError: it cannot be written; nothing is left behind.

    """
    target = os.fspath(path)
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    parent = os.path.dirname(target.rstrip("/"))  # noqa: PTH120 - as in write_new
    scratch = _beside(parent)
    try:
        os.mkdir(scratch)  # noqa: PTH102 - as in write_new
        try:
            for member, data in members.items():
                write_new(os.path.join(scratch, member), data)  # noqa: PTH118 - as in write_new
            os.rename(scratch, target)  # noqa: PTH104 - as in write_new
            try:
                sync_directory(parent or ".")
            except OSError:
                os.rename(target, scratch)  # noqa: PTH104 - as in write_new
                raise
        except BaseException:
            for member in os.listdir(scratch):  # noqa: PTH208 - as in write_new
                os.unlink(os.path.join(scratch, member))  # noqa: PTH108, PTH118 - as in write_new
            os.rmdir(scratch)  # noqa: PTH106 - as in write_new
            raise
    except OSError as error:
        error.filename, error.filename2 = target, None  # what the caller named, not the name beside it
        raise


def replace_file(path: str, data: bytes, old: os.stat_result) -> None:
    """Put a file in the place of another one, with its mode and owner: whole, or the old one stays.

    Who may not give files away becomes the owner; where the group cannot be kept either, the new file has none of the
    group's rights. A crash may leave a file `.<16 hex digits>.new` beside it.

    Args:
        path: the name, which is no link.
        data: the new bytes.
        old: what is there.

    Raises:
        OSError: the file cannot be written; the old one stays, and nothing is left beside it. Or it says that the file
            was replaced, but that this may not outlive a crash.

    """
    directory = os.path.dirname(path)  # noqa: PTH120 - text, as it was named
    scratch = _beside(directory)
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & _keep_owner(descriptor, old))
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
            os.rename(scratch, path)  # noqa: PTH104 - as above
        except BaseException:
            os.unlink(scratch)  # noqa: PTH108 - as above
            raise
    except OSError as error:
        error.filename, error.filename2 = path, None  # what the caller named, not the name beside it
        raise
    try:
        sync_directory(directory or ".")
    except OSError as error:
        reason = f"replaced, but not durably: {error.strerror}"
        raise OSError(error.errno, reason, path) from error


def _keep_owner(descriptor: int, old: os.stat_result) -> int:
    """Give a file the owner and group of another one, as far as possible; return the mode bits that may be kept."""
    for owner in (old.st_uid, -1):  # only root gives files away
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, owner, old.st_gid)
            return 0o7777
    return 0o7777 & ~stat.S_IRWXG


def sync_directory(path: PathLike) -> None:
    """Make the names in a directory durable. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
