"""What one account may have in bonds: a sum at once, whatever it challenges or sues."""

from __future__ import annotations

from dataclasses import dataclass, field

from nesa.chain.disputes import Dispute
from nesa.protocol.errors import ExhaustedResource
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.parameters import BPS, RequestLimits
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.docket import Docket, bonds_of, is_brought


@dataclass(slots=True)
class Bonds:
    """Bonds of one account, `most` NES units at once; `setting` is what people call that limit."""

    room: Courtroom
    most: Amount
    setting: str
    _on_the_way: dict[Dispute, Amount] = field(default_factory=dict)

    async def payable(self, limits: RequestLimits, docket: Docket) -> Amount:
        """The bond of one more challenge, when it can be paid and may be.

        Raises:
            ExhaustedResource: it would pass the limit, or the account has less.
            Unavailable: the node does not answer.
        """
        bond = Amount(limits.seat_stake * limits.challenger_bond_bps // BPS)
        me = self.room.sender.address
        for dispute in [one for one in self._on_the_way if is_brought(docket, one, me)]:
            del self._on_the_way[dispute]
        out = bonds_of(docket, me) + sum(self._on_the_way.values())
        if out + bond > self.most:
            raise ExhaustedResource(
                f"bonds of {out / ONE_NES:g} NES are out and another one would pass {self.setting}"
            )
        if await self.room.contracts.token.balance_of(me, "latest") < bond:
            raise ExhaustedResource(f"{me} has less than the bond of {bond / ONE_NES:g} NES")
        return bond

    async def approve(self, bond: Amount) -> None:
        """Let the court take a bond; errors as the sender."""
        token, court = self.room.contracts.token, self.room.court.address
        allowed = await token.allowance(self.room.sender.address, court, "latest")
        if allowed < bond:
            await self.room.send(token.approve(court, bond))

    def paid(self, dispute: Dispute, bond: Amount) -> None:
        """A bond was sent; no event has told of it yet."""
        self._on_the_way[dispute] = bond

    def is_on_the_way(self, dispute: Dispute) -> bool:
        """Whether a bond was sent that no event has told of."""
        return dispute in self._on_the_way
