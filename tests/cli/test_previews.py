"""`nesa query --dry-run`: every way to ask is explained, and nothing is paid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nesa.models.folder import load, save
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.user_keys import UserKey, save_user_key
from tests.cli.conftest import Nesa
from tests.standing_network import PRODUCTS, SHARED, StandingNetwork

MODELS = Path(__file__).parents[2] / "models"
FOLDER = MODELS / SHARED
VIEW_KEY = "0x" + "09".zfill(64)


@pytest.fixture(scope="module")
def numbers() -> str:
    return ",".join(map(str, load(FOLDER).test_rows().features[0]))


@pytest.fixture(autouse=True)
def _nothing_is_paid(nesa: Nesa, network: StandingNetwork) -> Iterator[None]:
    def held() -> object:
        return nesa("balance", "--network", network.file, "--json").document

    before = held()
    yield
    assert held() == before


@pytest.mark.parametrize(
    ("options", "asked", "reads", "backed", "price"),
    [
        ([], "OPEN AGREED", "everybody, for good", "a quorum", "0.4 NES"),
        (["--sealed"], "SEALED AGREED", "the 8 operators", "a quorum", "0.4 NES"),
        (["--sealed", "--replicas", "3"], "SEALED AGREED", "the 6 op", "a quorum", "0.3 NES"),
        (["--assurance", "PROVED"], "OPEN PROVED", "everybody", "verifies a proof", "1.1 NES"),
        (["--assurance", "CHALLENGED"], "OPEN CHALLENGED", "everybody", "nobody can", "0.4 NES"),
        (
            ["--assurance", "CHALLENGED", "--sealed", "--watcher", VIEW_KEY],
            "SEALED CHALLENGED",
            "drawn, spares in their place, and the watcher that you name",
            "nobody can dispute",
            "0.4 NES",
        ),
        (["--shared", FOLDER], "SHARED", "both groups, of 1 each", "sued", "0.6 NES"),
        (
            ["--shared", FOLDER, "--replicas", "2"],
            "SHARED",
            "both groups, of 2 each",
            "nothing on chain attests",
            "0.9 NES",
        ),
        (
            ["--privacy", "auto", "--sensitivity", "critical", "--shared", FOLDER],
            "SHARED (row 2 of the table)",
            "both groups",
            "passed over: SEALED PROVED: this version has no circuits that hash the input",
            "0.6 NES",
        ),
    ],
)
def test_a_dry_run_says_what_would_be(
    nesa: Nesa,
    network: StandingNetwork,
    numbers: str,
    options: list[str],
    asked: str,
    reads: str,
    backed: str,
    price: str,
) -> None:
    words = ("query", SHARED, numbers, "--network", network.file, "--dry-run", *options)
    found = nesa(*words)
    assert found.code == 0, found.err
    said = " ".join(found.out.split())
    label = "deposit" if "SHARED" in asked else "price"
    for one in (f"model {SHARED}", f"asked {asked}", reads, backed, f"{label} {price}"):
        assert one in said
    document = nesa(*words, "--json").document
    assert document["plan"]["price"] == price
    assert asked.startswith(document["plan"]["mode"])
    assert document["plan"]["assurance"] in f"{asked} AGREED"


def test_gas_for_the_report_is_shown_beside_the_price(
    nesa: Nesa, network: StandingNetwork, numbers: str
) -> None:
    words = ("query", SHARED, numbers, "--network", network.file, "--dry-run")
    assert "leaving 0.5 coins beside the fee" in nesa(*words, "--gas-deposit", "0.5").out
    assert nesa(*words, "--gas-deposit", "auto", "--json").document["gas_deposit"] > 0


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (SHARED, ["--max-fee", "0.3"], "the limit"),
        (SHARED, ["--shared", FOLDER, "--max-fee", "0.5"], "the limit"),
        (SHARED, ["--sealed", "--assurance", "CHALLENGED"], "nobody can look"),
        (SHARED, ["--watcher", VIEW_KEY], "need --sealed"),
        (SHARED, ["--shared", FOLDER, "--sealed"], "--shared goes with"),
        (SHARED, ["--shared", FOLDER, "--gas-deposit", "auto"], "--shared goes with"),
        (SHARED, ["--sealed", "--assurance", "PROVED"], "show the input"),
        (
            "digits-cnn",
            ["--shared", FOLDER],
            f"the folder at hand holds {SHARED}, which is not the registered digits-cnn",
        ),
        (
            PRODUCTS[1],
            ["--privacy", "auto", "--sensitivity", "critical", "--yes", "--shared", FOLDER],
            f"the folder at hand holds {SHARED}, which is not the registered {PRODUCTS[1]}",
        ),
        (SHARED, ["--shared", MODELS / "digits-cnn"], "is not the registered"),
    ],
)
def test_what_would_be_refused_is_refused(
    nesa: Nesa,
    network: StandingNetwork,
    numbers: str,
    model: str,
    options: list[str],
    reason: str,
) -> None:
    for dry in (["--dry-run"], []):
        found = nesa("query", model, numbers, "--network", network.file, *dry, *options, "--json")
        assert found.code == 1
        assert reason in found.document["error"]["message"]


def test_an_input_that_is_none_is_refused_before_the_plan_is_shown(
    nesa: Nesa, network: StandingNetwork
) -> None:
    for options in ([], ["--sealed"], ["--shared", FOLDER]):
        words = ("query", SHARED, "1,2,3", "--network", network.file, "--dry-run", *options)
        found = nesa(*words)
        assert found.code == 1
        assert "30" in found.err
        assert "price" not in found.out


@pytest.mark.usefixtures("chain_put_back")
def test_a_model_under_a_key_is_planned_for_who_holds_it(
    nesa: Nesa, network: StandingNetwork, numbers: str, tmp_path: Path
) -> None:
    plain, key, password = load(FOLDER), tmp_path / "key", tmp_path / "password"
    password.write_text("a password\n")
    password.chmod(0o600)
    user_key = UserKey.generate(plain)
    save_user_key(key, user_key, "a password", 2**10)
    save(transformed_model(plain, user_key), folder := tmp_path / "ee")
    held = ("--ee-password-file", password)
    offer = ("--price", "0.05", "--store", tmp_path / "store", "--network", network.file, "--json")
    version = nesa("model", "register", folder, *offer).document["version"]
    words = ("query", version, numbers, "--network", network.file, "--dry-run")
    assert "give the key file with --ee-key" in nesa(*words).err
    # Nobody has a seat in it, so that the market is asked, and says so.
    opened = ("--ee-key", key, *held)
    chosen = ("--privacy", "auto", "--sensitivity", "personal")
    for options in (opened, (*opened, "--sealed"), (*opened, *chosen)):
        assert "too few operators serve this model" in nesa(*words, *options).err
    # Of what is given with auto each row takes its own: here the plain model, on shares.
    critical = ("--privacy", "auto", "--sensitivity", "critical")
    found = nesa(*words, *opened, *critical, "--shared", FOLDER)
    assert "SHARED (row 2 of the table)" in " ".join(found.out.split()), found.err
    found = nesa(*words, *opened, *critical, "--shared", folder)
    assert f"SHARED: there is no model {load(folder).name[:50]}-shared-0" in found.err
