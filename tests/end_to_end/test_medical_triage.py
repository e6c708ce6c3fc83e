"""The triage example on processes: patients on shares, and a member that lies about one."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.medical_triage import triage
from nesa import Client
from nesa.chain.disputes import Challenge, Ending
from nesa.cli.demo.cast import MLP, Question
from nesa.cli.demo.leaks import find
from nesa.cli.demo.liar import replace_by_liar
from nesa.cli.main import main
from nesa.client.cards import encode_features
from nesa.client.sharing import SharedPublicModel, SharedSession
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator
from nesa.models import reference
from nesa.protocol import cbor
from tests.end_to_end.insides import Traces
from tests.end_to_end.test_disputes import Dispute, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("everybody_honest"),
]

CONTROL = 44
"""A test row that is no patient and that no other test asks about."""

DEFENCE_SECONDS = 60
"""How long a member of a development network may answer a suit."""


@pytest.fixture(scope="module")
def patients() -> list[triage.Patient]:
    with triage.PATIENTS.open(newline="") as file:
        return list(csv.DictReader(file))


def expected(shared: SharedPublicModel, patient: triage.Patient) -> tuple[bytes, bytes]:
    """A patient's input and the public model's answer, without any network."""
    public = shared.public
    data = encode_features(public.card, triage.features_of(shared, patient))
    (output,) = reference.run(public.table, (data,))
    return data, output


def stored(answer: bytes) -> bytes:
    """As journals have it, with its length: so few bytes alone are met by chance."""
    return cbor.encode(answer)


async def test_patients_are_ordered_and_nobody_sees_one(
    client: Client, devnet: Devnet, shared: SharedPublicModel, patients: list[triage.Patient]
) -> None:
    command = (sys.executable, triage.__file__, "--network", str(devnet.layout.network))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaint = await asyncio.wait_for(process.communicate(), 400)
    assert process.returncode == 0, complaint.decode()[-2000:]
    scores = {}
    urgent = shared.public.classifier.labels.index(triage.URGENT)
    for patient in patients:
        _, output = expected(shared, patient)
        answer = shared.public.classifier.interpret(shared.public.output_edge.decode(output))
        scores[patient["case"]] = answer.scores[urgent]
    ordered = sorted(scores, key=lambda case: -scores[case])
    lines = said.decode().splitlines()[-len(patients) :]
    assert lines == [f"{scores[case]:.3f} {triage.URGENT}  {case}" for case in ordered]
    await assert_nobody_sees(client, devnet, shared, patients)


async def assert_nobody_sees(
    client: Client, devnet: Devnet, shared: SharedPublicModel, patients: list[triage.Patient]
) -> None:
    """Neither patients nor answers are found where those of a sealed query are, which its members
    open."""
    control = Question.from_row(devnet.model(MLP), CONTROL)
    await client.ask(MLP, control.features, privacy="sealed")
    traces, edge = await Traces.of(client, devnet), shared.public.input_edge
    (answer,) = reference.run(shared.public.table, (control.input,))
    traces.assert_seen(control.input, edge)
    assert find({"answer": stored(answer)}, traces.opened)
    for patient in patients:
        data, output = expected(shared, patient)
        assert not traces.places_of(data, edge)
        assert not find({"answer": stored(output)}, traces.opened)


@pytest.mark.deep
async def test_a_lying_member_is_named_replaced_and_convicted_by_the_command_that_is_printed(
    client: Client,
    devnet: Devnet,
    shared: SharedPublicModel,
    patients: list[triage.Patient],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A member of the first group: another share took the place of its, so that a suit about it
    shows nobody the patient."""
    patient = patients[1]
    liars = list[Operator]()

    @contextlib.asynccontextmanager
    async def with_a_liar() -> AsyncIterator[SharedSession]:
        async with client.shared_session(shared) as session:
            (chosen,) = session.first_group
            liars.append(await replace_by_liar(devnet, devnet.operator_of(chosen).name))
            yield session

    finding = await triage.assess(with_a_liar(), shared, patient, tmp_path / "evidence")
    result, (liar,) = finding.result, liars
    _, output = expected(shared, patient)
    assert shared.public.output_edge.encode(result.output.integers) == output
    assert "signed sums" in result.refused[liar.signer]
    last = await triage.last_suit(client, result.session_id)
    assert last.timestamp() > (await client.connection.head()).timestamp
    triage.tell(finding, last, triage.MODEL, devnet.layout.network)
    printed = capsys.readouterr().out.splitlines()[-1]
    dispute, held = Dispute(client, result.session_id), await client.balance()
    stake = await dispute.stake(liar)
    (challenge,) = await sued(dispute, shlex.split(printed))
    assert "the signer was convicted and lost a seat's stake" in capsys.readouterr().out
    assert challenge.accused == liar.signer
    assert await dispute.ending() is Ending.FALLEN
    assert await dispute.stake(liar) == stake - challenge.seat_stake
    assert (await client.balance()).nes > held.nes, "the bond came back, and a reward"


async def sued(dispute: Dispute, command: list[str]) -> list[Challenge]:
    """The suits of a session behind a command that sues a member which does not answer."""
    program, *words = command
    assert program == "nesa"
    suit = asyncio.create_task(asyncio.to_thread(main, words))

    async def is_open() -> bool:
        return bool(await dispute.challenges())

    await until(is_open)
    await dispute.pass_time(DEFENCE_SECONDS + 1)
    assert await suit == 0
    return await dispute.challenges()
