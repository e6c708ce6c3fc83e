"""What one account may have in bonds: a sum at once, whatever it challenges, sues or summons."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nesa.chain.disputes import Dispute
from nesa.chain.docket import Docket, bonds_of, is_brought
from nesa.protocol.errors import ExhaustedResource
from nesa.protocol.ids import ONE_NES, Address, Amount
from nesa.protocol.parameters import BPS, RequestLimits
from nesa_miner.disputes.courtroom import Courtroom


@dataclass(slots=True)
class Bonds:
    """Bonds of one account, `most` NES units at once; `setting` is what people call that limit.

    `elsewhere` says how many units are in bonds that no challenge tells of. Whoever checks a bond
    holds `lock` until it is paid, so that two do not pass the limit together.
    """

    room: Courtroom
    most: Amount
    setting: str
    elsewhere: Callable[[], int] = lambda: 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _on_the_way: dict[Dispute, Amount] = field(default_factory=dict)

    async def payable(self, limits: RequestLimits, docket: Docket) -> Amount:
        """The bond of one more challenge, when it can be paid and may be; errors as `check`."""
        bond = Amount(limits.seat_stake * limits.challenger_bond_bps // BPS)
        await self.check(bond, docket)
        return bond

    async def check(self, bond: Amount, docket: Docket) -> None:
        """Returns when one more bond can be paid and may be.

        Raises:
            ExhaustedResource: it would pass the limit, or the account has less.
            Unavailable: the node does not answer.
        """
        me = self.room.sender.address
        for dispute in [one for one in self._on_the_way if is_brought(docket, one, me)]:
            del self._on_the_way[dispute]
        out = bonds_of(docket, me) + sum(self._on_the_way.values()) + self.elsewhere()
        if out + bond > self.most:
            raise ExhaustedResource(
                f"bonds of {out / ONE_NES:g} NES are out and another one would pass {self.setting}"
            )
        if await self.room.contracts.token.balance_of(me, "latest") < bond:
            raise ExhaustedResource(f"{me} has less than the bond of {bond / ONE_NES:g} NES")

    async def approve(self, bond: Amount, taker: Address) -> None:
        """Let a contract take a bond; errors as the sender."""
        token = self.room.contracts.token
        allowed = await token.allowance(self.room.sender.address, taker, "latest")
        if allowed < bond:
            await self.room.send(token.approve(taker, bond))

    def paid(self, dispute: Dispute, bond: Amount) -> None:
        """A bond was sent; no event has told of it yet."""
        self._on_the_way[dispute] = bond

    def is_on_the_way(self, dispute: Dispute) -> bool:
        """Whether a bond was sent that no event has told of."""
        return dispute in self._on_the_way
