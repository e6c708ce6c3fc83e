"""The exports follow the contracts, and a stale one is noticed."""

import json

import pytest

from scripts.export_abi import deployable_contracts, export, exported_files, stale_files

COUNTER = """
# pragma version ~=0.4.3
from snekmate.auth import ownable
initializes: ownable
count: public(uint256)

@deploy
def __init__():
    ownable.__init__()
"""


@pytest.fixture
def project(tmp_path):
    for name, text in {"examples/Counter.vy": COUNTER, "lib/counting.vy": "# no contract"}.items():
        source = tmp_path / "contracts" / name
        source.parent.mkdir(parents=True)
        source.write_text(text)
    return tmp_path


def test_only_contracts_that_stand_alone_are_exported(project):
    assert list(deployable_contracts(project / "contracts")) == ["Counter"]


def test_two_contracts_of_one_name_are_refused(project):
    (project / "contracts/lib/Counter.vy").write_text(COUNTER)

    with pytest.raises(SystemExit, match="Two contracts are called Counter"):
        deployable_contracts(project / "contracts")


def test_an_export_is_fresh_until_the_contract_changes(project):
    export(project, exported_files(project))
    assert stale_files(project, exported_files(project)) == []

    (project / "contracts/examples/Counter.vy").write_text(COUNTER.replace("count", "total"))
    assert {path.name for path in stale_files(project, exported_files(project))} == {"Counter.json"}


def test_the_layout_names_every_slot(project):
    export(project, exported_files(project))

    layout = json.loads((project / "contracts/storage_layout/Counter.json").read_text())
    assert layout["storage_layout"]["count"]["slot"] == 1


def test_the_export_of_a_removed_contract_goes(project):
    export(project, exported_files(project))
    (project / "contracts/examples/Counter.vy").unlink()

    export(project, exported_files(project))

    assert list((project / "sdk/nesa/chain/abi").iterdir()) == []
