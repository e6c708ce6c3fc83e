"""Summons with types."""

from __future__ import annotations

from nesa.chain.abi import ContractCall
from nesa.chain.connection import At, Connection
from nesa.chain.contracts import BoundContract, deployed
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, VersionId
from nesa.protocol.queries import Query
from nesa.protocol.summons import Call, SummonsRules


class Summons(BoundContract):
    """Summons: silent members that are called to answer, and what becomes of those who do not."""

    interface_name = "Summons"

    @classmethod
    def of(cls, connection: Connection) -> Summons:
        """The contract of the connection's deployment.

        Raises:
            Unavailable: the deployment has none.
        """
        return cls(connection, deployed(connection.deployment.summons, "summonses"))

    async def rules(self, at: At) -> SummonsRules:
        """Clocks, bond and limits; they never change."""
        return SummonsRules(*await self._one("rules", at=at))

    async def misses(self, version_id: VersionId, operator: Address, at: At) -> int:
        """Periods with a miss of an operator that still count."""
        return int(await self._one("misses", version_id, operator, at=at))

    async def is_open(self, call: Call, at: At) -> bool:
        """Whether a summons waits for its answer or for its end."""
        return bool(await self._one("is_open", call.as_abi(), at=at))

    def summon(self, query: Query, shard: int, position: int) -> ContractCall:
        """Call a member; takes the bond from the sender's allowance."""
        return self.call("summon", query.as_abi(), shard, position)

    def answer(
        self, call: Call, signature: tuple[bytes, bytes], commitment: Digest = ZERO_DIGEST
    ) -> ContractCall:
        """Bring the answer of a member, see `nesa.protocol.summons.sign_answer`."""
        return self.call("answer", call.as_abi(), commitment, *signature)

    def declare_absent(self, call: Call) -> ContractCall:
        """Find a member absent that did not answer in time."""
        return self.call("declare_absent", call.as_abi())

    def jail(self, version_id: VersionId, operator: Address) -> ContractCall:
        """End a seat with too many misses."""
        return self.call("jail", version_id, operator)
