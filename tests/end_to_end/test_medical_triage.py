"""The triage example on processes: patients on shares, and a member that lies about one."""

from __future__ import annotations

import asyncio
import csv
import sys
from pathlib import Path

import pytest

from examples.medical_triage import triage
from nesa import Client
from nesa.cli.demo.cast import MLP, Question
from nesa.cli.demo.leaks import find
from nesa.cli.demo.liar import replace_by_liar
from nesa.client.cards import encode_features
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import Devnet
from nesa.models import reference
from nesa.privacy.shared.evidence import decode_share_evidence
from nesa.protocol.digests import boundary_digest
from tests.end_to_end.insides import Traces

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("everybody_honest"),
]

CONTROL = 44
"""A test row that is no patient and that no other test asks about."""


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


async def test_patients_are_ordered_and_nobody_sees_one(
    client: Client, devnet: Devnet, shared: SharedPublicModel, patients: list[triage.Patient]
) -> None:
    command = (sys.executable, triage.__file__, "--network", str(devnet.layout.network))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaint = await asyncio.wait_for(process.communicate(), 120)
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
    assert find({"answer": answer}, traces.opened)
    for patient in patients:
        data, output = expected(shared, patient)
        assert not traces.places_of(data, edge)
        assert not find({"answer": output}, traces.opened)


async def test_a_lying_member_is_named_replaced_and_convicted_by_what_is_kept(
    client: Client,
    devnet: Devnet,
    shared: SharedPublicModel,
    patients: list[triage.Patient],
    tmp_path: Path,
) -> None:
    patient = patients[1]
    async with client.shared_session(shared) as session:
        (chosen,) = session.second_group
        liar = await replace_by_liar(devnet, devnet.operator_of(chosen).name)
        finding = await triage.assess(session, shared, patient, tmp_path / "evidence")
    result = finding.result
    _, output = expected(shared, patient)
    assert shared.public.output_edge.encode(result.output.integers) == output
    assert "signed sums" in result.refused[liar.signer]
    (path,) = finding.evidence
    shown = decode_share_evidence(path.read_bytes())
    assert shown.statement.signer == liar.signer
    product = shared.model.plan.products[shown.statement.reveal.context.attempt]
    truth = boundary_digest((product.output_edge,), reference.run(product.table, (shown.digits,)))
    assert shown.statement.reveal.out_digest != truth
    head = (await client.connection.head()).timestamp
    assert (await triage.last_suit(client, result.session_id)).timestamp() > head
