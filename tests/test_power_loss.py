"""Power loss: what a journal acknowledged is on the disk, and not only in the memory of the machine.

An ext4 file system lies in an image file on a loop device. The image holds what the file system has written to its
disk so far; the rest is memory. A copy of the image, while the writer is stopped, is the disk after a power cut: it is
mounted (which replays the file system's own journal), recovered, and judged. The file system commits by itself only
after ten minutes, so that nothing gets to the disk but by a sync.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from helpers import lacks_privilege, needs_program, policy_for, signer
from recorder import (
    EVENTS,
    EXECUTION_ID,
    RECORDING,
    WITHHOLDING,
    Note,
    Outcome,
    Recorder,
    check_what_is_left,
    expected_lines,
    inject,
    sweep,
    system_calls,
)

from hearth_records.journal import journal_path, record_path
from hearth_records.verify import verify_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from recorder import Operation, Running

LINES = expected_lines()


def stopping(operations: Sequence[Operation]) -> list[Operation]:
    """Return a recording with a stop after each acknowledgement."""
    return [step for operation in operations for step in (operation, ("stop",))]


STOPPING = stopping(RECORDING)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as program:
        yield program


class Disk:
    """An ext4 image that is mounted; its copies are what a power cut leaves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.image = root / "disk.img"
        self.place = root / "disk"
        self.place.mkdir()
        self._cuts = 0

    def make(self) -> None:
        with self.image.open("wb") as file:
            file.truncate(8 * 1024 * 1024)
        make = [needs_program("mkfs.ext4"), "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self.image)]
        subprocess.run(make, check=True)

    @contextlib.contextmanager
    def after_power_cut(self) -> Iterator[Path]:
        """Cut the power now: mount what is on the disk, and yield where."""
        self._cuts += 1
        copy = self.root / f"cut{self._cuts}.img"
        shutil.copyfile(self.image, copy)
        place = self.root / f"cut{self._cuts}"
        place.mkdir()
        try:
            with mounted(copy, place):
                yield place
        finally:
            copy.unlink()


@contextlib.contextmanager
def mounted(image: Path, place: Path) -> Iterator[None]:
    command = [needs_program("mount"), "-o", "loop,commit=600", str(image), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lacks_privilege(f"loop devices and mounts ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run([needs_program("umount"), str(place)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path)
    made.make()
    with mounted(made.image, made.place):
        os.sync()  # what mounting itself has written
        yield made


def stop_by_stop(recorder: Recorder, running: Running) -> Iterator[int]:
    """Yield 1, 2, 3 … each time the child has stopped after one more operation, and let it go on afterwards."""
    for number in range(1, len(RECORDING) + 1):
        assert recorder.answer() == "stopped\n"
        yield number
        os.kill(running.pid, signal.SIGCONT)


def so_far(number: int) -> Outcome:
    """Return what a child has acknowledged after that many operations."""
    return Outcome(0, [Note(name, "ok") for name, *_arguments in RECORDING[:number]], 0, [])


@pytest.mark.parametrize("operations", [RECORDING, WITHHOLDING], ids=["plain", "withholdable"])
def test_what_was_acknowledged_is_on_the_disk_at_each_stop(
    disk: Disk, recorder: Recorder, operations: Sequence[Operation]
) -> None:
    """With what can be withheld, every acknowledged event has its disclosures (`check_what_is_left`)."""
    running = recorder.begin(disk.place, stopping(operations))
    lines = expected_lines(operations)
    for number in stop_by_stop(recorder, running):
        with disk.after_power_cut() as left:
            kept = check_what_is_left(left, so_far(number), lines)
            assert kept == min(max(0, number - 1), EVENTS)
            if number == len(RECORDING):
                report = verify_file(record_path(journal_path(left, EXECUTION_ID)), policy_for(signer()))
                assert report.exit_code == 0
    assert {note.outcome for note in running.end().notes} == {"ok"}


def test_the_control_without_syncs_loses_events(disk: Disk, recorder: Recorder) -> None:
    running = recorder.begin(disk.place, STOPPING, forget_syncs=True)
    lost = 0
    for _number in stop_by_stop(recorder, running):
        with disk.after_power_cut() as left:
            names = {path.name for path in left.iterdir()} - {"lost+found"}
            lost += not names
    assert {note.outcome for note in running.end().notes} == {"ok"}  # it was told that all is well
    assert lost == len(RECORDING)


def test_with_steps_synced_what_lies_between_is_on_the_disk_with_the_next_boundary(
    disk: Disk, recorder: Recorder
) -> None:
    operations = [("create", "step"), *RECORDING[1:]]
    running = recorder.begin(disk.place, [step for operation in operations for step in (operation, ("stop",))])
    for number in stop_by_stop(recorder, running):
        with disk.after_power_cut() as left:
            effect_is_last = number == 4
            least = min(max(0, number - 1), EVENTS) - effect_is_last
            assert check_what_is_left(left, so_far(number), LINES, least=least) >= least
    running.end()


def test_the_power_cut_at_any_system_call_loses_nothing_that_was_acknowledged(
    tmp_path: Path, recorder: Recorder
) -> None:
    """The writer is killed at each call (the memory of the machine outlives it), and the power cut right then."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    calls = [
        call for call in system_calls(recorder, scratch) if call in {"write", "fsync", "fdatasync", "link", "unlink"}
    ]
    disk = Disk(tmp_path)

    def run(call: str, when: int) -> Outcome:
        disk.make()
        with mounted(disk.image, disk.place):
            outcome = recorder.run(disk.place, trace=inject(call, "signal=SIGKILL", when))
            with disk.after_power_cut() as left:
                check_what_is_left(left, outcome, LINES)
        return outcome

    assert sum(1 for _outcome in sweep(run, calls)) > 15
