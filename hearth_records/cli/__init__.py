"""The commands: arguments, printing, exit codes. One small file a command; `main` finds them by name."""

import sys

if "msgspec" not in sys.modules and "typing_extensions" not in sys.modules:
    # msgspec takes `typing` where there is no typing_extensions, which is as good from Python 3.11 on, and loading that
    # takes an eighth of the time in which a command starts.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment] # how Python says that a module is missing
    import msgspec  # noqa: F401 - loaded here, for all that come after

    del sys.modules["typing_extensions"]
