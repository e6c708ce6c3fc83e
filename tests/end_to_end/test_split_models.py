"""A model whose first and last layers the client computes, its middle a network of processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.client.client import Client
from nesa.client.modes import Auto, Split
from nesa.client.splitting import SplitModel
from nesa.devnet.network import COMMITTEE, DevnetSettings, running_devnet
from nesa.models.cut import good_positions
from nesa.models.folder import load
from nesa.models.reference import run
from nesa.privacy.split.parts import split
from nesa.privacy.split.publishing import write_middle
from nesa.protocol.errors import IntegrityError
from nesa.protocol.queries import Privacy

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

WHOLE = Path(__file__).parents[2] / "models" / "digits-cnn"


async def test_a_split_model_answers_as_the_whole_one(tmp_path: Path) -> None:
    whole = load(WHOLE)
    places = good_positions(whole.table)
    parts = split(whole.table, places[0], places[-1])
    middle = tmp_path / "digits-cnn-middle"
    write_middle(whole, parts, 2, middle)
    settings = DevnetSettings(
        tmp_path / "net", miners=2 * COMMITTEE, seated=(middle.name,), models=(middle,)
    )
    rows = whole.test_rows()
    mine = SplitModel.read(WHOLE, middle)
    async with (
        running_devnet(settings, lambda line: None) as devnet,
        Client.connect(devnet.network) as client,
    ):
        for row in range(2):
            mode = Split(mine, sealed=row == 0)
            answer = await client.ask(middle.name, rows.features[row], privacy=mode)
            (expected,) = run(whole.table, (whole.input_edge.encode(rows.inputs[row]),))
            assert whole.output_edge.encode(answer.output.integers) == expected
            assert answer.label in whole.classifier.labels
            assert answer.privacy is (Privacy.SEALED if row == 0 else Privacy.OPEN)
        plan = await client.plan(middle.name, privacy=Auto("personal", split=mine))
        assert (plan.way.mode, plan.explanation.row) == (Privacy.SPLIT, 6)
        assert isinstance(plan.privacy, Split)
        answer = await client.ask(plan.model, rows.features[0], **plan.terms)
        assert (answer.label in whole.classifier.labels, answer.privacy) == (True, Privacy.SEALED)
        note = mine.note.model_copy(update={"middle": "0x" + "11" * 32})
        other = SplitModel(whole, note, mine.runner)
        with pytest.raises(IntegrityError, match="is not the middle"):
            await client.ask(middle.name, rows.features[0], privacy=Split(other))
