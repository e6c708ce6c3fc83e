"""Scene 5: where every unit of every fee went."""

from __future__ import annotations

from typing import Final

from nesa.cli.demo.cast import Cast, SceneRecorder
from nesa.cli.demo.narration import nes
from nesa.cli.demo.report import SceneReport
from nesa.client.answers import Answer
from nesa.client.history import find_query
from nesa.protocol.ids import Address, Amount

TITLE: Final = "Where the money went"
WORDS: Final = (
    "Each fee is shown split among members, oracle, developer, reviewers and treasury, and "
    "compared with what the market itself says that it owes."
)
HEADS: Final = ("query", "fee", "members", "oracle", "royalty", "reviewers", "treasury", "unpaid")


async def tell(cast: Cast) -> SceneReport:
    """Show every split, then compare all accounts with the market's own books."""
    recorder = SceneRecorder(TITLE, cast.narrator)
    cast.narrator.table(HEADS, [_row(answer) for _, answer in cast.answers])
    for scene, answer in cast.answers:
        total, parts = answer.fee.total, answer.fee.parts
        recorder.check(f"query {answer.query_id} adds up", total == parts, scene)
    await _check_books(cast, recorder)
    await _check_accounts(cast, recorder)
    recorder.note(queries=[answer.fee for _, answer in cast.answers])
    return recorder.report()


def _row(answer: Answer) -> tuple[str, ...]:
    fee = answer.fee
    sums = (fee.members, fee.oracle, fee.royalty, fee.reviewers, fee.treasury, fee.unpaid)
    return (str(answer.query_id), nes(fee.total), *(nes(part) for part in sums))


async def _check_books(cast: Cast, recorder: SceneRecorder) -> None:
    """Everything that was paid in is earmarked or credited, and there."""
    market, token = cast.client.contracts.market, cast.client.contracts.token
    (earmarked,) = await market.read("total_earmarked", at="latest")
    (credits,) = await market.read("total_credits", at="latest")
    held = await token.balance_of(market.address, at="latest")
    paid_in = sum(answer.fee.total for _, answer in cast.answers)
    recorder.check("the market holds all that was paid", held == paid_in, nes(held))
    recorder.check("and owes exactly that", earmarked + credits == held, nes(credits))
    recorder.note(earmarked=earmarked, credits=credits, held=held)


async def _check_accounts(cast: Cast, recorder: SceneRecorder) -> None:
    """The market's credit of every account is the sum of its shares."""
    expected = await _expected_credits(cast)
    for account, amount in sorted(expected.items()):
        credit = await cast.client.contracts.market.credit_of(account, at="latest")
        found = credit.ready + credit.waiting
        recorder.check(f"credit of {_name(cast, account)}", found == amount, nes(found))


async def _expected_credits(cast: Cast) -> dict[Address, Amount]:
    expected: dict[Address, int] = {}
    for _, answer in cast.answers:
        history = await find_query(cast.client.connection, answer.query_id)
        shares = [(member.operator, answer.fee.slot) for member in answer.committee if member.paid]
        shares += [(claim.operator, claim.amount) for claim in history.claims]
        shares += [(answer.oracle, answer.fee.oracle)]
        shares += [(history.query.developer, answer.fee.royalty)]
        for account, amount in shares:
            expected[account] = expected.get(account, 0) + amount
    return {account: Amount(amount) for account, amount in expected.items()}


def _name(cast: Cast, account: Address) -> str:
    for operator in (*cast.devnet.miners, *cast.devnet.oracles):
        if account in (operator.owner, operator.signer):
            return operator.name
    people = cast.devnet.foundation.people.everybody()
    return next((one.name for one in people if one.address == account), account)
