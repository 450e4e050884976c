#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# ///
"""Run verifiers of hearth-record/1 over the test vectors, and say where they are wrong.

    conformance.py --verifier 'COMMAND {policy} {file}'      any program, one process a case
    conformance.py --batch COMMAND                           one that speaks the protocol below
    conformance.py                                           the three of this project
    conformance.py --mutations 10000 --seed 1                mutated files: where do verifiers differ?

`{policy}` becomes `--trust FILE`, `--key FILE` (repeated) or `--no-trust`, with `--allow-reformatted` where the case
asks for it; `{file}` becomes the record file. Exit codes have to be those of FORMAT.md §8. A verifier that prints a
report `hearth-verification/1` (§11) on standard output is held to it: verdict and every check. With `--json` it has to
print one. With `--strict` also codes, places and warnings have to be those of the manifest, as far as it names them.
What stands in the corpus is told in `tests/vectors/README.md`.

A verifier without some algorithm (§5) is right when it does not run those signatures and trusts nothing that needs
them: `--without ml-dsa-44`.

The batch protocol spares a process a case: each line of standard input is a JSON array, the arguments of a command
line (`["--no-trust","--format","json","a.record.json"]`); each is answered by one line of standard output, the JSON
report, or `{"exit_code":N}` when there is none. As many processes are started as cases are judged at the same time.

Mutated files (`mutate.py`) have no expected outcome. All verifiers have to agree on each: exit code and every check;
with `--strict`, where the shape is right, on the rest of the report, too, but for codes, places, reasons and names.

Exit codes:

    0   no disagreement
    1   a disagreement; no answer, and a report of another shape, are one, too
    2   wrong usage, a verifier that cannot be started, or a corpus that cannot be read
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import queue
import select
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TOOLS: Final = Path(__file__).resolve().parent
CORPUS: Final = TOOLS.parent / "tests" / "vectors"
CORPUS_FORMAT: Final = "hearth-vectors/1"
FORMAT: Final = "hearth-verification/1"
VERDICTS: Final = {0: "verified", 1: "altered", 3: "unreadable", 4: "untrusted", 5: "incomplete", 70: "error"}
DISAGREE, USAGE = 1, 2
UNTRUSTED: Final = 4
MAX_SHOWN: Final = 40  # disagreements in full; the summary counts all
MAX_TIMEOUT: Final = 86_400.0  # seconds

Json = dict[str, Any]
Shape = type | UnionType | dict[str, "Shape"] | list["Shape"] | tuple["Shape", ...]


class CannotRunError(Exception):
    """A verifier that cannot be started, or a corpus that cannot be read (exit 2)."""


# ---- Shapes --------------------------------------------------------------------------------------

# What is looked at; other members may stand beside it.
EVIDENCE: Final[Shape] = {"authority": str | None, "status": str, "time": str | None, "type": str}
CHECK: Final[Shape] = {"check": str, "code": str | None, "pointer": str | None, "seq": int | None, "status": str}
RESULT: Final[Shape] = {
    "checks": [CHECK],
    "evidence": [EVIDENCE],
    "exit_code": int,
    "signers": [{"evidence": [EVIDENCE]}],
    "verdict": str,
    "warnings": [{"code": str, "count": int, "seq": int | None}],
}
REPORT: Final[Shape] = {"exit_code": int, "results": [RESULT]}
CASE: Final[Shape] = {
    "allow_reformatted": bool,
    "check": str | None,
    "checks": dict | None,
    "code": str | None,
    "exit_code": int,
    "file": str,
    "kind": str,
    "name": str,
    "padding": (NoneType, {"byte": int, "count": int, "offset": int}),
    "pointer": str | None,
    "policy": (NoneType, {"trust": str}, {"keys": [str]}),
    "seq": int | None,
    "warnings": (NoneType, [str]),
}
MANIFEST: Final[Shape] = {"cases": [CASE], "now": str}


def misfit(value: object, shape: Shape, place: str = "") -> str | None:
    """Return the place of what is not of a shape, as a JSON pointer, or null when all is.

    A shape is a type; the shapes of members that an object has to have; in a list, the shape of every item; or, in a
    tuple, shapes of which one has to fit.
    """
    if isinstance(shape, tuple):
        return None if any(misfit(value, one) is None for one in shape) else place
    if isinstance(shape, dict) and isinstance(value, dict):
        found = (misfit(value.get(name, ...), inner, f"{place}/{name}") for name, inner in shape.items())
    elif isinstance(shape, list) and isinstance(value, list):
        found = (misfit(item, shape[0], f"{place}/{n}") for n, item in enumerate(value))
    else:
        return None if isinstance(shape, (type, UnionType)) and isinstance(value, shape) else place
    return next((fault for fault in found if fault is not None), None)


# ---- What a verifier says ------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What a verifier said about one file."""

    exit_code: int | None
    """Null when it was stopped or gave no answer."""
    result: Json | None
    """The one result of its report; null without one, and where a policy was refused."""
    problem: str = ""
    """Why there is no answer."""

    @property
    def checks(self) -> dict[str, str] | None:
        """The status of each check."""
        if self.result is None:
            return None
        return {str(check["check"]): str(check["status"]) for check in self.result["checks"]}

    def shown(self) -> str:
        """Return exit code and first failure, for a table."""
        if self.problem:
            return self.problem
        checks = self.checks or {}
        first = next((name for name, status in checks.items() if status == "fail"), "-")
        return f"{self.exit_code} {first}"


class Verifier(Protocol):
    """What judges files."""

    name: str
    without: Sequence[str]

    def judge(self, words: Sequence[str], file: str) -> Outcome:
        """Judge a file, with these trust options. Called from several threads."""

    def close(self) -> None:
        """End whatever runs."""


def outcome_of(exit_code: int, output: bytes) -> Outcome:
    """Return an outcome out of an exit code and what was printed, a report or not."""
    report = parsed(output)
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        return Outcome(exit_code, None)
    if (place := misfit(report, REPORT)) is not None:
        return Outcome(exit_code, None, f"a report of another shape: {place}")
    results = report["results"]
    if len(results) != 1 or len({check["check"] for check in results[0]["checks"]}) != 11:  # noqa: PLR2004 - §8
        return Outcome(exit_code, None, "a report of another shape: not one result with eleven checks")
    if not exit_code == report["exit_code"] == results[0]["exit_code"]:
        return Outcome(exit_code, None, "exit code and report differ")
    return Outcome(exit_code, results[0])


def parsed(output: bytes) -> object:
    """Return the JSON that was printed; null when it is none."""
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        return None


class Command:
    """A verifier that is started anew for each file."""

    def __init__(self, template: str, timeout: float, without: Sequence[str] = ()) -> None:
        """Take a command with `{policy}` and `{file}`."""
        self.name = template
        self.without = without
        self._words = shlex.split(template)
        self._timeout = timeout
        if "{policy}" not in self._words or not any("{file}" in word for word in self._words):
            raise CannotRunError("a verifier's command needs the words {policy} and {file}")

    def judge(self, words: Sequence[str], file: str) -> Outcome:
        """Run the command once."""
        expanded = [[*words] if word == "{policy}" else [word.replace("{file}", file)] for word in self._words]
        command = list(itertools.chain.from_iterable(expanded))
        try:
            done = subprocess.run(  # noqa: S603 - the caller's own command
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=self._timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome(None, None, "time limit")
        except OSError as error:
            raise CannotRunError(f"{command[0]}: {error.strerror}") from None
        return outcome_of(done.returncode, done.stdout)

    def close(self) -> None:
        """Nothing runs between two files."""


class Batch:
    """A verifier that answers many command lines, in as many processes as there are threads that ask."""

    def __init__(self, name: str, command: Sequence[str], timeout: float, without: Sequence[str] = ()) -> None:
        """Take the command of a program that speaks the batch protocol."""
        if not command:
            raise CannotRunError("a verifier needs a command")
        self.name = name
        self.without = without
        self._command = command
        self._timeout = timeout
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def judge(self, words: Sequence[str], file: str) -> Outcome:
        """Ask an idle process, or a new one."""
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            process = self._start()
        line = json.dumps([*words, "--format", "json", file]).encode() + b"\n"
        try:
            answer = self._ask(process, line)
        except (OSError, TimeoutError) as error:
            process.kill()
            return Outcome(None, None, "time limit" if isinstance(error, TimeoutError) else "no answer")
        self._idle.put(process)
        report: Any = parsed(answer)
        if misfit(report, {"exit_code": int}) is not None:
            return Outcome(None, None, "an answer of another shape")
        return outcome_of(report["exit_code"], answer)

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(  # noqa: S603 - the caller's own command
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        except OSError as error:
            raise CannotRunError(f"{self._command[0]}: {error.strerror}") from None
        with self._lock:
            self._all.append(process)
        return process

    def _ask(self, process: subprocess.Popen[bytes], line: bytes) -> bytes:
        """Return the answer to a line. Raises OSError when there is none, TimeoutError when it takes too long."""
        if process.stdin is None or process.stdout is None:
            raise OSError
        process.stdin.write(line)
        answer = b""
        end = time.monotonic() + self._timeout
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise BrokenPipeError
            answer += chunk
        return answer

    def close(self) -> None:
        """End every process."""
        for process in self._all:
            process.kill()
            process.communicate()


def project_verifiers(timeout: float) -> list[Verifier]:
    """Return the three verifiers of this project."""
    this = [sys.executable, str(Path(__file__).resolve()), "--serve"]
    return [
        Batch("verify-record", [*this, "verify-record"], timeout),
        Batch("verify_record.py", [*this, "verify_record.py"], timeout),
        Batch(
            "verify_record.mjs", ["node", str(TOOLS / "verify_record.mjs"), "--batch"], timeout, without=["ml-dsa-44"]
        ),
    ]


def serve(name: str) -> int:
    """Speak the batch protocol for a verifier in Python: run its command again and again in this process."""
    run: Callable[[list[str]], int]
    if name == "verify-record":
        from hearth_records.cli import common, verify  # noqa: PLC0415 - the library may not be installed

        def run(words: list[str]) -> int:
            return common.run("verify-record", verify.command, words)
    else:
        sys.path.insert(0, str(TOOLS))
        import verify_record  # noqa: PLC0415 - needs `cryptography`

        run = verify_record.main
    for line in sys.stdin.buffer:
        printed = io.BytesIO()
        with contextlib.redirect_stdout(io.TextIOWrapper(printed, "utf-8")):
            try:
                exit_code = run(json.loads(line))
            except SystemExit as stop:  # wrong usage
                exit_code = int(stop.code or 0)
            sys.stdout.flush()
            output = printed.getvalue()
        sys.stdout.buffer.write(output or b'{"exit_code":%d}\n' % exit_code)
        sys.stdout.buffer.flush()
    return 0


# ---- Vectors -------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A case of the manifest."""

    members: Json
    corpus: Path

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.members["name"])

    @property
    def file(self) -> str:
        """The record file, without its padding."""
        return str(self.corpus / self.members["file"])

    @contextlib.contextmanager
    def on_disk(self) -> Iterator[str]:
        """Give the record file as it is to be judged: with its padding, which is there for that long only."""
        padding = self.members["padding"]
        if padding is None:
            yield self.file
            return
        with tempfile.TemporaryDirectory(prefix="conformance.") as directory:
            path = Path(directory, "padded.record.json")
            write_padded(path, Path(self.file).read_bytes(), **padding)
            yield str(path)

    @property
    def policy_files(self) -> list[Path]:
        """The trust policy, or the public keys."""
        policy = self.members["policy"] or {}
        return [self.corpus / name for name in ([policy["trust"]] if "trust" in policy else policy.get("keys", []))]

    def words(self) -> list[str]:
        """Return the options that `{policy}` stands for."""
        option = "--trust" if "trust" in (self.members["policy"] or {}) else "--key"
        words = [word for path in self.policy_files for word in (option, str(path))] or ["--no-trust"]
        return [*words, "--allow-reformatted"] if self.members["allow_reformatted"] else words

    def concerns(self, algorithms: Sequence[str]) -> bool:
        """Whether an algorithm is named in the record or in the policy."""
        paths = [Path(self.file)] if self.members["kind"] == "file" else []
        data = b"".join(path.read_bytes() for path in [*paths, *self.policy_files])
        return any(f'"{algorithm}"'.encode() in data for algorithm in algorithms)

    def expires_between(self, one: str, other: str) -> bool:
        """Whether the policy expires between two times, so that the outcome depends on the clock."""
        if len(self.policy_files) != 1 or "trust" not in self.members["policy"]:
            return False
        try:
            expires = json.loads(self.policy_files[0].read_bytes())["expires"]
        except (ValueError, TypeError, LookupError, RecursionError):
            return False
        return isinstance(expires, str) and min(one, other) < expires <= max(one, other)


def write_padded(path: Path, data: bytes, *, byte: int, count: int, offset: int) -> None:
    """Write a file with copies of a byte put in at an offset."""
    with path.open("wb") as file:
        file.write(data[:offset])
        if byte:
            file.write(bytes([byte]) * count)
        else:
            file.seek(count, os.SEEK_CUR)  # a hole: it reads as zeros, and takes no space
        file.write(data[offset:])
        file.truncate()


def read_corpus(directory: Path) -> tuple[list[Case], str]:
    """Return the cases of a corpus, and the time for which they are right."""
    path = directory / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise CannotRunError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CannotRunError(f"{path}: no JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != CORPUS_FORMAT:
        raise CannotRunError(f"{path}: not of the format {CORPUS_FORMAT}")
    if (place := misfit(manifest, MANIFEST)) is not None:
        raise CannotRunError(f"{path}: {place} is missing, or of another type than the README there says")
    return [Case(members, directory) for members in manifest["cases"]], manifest["now"]


def is_near(pointer: object, place: str) -> bool:
    """Whether a pointer is a place, or one above or below it; null is the whole document."""
    mine, other = str(pointer or "").split("/"), place.split("/")
    shorter = min(len(mine), len(other))
    return mine[:shorter] == other[:shorter]


def differences(case: Case, outcome: Outcome, *, without: Sequence[str], strict: bool, report: bool) -> list[str]:
    """Return in what an outcome is not the expected one."""
    expected = case.members
    if outcome.problem:
        return [outcome.problem]
    lacks = bool(without) and case.concerns(without) and expected["checks"] is not None
    exit_codes = {expected["exit_code"], UNTRUSTED} if lacks else {expected["exit_code"]}
    wrong = [] if outcome.exit_code in exit_codes else [f"exit code {outcome.exit_code}"]
    result, checks = outcome.result, outcome.checks
    if expected["checks"] is None:  # the policy is refused: no file is judged
        return [*wrong, "a report, and the policy is to be refused"] if result is not None else wrong
    if result is None or checks is None:
        return [*wrong, "no report"] if report else wrong
    for check, status in expected["checks"].items():
        also = {"signature": ("pass", "not_run"), "trust": ("fail",)}.get(check, ()) if lacks else ()
        if checks.get(check) not in (status, *also):
            wrong.append(f"{check} {checks.get(check)}")
    if result["verdict"] != VERDICTS.get(outcome.exit_code or 0):
        wrong.append(f"verdict {result['verdict']}")
    if strict and not lacks and not wrong:
        wrong += strict_differences(expected, result)
    return wrong


def strict_differences(expected: Json, result: Json) -> list[str]:
    """Return what differs in the deciding check and the warnings, as far as the manifest names them."""
    wrong = []
    warnings = sorted(str(warning["code"]) for warning in result["warnings"])
    if expected["warnings"] is not None and warnings != sorted(expected["warnings"]):
        wrong.append(f"warnings {', '.join(warnings) or 'none'}")
    for check in result["checks"]:
        if check["check"] != expected["check"]:
            continue
        wrong += [f"{name} {check[name]}" for name in ("code", "seq") if expected[name] not in (None, check[name])]
        if expected["pointer"] is not None and not is_near(check["pointer"], expected["pointer"]):
            wrong.append(f"pointer {check['pointer']}")
    return wrong


def expected_of(case: Case) -> str:
    """Return what is expected, for a table."""
    return f"{case.members['exit_code']} {case.members['check'] or '-'}"


class Row(NamedTuple):
    """A disagreement."""

    name: str
    expected: str
    found: str
    details: str


def run_vectors(verifier: Verifier, cases: Sequence[Case], now: str, args: argparse.Namespace) -> list[Row]:
    """Run one verifier over the cases, and print what came out."""
    present = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    judged = [case for case in cases if not case.expires_between(now, present)]
    start = time.monotonic()

    def row(case: Case) -> Row | None:
        with case.on_disk() as file:
            outcome = verifier.judge(case.words(), file)
        wrong = differences(case, outcome, without=verifier.without, strict=args.strict, report=args.json)
        return Row(case.name, expected_of(case), outcome.shown(), "; ".join(wrong)) if wrong else None

    with ThreadPoolExecutor(args.jobs) as pool:
        rows = [row for row in pool.map(row, judged) if row is not None]
    print_table(rows)
    skipped = f", {len(cases) - len(judged)} not judged: a policy expired meanwhile" if len(judged) < len(cases) else ""
    took = time.monotonic() - start
    print(f"{verifier.name}: {len(judged)} cases, {len(rows)} disagreements{skipped}, {took:.0f} s")
    return rows


def print_table(rows: Sequence[Row]) -> None:
    """Print disagreements as a table."""
    if not rows:
        return
    told = [Row(*(cell.encode("unicode_escape").decode() for cell in row)) for row in rows[:MAX_SHOWN]]
    table = [Row("case", "expected", "found", "details"), *told]
    widths = [max(len(cells) for cells in column) for column in itertools.islice(zip(*table, strict=True), 3)]
    for line in table:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line.details]))
    if len(rows) > MAX_SHOWN:
        print(f"and {len(rows) - MAX_SHOWN} more")


# ---- Mutations -----------------------------------------------------------------------------------


def judged(evidence: Sequence[Json]) -> list[Json]:
    """Return what of evidence has to be the same: not why it does not hold."""
    return [{name: item[name] for name in ("type", "status", "time", "authority")} for item in evidence]


def compared(outcome: Outcome, *, strict: bool) -> object:
    """Return what of an outcome has to be the same for all verifiers."""
    checks = outcome.checks or {}
    if not strict or outcome.result is None or checks["shape"] != "pass":
        return outcome.exit_code, outcome.checks, outcome.problem
    result = dict(outcome.result)
    result["checks"] = checks
    result["signers"] = [  # --key gives them no name
        {**signer, "name": None, "evidence": judged(signer["evidence"])} for signer in result["signers"]
    ]
    result["evidence"] = judged(result["evidence"])
    warnings = [{name: warning[name] for name in ("code", "count", "seq")} for warning in result["warnings"]]
    result["warnings"] = sorted(warnings, key=lambda warning: str(warning["code"]))
    if checks["lifecycle"] == "fail":
        del result["warnings"]  # events that cannot follow each other: what is odd about them, nobody need say
    return outcome.exit_code, result


def contrast(outcomes: Sequence[Outcome], *, strict: bool) -> str:
    """Say in what outcomes differ."""
    told: dict[str, list[str]] = {}
    for outcome in outcomes:
        facts: dict[str, object] = {"exit": outcome.exit_code, "problem": outcome.problem, **(outcome.checks or {})}
        if strict and outcome.result is not None:
            rest = compared(outcome, strict=True)
            facts |= rest[1] if isinstance(rest, tuple) and isinstance(rest[1], dict) else {}
            facts.pop("checks", None)
        for name, fact in facts.items():
            told.setdefault(name, []).append(json.dumps(fact))
    return "; ".join(
        f"{name} {' | '.join(facts)}"
        for name, facts in told.items()
        if len(facts) < len(outcomes) or len(set(facts)) > 1
    )


def is_answer(outcome: Outcome) -> bool:
    """Whether an outcome is one that a verifier may have about a file."""
    return not outcome.problem and outcome.exit_code in (0, 1, 3, 4, 5)


def run_mutations(verifiers: Sequence[Verifier], args: argparse.Namespace) -> list[Row]:
    """Judge mutants with every verifier, and print where they differ."""
    sys.path.insert(0, str(TOOLS))
    import mutate  # noqa: PLC0415 - the file beside this one

    without = [algorithm for verifier in verifiers for algorithm in verifier.without]
    mutator = mutate.Mutator(args.corpus, without)
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    codes: dict[str, int] = {}
    lock = threading.Lock()
    local = threading.local()

    def row(index: int) -> Row | None:
        if not hasattr(local, "directory"):
            local.directory = Path(tempfile.mkdtemp(dir=scratch))
        mutant = mutator.mutant(args.seed, index)
        *words, file = mutate.write(mutant, local.directory)
        outcomes = [verifier.judge(words, file) for verifier in verifiers]
        with lock:
            shown = outcomes[0].shown()
            codes[shown] = codes.get(shown, 0) + 1
        same = {json.dumps(compared(outcome, strict=args.strict), sort_keys=True) for outcome in outcomes}
        if len(same) == 1 and all(map(is_answer, outcomes)):
            return None
        if args.keep:
            kept = args.keep / f"{args.seed}-{index}"
            kept.mkdir(parents=True, exist_ok=True)
            mutate.write(mutant, kept)
        found = " | ".join(outcome.shown() for outcome in outcomes)
        details = f"{contrast(outcomes, strict=args.strict)} <- {', '.join(mutant.done)}"
        return Row(f"{args.seed}:{index}", "all the same", found, details)

    indexes = range(args.first, args.first + args.mutations)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(args.jobs) as pool:
        rows = [row for row in pool.map(row, indexes) if row is not None]
    print_table(rows)
    names = ", ".join(verifier.name for verifier in verifiers)
    for shown, number in sorted(codes.items(), key=lambda item: -item[1]):
        print(f"{number:8}  {shown.encode('unicode_escape').decode()}")
    took = time.monotonic() - start
    print(f"{names}: {len(indexes)} mutants of seed {args.seed}, {len(rows)} disagreements, {took:.0f} s")
    return rows


# ---- Command -------------------------------------------------------------------------------------


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="conformance.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command = "'COMMAND {policy} {file}'"
    parser.add_argument("--verifier", action="append", default=[], metavar=command, help="one for a file; repeatable")
    parser.add_argument("--batch", action="append", default=[], metavar="COMMAND", help="one for many; repeatable")
    parser.add_argument("--without", action="append", default=[], metavar="ALGORITHM", help="that these do not have")
    parser.add_argument("--json", action="store_true", help="a report has to be printed for each file")
    parser.add_argument("--strict", action="store_true", help="compare what the specification leaves free, too")
    parser.add_argument("--corpus", type=Path, default=CORPUS, metavar="DIRECTORY", help="where the manifest is")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one case of N")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cases at the same time (default: 2)")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="a case (default: 60)")
    parser.add_argument("--mutations", type=int, default=0, metavar="N", help="compare verifiers on mutated files")
    parser.add_argument("--seed", type=int, default=1, help="of the mutants (default: 1)")
    parser.add_argument("--first", type=int, default=0, metavar="INDEX", help="the first mutant (default: 0)")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep mutants on which verifiers differ")
    parser.add_argument("--serve", choices=("verify-record", "verify_record.py"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.jobs < 1 or args.every < 1 or args.mutations < 0:
        parser.error("--jobs and --every are above 0, --mutations is not below")
    if not 0 < args.timeout <= MAX_TIMEOUT:
        parser.error("--timeout is above 0 and at most a day")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse_arguments(argv)
    if args.serve:
        return serve(args.serve)
    verifiers: list[Verifier] = []
    try:
        verifiers += [Command(template, args.timeout, args.without) for template in args.verifier]
        verifiers += [Batch(command, shlex.split(command), args.timeout, args.without) for command in args.batch]
        verifiers = verifiers or project_verifiers(args.timeout)
        cases, now = read_corpus(args.corpus)
        if args.mutations:
            return DISAGREE if run_mutations(verifiers, args) else 0
        chosen = [case for case in cases if args.only in case.name][:: args.every]
        if not chosen:
            raise CannotRunError(f"{args.corpus}: no case has {args.only!r} in its name")
        rows = [run_vectors(verifier, chosen, now, args) for verifier in verifiers]
    except (CannotRunError, ValueError) as error:  # shlex raises ValueError for a quotation that does not end
        print(f"conformance.py: error: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"conformance.py: error: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return USAGE
    finally:
        for verifier in verifiers:
            verifier.close()
    return DISAGREE if any(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
