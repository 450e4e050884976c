"""Files: opened so that nothing blocks, written so that nothing is half there and nothing is replaced."""

from __future__ import annotations

import errno
import os
import stat
from typing import IO

__all__ = ["check_regular", "open_regular", "read_private", "read_regular", "sync_directory", "write_new"]

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
    directory, name = os.path.split(target)
    scratch = os.path.join(directory, f".{name}.{os.urandom(8).hex()}.new")  # noqa: PTH118 - no pathlib on the fast path
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
    except OSError as error:
        error.filename, error.filename2 = target, None  # what the caller named, not the name beside it
        raise
    sync_directory(directory or ".")


def sync_directory(path: PathLike) -> None:
    """Make the names in a directory durable. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
