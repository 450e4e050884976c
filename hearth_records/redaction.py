"""Secrets are dropped before anything is hashed or written.

A redaction is a function of a name and a value that returns what to record instead. It is asked for every member of
`details`, at any depth, and for every free text of an event by that text's name (`error_message`, `description`, …).
The default masks members by their names:

    {"user": "ada", "dbPassword": "hunter2", "X-Auth-Token": "…"}
    {"user": "ada", "dbPassword": "[masked]", "X-Auth-Token": "[masked]"}

It does not look into texts: a secret inside an error message stays there unless the caller's own redaction removes it.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import Any, Final

__all__ = ["MASK", "Redact", "is_secret_name", "mask_secrets"]

MASK: Final = "[masked]"

Redact = Callable[[str, Any], Any]
"""From a member's name and its value, as the caller passed it, to what is recorded in its place."""

_WORDS: Final = frozenset(
    {
        "apikey", "authorization", "bearer", "cookie", "cookies", "credential", "credentials", "passphrase",
        "passphrases", "passwd", "password", "passwords", "pwd", "secret", "secrets", "token", "tokens",
    }
)  # fmt: skip
_PAIRS: Final = frozenset(
    {("access", "key"), ("api", "key"), ("client", "key"), ("private", "key"), ("signing", "key")}
)
_split: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+").findall


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a member's name says that its value is a secret: by whole words, however they are joined."""
    words = [word.lower() for word in _split(name)]
    return not _WORDS.isdisjoint(words) or not _PAIRS.isdisjoint(itertools.pairwise(words)) or name.lower() in _WORDS


def mask_secrets(name: str, value: Any) -> Any:  # noqa: ANN401 - as `Redact`
    """Return the mask for a member whose name says that it is a secret, unless it says nothing; the default."""
    if not is_secret_name(name) or value is None or isinstance(value, bool) or (isinstance(value, str) and not value):
        return value
    return MASK
