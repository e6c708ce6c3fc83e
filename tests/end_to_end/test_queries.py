"""One query of each kind through real processes: ask, draw, run, agree or prove, pay."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from nesa import Client, Model, Privacy, QueryStatus
from nesa.cli.demo.cast import MLP, Question
from nesa.client.answers import Answer
from nesa.devnet.network import Devnet

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]


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
    submitted = await client.submit(model, question.features, privacy="sealed")
    answer = await client.result(submitted)
    assert is_right(answer, question)
    assert answer.privacy is Privacy.SEALED
    for log in devnet.layout.logs.glob("*.log"):
        content = log.read_bytes()
        assert question.input not in content
        assert question.input.hex().encode() not in content


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
