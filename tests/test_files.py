from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import needs_program

from hearth_records import files
from hearth_records.files import (
    open_regular,
    read_private,
    read_regular,
    sync_directory,
    write_new,
    write_new_directory,
)


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    assert read_regular(path, 3) == b"abc"
    assert read_regular(str(path), 1000) == b"abc"
    with open_regular(path) as stream:
        assert stream.read() == b"abc"
    path.write_bytes(b"")
    assert read_regular(path, 0) == b""


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
def test_a_file_is_private_when_only_its_owner_can_get_at_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    path.chmod(mode)
    assert read_private(path, 3) == (b"abc", mode in (0o600, 0o400))


def test_one_byte_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abcd")
    with pytest.raises(OSError, match="3") as caught:
        read_regular(path, 3)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))


def test_a_file_far_over_the_limit_is_not_read_first(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # no memory holds that
    with pytest.raises(OSError, match="larger") as caught:
        read_regular(path, (1 << 40) - 1)
    assert caught.value.errno == errno.EFBIG


def test_what_is_no_regular_file_is_refused_at_once_and_nothing_stays_open(tmp_path: Path) -> None:
    fifo, bound = tmp_path / "fifo", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(bound))
        before = descriptors()
        for path in (fifo, tmp_path, "/dev/null", bound):
            with pytest.raises(OSError, match=r".") as caught:
                read_regular(path, 100)
            assert caught.value.errno in (errno.EINVAL, errno.ENXIO)
            assert caught.value.filename == os.fspath(path)
        assert descriptors() == before


def test_a_link_to_a_file_is_followed_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "nowhere").symlink_to("missing")
    assert read_regular(tmp_path / "link", 3) == b"abc"
    for name in ("missing", "nowhere"):
        with pytest.raises(FileNotFoundError):
            read_regular(tmp_path / name, 3)
    with pytest.raises(NotADirectoryError):
        read_regular(tmp_path / "f" / "below", 3)


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_new_file_is_there_whole_and_alone(tmp_path: Path, mode: int) -> None:
    umask = os.umask(0)
    try:
        write_new(tmp_path / "f", b"abc", mode=mode)
    finally:
        os.umask(umask)
    assert (tmp_path / "f").read_bytes() == b"abc"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode
    assert names(tmp_path) == ["f"]


def test_a_bare_name_is_written_to_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_new("f", b"abc")
    assert (names(tmp_path), (tmp_path / "f").read_bytes()) == (["f"], b"abc")


def test_nothing_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "directory").mkdir()
    before = names(tmp_path)
    for name in before:
        with pytest.raises(FileExistsError) as caught:
            write_new(tmp_path / name, b"new")
        assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / name), None)
    assert names(tmp_path) == before
    assert (tmp_path / "file").read_bytes() == b"old"


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_new(tmp_path / "missing" / "f", b"abc")
    assert caught.value.filename == str(tmp_path / "missing" / "f")
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as caught_below:
        write_new(tmp_path / "f" / "g", b"abc")
    assert caught_below.value.filename == str(tmp_path / "f" / "g")
    assert names(tmp_path) == ["f"]


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    # The limit on file sizes is a real failure of write(2), in a process of its own.
    script = (
        "import resource, sys\n"
        "from hearth_records.files import write_new\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    write_new(sys.argv[1], bytes(100_000))\n"
        "except OSError as error:\n"
        "    sys.exit(0 if error.filename == sys.argv[1] else 1)\n"
        "sys.exit(2)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "f"], check=False, timeout=60)
    assert done.returncode == 0
    assert names(tmp_path) == []


def test_a_directory_that_cannot_be_made_durable_gets_no_file(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a directory that this process may not read")
    directory = tmp_path / "d"
    directory.mkdir()
    os.chown(directory, 65534, 65534)
    directory.chmod(0o733)
    script = (
        "import sys\n"
        "from hearth_records.files import write_new\n"
        "try:\n"
        "    write_new(sys.argv[1], b'abc')\n"
        "except PermissionError as error:\n"
        "    sys.exit(0 if error.filename == sys.argv[1] else 1)\n"
        "sys.exit(2)\n"
    )
    less = "-dac_override,-dac_read_search"
    command = [
        "setpriv",
        f"--bounding-set={less}",
        f"--inh-caps={less}",
        sys.executable,
        "-c",
        script,
        str(directory / "f"),
    ]
    done = subprocess.run(command, check=False, timeout=60)
    assert done.returncode == 0
    assert names(directory) == []


def test_a_name_may_be_as_long_as_names_are(tmp_path: Path) -> None:
    write_new(tmp_path / ("f" * 255), b"abc")
    write_new_directory(tmp_path / ("d" * 255), {"a": b"1"})
    assert names(tmp_path) == ["d" * 255, "f" * 255]


@pytest.mark.parametrize("name", ["d", "d/"])
def test_a_new_directory_is_there_whole_and_alone(tmp_path: Path, name: str) -> None:
    write_new_directory(f"{tmp_path}/{name}", {"a": b"1", "b": b""})
    assert names(tmp_path) == ["d"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "d").iterdir()} == {"a": b"1", "b": b""}


def test_a_bare_name_of_a_directory_is_of_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_new_directory("d", {"a": b"1"})
    assert (tmp_path / "d" / "a").read_bytes() == b"1"


def test_a_directory_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "empty", "dangling"):
        with pytest.raises(FileExistsError) as caught:
            write_new_directory(tmp_path / name, {"a": b"1"})
        assert caught.value.filename == str(tmp_path / name)
    with pytest.raises(FileNotFoundError) as missing:
        write_new_directory(tmp_path / "no" / "d", {"a": b"1"})
    assert missing.value.filename == str(tmp_path / "no" / "d")
    assert names(tmp_path) == ["dangling", "empty", "file"]
    assert names(tmp_path / "empty") == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_directory_that_is_left_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def rename(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(type(error)):
        write_new_directory(tmp_path / "d", {"a": b"1", "b": b"2"})
    assert names(tmp_path) == []


def test_somebody_elses_files_stop_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def late(source: str, target: str) -> None:
        Path(target).mkdir()
        (Path(target) / "theirs").write_bytes(b"x")
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(OSError, match="not empty"):
        write_new_directory(tmp_path / "d", {"a": b"1"})
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["theirs"]


def test_sync_directory_takes_directories_only(tmp_path: Path) -> None:
    sync_directory(tmp_path)
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "f")


# --- in the place of another file ------------------------------------------------------------------------------------


def as_user(script: str, *arguments: str, groups: str) -> int:
    """Run Python as nobody in these groups, with root's right to read, and return its exit status."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    rights = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    who = ["--reuid=65534", "--regid=65534", f"--groups={groups}", *rights]
    command = [needs_program("setpriv"), *who, sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=False, timeout=60).returncode


REPLACE = (
    "import os, sys\n"
    "from hearth_records.files import replace_file\n"
    "replace_file(sys.argv[1], b'new', os.stat(sys.argv[1]))\n"
)


@pytest.mark.parametrize(("groups", "group", "mode"), [("50", 50, 0o664), ("65534", 65534, 0o604)])
def test_a_file_that_is_replaced_gives_no_other_group_rights(
    tmp_path: Path, groups: str, group: int, mode: int
) -> None:
    for parent in (tmp_path, tmp_path.parent):
        parent.chmod(0o777)
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.chown(path, 0, 50)
    path.chmod(0o664)
    assert as_user(REPLACE, str(path), groups=groups) == 0
    found = path.stat()
    assert (path.read_bytes(), found.st_uid, found.st_gid) == (b"new", 65534, group)
    assert stat.S_IMODE(found.st_mode) == mode
    assert names(tmp_path) == ["f"]


def test_a_replacement_that_may_not_last_says_that_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(0o640)

    def refuse(_path: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "sync_directory", refuse)
    with pytest.raises(OSError, match="replaced") as caught:
        files.replace_file(str(path), b"new", path.stat())
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
    assert names(tmp_path) == ["f"]
