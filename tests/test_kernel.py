from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth_records.kernel import HearthKernel, SecurityKernel
from hearth_records.lifecycle import is_worse
from hearth_records.model import BoundaryState, SecuritySnapshot, SecurityState

SECURITY = list(SecurityState)
BOUNDARY = list(BoundaryState)
RANK = {"OPERATIONAL": 0, "NOMINAL": 0, "DEGRADED": 1, "ELEVATED": 1, "COMPROMISED": 2, "LOCKDOWN": 3, "UNKNOWN": 3}


def states(kernel: HearthKernel) -> tuple[str, str]:
    return kernel.get_security_state(), kernel.get_boundary_state()


def test_a_new_kernel_is_operational() -> None:
    kernel = HearthKernel()
    assert states(kernel) == ("OPERATIONAL", "NOMINAL")
    assert kernel.kill_switch_reason is None
    assert isinstance(kernel, SecurityKernel)
    assert not isinstance(object(), SecurityKernel)


def test_either_state_gets_worse_alone_or_with_the_other() -> None:
    kernel = HearthKernel()
    kernel.escalate(SecurityState.DEGRADED)
    assert states(kernel) == ("DEGRADED", "NOMINAL")
    kernel.escalate(boundary_state="ELEVATED")
    assert states(kernel) == ("DEGRADED", "ELEVATED")
    kernel.escalate("COMPROMISED", BoundaryState.LOCKDOWN)
    assert states(kernel) == ("COMPROMISED", "LOCKDOWN")
    kernel.escalate()
    kernel.escalate("COMPROMISED", "LOCKDOWN")
    assert states(kernel) == ("COMPROMISED", "LOCKDOWN")


@pytest.mark.parametrize("state", ["operational", "NOMINAL", "ELEVATED", "x", 5])
def test_a_state_that_is_not_known_is_refused(state: Any) -> None:
    kernel = HearthKernel()
    with pytest.raises(ValueError, match="not a valid"):
        kernel.escalate(state)
    assert states(kernel) == ("OPERATIONAL", "NOMINAL")


@pytest.mark.parametrize("before", SECURITY)
@pytest.mark.parametrize("after", SECURITY)
def test_escalation_goes_one_way(before: SecurityState, after: SecurityState) -> None:
    kernel = HearthKernel()
    kernel.escalate(before)
    if before is after or (is_worse(before, after) and RANK[after] >= RANK[before]):
        kernel.escalate(after)
        assert kernel.get_security_state() is after
    else:
        with pytest.raises(ValueError, match="one way"):
            kernel.escalate(after)
        assert kernel.get_security_state() is before


def test_a_refused_escalation_changes_nothing() -> None:
    kernel = HearthKernel()
    kernel.escalate("DEGRADED", "ELEVATED")
    for arguments in (("COMPROMISED", "NOMINAL"), ("OPERATIONAL", "LOCKDOWN"), ("COMPROMISED", "x")):
        with pytest.raises(ValueError, match=r"one way|not a valid"):
            kernel.escalate(*arguments)
        assert states(kernel) == ("DEGRADED", "ELEVATED")


@given(
    st.lists(
        st.tuples(st.sampled_from([None, *SECURITY]), st.sampled_from([None, *BOUNDARY])) | st.just("kill"), max_size=8
    )
)
def test_there_is_no_way_back_not_even_by_detours(calls: list[Any]) -> None:
    kernel = HearthKernel()
    worst = [0, 0]
    for call in calls:
        if call == "kill":
            kernel.trigger_kill_switch("x")
        else:
            try:
                kernel.escalate(*call)
            except ValueError:
                continue
        now = [RANK[state] for state in states(kernel)]
        assert all(a >= b for a, b in zip(now, worst, strict=True))
        worst = now


def test_the_kill_switch_locks_down_for_good() -> None:
    kernel = HearthKernel()
    kernel.trigger_kill_switch("smoke")
    assert states(kernel) == ("LOCKDOWN", "LOCKDOWN")
    assert kernel.kill_switch_reason == "smoke"
    kernel.trigger_kill_switch("fire")
    assert kernel.kill_switch_reason == "smoke"
    for arguments in (("OPERATIONAL", None), ("COMPROMISED", None), (None, "NOMINAL"), (None, "ELEVATED")):
        with pytest.raises(ValueError, match="one way"):
            kernel.escalate(*arguments)
    assert states(kernel) == ("LOCKDOWN", "LOCKDOWN")


def test_the_kill_switch_works_whatever_the_state() -> None:
    kernel = HearthKernel()
    kernel.escalate("UNKNOWN", "UNKNOWN")
    kernel.trigger_kill_switch("")
    assert states(kernel) == ("LOCKDOWN", "LOCKDOWN")
    assert kernel.kill_switch_reason == ""


def test_no_state_can_be_set() -> None:
    kernel = HearthKernel()
    for name in ("security_state", "boundary_state", "kill_switch_reason", "anything"):
        with pytest.raises(AttributeError):
            setattr(kernel, name, "OPERATIONAL")


def test_a_snapshot_of_a_kernel() -> None:
    kernel = HearthKernel()
    kernel.trigger_kill_switch("smoke")
    assert SecuritySnapshot.from_kernel(kernel, "now") == SecuritySnapshot(
        security_state=SecurityState.LOCKDOWN, boundary_state=BoundaryState.LOCKDOWN, context="now"
    )
