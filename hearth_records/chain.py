"""The hash chain: event n holds the `event_hash` of event n - 1 (FORMAT §4).

    event_hash(e) = SHA-256(canonical bytes of e)

The chain head is the `event_hash` of the last event. It commits to everything before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hearth_records.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.model import Event

__all__ = ["ChainState", "chain_head", "check_chain", "event_hash"]


def event_hash(event: Event) -> str:
    """Return SHA-256 of the event's canonical bytes, as a digest."""
    return event.get_hash()


def chain_head(events: tuple[Event, ...]) -> str:
    """Return the `event_hash` of the last event. Raises IndexError when there is none."""
    return event_hash(events[-1])


class ChainState:
    """Follows a chain event by event, and remembers the first fault.

    Invariant: `head` is the hash of the event that was followed last, None before the first; `length` their number.
    """

    __slots__ = ("_pending", "error", "head", "length")

    def __init__(self) -> None:
        self.head: str | None = None
        self.length = 0
        self.error: ChainError | None = None
        self._pending: tuple[ChainError, int, str] | None = None

    def follow(self, events: Sequence[Event], digests: Sequence[str]) -> None:
        """Take the next events and their hashes."""
        head, length = self.head, self.length
        for event, digest in zip(events, digests, strict=True):
            if event.previous_event_hash != head or event.seq != length or self._pending is not None:
                self.head, self.length = head, length
                self._look(event, digest)
            head = digest
            length += 1
        self.head, self.length = head, length

    def _look(self, event: Event, digest: str) -> None:
        self._settle(event.previous_event_hash)
        if self.error is None:  # then no link is pending, and it was called for a fault of this event
            self._fault(event, digest)

    def finish(self, sealed_head: str | None) -> ChainError | None:
        """Return the first fault, or None. The sealed head, where there is one, is the link after the last event."""
        self._settle(sealed_head)
        return self.error

    def _fault(self, event: Event, digest: str) -> None:
        place = self.length
        if event.previous_event_hash != self.head:
            self.error = ChainError(
                f"the link from event {place - 1} to event {place} does not hold"
                if place
                else "event 0 has no predecessor",
                code="link",
                seq=place,
                pointer=f"/events/{place}/previous_event_hash",
                expected=self.head or "null",
                actual=event.previous_event_hash or "null",
            )
            self._pending = (self.error, place, digest) if place else None
        else:
            self.error = ChainError(
                "events are numbered 0, 1, 2 … without a gap",
                code="seq",
                seq=place,
                pointer=f"/events/{place}/seq",
                expected=place,
                actual=event.seq,
            )

    def _settle(self, next_link: str | None) -> None:
        """Say which of the two events that a broken link joins is cleared by the link after it."""
        if self._pending is None:
            return
        error, place, digest = self._pending
        self._pending = None
        error.reason += (
            f"; the next link holds and clears event {place}: event {place - 1} was altered,"
            " or something between them removed"
            if next_link == digest
            else f"; the next link does not clear event {place}"
        )


def check_chain(events: tuple[Event, ...]) -> str:
    """Return the head of a chain in memory. Raises `ChainError` at the first fault, and for no events at all."""
    state = ChainState()
    state.follow(events, [event_hash(event) for event in events])
    if (error := state.finish(None)) is not None:
        raise error
    if state.head is None:
        raise ChainError("there is no event", code="empty")
    return state.head
