"""Gas of a session of a query on shares: `python -m benchmarks.sessions`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.gas import transaction_gas
from nesa.protocol.queries import Query
from tests.market import build_world, go_to
from tests.shared_sessions import PRODUCTS, Sessions, build_sessions, product_ids

RESULTS: Final = Path(__file__).parent / "results" / "sessions.md"
SEATS: Final = 8
MINILM_PRODUCTS: Final = 24


def measure() -> Iterator[tuple[str, int]]:
    """What each transaction costs whoever sends it."""
    world = build_world(SEATS, shards=(1,))
    sessions = build_sessions(world)
    client = sessions.client(amount=10**15)
    listed = product_ids(world.versions[1], MINILM_PRODUCTS)
    yield (
        f"list {MINILM_PRODUCTS} products, once a model",
        _sent(sessions, client, "list_products", listed),
    )
    yield "open the first session", _opened(sessions, client)[1]
    terms, gas = _opened(sessions, client)
    yield "open another", gas
    most = terms.base_fee * PRODUCTS
    for position in (0, 1, 3, 7):
        gas = _redeemed(sessions, terms, position, most)
        yield f"redeem at place {position}, no credit before", gas
    again, _ = _opened(sessions, client)
    for position in (0, 7):
        part = _redeemed(sessions, again, position, most // 2)
        yield f"redeem at place {position}, with credit", part
    yield "redeem at place 0 once more", _redeemed(sessions, again, 0, most)
    sessions.end(terms)
    go_to(terms.answer_deadline + terms.rules.claim_window + 1)
    yield "close", _sent(sessions, client, "close_session", terms.as_abi())


def _opened(sessions: Sessions, client: str) -> tuple[Query, int]:
    found: list[Query] = []
    gas = transaction_gas(
        sessions.contract, client, lambda: found.append(sessions.open(client, seats=8))
    )
    return found[0], gas


def _redeemed(sessions: Sessions, terms: Query, position: int, amount: int) -> int:
    operator = sessions.operator(terms, position)
    voucher = sessions.voucher(terms, position, amount)
    return _sent(sessions, operator, "redeem", terms.as_abi(), position, amount, *voucher)


def _sent(sessions: Sessions, sender: str, function: str, *arguments: Any) -> int:
    call = getattr(sessions.contract, function)
    return transaction_gas(sessions.contract, sender, lambda: call(*arguments, sender=sender))


def main() -> None:
    """Measures, prints and keeps the table."""
    lines = "\n".join(f"| {name} | {gas:,} |" for name, gas in measure())
    text = f"""# Gas of a session of a query on shares

Two groups of one and six spares, drawn of {SEATS} seats; {PRODUCTS} products unless more are said;
the deposit pulled by an unlimited allowance. Written by `python -m benchmarks.sessions`.

| transaction | gas |
|---|---:|
{lines}
"""
    print(text)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
