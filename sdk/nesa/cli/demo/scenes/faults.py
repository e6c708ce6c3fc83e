"""Scene 4: one miner lies, another one dies, and the answer is right all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nesa.chain.committees import DrawnCommittees
from nesa.cli.demo.cast import Cast, SceneRecorder, check_answer
from nesa.cli.demo.liar import replace_by_liar
from nesa.cli.demo.report import SceneReport
from nesa.client.answers import Answer
from nesa.client.receipts import unpaid_members
from nesa.client.watching import Drawn, Stage
from nesa.devnet.operators import Operator

TITLE: Final = "A liar and a dead miner"
WORDS: Final = (
    "A miner of shard 0 now runs a program that lies, under its own key and stake. A miner of "
    "shard 1 is killed with SIGKILL in the middle of the query."
)
ROW: Final = 11
LIAR: Final = "miner-3"
"""Sits in shard 0: its number is odd."""


async def tell(cast: Cast) -> SceneReport:
    """Ask while both faults happen; nobody but the culprits goes unpaid."""
    recorder = SceneRecorder(TITLE, cast.narrator)
    liar = await replace_by_liar(cast.devnet, LIAR)
    cast.narrator.say("liar", f"{liar.name} answers with changed results from now on")
    question = cast.question(ROW)
    killed: list[Operator] = []

    async def kill_one(stage: Stage) -> None:
        if isinstance(stage, Drawn) and not killed:
            victim = _victim(cast, stage.committees)
            await cast.devnet.supervisor.kill(victim.name)
            killed.append(victim)
            cast.narrator.say("kill -9", f"{victim.name}, drawn for shard 1, is dead")

    submitted = await cast.client.submit(await cast.model(), question.features)
    cast.narrator.say("client", f"query {submitted.query_id} is on chain")
    answer = await cast.await_answer(TITLE, submitted, kill_one)
    check_answer(recorder, question, answer)
    _check_culprits(cast, recorder, answer, liar, killed)
    return recorder.report()


def _victim(cast: Cast, committees: DrawnCommittees) -> Operator:
    """The member of shard 1 that would propose the first set."""
    return cast.devnet.operator_of(committees.shards[1][0].signer)


def _check_culprits(
    cast: Cast, recorder: SceneRecorder, answer: Answer, liar: Operator, killed: list[Operator]
) -> None:
    unpaid = {
        cast.devnet.operator_of(member.signer).name: member.shard
        for member in unpaid_members(answer.committee)
    }
    names = in_words(unpaid)
    cast.narrator.say("unpaid", names)
    recorder.check("the liar of shard 0 is not paid", unpaid.get(liar.name) == 0)
    dead = killed[0].name if killed else "nobody"
    recorder.check("the killed miner of shard 1 is not paid", unpaid.get(dead) == 1, dead)
    recorder.check(f"unpaid are only {names}", set(unpaid) == {liar.name, dead})
    recorder.note(liar=liar.name, killed=dead, unpaid=sorted(unpaid))


def in_words(unpaid: Mapping[str, int]) -> str:
    """Who was not paid, each with the index of its shard."""
    return ", ".join(f"{name} (shard {shard})" for name, shard in sorted(unpaid.items())) or "none"
