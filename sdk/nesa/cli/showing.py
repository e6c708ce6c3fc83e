"""How commands show an answer, and why it is waited for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nesa.cli.output import console, moment, plain, show
from nesa.cli.sharing import shared_document, shared_summary
from nesa.cli.stages import in_words, why_waiting
from nesa.client.answers import Answer, SubmittedQuery
from nesa.client.hybrid.offers import QueryPlan
from nesa.client.payment import in_nes
from nesa.client.sharing import SharedResult
from nesa.client.watching import Stage

MOST_SHOWN: Final = 8
"""How many numbers of a tensor are shown."""


async def tell_wait(submitted: SubmittedQuery, stage: Stage) -> None:
    """Say why a CHALLENGED answer that is there is not shown yet."""
    words = why_waiting(submitted.query, stage)
    if words is not None:
        console().print(words)


def show_answer(answer: Answer, *, as_json: bool, plan: QueryPlan | None = None) -> None:
    """Print an answer, for programs with the plan that it was asked by."""
    asked = {} if plan is None else {"plan": plan.explanation}
    show({**asked, "answer": plain(answer)} if as_json else _summary(answer), as_json=as_json)


def show_shared(result: SharedResult, *, as_json: bool, plan: QueryPlan) -> None:
    """Print the answer of a query on shares, for programs with the plan that it was asked by."""
    document = {"plan": plan.explanation, "answer": shared_document(result)}
    show(document if as_json else shared_summary(result, _said(result)), as_json=as_json)


def _said(answer: Answer | SharedResult) -> str:
    """The label, or the beginning of the tensor that the answer is."""
    if answer.label is not None:
        return answer.label
    numbers = answer.output.values.reshape(-1)
    first = ", ".join(f"{number:.4g}" for number in numbers[:MOST_SHOWN])
    if numbers.size <= MOST_SHOWN:
        return first
    return f"{first}, … ({numbers.size} numbers; --json gives them all)"


def _disputable(answer: Answer) -> Mapping[str, str]:
    """Whether the answer can still be overturned."""
    if answer.disputable_until is None:
        return {}
    if answer.challenged_shards:
        which = in_words(answer.challenged_shards)
        return {"disputed": f"{which} is held by a challenge; follow it with `nesa watch`"}
    return {"disputable until": moment(answer.disputable_until)}


def _summary(answer: Answer) -> Mapping[str, Any]:
    """An answer in a few lines."""
    scores = ", ".join(f"{name} {score:.3f}" for name, score in answer.scores.items())
    return {
        "answer": _said(answer),
        **({"scores": scores or "none"} if answer.label is not None else {}),
        "query": answer.query_id,
        "backed": f"{answer.assurance.name}, {answer.privacy.name}, {answer.status.name}",
        **_disputable(answer),
        "took": f"{answer.timings.seconds} s from block to block",
        "fee": in_nes(answer.fee.total),
        "gas": f"{answer.gas.fulfil:,} to deliver",
    }
