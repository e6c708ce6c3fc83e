"""What the fetcher refuses, and what is left on the disk when it does."""

import base64
import hashlib
import io
import random
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripts.setup import npm_packages
from scripts.setup.failure import SetupError
from scripts.setup.node_runtime import NodeRuntime
from scripts.setup.npm_packages import NpmPackage, extract_file, fetch_file, read_pins

CONTENT = random.Random(1).randbytes(100_000)
MEMBER = "package/bin/tool"


def make_archive(path: Path, content: bytes = CONTENT) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(MEMBER)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return path


def pin_of(archive: Path) -> NpmPackage:
    digest = hashlib.sha512(archive.read_bytes()).digest()
    return NpmPackage("tool", "1.0.0", "sha512-" + base64.b64encode(digest).decode())


def npm_that(tmp_path: Path, action: str) -> NodeRuntime:
    """An npm whose pack, given the destination as `folder`, does `action`."""
    script = tmp_path / "npm.py"
    script.write_text(
        "import pathlib, shutil, sys, time\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--pack-destination') + 1])\n" + action
    )
    return NodeRuntime(node=Path(sys.executable), npm=(sys.executable, str(script)))


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "published.tgz")


@pytest.fixture
def tools(tmp_path, monkeypatch):
    folder = tmp_path / "tools"
    monkeypatch.setattr(npm_packages, "TOOLS", folder)
    return folder


@pytest.fixture
def npm(tmp_path, archive):
    return npm_that(tmp_path, f"shutil.copy({str(archive)!r}, folder / 'tool-1.0.0.tgz')")


def test_the_pinned_file_arrives_whole_and_executable(tools, archive, npm):
    program = tools / "tool" / "tool"

    fetch_file(pin_of(archive), MEMBER, program, runtime=npm, mode=0o755)

    assert program.read_bytes() == CONTENT
    assert program.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in tools.iterdir()] == ["tool"]


def test_another_content_under_the_same_version_is_refused(tools, archive, npm, tmp_path):
    pin = pin_of(make_archive(tmp_path / "other.tgz", CONTENT + b"#"))

    with pytest.raises(SetupError, match="not the file that was pinned"):
        fetch_file(pin, MEMBER, tools / "tool", runtime=npm)

    assert list(tools.iterdir()) == []


def test_a_download_cut_short_is_refused(tools, archive, tmp_path):
    pin = pin_of(archive)
    whole = archive.read_bytes()
    cut = npm_that(tmp_path, f"(folder / 'tool.tgz').write_bytes({whole[: len(whole) // 2]!r})")

    with pytest.raises(SetupError, match="not the file that was pinned"):
        fetch_file(pin, MEMBER, tools / "tool", runtime=cut)

    assert not (tools / "tool").exists()


@pytest.mark.parametrize(
    ("printed", "advice"),
    [
        ("npm error code ENOTFOUND", "check the network and the proxy"),
        ("npm error code ENOSPC", "disk is full"),
        ("npm error code E404", "npm error code E404"),
    ],
)
def test_a_failing_npm_is_explained_in_one_sentence(tools, archive, tmp_path, printed, advice):
    failing = npm_that(tmp_path, f"sys.exit({printed!r})")

    with pytest.raises(SetupError, match=advice) as failure:
        fetch_file(pin_of(archive), MEMBER, tools / "tool", runtime=failing)

    assert "\n" not in str(failure.value)


def test_an_npm_that_leaves_nothing_is_noticed(tools, archive, tmp_path):
    with pytest.raises(SetupError, match="left 0 archives"):
        fetch_file(pin_of(archive), MEMBER, tools / "x", runtime=npm_that(tmp_path, "pass"))


def test_runs_that_race_both_end_with_the_whole_file(tools, archive, npm):
    program = tools / "tool"

    def fetch(_: int) -> bytes:
        fetch_file(pin_of(archive), MEMBER, program, runtime=npm, mode=0o755)
        return program.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, range(4))) == [CONTENT] * 4
    assert [path.name for path in tools.iterdir()] == ["tool"]


def test_a_link_inside_the_archive_is_not_followed(tmp_path):
    with tarfile.open(tmp_path / "links.tgz", "w:gz") as tar:
        entry = tarfile.TarInfo(MEMBER)
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)

    with pytest.raises(SetupError, match="not a plain file"):
        extract_file(tmp_path / "links.tgz", MEMBER, tmp_path / "out", mode=0o755)

    assert not (tmp_path / "out").exists()


def test_a_missing_member_and_a_damaged_archive_are_explained(tmp_path, archive):
    damaged = tmp_path / "damaged.tgz"
    damaged.write_bytes(archive.read_bytes()[:50_000])

    for source, member in [(archive, "package/absent"), (damaged, MEMBER)]:
        with pytest.raises(SetupError, match="holds no readable"):
            extract_file(source, member, tmp_path / "out", mode=0o755)


def test_every_pin_is_a_full_sha512():
    for package in read_pins().values():
        algorithm, _, digest = package.integrity.partition("-")
        assert (algorithm, len(base64.b64decode(digest, validate=True))) == ("sha512", 64)
