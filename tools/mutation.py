#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["cosmic-ray==8.7.0"]
# ///
"""Change the verifier in every small way that Cosmic Ray knows, and see that the tests notice (mutation testing).

    mutation.py                      all six modules: hours on one core
    mutation.py --module chain       one of them; may be given more than once
    mutation.py --module chain --grep TEXT     only mutants of lines that hold TEXT, for looking closer

It needs the test extra and Cosmic Ray: `.venv/bin/pip install cosmic-ray==8.7.0`, then
`.venv/bin/python tools/mutation.py`.

A mutant is a module with one change: the operators of Cosmic Ray, and one of this file that takes a statement out
which is a call or raises. What only a type checker reads is not changed: annotations that nothing evaluates, and
imports under TYPE_CHECKING. Each mutant runs in a copy of the tree, in a process of its own that was forked from one
in which the third-party modules are loaded already. The corpus of vectors and the module's own unit tests run;
the first failure, or ten times the time that the tests usually take, ends it.

A mutant that no test notices has to stand in `tests/mutants.toml` with the reason why it is the same program to
whoever uses it. Ends with 0 when the survivors are exactly the listed ones, with 1 when there are others or a listed
one did not survive, with 2 when it cannot run.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import itertools
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
LISTED: Final = ROOT / "tests" / "mutants.toml"
COPIED: Final = ("hearth_records", "keys_example", "pyproject.toml", "schemas", "tests", "tools")

CORPUS: Final = ("tests/test_honesty.py", "-k", "as_it_is")
STAGES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "chain": (("tests/test_chain.py",), CORPUS),
    "lifecycle": (("tests/test_lifecycle.py",), CORPUS),
    "seal": (("tests/test_seal.py",), ("tests/test_statement.py", "tests/test_observer.py")),
    "trust": (CORPUS, ("tests/test_trust.py",)),
    "verify": (
        CORPUS,
        ("tests/test_verify.py", "-k", "not agree and not hostile and not memory and not as_large"),
        ("tests/test_verify.py", "tests/test_seal.py", "-k", "memory or as_large or seal"),
    ),
    "canonical": (
        CORPUS,
        ("tests/test_canonical.py", "-k", "not arbitrary and not edited and not both_paths and not in_time"),
        ("tests/test_canonical.py", "-k", "arbitrary or edited or both_paths or in_time"),
    ),
}
"""What runs for a mutant of each module, one after the other: arguments of pytest."""

OPTIONS: Final = (
    *("-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--tb=no"),
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
)
WARM: Final = ("cryptography.hazmat.primitives.asymmetric.ed25519", "hypothesis", "msgspec", "pytest", "rfc8785")
MEMORY: Final = 4 * 2**30  # bytes of address space that a mutant may take
PATIENCE: Final = 10.0  # times the usual time, after which a mutant has been noticed: it does not end
SHORTEST: Final = 15.0  # seconds that it has in any case


Node: TypeAlias = Any
Operator: TypeAlias = Any
"""Nodes of parso, and the operators of Cosmic Ray: neither has types."""


class Mutant(NamedTuple):
    """A module with one change: in which definition, and the text of the changed lines before and after."""

    module: str
    where: str
    line: str
    becomes: str
    source: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is known by; it does not hold the line's number, which moves."""
        return self.module, self.where, self.line, self.becomes


# --- making mutants --------------------------------------------------------------------------------------------------


class RemoveStatement:
    """A mutation operator as Cosmic Ray has them: takes out a statement that is a call or raises."""

    @staticmethod
    def mutation_positions(node: Node) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Yield the place of the statement, for a node that is one."""
        if node.type == "simple_stmt" and node.children[0].type in ("atom_expr", "raise_stmt"):
            yield node.children[0].start_pos, node.children[0].end_pos

    @staticmethod
    def mutate(node: Node, _index: int) -> Node:
        """Return the node with `pass` in its place."""
        gone = node.children[0]
        parso = importlib.import_module("parso.python.tree")
        node.children[0] = parso.Keyword("pass", gone.start_pos, prefix=gone.get_first_leaf().prefix)
        return node


class _Running(ast.NodeTransformer):
    """Leaves of a module what runs."""

    def __init__(self) -> None:
        self.in_class = False

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        outside, self.in_class = self.in_class, True
        self.generic_visit(node)
        self.in_class = outside
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outside, self.in_class = self.in_class, False
        node.returns = None
        self.generic_visit(node)
        self.in_class = outside
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if not self.in_class:  # in a class it may be a member of a Struct, which evaluates it
            node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if "TYPE_CHECKING" in ast.dump(node.test) else self.generic_visit(node)


def running(source: str) -> str:
    """Return what of a module's source runs, in a form that can be compared."""
    return ast.dump(_Running().visit(ast.parse(source)))


def definition_at(tree: ast.Module, line: int) -> str:
    """Return the dotted name of the innermost function or class around a line, or "" for none."""
    names: list[str] = []
    scope: ast.AST | None = tree
    while scope is not None:
        inner = None
        for node in ast.walk(scope):
            if (
                node is not scope
                and isinstance(node, ast.FunctionDef | ast.ClassDef)
                and min([node.lineno, *(each.lineno for each in node.decorator_list)]) <= line <= (node.end_lineno or 0)
            ):
                inner = node
                names.append(node.name)
                break
        scope = inner
    return ".".join(names)


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module that is another program."""
    plugins = importlib.import_module("cosmic_ray.plugins")
    syntax = importlib.import_module("cosmic_ray.ast")
    nodes = list(syntax.ast_nodes(syntax.get_ast(source)))
    tree, same = ast.parse(source), running(source)
    lines = source.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    operators = [plugins.get_operator(name) for name in sorted(plugins.operator_names())]
    seen = set()
    for operator in [*(each() for each in operators if not each.arguments()), RemoveStatement()]:
        for node in nodes:
            first, last = (starts[line - 1] + column for line, column in (node.start_pos, node.end_pos))
            for index, (place, _end) in enumerate(operator.mutation_positions(node)):
                # An exception with a dotted name it cannot replace, and some of what it makes is no program at all.
                with contextlib.suppress(AttributeError, SyntaxError):
                    mutated = source[:first] + text_of_mutated(node, operator, index) + source[last:]
                    if running(mutated) == same or mutated in seen:
                        continue
                    seen.add(mutated)
                    before, after = changed(lines, mutated.splitlines(keepends=True))
                    yield Mutant(module, definition_at(tree, place[0]), before, after, mutated)


def text_of_mutated(node: Node, operator: Operator, index: int) -> str:
    """Return the text of a node that was mutated; the node itself is as before."""
    nodes = [node]
    for each in nodes:  # grows meanwhile
        nodes += getattr(each, "children", [])
    before = [(each, list(each.children) if hasattr(each, "children") else each.value) for each in nodes]
    try:
        mutated = operator.mutate(node, index)
        return "" if mutated is None else str(mutated.get_code(include_prefix=False))
    finally:
        for each, held in before:
            setattr(each, "children" if hasattr(each, "children") else "value", held)


def changed(before: list[str], after: list[str]) -> tuple[str, str]:
    """Return the lines that differ, each side as one line."""
    head = common(before, after)
    tail = common(before[head:][::-1], after[head:][::-1])
    one, other = before[head : len(before) - tail], after[head : len(after) - tail]
    return " ".join(" ".join(one).split()), " ".join(" ".join(other).split())


def common(one: Iterable[str], other: Iterable[str]) -> int:
    """Return how many lines two texts have in common at their beginning."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


# --- running them ----------------------------------------------------------------------------------------------------


def run(tree: Path, stage: Sequence[str], patience: float) -> bool:
    """Run tests in a process of their own; whether they all passed."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setsid()
            quiet = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(quiet, stream)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            os.chdir(tree)
            status = int(importlib.import_module("pytest").main([*OPTIONS, *stage]))
        finally:
            os._exit(status)
    end = time.monotonic() + patience
    while time.monotonic() < end:
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what it may have started
            return code == 0
        time.sleep(0.01)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def campaign(tree: Path, module: str, wanted: str) -> tuple[int, list[Mutant]]:
    """Run every mutant of a module; return how many there were, and those that no test noticed."""
    path = tree / "hearth_records" / f"{module}.py"
    source = path.read_text("utf-8")
    usual = []
    for stage in STAGES[module]:
        began = time.monotonic()
        if not run(tree, stage, 600.0):
            print(f"mutation.py: error: the tests fail without any change: pytest {' '.join(stage)}", file=sys.stderr)
            raise SystemExit(2)
        usual.append(max(SHORTEST, PATIENCE * (time.monotonic() - began)))
    mutants = [mutant for mutant in mutants_of(module, source) if wanted in mutant.line]
    print(f"{module}: {len(mutants)} mutants", flush=True)
    survivors = []
    for mutant in mutants:
        path.write_text(mutant.source, "utf-8")
        if all(run(tree, stage, patience) for stage, patience in zip(STAGES[module], usual, strict=True)):
            survivors.append(mutant)
            print(f"survived: {mutant.where}\n  - {mutant.line}\n  + {mutant.becomes}", flush=True)
    path.write_text(source, "utf-8")
    return len(mutants), survivors


def listed() -> dict[tuple[str, str, str, str], str]:
    """Return the survivors that are known, with the reason for each."""
    if not LISTED.exists():
        return {}
    entries = tomllib.loads(LISTED.read_text("utf-8")).get("mutant", [])
    return {
        (entry["module"], entry["where"], entry["line"], becomes): entry["reason"]
        for entry in entries
        for becomes in entry["becomes"]
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(prog="mutation.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--module", action="append", choices=list(STAGES), help="only this one (may be repeated)")
    parser.add_argument("--grep", default="", metavar="TEXT", help="only lines that hold TEXT")
    options = parser.parse_args(arguments)
    try:
        for name in ("cosmic_ray.plugins", *WARM):
            importlib.import_module(name)
    except ImportError as error:
        print(f"mutation.py: error: {error}", file=sys.stderr)
        print("hint: in the environment of the tests: pip install cosmic-ray==8.7.0", file=sys.stderr)
        return 2
    known = listed()
    modules = options.module or list(STAGES)
    found: set[tuple[str, str, str, str]] = set()
    total = 0
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        tree = Path(scratch) / "tree"
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            if copy is shutil.copytree:
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, tree / name)
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"}
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(tree))  # before the package that is installed
        for module in modules:
            count, survivors = campaign(tree, module, options.grep)
            total += count
            found |= {mutant.key for mutant in survivors}
    unknown = sorted(found - known.keys())
    gone = sorted(key for key in known.keys() - found if key[0] in modules and options.grep in key[2])
    for module, where, line, becomes in unknown:
        print(f"survived and is not listed: {module}: {where}\n  - {line}\n  + {becomes}")
    for module, where, line, becomes in gone:
        print(f"listed and did not survive: {module}: {where}\n  - {line}\n  + {becomes}")
    print(f"{total} mutants, {len(found)} survived, {len(unknown)} of them not listed, {len(gone)} listed for nothing")
    return 1 if unknown or gone else 0


if __name__ == "__main__":
    sys.exit(main())
