"""`hearth-records schema`: the JSON Schemas, what they mean, and whether a change of one is compatible."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Any, Final

from hearth_records import files, profile, schema
from hearth_records.cli.arguments import Parser
from hearth_records.cli.common import UNREADABLE, USAGE, CommandError, complain, read_file
from hearth_records.errors import FormatError, escape
from hearth_records.verify import combine_exit_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth_records.schema_diff import Comparison

_DIFFERS = 1
_MAX_SCHEMA = 16 * 1024 * 1024
_SUMS: Final = "SHA256SUMS"
_SUFFIXES: Final = {"json": ".schema.json", "markdown": ".md", "typescript": ".d.ts"}
_is_sum = re.compile(r"([0-9a-f]{64})  (\S+)").fullmatch
_MEANS: Final = {
    "compatible": "both who reads by the old schema and who writes by it can go on",
    "compatible-for-readers": "who reads by the old schema can read all that is written by the new one",
    "compatible-for-writers": "all that is written by the old schema is valid by the new one",
    "breaking": "neither readers nor writers of the old schema can go on",
}


def command(arguments: Sequence[str], prog: str) -> int:
    """List, show, export, check or compare schemas; a difference, a finding or a breaking change ends with 1."""
    parser = Parser(prog, "The JSON Schemas (2020-12) of the documents.")
    actions = parser.add_subparsers(dest="action", required=True, parser_class=_Sub)
    actions.add_parser("list", help="list every document of every version that this release reads, with its digest")
    show = actions.add_parser("show", help="print one schema")
    show.add_argument("name", choices=tuple(schema.SCHEMAS))
    export = actions.add_parser("export", help="write schemas, documentation or types")
    export.add_argument("--bundle", action="store_true", help="the one file for a record; without -o it is printed")
    export.add_argument("--format", choices=tuple(_SUFFIXES), default="json", help="what to write (default: json)")
    export.add_argument(
        "-o", dest="directory", metavar="DIR", type=_name, help="the directory, which is made; for example schemas"
    )
    export.add_argument(
        "--check",
        action="store_true",
        help="write nothing; end with 1 when a file differs (without -o: of the schemas that came with this release)",
    )
    check = actions.add_parser("check", help="check schemas against the meta-schema and the project's rules")
    check.add_argument("files", nargs="+", metavar="FILE", type=_name, help="schemas; - is standard input")
    diff = actions.add_parser("diff", help="say what changed, and for whom that is compatible; end with 1 if breaking")
    diff.add_argument("old", metavar="OLD", type=_name, help="a schema; - is standard input")
    diff.add_argument("new", metavar="NEW", type=_name, help="another one")
    diff.add_argument("--format", choices=("text", "json"), default="text", help="how to report (default: text)")
    infer = actions.add_parser("infer-version", help="print the format version that a document says it is of")
    infer.add_argument(
        "file",
        metavar="FILE",
        type=_name,
        help="a record, which says it first: it may be open or torn, as long as the version is whole, and nothing else "
        "of it is looked at; or any other document, whole; - is standard input",
    )
    options = parser.parse_args(arguments)
    run = {
        "list": _list,
        "show": _show,
        "export": _export,
        "check": _check,
        "diff": _diff,
        "infer-version": _infer,
    }[options.action]
    return run(options, prog)


def _name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


class _Sub(Parser):
    def __init__(self, prog: str, **_ignored: object) -> None:
        super().__init__(prog, "")


def _list(_options: argparse.Namespace, _prog: str) -> int:
    for key, document in schema.DOCUMENTS.items():
        print(f"{document.name:<20} {document.format:<21} sha256:{schema.schema_digest(key)} {document.path}")
    return 0


def _show(options: argparse.Namespace, _prog: str) -> int:
    sys.stdout.buffer.write(schema.encode_schema(options.name))
    return 0


# --- export ----------------------------------------------------------------------------------------------------------


def _export(options: argparse.Namespace, prog: str) -> int:
    if options.directory is None and options.check and options.format == "json":
        options.directory = _shipped()
    if options.directory is None and (options.check or not options.bundle):
        raise CommandError(
            "nothing says where the files go", exit_code=USAGE, hint="-o DIR; or --bundle alone, which prints one file"
        )
    record = schema.DOCUMENTS["urn:hearth-records:schema:record:1"]
    written = {
        document.path.removesuffix(_SUFFIXES["json"]) + _SUFFIXES[options.format]: _content(key, options.format)
        for key, document in schema.DOCUMENTS.items()
        if document is record or not options.bundle
    }
    if options.directory is None:
        sys.stdout.buffer.write(*written.values())
        return 0
    if options.format == "json" and not options.bundle:
        pinned = _read_sums(options.directory)
        if changed := _changed(options.directory, written, pinned):
            for path in changed:
                complain(prog, f"{path}: is published, and what is published never changes")
            print("hint: a change is a new version, in a new directory with its own structs", file=sys.stderr)
            return _DIFFERS
        sums = pinned | {path: profile.sha256_hex(data) for path, data in written.items()}
        written[_SUMS] = "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)).encode()
    return _write(options.directory, written, check=options.check)


def _shipped() -> str:
    """Return the directory of the schemas that came with this release: in the package, or in a checkout beside it."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - a path to print
    inside = os.path.join(package, "schemas")  # noqa: PTH118 - as above
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "schemas")  # noqa: PTH112, PTH118, PTH120 - as above


def _content(key: str, form: str) -> bytes:
    """Return what an export writes about one document."""
    if form == "json":
        return schema.encode_schema(key)
    from hearth_records import schema_docs  # noqa: PLC0415 - most calls need none

    document = schema.document_schema(key)
    if form == "typescript":
        return schema_docs.to_typescript(document).encode()
    path, digest = schema.DOCUMENTS[key].path, schema.schema_digest(key)
    return schema_docs.to_markdown(document, path=path, digest=digest).encode()


def _read_sums(directory: str) -> dict[str, str]:
    """Return the digests of the schemas that were published, by their path; the form is that of sha256sum."""
    path = os.path.join(directory, _SUMS)  # noqa: PTH118 - a path to print
    data = _read(path) or b""
    found = [_is_sum(line) for line in data.decode("utf-8", "replace").splitlines()]
    sums = {match[2]: match[1] for match in found if match is not None}
    if len(sums) != len(found):
        raise CommandError(f"{path}: not a list of sha256sum, each path once", exit_code=UNREADABLE)
    return sums


def _changed(directory: str, written: dict[str, bytes], pinned: dict[str, str]) -> list[str]:
    """Return the published schemas of which this release, or for older ones the directory, has another content."""
    changed = []
    for path, digest in pinned.items():
        data = written[path] if path in written else _read(os.path.join(directory, path))  # noqa: PTH118 - as above
        if data is None or profile.sha256_hex(data) != digest:
            changed.append(path)
    return changed


def _write(directory: str, written: dict[str, bytes], *, check: bool) -> int:
    """Write the files that differ, each as a whole; what can be found to stand in the way is found before the first."""
    paths = {os.path.join(directory, relative): data for relative, data in written.items()}  # noqa: PTH118 - to print
    stale = {path: data for path, data in paths.items() if _read(path) != data}
    if check:
        for path in stale:
            print(f"{escape(path)}: differs from the model")
        return _DIFFERS if stale else 0
    before = {path: _replaceable(path) for path in stale}
    for path in stale:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - as above
    for path, old in before.items():
        if old is None:
            files.write_new(path, stale[path])
        else:
            files.replace_file(path, stale[path], old)
        print(f"{escape(path)}: written")
    return 0


def _replaceable(path: str) -> os.stat_result | None:
    """Return what a generated file replaces, None for nothing. Raises `OSError` unless that is a regular file."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return found


def _read(path: str) -> bytes | None:
    try:
        return files.read_regular(path, _MAX_SCHEMA)
    except FileNotFoundError:
        return None


# --- check, diff, infer-version --------------------------------------------------------------------------------------


def _check(options: argparse.Namespace, prog: str) -> int:
    _check_inputs(options.files)
    return combine_exit_codes([_check_file(path, prog) for path in options.files])


def _check_inputs(paths: Sequence[str]) -> None:
    if paths.count("-") > 1:
        raise CommandError("standard input can be read only once", exit_code=USAGE, hint="name a file")


def _check_file(path: str, prog: str) -> int:
    from hearth_records.schema_check import check_schema  # noqa: PLC0415 - most calls need none

    try:
        findings = read_file(path, lambda data: check_schema(profile.decode_any(data)), _MAX_SCHEMA, stdin=True)
    except CommandError as error:
        complain(prog, str(error), error.hint)
        return error.exit_code
    for finding in findings:
        place = escape(finding.pointer) or "the top"
        print(f"{escape(path)}: {place}: {escape(finding.message)} [{finding.keyword}]")
    if not findings:
        print(f"{escape(path)}: good")
    return _DIFFERS if findings else 0


def _diff(options: argparse.Namespace, _prog: str) -> int:
    from hearth_records.schema_diff import compare_schemas, summary  # noqa: PLC0415 - most calls need none

    paths = (options.old, options.new)
    _check_inputs(paths)
    old, new = (read_file(path, _decode_schema, _MAX_SCHEMA, stdin=True) for path in paths)
    try:
        comparison = compare_schemas(old, new)
    except RecursionError:
        raise CommandError("the schemas are nested too deep to be compared", exit_code=UNREADABLE) from None
    if options.format == "json":
        print(_diff_json(options, comparison))
    else:
        for change in comparison.changes:
            place = escape(change.pointer) or "the top"
            print(f"{change.effect:<9} {place}: {escape(change.message)} [{escape(change.keyword)}]")
        print(f"{summary(comparison.changes)}\n{comparison.verdict}: {_MEANS[comparison.verdict]}")
    return _DIFFERS if comparison.verdict == "breaking" else 0


def _decode_schema(data: bytes) -> Any:  # noqa: ANN401 - any JSON
    value = profile.decode_any(data, exact=True)
    for finding in schema.meta_findings(value):
        raise FormatError(
            f"not a JSON Schema of 2020-12: {finding.message}", check="shape", code="schema", pointer=finding.pointer
        )
    return value


def _diff_json(options: argparse.Namespace, comparison: Comparison) -> str:
    text = json.dumps(
        {
            "format": "hearth-schema-diff/1",
            "old": options.old,
            "new": options.new,
            "verdict": comparison.verdict,
            "for_readers": comparison.for_readers,
            "for_writers": comparison.for_writers,
            "changes": [
                {"pointer": item.pointer, "keyword": item.keyword, "effect": item.effect, "message": item.message}
                for item in comparison.changes
            ],
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    return text.replace("\x7f", "\\u007f")


def _infer(options: argparse.Namespace, prog: str) -> int:
    version = read_file(options.file, schema.infer_version, profile.DEFAULT_LIMITS.file, stdin=True)
    print(version)
    if version in {document.format for document in schema.DOCUMENTS.values()}:
        return 0
    complain(prog, f"{options.file}: this release does not read {version}", "a later release may read it")
    return UNREADABLE
