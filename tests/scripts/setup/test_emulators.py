"""Where emulators come from, and what a machine without them is told."""

from __future__ import annotations

import pytest

from scripts.setup import emulators
from scripts.setup.failure import SetupError


def test_an_installed_emulator_is_used(tmp_path, monkeypatch):
    program = tmp_path / "qemu-x86_64"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert emulators.provide_emulator("x86_64") == program


def test_a_system_without_debians_tools_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(emulators, "TOOLS", tmp_path / "tools")
    with pytest.raises(SetupError, match="install qemu-user"):
        emulators.provide_emulator("x86_64")
    assert not (tmp_path / "tools" / "qemu").exists()


def test_a_fetch_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    for tool in ("apt-get", "dpkg-deb"):
        (tmp_path / tool).write_text(
            "#!/bin/sh\necho 'Temporary failure in name resolution' >&2\nexit 100\n"
        )
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(emulators, "TOOLS", tmp_path / "tools")
    with pytest.raises(SetupError, match="no connection"):
        emulators.provide_emulator("no-such-machine")
    assert list((tmp_path / "tools").iterdir()) == []
