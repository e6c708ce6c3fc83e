"""Scene 5: where every unit of every fee went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesa.chain.history import find_query
from nesa.cli.demo.cast import Cast, SceneRecorder
from nesa.cli.demo.narration import nes
from nesa.cli.demo.report import SceneReport
from nesa.client.answers import Answer
from nesa.protocol.ids import Address, Amount

TITLE: Final = "Where the money went"
WORDS: Final = (
    "Each fee is shown split among members, oracle, developer, reviewers and treasury, and "
    "compared with the market's own books. Sums are in NES."
)
PARTS: Final = ("members", "oracle", "royalty", "reviewers", "treasury", "unpaid")


@dataclass(frozen=True, slots=True)
class Books:
    """What the market says that it owes: to each account, to each version's shares, in all."""

    credits: dict[Address, int]
    royalty: int
    reviewers: int
    treasury: int
    held: int


async def tell(cast: Cast) -> SceneReport:
    """Show every split, then compare all of it with the market's own books."""
    recorder = SceneRecorder(TITLE, cast.narrator)
    answers = [answer for _, answer in cast.answers]
    cast.narrator.table(_heads(answers), _rows(answers))
    for scene, answer in cast.answers:
        total, parts = answer.fee.total, answer.fee.parts
        recorder.check(f"query {answer.query_id} adds up", total == parts, scene)
    claimed = await _claimed(cast)
    books = await _read_books(cast, list(_earned(answers, claimed)))
    _check_books(cast, recorder, answers, claimed, books)
    recorder.note(queries=[answer.fee for answer in answers], books=books)
    return recorder.report()


def _heads(answers: list[Answer]) -> list[str]:
    return ["", *(f"query {answer.query_id}" for answer in answers)]


def _rows(answers: list[Answer]) -> list[list[str]]:
    rows = [[part, *(_plain(getattr(answer.fee, part)) for answer in answers)] for part in PARTS]
    return [*rows, ["fee", *(_plain(answer.fee.total) for answer in answers)]]


def _plain(amount: Amount) -> str:
    return nes(amount).removesuffix(" NES")


def _earned(answers: list[Answer], claimed: dict[Address, int]) -> dict[Address, int]:
    """What members and oracles earned, by account."""
    earned = dict(claimed)
    for answer in answers:
        shares = [(member.operator, answer.fee.slot) for member in answer.committee if member.paid]
        for account, amount in [*shares, (answer.oracle, answer.fee.oracle)]:
            earned[account] = earned.get(account, 0) + amount
    return earned


async def _claimed(cast: Cast) -> dict[Address, int]:
    """What members that a report had left out claimed since."""
    claimed: dict[Address, int] = {}
    for _, answer in cast.answers:
        history = await find_query(cast.client.connection, answer.query_id)
        for claim in history.claims:
            claimed[claim.operator] = claimed.get(claim.operator, 0) + claim.amount
    return claimed


async def _read_books(cast: Cast, accounts: list[Address]) -> Books:
    market, token = cast.client.contracts.market, cast.client.contracts.token
    credits = {}
    for account in accounts:
        credit = await market.credit_of(account, at="latest")
        credits[account] = credit.ready + credit.waiting
    version = (await cast.model()).version_id
    royalty, reviewers, treasury = await market.read("shares_of", version, at="latest")
    held = await token.balance_of(market.address, at="latest")
    return Books(credits, int(royalty), int(reviewers), int(treasury), held)


def _check_books(
    cast: Cast,
    recorder: SceneRecorder,
    answers: list[Answer],
    claimed: dict[Address, int],
    books: Books,
) -> None:
    earned = _earned(answers, claimed)
    for account, amount in sorted(earned.items(), key=lambda item: cast.name_of(item[0])):
        found = books.credits[account]
        recorder.check(f"the market owes {cast.name_of(account)}", found == amount, nes(found))
    for part in ("royalty", "reviewers", "treasury"):
        amount, found = sum(getattr(answer.fee, part) for answer in answers), getattr(books, part)
        recorder.check(f"the market keeps for {part}", found == amount, nes(found))
    owed = sum(books.credits.values()) + books.royalty + books.reviewers + books.treasury
    open_slots = sum(answer.fee.unpaid for answer in answers) - sum(claimed.values())
    paid_in = sum(answer.fee.total for answer in answers)
    recorder.check("the market holds all that was paid in", books.held == paid_in, nes(books.held))
    recorder.check("and that is all it owes, to the last unit", owed + open_slots == books.held)
