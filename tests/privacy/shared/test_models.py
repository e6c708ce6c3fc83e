"""Products as models of their own: the network's checks and its runners take them as any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nesa.models.folder import CompiledModel, load, save
from nesa.models.runtime import ShardRunner, run_all
from nesa.models.verify import check_folder
from nesa.privacy.shared.members import GroupMember
from nesa.privacy.shared.models import product_models
from nesa.privacy.shared.session import SharedModel, ask
from nesa.protocol.errors import InvalidInput

from .parties import SESSION, Group, random_inputs

MODELS = Path(__file__).resolve().parents[3] / "models"


@pytest.fixture(scope="module", params=["breast-cancer-mlp", "digits-cnn"])
def public(request) -> CompiledModel:
    """One public model after the other."""
    return load(MODELS / request.param)


async def test_members_serve_what_was_published(public, tmp_path):
    model = SharedModel(public.table)
    made = list(product_models(model.plan, public))
    for number, one in enumerate(made):
        save(one, tmp_path / str(number))
    checked = [check_folder(tmp_path / str(number)) for number in range(len(made))]
    assert tuple(one.operators_root for one in checked) == model.roots
    assert len({one.root for one in checked}) == len(model.plan.products)

    held = [ShardRunner(one.shard_file(0), one.shards[0]) for one in checked]
    pair = Group("first", model, 1), Group("second", model, 2)
    for group in pair:
        member = GroupMember(group.keys[0], SESSION, held)
        group.answers = {member.address: member.answer}
    answer = await ask(
        model, random_inputs(model, 0), (pair[0].transport, pair[1].transport), SESSION
    )
    whole = [ShardRunner(public.shard_file(i), facts) for i, facts in enumerate(public.shards)]
    assert answer.outputs == run_all(whole, random_inputs(model, 0))


def test_a_plan_of_another_model_is_refused(public):
    table = public.table
    other = SharedModel(replace(table, outputs=(len(table.inputs),)))
    with pytest.raises(InvalidInput, match="plan is not that of"):
        list(product_models(other.plan, public))
