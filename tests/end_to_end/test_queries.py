"""One query of each kind through real processes: ask, draw, run, agree or prove, pay."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from nesa import Client, Model, Privacy, QueryStatus
from nesa.chain.committees import Seat
from nesa.chain.keystore import load_keystore, read_password_file
from nesa.cli.demo.cast import MLP, Question
from nesa.cli.demo.leaks import find, read_chain, read_files, spellings
from nesa.client.answers import Answer, SubmittedQuery
from nesa.client.modes import Sealed
from nesa.client.sealing import KeySender
from nesa.devnet.network import Devnet
from nesa.protocol.envelopes import MESSAGES_PATH
from nesa.protocol.ids import Timestamp

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
KEY = bytes(range(100, 132))


def is_right(answer: Answer, question: Question) -> bool:
    """The answer is the reference model's, to the last integer, and its fee adds up."""
    delivered = answer.output.edge.encode(answer.output.integers)
    return (delivered, answer.label) == (question.output, question.label) and (
        answer.fee.parts == answer.fee.total
    )


async def test_an_open_query_is_agreed_on(client: Client, model: Model, question: Question) -> None:
    before = (await client.balance()).nes
    answer = await client.ask(model, question.features)
    assert is_right(answer, question)
    assert answer.status in (QueryStatus.FULFILLED, QueryStatus.FINAL)
    assert len(answer.committee) == 8
    assert before - (await client.balance()).nes == answer.fee.total


async def test_a_sealed_query_is_opened_by_its_client_only(
    client: Client, devnet: Devnet, model: Model, question: Question
) -> None:
    other = Question.from_row(question.published, 41)
    secret = Question.about(question.published, np.minimum(question.features, other.features))
    submitted = await client.submit(model, secret.features, privacy=Sealed(KEY), replicas=3)
    answer = await client.result(submitted)
    assert is_right(answer, secret)
    assert answer.privacy is Privacy.SEALED
    shown = await client.ask(model, other.features)
    assert is_right(shown, other)
    places = [devnet.layout.logs, *(miner.folder for miner in devnet.miners)]
    traces = [*await read_chain(client.connection), *read_files(places)]
    edge = question.published.model.input_edge
    # The search finds what is there: the other one was asked in the open.
    assert find(spellings(other.input, edge.decode(other.input)), traces)
    assert not find(spellings(secret.input, edge.decode(secret.input)), traces)
    assert not find(spellings(KEY, np.frombuffer(KEY, np.uint8)), traces)
    told = await told_by_whoever_did_not_answer(client, devnet, submitted, answer)
    # A spare that was about to stand in for a slow member takes it; the others refuse.
    assert 400 in told
    assert told <= {204, 400}


async def told_by_whoever_did_not_answer(
    client: Client, devnet: Devnet, submitted: SubmittedQuery, answer: Answer
) -> set[int]:
    """What miners outside of the committees say to an envelope with a drawn member's content
    key."""
    drawn = {member.operator.lower() for member in answer.committee}
    left = [one for one in devnet.miners if one.owner.lower() not in drawn]
    member, vault = answer.committee[0], client.contracts.vault
    record = await vault.operator(member.operator, at="latest")
    key = record.encryption_key_at(await vault.epoch(at="latest"))
    kept = devnet.network.client
    assert kept is not None
    account = load_keystore(kept.keystore, read_password_file(kept.password_file))
    sender = KeySender(account, client.connection.deployment, submitted.query, KEY)
    seat = Seat(0, member.operator, member.signer, member.endpoint, key)
    told = set[int]()
    async with aiohttp.ClientSession() as http:
        for miner in left:
            envelope = sender.envelope(seat, Timestamp(int(time.time()) + 60))
            async with http.post(miner.endpoint + MESSAGES_PATH, data=envelope) as response:
                told.add(response.status)
    return told


async def test_personal_data_are_asked_as_the_plan_says(
    client: Client, devnet: Devnet, question: Question
) -> None:
    before = (await client.balance()).nes
    numbers = ",".join(f"{number!r}" for number in question.features)
    words = ["query", MLP, numbers, "--network", str(devnet.layout.network), "--json"]
    words += ["--privacy", "auto", "--sensitivity", "personal", "--max-fee", "1", "--yes"]
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nesa.cli.main", *words), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asked.communicate()
    assert asked.returncode == 0
    found = json.loads(printed)
    assert (found["plan"]["mode"], found["plan"]["price"]) == ("SEALED", "0.4 NES")
    assert found["answer"]["privacy"] == "SEALED"
    assert found["answer"]["label"] == question.label
    assert before - (await client.balance()).nes == found["answer"]["fee"]["total"] == 4 * 10**8


async def test_a_proved_query_is_verified_on_chain(
    client: Client, model: Model, question: Question
) -> None:
    answer = await client.ask(model, question.features, assurance="PROVED")
    assert is_right(answer, question)
    assert {member.shard for member in answer.committee if member.paid} == {0, 1}


async def test_the_example_asks_as_the_readme_shows(devnet: Devnet) -> None:
    program = ROOT / "examples" / "ask.py"
    asked = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        str(devnet.layout.network),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asked.communicate()
    assert asked.returncode == 0
    assert printed.decode().startswith("malignant {")
    heart = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    lines = [line.strip() for line in heart.splitlines()[1:]]
    assert "\n".join(lines) in "\n".join(line.strip() for line in program.read_text().splitlines())


async def test_two_queries_at_once_do_not_meet(
    client: Client, devnet: Devnet, model: Model, question: Question
) -> None:
    other = Question.from_row(question.published, 41)
    first = await client.submit(model, question.features)
    second = await client.submit(model, other.features)
    assert is_right(await client.result(second), other)
    assert is_right(await client.result(first), question)
