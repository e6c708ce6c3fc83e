"""Who and what is on stage: the network, a client, a narrator, and what a scene gets from them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nesa.chain.history import find_query
from nesa.cli.demo.narration import Narrator, gas, nes
from nesa.cli.demo.report import Check, SceneReport
from nesa.cli.stages import describe
from nesa.client.answers import Answer, SubmittedQuery
from nesa.client.cards import Model
from nesa.client.client import Client
from nesa.client.watching import Stage
from nesa.devnet.models import PublishedModel
from nesa.devnet.network import Devnet
from nesa.models.reference import run
from nesa.protocol.ids import Address, QueryId

MLP = "breast-cancer-mlp"


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Features for a model, and what the reference integer model says of them."""

    published: PublishedModel
    features: np.ndarray[Any, Any]
    input: bytes
    output: bytes
    label: str

    @classmethod
    def from_row(cls, published: PublishedModel, row: int) -> Question:
        """The question in a test row."""
        return cls.about(published, published.model.test_rows().features[row])

    @classmethod
    def about(cls, published: PublishedModel, features: np.ndarray[Any, Any]) -> Question:
        """The question about features; its answer is computed here, without any network."""
        model = published.model
        data = model.input_edge.encode(model.card.quantise_input(features))
        (output,) = run(model.table, (data,))
        said = model.classifier.interpret(model.output_edge.decode(output))
        return cls(published, features, data, output, said.label)


@dataclass(frozen=True, slots=True)
class Cast:
    """What every scene works with; `answers` are those of the scenes so far."""

    devnet: Devnet
    client: Client
    narrator: Narrator
    answers: list[tuple[str, Answer]] = field(default_factory=list)

    async def model(self) -> Model:
        """The breast-cancer model as the client sees it."""
        return await self.client.model(MLP)

    def question(self, row: int) -> Question:
        """A test row of the breast-cancer model."""
        return Question.from_row(self.devnet.model(MLP), row)

    async def await_answer(
        self,
        scene: str,
        submitted: SubmittedQuery | QueryId,
        on_stage: Callable[[Stage], Awaitable[None]] | None = None,
    ) -> Answer:
        """The answer, every stage told on the way."""

        async def tell(stage: Stage) -> None:
            self.narrator.say("chain", self._named(describe(stage)))
            if on_stage is not None:
                await on_stage(stage)

        answer = await self.client.result(submitted, tell)
        self.answers.append((scene, answer))
        self._tell_answer(answer)
        await self._tell_balance(answer)
        return answer

    def name_of(self, account: Address) -> str:
        """An account's name in this network, or the account itself."""
        for operator in (*self.devnet.miners, *self.devnet.oracles):
            if account in (operator.owner, operator.signer):
                return operator.name
        people = self.devnet.foundation.people.everybody()
        return next((one.name for one in people if one.address == account), account)

    def _named(self, words: str) -> str:
        """Words with the addresses of this network replaced by names."""
        for account in (*self.devnet.miners, *self.devnet.oracles):
            words = words.replace(account.owner, account.name)
        return words

    async def _tell_balance(self, answer: Answer) -> None:
        requester = (await find_query(self.client.connection, answer.query_id)).query.requester
        balance = await self.client.balance(requester)
        name = self.name_of(requester)
        words = "the register" if name == requester else name
        self.narrator.say("balance", f"{words} holds {nes(balance.nes)} now")

    def _tell_answer(self, answer: Answer) -> None:
        words, score = answer.label or "", answer.scores.get(answer.label or "")
        words += f" (score {score:.3f})" if score is not None else ""
        self.narrator.say(
            "answer", f"{words}, {answer.timings.seconds} s after the request's block"
        )
        asked = "" if answer.gas.request is None else f"request {gas(answer.gas.request)}, "
        self.narrator.say("cost", f"{asked}delivery {gas(answer.gas.fulfil)}")
        self.narrator.say("fee", f"{nes(answer.fee.total)}")


class SceneRecorder:
    """Collects a scene's checks and facts while it is told."""

    def __init__(self, title: str, narrator: Narrator) -> None:
        self._title = title
        self._narrator = narrator
        self._begun = time.monotonic()
        self._checks: list[Check] = []
        self._facts: dict[str, Any] = {}

    def check(self, promise: str, holds: bool, seen: str = "") -> None:
        """Record and tell one outcome."""
        check = Check(promise, bool(holds), seen)
        self._checks.append(check)
        self._narrator.verdict(check)

    def note(self, **facts: Any) -> None:
        """Keep figures for the report."""
        self._facts.update(facts)

    def report(self) -> SceneReport:
        """The scene as data."""
        seconds = round(time.monotonic() - self._begun, 2)
        return SceneReport(self._title, seconds, tuple(self._checks), dict(self._facts))


def check_answer(recorder: SceneRecorder, question: Question, answer: Answer) -> None:
    """The answer is, to the last integer, what the reference model computes here."""
    delivered = answer.output.edge.encode(answer.output.integers)
    same = delivered == question.output and answer.label == question.label
    recorder.check("the answer equals the reference integer model", same, answer.label or "")
    recorder.check(
        "the fee is split to the last unit",
        answer.fee.parts == answer.fee.total,
        nes(answer.fee.total),
    )
    recorder.note(answer=answer_facts(answer))


def answer_facts(answer: Answer) -> dict[str, Any]:
    """What the report keeps of an answer."""
    return {
        "query_id": answer.query_id,
        "label": answer.label,
        "scores": dict(answer.scores),
        "assurance": answer.assurance,
        "privacy": answer.privacy,
        "status": answer.status,
        "seconds": answer.timings.seconds,
        "gas": answer.gas,
        "fee": answer.fee,
        "oracle": answer.oracle,
        "committee": answer.committee,
    }
