from __future__ import annotations

from pathlib import Path

import pytest

from nesa.models.proving import reference_string
from nesa.models.proving.reference_string import (
    CEREMONY_K15,
    DEVELOPMENT_ONLY,
    LOCAL_CHAIN_IDS,
    development_only,
    from_file,
    locate,
    require_permitted,
)
from nesa.protocol.errors import Incompatible, IntegrityError, InvalidConfiguration
from nesa.protocol.ids import Digest


def test_the_packaged_string_is_the_one_named_development_only():
    found = development_only()

    assert found.identity.name == "development only"
    assert "development-only" in found.path.name


@pytest.mark.parametrize("chain_id", sorted(LOCAL_CHAIN_IDS))
def test_the_development_string_is_permitted_on_chains_of_one_machine(chain_id: int):
    require_permitted(chain_id, DEVELOPMENT_ONLY.digest)


@pytest.mark.parametrize("chain_id", [0, 1, 10, 11155111, 31338])
def test_the_development_string_is_refused_on_every_other_chain(chain_id: int):
    with pytest.raises(Incompatible, match="development only"):
        require_permitted(chain_id, DEVELOPMENT_ONLY.digest)


@pytest.mark.parametrize("chain_id", [1, 31337])
def test_the_ceremonys_string_is_permitted_everywhere(chain_id: int):
    require_permitted(chain_id, CEREMONY_K15.digest)


def test_an_unknown_string_is_permitted_nowhere():
    with pytest.raises(Incompatible, match="not a known one"):
        require_permitted(31337, Digest(bytes(32)))


def test_a_ceremony_file_with_another_digest_is_refused(tmp_path: Path):
    file = tmp_path / "k15.srs"
    file.write_bytes(bytes(1000))

    with pytest.raises(IntegrityError, match="SHA-256"):
        from_file(file, CEREMONY_K15.digest)


def test_the_development_string_does_not_pass_for_the_ceremonys():
    with pytest.raises(IntegrityError):
        from_file(development_only().path, CEREMONY_K15.digest)


def test_a_missing_ceremony_file_is_named(tmp_path: Path):
    with pytest.raises(InvalidConfiguration, match="k15.srs"):
        from_file(tmp_path / "k15.srs", CEREMONY_K15.digest)


def test_the_ceremonys_string_needs_a_file():
    with pytest.raises(InvalidConfiguration, match="file"):
        locate(CEREMONY_K15.digest, None)


def test_a_changed_development_string_is_noticed(tmp_path: Path, monkeypatch):
    changed = tmp_path / "changed.srs"
    changed.write_bytes(development_only().path.read_bytes()[:-1] + b"\x00")
    monkeypatch.setattr(reference_string, "_DEVELOPMENT_FILE", changed)

    with pytest.raises(IntegrityError, match="development only"):
        development_only()
