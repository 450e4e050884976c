"""Secrets are dropped before anything is hashed or written.

A redaction is a function of a name and a value that returns what to record instead. It is asked for every member of
`details`, at any depth (a list is one value, whose items have no name), and for the texts of the calls by their names:
`reason`, `change_ref`, `step_name`, `error_message`, `description`, `context`, `completion_reason`. What it fails on is
masked. Who acts, who agreed and the plan are recorded as they are. The default masks members by their names:

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

_split: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+").findall
_ends_as_secret: Final = re.compile(
    r"(?:(?:access|api|client|private|signing)key|authorization|bearer|cookie|credential|passphrase|passwd|password|pwd"
    r"|secret|token)s?\Z"
).search


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a member's name says that its value is a secret: a word of it, or two in a row, end in one of these.

    So `dbPassword`, `PGPASSWORD`, `X-Auth-Tokens` and `api_key` do, `author`, `tokenizer` and `key` do not.
    """
    words = [word.lower() for word in _split(name)]
    return any(map(_ends_as_secret, (name.lower(), *words, *map("".join, itertools.pairwise(words)))))


def mask_secrets(name: str, value: Any) -> Any:  # noqa: ANN401 - as `Redact`
    """Return the mask for a member whose name says that it is a secret, unless it says nothing; the default."""
    if not is_secret_name(name) or value is None or isinstance(value, bool) or (isinstance(value, str) and not value):
        return value
    return MASK
