"""Arbitrary bytes, and good inputs that were altered a little: every reader gives only what it documents."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.readers import READERS, seeds
from helpers import json_objects, json_texts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HARNESS = Path(__file__).parent / "fuzz_readers.py"
SEEDS = seeds()
PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\n", b"\r\n", b" ", b"\0", b"null", b"true", b"-0", b"1e9", b"0"),
    *(b"],", b'],"disclosures":[', b'"seal":{', b"\n]", b"\n,{", b'{"format":"hearth-record/1","events":[\n', b"\xff"),
    *(b"9007199254740993", b"\\u0000", b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"_sd":[]', b'"...":1', b"=="),
    *(b"execution_finished", b"execution_started", b"step_started", b"2026-11-22T16:00:60.000000Z", b"[" * 20),
]


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """Return a good input to which a few things were done: cut, doubled, moved, overwritten, spliced with another."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 1, 2, 8, 64, 512])))
        what = draw(st.integers(0, 5))
        if what == 0:
            del data[start:end]
        elif what == 1:
            data[start:start] = data[start:end]
        elif what == 2 and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif what == 3:
            data[start:end] = draw(st.sampled_from(PIECES))
        elif what == 4:
            other = draw(st.sampled_from(SEEDS))
            data[start:] = other[draw(st.integers(0, len(other))) :]
        else:
            lines = data.split(b"\n")
            one, two = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            lines[one], lines[two] = lines[two], lines[one]
            data = bytearray(b"\n".join(lines))
    return bytes(data)


inputs = st.binary(max_size=200) | altered() | altered() | json_texts.map(str.encode) | json_objects.map(str.encode)


@pytest.mark.parametrize("reader", READERS)
def test_good_inputs_are_read(reader: str) -> None:
    for data in (b"", *SEEDS):
        READERS[reader](data)


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=inputs)
def test_any_bytes_give_only_documented_errors(reader: str, data: bytes) -> None:
    READERS[reader](data)


def test_the_harness_runs_until_its_time_is_up() -> None:
    if importlib.util.find_spec("atheris") is None:
        has_wheel = (sys.platform, platform.machine()) == ("linux", "x86_64")
        (pytest.fail if os.environ.get("CI") and has_wheel else pytest.skip)("needs atheris")
    done = subprocess.run([sys.executable, HARNESS, "--seconds", "3"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
