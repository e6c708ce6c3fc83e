"""Gas of sessions of queries on shares: `python -m benchmarks.sessions`.

Gas is the same in every run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boa

from benchmarks.gas import SEATS, transaction_gas
from nesa.protocol.ids import ONE_NES
from nesa.protocol.queries import Query
from nesa.protocol.versions import version_root
from tests.market import build_world, facts, go_to
from tests.shared_sessions import Sessions, build_sessions, product_ids

RESULTS: Final = Path(__file__).parent / "results" / "sessions.md"

LISTS: Final = (3, 24)
"""Products of the tabular model and of MiniLM."""

WARMING_SESSIONS: Final = 8
PLACES: Final = (0, 1, SEATS - 1)


@dataclass(frozen=True, slots=True)
class Session:
    """What the transactions of one session with a place for every seat cost."""

    open: int
    redeem: dict[int, int]
    again: int
    pin: int
    close: int

    @property
    def smallest(self) -> int:
        """A session of two groups of one: opened, paid to both once, closed."""
        return self.open + self.redeem[0] + self.redeem[1] + self.close


def surroundings() -> tuple[Sessions, str]:
    """Seats, products, and a client with money."""
    sessions = build_sessions(build_world(SEATS, shards=(1,)))
    return sessions, sessions.client(amount=1_000_000 * ONE_NES)


def measure(sessions: Sessions, client: str) -> Session:
    """One session from beginning to end."""
    contract = sessions.contract
    order = sessions.order(seats=SEATS).as_abi()
    opened = _sent(sessions, client, lambda: contract.open_session(order, sender=client))
    terms = sessions.opened()
    most = terms.base_fee * contract.product_count(sessions.listed)
    pin = _sent(sessions, client, lambda: contract.pin_seed(terms.seed_block, sender=client))
    redeem = {place: _redeemed(sessions, terms, place, most - 1) for place in PLACES}
    again = _redeemed(sessions, terms, 0, most)
    sessions.end(terms)
    go_to(boa.env.timestamp + 1)
    close = _sent(sessions, client, lambda: contract.close_session(terms.as_abi(), sender=client))
    return Session(opened, redeem, again, pin, close)


def _redeemed(sessions: Sessions, terms: Query, place: int, amount: int) -> int:
    signer = boa.env.generate_address("bearer")
    given = sessions.voucher(terms, place, amount)
    arguments = (terms.as_abi(), place, amount, *given)
    return _sent(sessions, signer, lambda: sessions.contract.redeem(*arguments, sender=signer))


def _sent(sessions: Sessions, sender: str, call: Callable[[], Any]) -> int:
    return transaction_gas(sessions.contract, sender, call)


def measure_list(sessions: Sessions, products: int) -> int:
    """What naming a model's products costs, once for all."""
    developer, named = sessions.world.developer, product_ids(b"\x07" * 32, products)
    return _sent(
        sessions,
        developer,
        lambda: sessions.contract.list_products(named, sender=developer),
    )


def measure_collect(sessions: Sessions) -> int:
    """What handing out the shares of a version costs."""
    developer = sessions.world.developer
    root = version_root(bytes([1]) * 32, facts(1), b"\x02" * 32)
    return _sent(
        sessions,
        developer,
        lambda: sessions.contract.collect(developer, root, sender=developer),
    )


def rows(first: Session, steady: Session) -> Iterator[str]:
    """The table's lines."""
    columns = (first, steady)
    yield _line("open a session", *(one.open for one in columns))
    for place in PLACES:
        text = f"redeem a voucher at place {place} of the draw"
        yield _line(text, *(one.redeem[place] for one in columns))
    yield _line("redeem a later one of the same member", *(one.again for one in columns))
    yield _line("pin the seed", *(one.pin for one in columns))
    yield _line("close", *(one.close for one in columns))
    yield _line("**two groups of one: open, redeem both, close**", *(s.smallest for s in columns))


def _line(text: str, *figures: int) -> str:
    return f"| {text} | " + " | ".join(f"{figure:,}" for figure in figures) + " |"


def main() -> None:
    """Measure and print; write the page where `--write` is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    options = parser.parse_args()
    sessions, client = surroundings()
    first = measure(sessions, client)
    for _ in range(WARMING_SESSIONS):
        measure(sessions, client)
    steady = measure(sessions, client)
    lists = "\n".join(_line(str(size), measure_list(sessions, size)) for size in LISTS)
    text = f"""# Gas of sessions of queries on shares

Whole transactions; the deposit pulled by an unlimited allowance, {SEATS} seats in the version, all
of which may be paid. *First*: nobody has credits yet. *Steady*: everybody has. Rounds of a session
need no transaction.
Written by `python -m benchmarks.sessions`.

| transaction | first | steady |
|---|---:|---:|
{chr(10).join(rows(first, steady))}

A developer names a model's products once:

| products | gas |
|---:|---:|
{lists}

Collecting the shares of developer, reviewers and treasury: {measure_collect(sessions):,}.
"""
    print(text)
    if options.write:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
