"""A refusal of the chain says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nesa import Client, Model, Rejected
from nesa.client.refusals import MEANINGS, explained

CONTRACTS = Path(__file__).parents[2] / "contracts"


def test_the_reason_stays_the_contracts_own() -> None:
    said = r"at most 32 members.* \(market: too many member slots\)$"
    with pytest.raises(Rejected, match=said) as found, explained():
        raise Rejected("market: too many member slots")
    assert found.value.reason == "market: too many member slots"


def test_an_unknown_reason_is_left_as_it_is() -> None:
    with pytest.raises(Rejected, match="^router: odd$"), explained():
        raise Rejected("router: odd")


def test_every_explained_reason_is_one_of_the_contracts() -> None:
    sources = "".join(path.read_text() for path in CONTRACTS.rglob("*.vy"))
    given = set(re.findall(r'"([a-z]+: [^"]+)"', sources))
    assert set(MEANINGS) <= given


async def test_a_quote_that_is_refused_says_why(client: Client, model: Model) -> None:
    with pytest.raises(Rejected, match="needs at least 3 replicas"):
        await client.quote(model, replicas=2)


async def test_a_transaction_that_is_refused_says_why(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    with pytest.raises(Rejected, match="wait for its deadline"):
        await client.refund(submitted)
