"""Every exception of the library, and the one function that makes foreign text safe to print.

Each error carries a stable `code` (kebab-case, part of the API) and the fields that a program needs; the message is
built from them. Text that came out of a record passes through `escape` on its way into a message, because messages
end up on terminals (`ESC ]` in a step name must stay text).

    HearthRecordsError
    ├── FormatError              not canonical, not of the right shape, over a limit, of an unknown version
    ├── ChainError               `seq` or `previous_event_hash` does not hold
    ├── LifecycleError           events in an order that cannot be
    ├── SealError                a seal that is refused, cannot be made, or does not hold
    ├── TrustError               a key or a policy that is refused or not met
    ├── RecordingError           misuse while recording
    ├── SecurityEscalationError  recording stopped, fail-closed
    ├── JournalError             the file that is being written cannot be relied on any more
    └── ArchiveError             a store of records is not what it should be
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ArchiveError",
    "ChainError",
    "FormatError",
    "HearthRecordsError",
    "JournalError",
    "LifecycleError",
    "RecordingError",
    "SealError",
    "SecurityEscalationError",
    "TrustError",
    "escape",
]

_SHOWN_LENGTH = 200


def escape(text: str) -> str:
    r"""Return `text` with every character that a terminal may act on or hide written as an escape.

    Control, bidirectional, zero-width, surrogate, private and unassigned characters and all white space but the blank
    become `\n`, `\x1b`, `\u202e`, `\U000e0001`. Everything else, the backslash included, stays as it is, so that a
    command in a rollback hint can be copied.
    """
    if text.isprintable() and not _BLANK_LETTERS.intersection(text):
        return text
    return "".join(_escape_char(char) for char in text)


# Letters and marks by their category, nothing on the screen: Hangul fillers, the empty Braille pattern, the grapheme
# joiner, Khmer inherent vowels, variation selectors (a text can be hidden in a row of them).
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0").union(
    map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0))
)


def _escape_char(char: str) -> str:
    if char.isprintable() and char not in _BLANK_LETTERS:
        return char
    return char.encode("unicode_escape").decode("ascii")


def safe_repr(value: object) -> str:
    """Return what `value` says of itself, or its type's name where it fails to."""
    try:
        return str.__str__(repr(value))
    except Exception:  # noqa: BLE001 - whatever the object does, there is an error to be told
        return f"<{type(value).__name__}>"


def quote(value: object) -> str:
    """Return `value` escaped, in quotes, and cut to a length that fits a message."""
    text = value if isinstance(value, str) else safe_repr(value)
    if len(text) > _SHOWN_LENGTH:
        text = f"{text[:_SHOWN_LENGTH]}…"
    return f'"{escape(text)}"'


class HearthRecordsError(Exception):
    """Base of all errors.

    Attributes:
        code: what is wrong, stable, kebab-case.
        reason: what is wrong, in words, without the place; safe to print.
        hint: what to do about it, or None.
        seq: the event's position in its record, from 0, or None.
        pointer: the place as an RFC 6901 JSON pointer into the document, or None.
        expected: what should have stood there, or None.
        actual: what stands there, or None.

    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        reason: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        seq: int | None = None,
        pointer: str | None = None,
        expected: str | int | None = None,
        actual: str | int | None = None,
    ) -> None:
        self.reason = reason
        self.code = code or self.default_code
        self.hint = hint
        self.seq = seq
        self.pointer = pointer
        self.expected = expected
        self.actual = actual
        super().__init__(reason)

    def __str__(self) -> str:
        """Return the reason and, where it is known, the place."""
        places = []
        if self.pointer is not None:
            places.append(f"at {escape(self.pointer) or 'the top'}")
        elif self.seq is not None:
            places.append(f"at event {self.seq}")
        if self.expected is not None:
            places.append(f"expected {quote(self.expected)}")
        if self.actual is not None:
            places.append(f"found {quote(self.actual)}")
        return f"{self.reason} ({', '.join(places)})" if places else self.reason


class FormatError(HearthRecordsError):
    """Bytes that are not what FORMAT §1, §2, §3, §5 or §6 asks for. `check` names the check of §8 that fails by it."""

    default_code = "format"

    def __init__(
        self,
        reason: str,
        *,
        check: str = "canonical",
        code: str | None = None,
        hint: str | None = None,
        seq: int | None = None,
        pointer: str | None = None,
        expected: str | int | None = None,
        actual: str | int | None = None,
    ) -> None:
        self.check = check
        super().__init__(reason, code=code, hint=hint, seq=seq, pointer=pointer, expected=expected, actual=actual)


class ChainError(HearthRecordsError):
    """The events are not one chain (FORMAT §4)."""

    default_code = "chain"


class LifecycleError(HearthRecordsError):
    """The events cannot follow each other like this (FORMAT §3, *Lifecycle*)."""

    default_code = "lifecycle"


class SealError(HearthRecordsError):
    """A seal cannot be made, or does not hold (FORMAT §5)."""

    default_code = "seal"


class TrustError(HearthRecordsError):
    """A key or a trust policy is refused, or a policy is not met (FORMAT §9).

    `role` is that of the requirement that is not met, of those for `seal` first; else None.
    """

    default_code = "trust"
    role: str | None = None


class RecordingError(HearthRecordsError):
    """The observer was used in a way that it cannot record."""

    default_code = "recording"


class SecurityEscalationError(HearthRecordsError):
    """The security state got worse: nothing may start, and only an `incomplete` end is left."""

    default_code = "security-escalation"


class JournalError(HearthRecordsError):
    """A journal cannot be opened, or cannot be relied on any more (FORMAT §7)."""

    default_code = "journal"


class ArchiveError(HearthRecordsError):
    """A store of records is not what it should be."""

    default_code = "archive"
