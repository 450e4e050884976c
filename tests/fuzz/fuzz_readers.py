"""Fuzz every reader with coverage to guide it, for a time: python tests/fuzz/fuzz_readers.py --seconds 600.

Needs atheris. Starts from the good inputs of the tests; what crashes a reader is written to the directory given with
`--crashes` (the present one without it) and replayed by naming it: `fuzz_readers.py FILE`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

LONGEST = 8192
"""Bytes of an input: long enough for a whole record."""


def main() -> None:
    """Fuzz until the time is up; the exit status is not 0 when a reader did what it does not document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long")
    parser.add_argument("--reader", action="append", help="only this reader; repeatable")
    parser.add_argument("--crashes", default="./", help="where to write what crashes a reader")
    parser.add_argument("input", nargs="*", help="replay these files instead")
    options = parser.parse_args()
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["hearth_records"]):
        readers = importlib.import_module("fuzz.readers")
    chosen = [readers.READERS[name] for name in options.reader or readers.READERS]

    def run(data: bytes) -> None:
        for read in chosen:
            read(data)

    if options.input:
        for path in options.input:
            run(Path(path).read_bytes())
        return
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(readers.seeds()):
            Path(corpus, str(number)).write_bytes(seed)
        arguments = [
            sys.argv[0],
            f"-max_total_time={options.seconds}",
            f"-max_len={LONGEST}",
            f"-artifact_prefix={options.crashes}",
            "-timeout=20",
            "-rss_limit_mb=1024",
            corpus,
        ]
        atheris.Setup(arguments, run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
