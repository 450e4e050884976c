"""Measure hearth-records against yardsticks taken in the same run, and print each figure as a ratio.

    python tools/benchmark.py [--quick]

Absolute times say little on a shared machine; a ratio to a yardstick that runs in turn with what is measured says more.
Each figure is the median over rounds, with the lowest and the highest. Targets are shown beside, and never enforced:
this is no test. Needs the package installed, with its commands on the path of this interpreter.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hearth_records import ExecutionObserver, HearthKernel, Journal, LocalSigner, PublicKey, TrustPolicy, verify_record
from hearth_records.files import sync_directory
from hearth_records.keys import check_ed25519_point, generate_private_key, public_key_to_pem
from hearth_records.model import AnyEvent
from hearth_records.statement import preimage
from hearth_records.trust import encode_policy

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 6
LONG_RECORD = 500_000
BLOCK = 20
"""Events that are journalled in one go before the yardstick has its turn."""
STATUS = {"status": 200}
MIB = 1024 * 1024


def record_execution(steps: int = STEPS) -> ExecutionObserver:
    """Record an execution of 3 events a step and 2 more: 20 events and about 7 KB for 6 steps."""
    observer = ExecutionObserver("bench-001", "plan-bench", HearthKernel())
    for index in range(steps):
        observer.record_step_started(index, "Deploy the service", {"host": "db1", "attempt": 1})
        observer.record_side_effect("network", "told the load balancer", True, index, {"status": 200})  # noqa: FBT003
        observer.record_step_completed(index, "Deploy the service", {"rows": 5})
    observer.mark_completed("every step completed")
    return observer


def timed(action: Callable[[], object], count: int) -> float:
    """Return the seconds that `count` calls take."""
    start = time.perf_counter()
    for _ in range(count):
        action()
    return time.perf_counter() - start


def ratios(yardstick: Callable[[], object], action: Callable[[], object], rounds: int, count: int) -> list[float]:
    """Return speed of `action` ÷ speed of `yardstick`, once a round, the two in turn."""
    timed(action, count // 4 + 1)
    timed(yardstick, count // 4 + 1)
    return [timed(yardstick, count) / timed(action, count) for _ in range(rounds)]


def show(name: str, values: list[float], target: str, unit: str = "") -> None:
    """Print a figure: median, lowest and highest, and its target."""
    low, middle, high = min(values), statistics.median(values), max(values)
    print(f"{name:<62} {middle:7.2f}{unit}  [{low:.2f} … {high:.2f}]  target {target}", flush=True)


# --- figures ----------------------------------------------------------------------------------------------------------


def bench_verification(signer: LocalSigner, rounds: int, count: int) -> None:
    """Verified records per second ÷ raw Ed25519 verifications per second."""
    sealed = record_execution().seal(signer)
    raw = PublicKey(signer.public_key)
    message, signature = preimage(sealed.statement), sealed.seal.signatures[0].sig_bytes
    for keys in (1, 10):
        policy = policy_of(signer, keys)
        assert verify_record(sealed.data, policy).exit_code == 0  # noqa: S101 - a failure would be no measurement
        verify = functools.partial(verify_record, sealed.data, policy)
        values = ratios(lambda: raw.verify(signature, message), verify, rounds, count)
        name = f"verify_record ({len(sealed.data)} bytes, 20 events), policy of {keys} ÷ raw"
        show(name, values, "≥ 0.50")


def bench_reading(signer: LocalSigner, rounds: int, count: int) -> None:
    """The least that verifying can cost: decode the events, write them again, hash each, and verify the signature."""
    sealed = record_execution().seal(signer)
    lines = [line.removeprefix(b",") for line in sealed.data.splitlines()[1:-1]]
    raw = PublicKey(signer.public_key)
    message, signature = preimage(sealed.statement), sealed.seal.signatures[0].sig_bytes
    decode, encode = msgspec.json.Decoder(AnyEvent).decode, msgspec.json.Encoder(order="sorted").encode

    def read() -> None:
        for line in lines:
            encode(decode(line))
            hashlib.sha256(line).hexdigest()
        raw.verify(signature, message)

    values = ratios(lambda: raw.verify(signature, message), read, rounds, count)
    show("the same: decode, write, hash, verify, and no check ÷ raw", values, "reported")


def policy_of(signer: LocalSigner, keys: int) -> TrustPolicy:
    """Return a policy of so many keys, the signer's last."""
    others = [LocalSigner(generate_private_key()) for _ in range(keys - 1)]
    return TrustPolicy.from_keys(
        [(f"key {number}", PublicKey(each.public_key)) for number, each in enumerate([*others, signer])]
    )


def bench_policy(signer: LocalSigner, rounds: int) -> None:
    """Time to read a policy of 1,000 keys, each checked strictly ÷ 1,000 raw verifications."""
    data = encode_policy(policy_of(signer, 1000).document)
    raw, message = PublicKey(signer.public_key), b"message"
    signature = signer.sign(message)

    def read() -> None:
        check_ed25519_point.cache_clear()  # in a new process nothing is remembered
        TrustPolicy.decode(data)

    values = []
    for _ in range(rounds):
        yardstick = timed(lambda: raw.verify(signature, message), 1000)
        values.append(timed(read, 1) / yardstick)
    show("read a policy of 1,000 keys ÷ 1,000 raw verifications", values, "≤ 5.00")


def bench_recording(signer: LocalSigner, rounds: int, count: int) -> None:
    """Records recorded, sealed and checked in memory per second ÷ raw sign-and-verify pairs per second."""
    sealed = record_execution().seal(signer)
    raw = PublicKey(signer.public_key)
    message = preimage(sealed.statement)
    values = ratios(
        lambda: raw.verify(signer.sign(message), message), lambda: record_execution().seal(signer), rounds, count
    )
    show("record and seal (20 events) ÷ raw sign-and-verify pairs", values, "≥ 0.30")


def write_long_record(path: Path, signer: LocalSigner, events: int) -> None:
    """Write a sealed record of many events without holding them: by hand, from the specification."""
    sealed = record_execution(steps=1).seal(signer)
    first, started, _effect, completed, finished = sealed.data.splitlines()[1:6]
    head = ""
    with path.open("wb") as out:
        out.write(sealed.data.splitlines(keepends=True)[0])

        def write(line: bytes, seq: int, step: int) -> str:
            event = line.removeprefix(b",")
            if seq:
                old = event.split(b'"previous_event_hash":"')[1][:64]
                event = event.replace(old, head.encode())
            number = event.split(b'"seq":')[1].split(b",")[0]
            event = event.replace(b'"seq":' + number, b'"seq":%d' % seq).replace(
                b'"step_index":0', b'"step_index":%d' % step
            )
            out.write((b"," if seq else b"") + event + b"\n")
            return hashlib.sha256(event).hexdigest()

        head = write(first, 0, 0)
        for seq in range(1, events - 1):
            head = write(started if seq % 2 else completed, seq, (seq - 1) // 2)
        head = write(finished, events - 1, 0)
        statement = sealed.statement
        predicate = msgspec.structs.replace(
            statement.predicate, chain=type(statement.predicate.chain)(head=head, length=events)
        )
        subject = msgspec.structs.replace(statement.subject[0], digest=type(statement.subject[0].digest)(sha256=head))
        statement = msgspec.structs.replace(statement, predicate=predicate, subject=(subject,))
        import base64  # noqa: PLC0415 - only here

        from hearth_records.canonical import encode_closing  # noqa: PLC0415 - only here
        from hearth_records.model import Closing, Seal, Signature  # noqa: PLC0415 - only here

        sig = base64.b64encode(signer.sign(preimage(statement))).decode()
        signature = Signature(evidence=(), keyid=PublicKey(signer.public_key).keyid, sig=sig)
        out.write(
            encode_closing(
                Closing(disclosures=(), seal=Seal(evidence=(), signatures=(signature,), statement=statement))
            )
        )


_PEAK = """
def peak():  # in KiB; not ru_maxrss, which begins with what the parent process had
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
"""
_MEASURE = """
import sys
from hearth_records import TrustPolicy, verify_file
from hearth_records.keys import load_public_key
policy = TrustPolicy.from_keys([("bench", load_public_key(open(sys.argv[1], "rb").read()))])
assert verify_file(sys.argv[2], policy).exit_code == 0
before = peak()
report = verify_file(sys.argv[3], policy)
assert report.exit_code == 0 and report.events == int(sys.argv[4]), report.decisive
print(peak() - before)
"""


def bench_memory(signer: LocalSigner, directory: Path, events: int) -> None:
    """Growth of the peak resident set while `verify_file` reads one long record."""
    short, long, key = directory / "short.record.json", directory / "long.record.json", directory / "key.pem"
    short.write_bytes(record_execution().seal(signer).data)
    key.write_bytes(public_key_to_pem(signer.public_key))
    write_long_record(long, signer, events)
    command = [sys.executable, "-c", _PEAK + _MEASURE, str(key), str(short), str(long), str(events)]
    kib = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - our own
    show(f"memory growth of verify_file over {events:,} events", [kib * 1024 / MIB], "≤ 8 MiB", " MiB")


def bench_startup(signer: LocalSigner, directory: Path, rounds: int) -> None:
    """Whole-process time of `verify-record FILE` ÷ `python -c pass`."""
    record, key = directory / "start.record.json", directory / "start.pem"
    record.write_bytes(record_execution().seal(signer).data)
    key.write_bytes(public_key_to_pem(signer.public_key))
    script = Path(sysconfig.get_path("scripts")) / "verify-record"
    # Compiled modules are what an installation has; a session that forbids writing them would measure the compiler.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def start(*command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603 - our own

    values = ratios(
        lambda: start(sys.executable, str(script), "--key", str(key), str(record)),
        lambda: start(sys.executable, "-c", "pass"),
        rounds,
        3,
    )
    show("whole process: verify-record FILE ÷ python -c pass", values, "≤ 6.00")


def bench_journal(directory: Path, events: int, rounds: int) -> None:
    """Events per second through observer and journal ÷ a bare append and fdatasync of the same bytes.

    The two take turns in short blocks: a disk is slower in one second than in the next.
    """
    values = []
    for number in range(rounds):
        execution_id, spent, bare = f"bench-{number}", 0.0, 0.0
        descriptor = os.open(directory / f"bare-{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with Journal.create(directory, execution_id) as journal:
            observer = ExecutionObserver(execution_id, "plan-bench", HearthKernel(), journal=journal)
            written = os.open(journal.path, os.O_RDONLY)
            for _ in range(0, events, BLOCK):
                size = journal.size
                start = time.perf_counter()
                for _ in range(BLOCK):
                    observer.record_side_effect("network", "told the load balancer", reversible=True, details=STATUS)
                spent += time.perf_counter() - start
                lines = os.pread(written, journal.size - size, size).splitlines(keepends=True)
                start = time.perf_counter()
                for line in lines:
                    os.write(descriptor, line)
                    os.fdatasync(descriptor)
                bare += time.perf_counter() - start
            os.close(written)
        os.close(descriptor)
        values.append(bare / spent)
    show("events through observer and journal ÷ bare append + fdatasync", values, "≥ 0.90")


def bench_journal_seal(signer: LocalSigner, directory: Path, rounds: int) -> None:
    """Time to seal a journalled record of 1,000 events ÷ one signature, one verification and the syncs it needs."""
    raw, values = PublicKey(signer.public_key), []
    for number in range(rounds):
        execution_id = f"seal-{number}"
        journal = Journal.create(directory, execution_id, sync="step")
        observer = ExecutionObserver(execution_id, "plan-bench", HearthKernel(), journal=journal)
        for _ in range(998):
            observer.record_side_effect("network", "told the load balancer", reversible=True, details=STATUS)
        observer.mark_completed("done")
        start = time.perf_counter()
        sealed = observer.seal(signer)
        spent = time.perf_counter() - start
        message = preimage(sealed.statement)
        bare = directory / f"bare-seal-{number}"
        descriptor = os.open(bare, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        start = time.perf_counter()
        signature = signer.sign(message)
        raw.verify(signature, message)
        os.write(descriptor, message)
        os.fsync(descriptor)
        os.link(bare, f"{bare}.linked")
        sync_directory(directory)
        bare.unlink()
        sync_directory(directory)
        values.append(spent / (time.perf_counter() - start))
        os.close(descriptor)
    show("seal a journal of 1,000 events ÷ sign, verify, syncs", values, "reported")


def bench_record_call(directory: Path, rounds: int) -> None:
    """Whole-process time of one `hearth-records record` call ÷ `python -c pass`."""
    script = Path(sysconfig.get_path("scripts")) / "hearth-records"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def start(*command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603 - our own

    call = [sys.executable, str(script), "record"]
    start(*call, "start", str(directory), "--id", "call", "--plan-id", "plan-bench")
    effect = [*call, "effect", str(directory / "call.journal"), "--category", "other", "--name", "something"]
    values = ratios(lambda: start(*effect), lambda: start(sys.executable, "-c", "pass"), rounds, 3)
    show("whole process: hearth-records record effect ÷ python -c pass", values, "≤ 8.00")


_RECORD_MANY = """
import sys
from hearth_records import ExecutionObserver, HearthKernel, Journal
journal = Journal.create(sys.argv[1], "many", sync="step")
observer = ExecutionObserver("many", "plan-bench", HearthKernel(), journal=journal)
observer.record_side_effect("network", "told the load balancer", True, None, {"status": 200})
before = peak()
for _ in range(int(sys.argv[2]) - 2):
    observer.record_side_effect("network", "told the load balancer", True, None, {"status": 200})
print(peak() - before)
"""


def bench_recording_memory(directory: Path, events: int) -> None:
    """Growth of the peak resident set over a long recording."""
    command = [sys.executable, "-c", _PEAK + _RECORD_MANY, str(directory), str(events)]
    kib = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - our own
    show(f"memory growth of a recording of {events:,} events", [kib * 1024 / MIB], "≤ 32 MiB", " MiB")


def main() -> None:
    """Take all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a shorter long record")
    options = parser.parse_args()
    rounds, count = (5, 200) if options.quick else (15, 1000)
    signer = LocalSigner(generate_private_key())
    with tempfile.TemporaryDirectory(prefix="hearth-benchmark-") as name:
        directory = Path(name)
        bench_verification(signer, rounds, count)
        bench_reading(signer, rounds, count)
        bench_policy(signer, rounds)
        bench_recording(signer, rounds, count // 2)
        bench_startup(signer, directory, rounds)
        bench_memory(signer, directory, LONG_RECORD // 10 if options.quick else LONG_RECORD)
        bench_journal(directory, 200 if options.quick else 1000, 3 if options.quick else 7)
        bench_journal_seal(signer, directory, 3 if options.quick else 7)
        bench_record_call(directory, rounds)
        bench_recording_memory(directory, LONG_RECORD // 5 if options.quick else 2 * LONG_RECORD)


if __name__ == "__main__":
    main()
