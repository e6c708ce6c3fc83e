"""Of all that a client has at hand, what goes with the version is used, and the rest left aside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nesa import Auto, Client, IntegrityError, InvalidInput, Model, Privacy, Shared
from nesa.client.hybrid.at_hand import require_shareable, what_fits
from nesa.client.sharing import SharedPublicModel
from nesa.client.splitting import SplitModel
from nesa.models.folder import CompiledModel, load
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.user_keys import UserKey
from nesa.privacy.split.parts import split
from nesa.privacy.split.publishing import write_middle
from nesa.protocol.ids import Address, VersionRoot
from nesa.protocol.versions import version_id
from tests.standing_network import SHARED

MODELS = Path(__file__).parents[3] / "models"
NOBODY = Address("0x" + "00" * 20)
"""Who the registry says is the developer of a version that is not registered."""


@pytest.fixture(scope="module")
def whole() -> CompiledModel:
    return load(MODELS / SHARED)


@pytest.fixture(scope="module")
def key(whole: CompiledModel) -> UserKey:
    return UserKey.generate(whole)


@pytest.fixture(scope="module")
def layers(whole: CompiledModel, tmp_path_factory: pytest.TempPathFactory) -> SplitModel:
    folder = tmp_path_factory.mktemp("split") / "middle"
    write_middle(whole, split(whole.table, 2, len(whole.table.rows) - 1), 1, folder)
    return SplitModel.read(MODELS / SHARED, folder)


@pytest.fixture(scope="module")
def public() -> Shared:
    return Shared(SharedPublicModel.read(MODELS / SHARED))


@pytest.fixture(scope="module")
def other() -> Shared:
    return Shared(SharedPublicModel.read(MODELS / "digits-cnn"))


@pytest.fixture
def all_of_them(key: UserKey, layers: SplitModel, public: Shared) -> Auto:
    return Auto("critical", equivariant=key, split=layers, shared=public)


@pytest.fixture
def encoded(model: Model, whole: CompiledModel, key: UserKey) -> Model:
    return replace(model, card=transformed_model(whole, key).card)


@pytest.fixture
def middle(model: Model, layers: SplitModel) -> Model:
    root = VersionRoot(bytes.fromhex(layers.note.middle[2:]))
    return replace(model, version_id=version_id(NOBODY, root))


async def test_all_of_them_can_be_given_and_the_table_picks(
    client: Client, model: Model, all_of_them: Auto
) -> None:
    plan = await client.plan(model, privacy=all_of_them)
    assert (plan.way.mode, plan.explanation.row) == (Privacy.SHARED, 2)
    plan = await client.plan(model, privacy=replace(all_of_them, sensitivity="personal"))
    assert (plan.way.mode, plan.explanation.row) == (Privacy.SEALED, 8)
    assert plan.terms["privacy"].content_key is None
    assert "not under a key of yours" in plan.explanation.passed[0]
    assert "you compute no layers of it" in plan.explanation.passed[1]


async def test_a_version_has_what_goes_with_it(
    client: Client, model: Model, encoded: Model, middle: Model, all_of_them: Auto
) -> None:
    for asked, has_key, has_layers in (
        (model, False, False),
        (encoded, True, False),
        (middle, False, True),
    ):
        fitting = await what_fits(client.contracts, asked, all_of_them)
        found = fitting.equivariant is not None, fitting.split is not None
        assert found == (has_key, has_layers)
        assert fitting.shared is all_of_them.shared


async def test_shares_are_of_the_model_that_is_meant(
    client: Client, encoded: Model, middle: Model, all_of_them: Auto
) -> None:
    """The plain model answers what the one under the key does, the whole one what its middle."""
    digits = await client.model("digits-cnn")
    for asked in (replace(encoded, version_id=digits.version_id), middle):
        fitting = await what_fits(client.contracts, asked, all_of_them)
        await require_shareable(client.connection, asked, fitting)
    fitting = await what_fits(client.contracts, digits, all_of_them)
    with pytest.raises(InvalidInput, match="which is not the registered digits-cnn"):
        await require_shareable(client.connection, digits, fitting)


async def test_another_model_at_hand_hinders_no_other_row(
    client: Client, encoded: Model, all_of_them: Auto, other: Shared
) -> None:
    held = replace(all_of_them, shared=other)
    with pytest.raises(InvalidInput, match="SHARED: the folder at hand holds digits-cnn"):
        await client.plan(encoded, privacy=held)
    plan = await client.plan(encoded, privacy=replace(held, sensitivity="personal"))
    assert (plan.way.mode, plan.explanation.row) == (Privacy.EQUIVARIANT, 5)
    assert plan.who.sealed


async def test_what_is_all_of_other_versions_is_refused(
    client: Client, model: Model, key: UserKey, layers: SplitModel, other: Shared
) -> None:
    with pytest.raises(InvalidInput, match="is under no key"):
        await client.plan(model, privacy=Auto("personal", equivariant=key))
    with pytest.raises(IntegrityError, match="is not the middle"):
        await client.plan(model, privacy=Auto("personal", split=layers))
    with pytest.raises(InvalidInput, match="is under no key.*; .*is not the middle"):
        await client.plan(model, privacy=Auto("personal", equivariant=key, split=layers))
    with pytest.raises(InvalidInput, match="which is not the registered"):
        await client.plan(model, privacy=Auto("personal", equivariant=key, shared=other))


async def test_a_wrong_key_is_refused_whatever_else_is_at_hand(
    client: Client, encoded: Model, all_of_them: Auto, whole: CompiledModel
) -> None:
    wrong = replace(all_of_them, equivariant=UserKey.generate(whole))
    with pytest.raises(InvalidInput, match="is under another key"):
        await client.plan(encoded, privacy=wrong)
