"""A thing in place is whole: whatever interrupts, and however many place it."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from scripts.setup.failure import SetupError
from scripts.setup.placing import ROOT, one_run_at_a_time, place_file, place_folder, place_link


class BreaksHalfWay(io.BytesIO):
    """A source that delivers one piece and then fails with `problem`."""

    def __init__(self, problem: BaseException) -> None:
        super().__init__(b"half")
        self.problem = problem

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        if not piece:
            raise self.problem
        return piece


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), ValueError("cut")])
def test_an_interrupted_copy_leaves_what_was_there(tmp_path, problem):
    destination = tmp_path / "tool"
    destination.write_bytes(b"before")

    with pytest.raises(type(problem)):
        place_file(BreaksHalfWay(problem), destination)

    assert destination.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [destination]


def test_a_full_disk_is_said_in_one_sentence(tmp_path):
    with pytest.raises(SetupError, match="disk is full"):
        place_file(BreaksHalfWay(OSError(28, "No space left on device")), tmp_path / "tool")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_making_failed_is_not_there(tmp_path):
    def fill(folder):
        (folder / "first").touch()
        raise SetupError("no network")

    with pytest.raises(SetupError):
        place_folder(fill, tmp_path / "node")

    assert list(tmp_path.iterdir()) == []


def test_of_two_that_make_a_folder_one_wins_and_both_go_on(tmp_path):
    both_are_filling = Barrier(2)

    def fill(folder):
        (folder / "first").touch()
        both_are_filling.wait(timeout=60)
        (folder / "second").touch()

    with ThreadPoolExecutor(2) as pool:
        placed = list(pool.map(lambda _: place_folder(fill, tmp_path / "node"), range(2)))

    assert placed == [tmp_path / "node"] * 2
    assert sorted(path.name for path in placed[0].iterdir()) == ["first", "second"]
    assert list(tmp_path.iterdir()) == [tmp_path / "node"]


def test_a_link_is_replaced(tmp_path):
    for target in ("one", "two"):
        place_link(tmp_path / target, tmp_path / "bin" / "tool")

    assert (tmp_path / "bin" / "tool").readlink() == tmp_path / "two"


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / ".new-abc").mkdir()

    with one_run_at_a_time(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["setup.lock"]


def test_a_second_run_waits_for_the_first(tmp_path):
    second = (
        "import sys; from pathlib import Path; from scripts.setup.placing import *\n"
        "with one_run_at_a_time(Path(sys.argv[1])): print('second')"
    )
    with one_run_at_a_time(tmp_path):
        process = subprocess.Popen(
            [sys.executable, "-c", second, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert "waiting for it" in process.stdout.readline()
        (tmp_path / ".new-mine").mkdir()

    assert process.communicate(timeout=60)[0] == "second\n"
