"""A file is the old one or the new one, whatever happens."""

import errno
import os
import stat

import pytest

from crossmodal_jax.reporting import WriteError, write_atomic


def test_text_and_bytes_arrive_unchanged(tmp_path):
    path = tmp_path / "a.txt"
    write_atomic(path, "ü\r\n\n")
    assert path.read_bytes() == b"\xc3\xbc\r\n\n"
    write_atomic(str(path), b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_others_may_read_what_the_umask_allows(tmp_path):
    old = os.umask(0o022)
    try:
        write_atomic(tmp_path / "a", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, failure):
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*args):
        raise failure

    monkeypatch.setattr(os, step, fail)
    expected = WriteError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]
    if expected is WriteError:
        assert str(path) in str(caught.value)
        assert "No space left" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.errno == errno.ENOSPC


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(WriteError, match=r"none/report\.html: No such file or directory"):
        write_atomic(tmp_path / "none" / "report.html", "x")


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(WriteError, match="cannot write"):
        write_atomic(tmp_path / "a", "x")
    assert os.listdir(tmp_path) == ["a"]
