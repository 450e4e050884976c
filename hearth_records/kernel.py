"""The security kernel that is asked for its state, and a small one with a kill switch.

A kernel here is only ever *read*. `HearthKernel` gets worse, never better: there is no way back short of a new kernel.
"""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from hearth_records.lifecycle import is_worse
from hearth_records.model import BoundaryState, SecurityState

__all__ = ["HearthKernel", "SecurityKernel"]


@runtime_checkable
class SecurityKernel(Protocol):
    """Anything that says how secure the system is. What is no known state counts as `UNKNOWN`."""

    def get_security_state(self) -> str:
        """Return one of OPERATIONAL, DEGRADED, COMPROMISED, LOCKDOWN, UNKNOWN."""

    def get_boundary_state(self) -> str:
        """Return one of NOMINAL, ELEVATED, COMPROMISED, LOCKDOWN, UNKNOWN."""


class HearthKernel:
    """A kernel in memory, whose states only ever get worse (`lifecycle.is_worse`)."""

    __slots__ = ("_boundary_state", "_kill_reason", "_security_state")

    def __init__(self) -> None:
        self._security_state = SecurityState.OPERATIONAL
        self._boundary_state = BoundaryState.NOMINAL
        self._kill_reason: str | None = None

    def get_security_state(self) -> SecurityState:
        """Return the security state."""
        return self._security_state

    def get_boundary_state(self) -> BoundaryState:
        """Return the boundary state."""
        return self._boundary_state

    @property
    def kill_switch_reason(self) -> str | None:
        """Why the kill switch was triggered, or None."""
        return self._kill_reason

    def escalate(
        self,
        security_state: SecurityState | str | None = None,
        boundary_state: BoundaryState | str | None = None,
    ) -> None:
        """Make either state worse, or leave it.

        Raises:
            ValueError: a state is not known, or better than the present one; nothing is changed then.

        """
        security = SecurityState(security_state or self._security_state)
        boundary = BoundaryState(boundary_state or self._boundary_state)
        _check_one_way(self._security_state, security)
        _check_one_way(self._boundary_state, boundary)
        self._security_state, self._boundary_state = security, boundary

    def trigger_kill_switch(self, reason: str) -> None:
        """Go to LOCKDOWN on both sides, for good. The first reason is kept."""
        if self._kill_reason is None:
            self._kill_reason = reason
        self._security_state = SecurityState.LOCKDOWN
        self._boundary_state = BoundaryState.LOCKDOWN


_State = TypeVar("_State", SecurityState, BoundaryState)


def _check_one_way(before: _State, after: _State) -> None:
    # From UNKNOWN only to LOCKDOWN: it may have been as bad before, and no way round leads back.
    worse = after == "LOCKDOWN" if before == "UNKNOWN" else is_worse(before, after)
    if after is not before and not worse:
        msg = f"escalation goes one way, not from {before} to {after}; only a new kernel starts over"
        raise ValueError(msg)
