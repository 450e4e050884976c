"""The two verifiers side by side, and the cases of `vectors/manifest.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hearth_records.keys import load_public_key
from hearth_records.trust import TrustPolicy
from hearth_records.verify import CHECKS, verify_record

TOOLS: Final = Path(__file__).parent.parent / "tools"
VECTORS: Final = Path(__file__).parent / "vectors"
sys.path.insert(0, str(TOOLS))  # where a program finds the file beside it

import conformance  # noqa: E402 - found only now
import vectors as generator  # noqa: E402 - as above
import verify_record as tool  # noqa: E402 - as above

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from hearth_records.verify import VerificationReport

__all__ = [
    "MANIFEST",
    "NOW",
    "VECTORS",
    "Case",
    "Finding",
    "Outcome",
    "agree",
    "generator",
    "of_library",
    "of_tool",
    "tool",
]


class Finding(NamedTuple):
    """What a check came to."""

    status: str
    code: str | None
    seq: int | None
    pointer: str | None


class Outcome(NamedTuple):
    """What a verifier says about a file, in the terms that both have."""

    exit_code: int
    verdict: str
    checks: dict[str, Finding]
    warnings: list[str]

    @property
    def statuses(self) -> dict[str, str]:
        """The status of each check."""
        return {name: finding.status for name, finding in self.checks.items()}

    @property
    def failed(self) -> list[str]:
        """The checks that failed, in their order."""
        return [name for name, finding in self.checks.items() if finding.status == "fail"]

    @property
    def first(self) -> tuple[str, str | None, int | None]:
        """Check, code and seq of the first failure."""
        name = self.failed[0]
        return name, self.checks[name].code, self.checks[name].seq


def of_library(report: VerificationReport) -> Outcome:
    """Return what the library's report says."""
    found = (Finding(check.status, check.code, check.seq, check.pointer) for check in report.checks)
    checks: dict[str, Finding] = dict(zip(CHECKS, found, strict=True))
    return Outcome(report.exit_code, report.verdict, checks, sorted(warning.code for warning in report.warnings))


def of_tool(result: tool.Result) -> Outcome:
    """Return what the independent verifier's result says."""
    checks = {check.check: Finding(check.status, check.code, check.seq, check.pointer) for check in result.checks}
    verdict = tool.VERDICTS[result.exit_code]
    return Outcome(result.exit_code, verdict, checks, sorted(warning["code"] for warning in result.warnings))


class Policies(NamedTuple):
    """The same policy, as each verifier reads it."""

    library: TrustPolicy | None
    tool: tool.Policy | None


class Case(NamedTuple):
    """A case of the manifest: `name`, and all its members."""

    name: str
    members: dict[str, Any]

    def __getattr__(self, member: str) -> Any:
        return self.members[member]

    @property
    def path(self) -> Path:
        """The record file, without its padding."""
        return VECTORS / str(self.members["file"])

    def on_disk(self) -> AbstractContextManager[str]:
        """Give the record file as it is to be judged, with its padding."""
        return conformance.Case(self.members, VECTORS).on_disk()

    def library_policy(self) -> TrustPolicy | None:
        """Return the policy as the library reads it. Raises `TrustError`."""
        policy = self.members["policy"]
        if policy is None:
            return None
        if "trust" in policy:
            return TrustPolicy.decode((VECTORS / policy["trust"]).read_bytes())
        return TrustPolicy.from_keys(
            [(name, load_public_key((VECTORS / name).read_bytes())) for name in policy["keys"]]
        )

    def tool_policy(self) -> tool.Policy | None:
        """Return the policy as the independent verifier reads it. Raises `PolicyError`."""
        policy = self.members["policy"]
        if policy is None:
            return None
        if "trust" in policy:
            return tool.load_policy((VECTORS / policy["trust"]).read_bytes())
        return tool.policy_from_keys([(VECTORS / name).read_bytes() for name in policy["keys"]])


MANIFEST: Final[dict[str, Any]] = json.loads((VECTORS / "manifest.json").read_bytes())
NOW: Final = str(MANIFEST["now"])


def read_policies(name: str) -> Policies:
    """Return a policy of the corpus, as each verifier reads it."""
    data = (VECTORS / "policies" / f"{name}.json").read_bytes()
    return Policies(TrustPolicy.decode(data), tool.load_policy(data))


RECORDER: Final = read_policies("recorder")


def agree(data: bytes, policies: Policies = RECORDER, *, allow_reformatted: bool = False) -> Outcome:
    """Return what both verifiers say about a file; the exit code and every check's status have to be the same."""
    mine = of_library(verify_record(data, policies.library, now=NOW, allow_reformatted=allow_reformatted))
    other = of_tool(tool.verify_bytes(data, policies.tool, now=NOW, allow_reformatted=allow_reformatted))
    assert (mine.exit_code, mine.statuses) == (other.exit_code, other.statuses), data
    return mine
