"""Records events in a journal, each in a turn of its own (open, resume, record, close), and tries until it may."""

from __future__ import annotations

import json
import sys

from hearth_records.errors import JournalError
from hearth_records.journal import Journal
from hearth_records.kernel import HearthKernel
from hearth_records.observer import ExecutionObserver

MOST_TRIES = 100_000


def main() -> None:
    """Take a path, a name and a number of events; print what was refused, by code."""
    path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    done = 0
    refused: dict[str, int] = {}
    for _ in range(MOST_TRIES):
        try:
            with Journal.open(path) as journal:
                ExecutionObserver.resume(journal, HearthKernel()).record_security_observed(f"{name}{done}")
            done += 1
        except JournalError as error:
            refused[error.code] = refused.get(error.code, 0) + 1
        if done == count:
            break
    print(json.dumps({"name": name, "refused": refused}))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
