"""A model whose first and last layers the client computes, its middle a network of processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nesa.cli.demo.leaks import Trace, find, read_chain, read_files, spellings
from nesa.client.client import Client
from nesa.client.modes import Auto, Split
from nesa.client.splitting import SplitModel
from nesa.devnet.network import COMMITTEE, DevnetSettings, running_devnet
from nesa.models.cut import good_positions
from nesa.models.folder import load
from nesa.models.reference import run
from nesa.privacy.split.parts import split
from nesa.privacy.split.publishing import write_middle
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import IntegrityError
from nesa.protocol.messages import Message
from nesa.protocol.queries import Privacy
from nesa.protocol.wire import encode_message
from tests.end_to_end.insides import Traces

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

WHOLE = Path(__file__).parents[2] / "models" / "digits-cnn"


@dataclass
class Watched:
    """Every message that the client of this process sealed, as it was before."""

    sent: list[Trace] = field(default_factory=list)

    def encode(self, message: Message) -> bytes:
        data = encode_message(message)
        self.sent.append(Trace(f"sealed {type(message).__name__}", data))
        return data


def asked_by_command(network: Path, middle: Path, given: str) -> str:
    """What `nesa query --split` says of features, as its user sees it."""
    folders = ["--split", str(WHOLE), "--middle", str(middle), "--network", str(network)]
    run = subprocess.run(
        [sys.executable, "-m", "nesa.cli.main", "query", middle.name, given, *folders, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(run.stdout)["answer"]["label"])


def plain(edge: EdgeType, data: bytes, name: str) -> dict[str, bytes]:
    """All ways in which a tensor could be written down, by a name."""
    spelled = spellings(data, edge.decode(data))
    return {f"{name} as {way}": found for way, found in spelled.items()}


async def test_a_split_model_answers_as_the_whole_one_and_no_features_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing on chain, in a miner's journal or memory, in a log or in an envelope of the client
    holds them. Activations of the open query are in the request, those of the sealed one with the
    members that opened it only."""
    whole = load(WHOLE)
    places = good_positions(whole.table)
    parts = split(whole.table, places[0], places[-1])
    middle = tmp_path / "digits-cnn-middle"
    write_middle(whole, parts, 2, middle)
    settings = DevnetSettings(
        tmp_path / "net", miners=2 * COMMITTEE, seated=(middle.name,), models=(middle,)
    )
    rows, held = whole.test_rows(), Watched()
    mine = SplitModel.read(WHOLE, middle)
    monkeypatch.setattr("nesa.privacy.envelopes.encode_message", held.encode)
    async with (
        running_devnet(settings, lambda line: None) as devnet,
        Client.connect(devnet.network) as client,
    ):
        # Rows 0 to 31 are what the middle was measured on, and published as known answers.
        sealed, opened = 40, 41
        for row in (sealed, opened):
            mode = Split(mine, sealed=row == sealed)
            answer = await client.ask(middle.name, rows.features[row], privacy=mode)
            (expected,) = run(whole.table, (whole.input_edge.encode(rows.inputs[row]),))
            assert whole.output_edge.encode(answer.output.integers) == expected
            assert answer.label in whole.classifier.labels
            assert answer.privacy is (Privacy.SEALED if row == sealed else Privacy.OPEN)
        plan = await client.plan(middle.name, privacy=Auto("personal", split=mine))
        assert (plan.way.mode, plan.explanation.row) == (Privacy.SPLIT, 6)
        assert isinstance(plan.privacy, Split)
        answer = await client.ask(plan.model, rows.features[0], **plan.terms)
        assert (answer.label in whole.classifier.labels, answer.privacy) == (True, Privacy.SEALED)
        given = ",".join(map(str, rows.features[opened].reshape(-1)))
        said = await asyncio.to_thread(asked_by_command, devnet.layout.network, middle, given)
        assert said == (await client.ask(middle.name, rows.features[opened], privacy=mode)).label
        begun = {row: mine.begin(rows.features[row]).sent for row in (sealed, opened)}
        secrets = plain(parts.middle.inputs[0], begun[sealed], "sealed activations")
        for row in (sealed, opened):
            data = whole.input_edge.encode(rows.inputs[row])
            secrets |= plain(whole.input_edge, data, f"input {row}")
            numbers = rows.features[row].reshape(-1).tolist()
            secrets |= {f"features {row}": ", ".join(map(str, numbers)).encode()}
            secrets |= {f"given features {row}": ",".join(map(str, numbers)).encode()}
        folders = [devnet.layout.logs, *(miner.folder for miner in devnet.miners)]
        traces = [*await read_chain(client.connection), *read_files(folders), *held.sent]
        inside = await Traces.of(client, devnet)
        activations = spellings(begun[sealed], parts.middle.inputs[0].decode(begun[sealed]))
        assert find(activations, inside.opened), "members have them, and the search can find them"
        assert not find(activations, inside.closed)
        for row in (sealed, opened):
            data = whole.input_edge.encode(rows.inputs[row])
            assert not inside.places_of(data, whole.input_edge)
        assert {trace.place for trace in held.sent} == {"sealed ContentKey"}
        assert not find(secrets, traces)
        leaked = find({"open activations": begun[opened]}, traces)
        assert any(leak.place.startswith("calldata") for leak in leaked)
        note = mine.note.model_copy(update={"middle": "0x" + "11" * 32})
        other = SplitModel(whole, note, mine.runner)
        with pytest.raises(IntegrityError, match="is not the middle"):
            await client.ask(middle.name, rows.features[0], privacy=Split(other))
