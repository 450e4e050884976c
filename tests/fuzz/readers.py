"""Every reader of the library, each with the errors that it documents, and what has to hold between them.

Used by `fuzz_readers.py` (atheris) and `test_readers.py` (Hypothesis).
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from helpers import GOLDEN_LINES, policy_for, signer
from recorder import EXECUTION_ID, record_in_memory

from hearth_records.canonical import OPENING, decode_closing, decode_event, decode_plan, decode_record, encode_event
from hearth_records.disclosure import decode_disclosure
from hearth_records.errors import ChainError, FormatError, LifecycleError, SealError, TrustError
from hearth_records.journal import journal_path, scan
from hearth_records.keys import load_private_key, load_public_key, public_key, public_key_to_pem
from hearth_records.profile import decode, decode_any, encode
from hearth_records.recovery import inspect
from hearth_records.trust import TrustPolicy, encode_policy
from hearth_records.verify import EXIT_CODES, verify_file, verify_record, verify_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from hearth_records.chain import ChainState
    from hearth_records.errors import HearthRecordsError

SEALED: Final = record_in_memory().seal(signer())
POLICY: Final = policy_for(signer())
PLAN: Final = (
    b'{"format":"hearth-plan/1","plan_id":"plan-1","steps":[{"step_index":0,"step_name":"Deploy"}],'
    b'"declared_side_effects":[{"category":"network","description":"sent mail","reversible":false,"step_index":0}],'
    b'"rollback_hints":[{"step_index":0,"description":"Drop it","actions":["DROP TABLE"],"required_inputs":{"dsn":"a"}'
    b',"risks":[],"estimated_duration":"2 min"}]}'
)
VECTORS: Final = Path(__file__).parent.parent / "vectors"
_KNOWN_CODES: Final = {0, *EXIT_CODES.values()}


def seeds() -> list[bytes]:
    """Return good inputs of every reader: where a fuzzer starts."""
    own = [
        SEALED.data,
        SEALED.data[: SEALED.data.index(b"\n]") + 1],
        SEALED.data[:-20],
        SEALED.data[SEALED.data.index(b"\n]") + 1 : -1],
        OPENING,
        PLAN,
        encode_policy(POLICY.document),
        signer().public_key,
        public_key_to_pem(signer().public_key),
        b"WyIwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1IiwiYSIsMV0",
        *GOLDEN_LINES,
    ]
    return own + [path.read_bytes() for path in sorted(VECTORS.glob("valid/*")) if path.stat().st_size < 8192]


def _decodes(read: Callable[[bytes], object], *documented: type[HearthRecordsError]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            read(data)
        except documented as error:
            _check_error(error)

    return run


def _check_error(error: HearthRecordsError) -> None:
    """Check that an error can be shown: a code, one line, nothing that a terminal acts on."""
    assert error.code
    text = str(error)
    assert text.isprintable(), text


def _read_event(data: bytes) -> None:
    for position in (0, 1):
        try:
            event = decode_event(data, position)
        except FormatError as error:
            _check_error(error)
        else:
            assert encode_event(event) == data  # what is accepted is the one spelling of it


def _read_value(data: bytes) -> None:
    try:
        value = decode(data)
    except FormatError as error:
        _check_error(error)
    else:
        assert encode(value) == data
        assert json.loads(data) == value


def _read_journal(data: bytes) -> None:
    """Whoever records, recovers and verifies reads the same in the same bytes."""
    report = verify_record(data, POLICY)
    try:
        found = scan(io.BytesIO(data))
    except (FormatError, ChainError, LifecycleError) as error:
        _check_error(error)
        assert report.exit_code != 0
        return
    assert report["canonical"].status == report["shape"].status == "pass"
    if found.chain.length:
        assert report["chain"].status == "pass"
        assert report["lifecycle"].status == "pass" or report["lifecycle"].code == "not-finished"
        assert report.events == found.chain.length
        assert report.chain_head == found.chain.head
        _check_prefix(data, found.size, found.chain)
    assert (report["sealed"].status == "pass") is bool(found.closing_line)
    assert len(data) == found.size + len(found.torn) + len(found.closing_line) + bool(found.closing_line)


def _check_prefix(data: bytes, size: int, chain: ChainState) -> None:
    assert data[size - 1 : size] == b"\n"
    assert data[:size].count(b"\n") == chain.length + 1


def _verify(data: bytes) -> None:
    for allow in (False, True):
        report = verify_record(data, POLICY, allow_reformatted=allow)
        assert report.exit_code in _KNOWN_CODES
        if report.exit_code == 0:  # no bytes but those that were sealed ever pass with this key
            assert report.chain_head == SEALED.chain_head
        for check in report.checks:
            assert (check.reason or "").isprintable()
        if not allow:
            streamed = verify_source(io.BytesIO(data), POLICY)
            assert streamed.exit_code == report.exit_code or report["canonical"].code == "reformatted"
    assert verify_record(data, None).exit_code != 0


class _File:
    """One file that each input is written to in turn, for the readers of files."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        self._directory = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
        self.path = Path(journal_path(self._directory.name, EXECUTION_ID))


_file = _File()


def _inspect(data: bytes) -> None:
    _file.path.write_bytes(data)
    found = inspect(_file.path)
    assert _file.path.read_bytes() == data
    if found.damage is not None:
        _check_error(found.damage)
    assert found.state in {"open", "closed"}
    assert (found.state == "closed") <= found.finished
    assert verify_file(_file.path, POLICY).exit_code == verify_record(data, POLICY).exit_code


READERS: Final[dict[str, Callable[[bytes], None]]] = {
    "profile.decode": _read_value,
    "profile.decode_any": _decodes(decode_any, FormatError),
    "decode_event": _read_event,
    "decode_closing": _decodes(decode_closing, FormatError),
    "decode_record": _decodes(decode_record, FormatError),
    "decode_plan": _decodes(decode_plan, FormatError),
    "decode_disclosure": _decodes(lambda data: decode_disclosure(data.decode("latin-1")), SealError, FormatError),
    "TrustPolicy.decode": _decodes(TrustPolicy.decode, TrustError),
    "public_key": _decodes(public_key, TrustError),
    "load_public_key": _decodes(load_public_key, TrustError),
    "load_private_key": _decodes(load_private_key, SealError),
    "journal.scan": _read_journal,
    "recovery.inspect": _inspect,
    "verify_record": _verify,
}
