"""Settings of all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from custody import agent, bao, fingerprint, tokens
from helpers import standard_record, standard_sealed
from hypothesis import settings

if TYPE_CHECKING:
    from hearth_records.model import ExecutionRecord, SealedRecord

__all__ = ["agent", "bao", "fingerprint", "record", "sealed", "tokens"]  # a fixture of a session is defined once

# Examples are bounded in each test, not in time: the machines that run this differ.
settings.register_profile("project", deadline=None, database=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def record() -> ExecutionRecord:
    """Return the finished record of `helpers.run_standard`."""
    return standard_record()


@pytest.fixture(scope="session")
def sealed() -> SealedRecord:
    """Return the same, sealed."""
    return standard_sealed()
