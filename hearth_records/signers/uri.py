"""What the back-ends share: the parts of a URI (RFC 3986), and secrets in files.

No error repeats what it could not understand: a secret may stand there.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from hearth_records import files
from hearth_records.errors import SealError, quote

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["attributes", "exposed", "file_path", "percent_decode", "read_secret", "uri_error"]

MAX_SECRET: Final = 64 * 1024
"""Bytes of a file with a PIN or a token."""
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def uri_error(reason: str, hint: str | None = None) -> SealError:
    """Return the error for a URI that its back-end does not understand."""
    return SealError(reason, code="signer-uri", hint=hint)


def percent_decode(text: str) -> bytes:
    """Return the bytes that a part of a URI stands for. Raises `SealError` for a broken escape and for NUL."""
    data = unquote_to_bytes(os.fsencode(text))
    if _BAD_ESCAPE.search(text) or b"\0" in data:
        raise uri_error("a % in a URI is followed by two hex digits, which are not 00")
    return data


def attributes(text: str, separator: str, known: Iterable[str]) -> dict[str, bytes]:
    """Return the `name=value` parts of a URI, each at most once. An unknown one is refused, never ignored."""
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else ():
        name, given, value = part.partition("=")
        if name not in known or not given or name in found:
            what = "stands twice" if name in found else "is not known here" if given else "is no NAME=VALUE"
            raise uri_error(f"a part {what}", hint=f"known are {', '.join(known)}; each stands once")
        found[name] = percent_decode(value)
    return found


def file_path(rest: str) -> str:
    """Return the path of a `file:` URI without its scheme: `PATH`, `//localhost/PATH` or `///PATH` (RFC 8089)."""
    path = rest
    if path.startswith("//"):
        host, slash, tail = path[2:].partition("/")
        if host not in ("", "localhost"):
            raise uri_error("a file: URI names no other host", hint="file:PATH or file:///PATH")
        path = slash + tail
    if not path or "?" in path or "#" in path:
        raise uri_error("a file: URI is a path and nothing else", hint="? is written %3F, and # is %23")
    return os.fsdecode(percent_decode(path))


def exposed(path: str) -> SealError:
    """Return the error for a secret that others can read."""
    return SealError(
        f"other users of this machine can get at {quote(path)}, so that it keeps no secret",
        code="secret-exposed",
        hint=f"chmod 600 {quote(path)}; if it was so for long, make a new secret",
    )


def read_secret(path: str) -> bytes:
    """Return the first line of a file that only its owner can read.

    Raises:
        SealError: others can read it.
        OSError: it cannot be read.

    """
    data, private = files.read_private(path, MAX_SECRET)
    if not private:
        raise exposed(path)
    return data.partition(b"\n")[0].removesuffix(b"\r")
