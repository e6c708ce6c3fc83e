"""AllowList and SeatAttestations with types: who may sit in a version."""

from __future__ import annotations

from nesa.chain.abi import ContractCall
from nesa.chain.connection import At, Connection
from nesa.chain.contracts import BoundContract, deployed
from nesa.chain.events import OperatorAttested
from nesa.chain.history import read_events, topic, word
from nesa.protocol.allow_lists import AllowList
from nesa.protocol.ids import Address, Digest, Timestamp, VersionId


class AllowLists(BoundContract):
    """AllowList: the operators that developers list, by version."""

    interface_name = "AllowList"

    @classmethod
    def of(cls, connection: Connection) -> AllowLists:
        """The contract of the connection's deployment.

        Raises:
            Unavailable: the deployment has none.
        """
        return cls(connection, deployed(connection.deployment.allow_list, "allow lists"))

    async def root(self, version_id: VersionId, at: At) -> Digest:
        """The list of a version, zero where nobody is admitted."""
        return Digest(await self._one("root", version_id, at=at))

    async def is_shown(self, listed: AllowList, operator: Address, at: At) -> bool:
        """Whether an operator was shown to be on a list, be it of the moment or to come."""
        return bool(await self._one("is_shown", listed.version_id, listed.root, operator, at=at))

    def set_root(self, version_id: VersionId, root: Digest) -> ContractCall:
        """Replace the list of a version; only its developer may."""
        return self.call("set_root", version_id, root)

    def show(self, listed: AllowList, operator: Address) -> ContractCall:
        """Show that an operator is on the list.

        Raises:
            InvalidInput: it is not.
        """
        return self.call(
            "show", listed.version_id, listed.root, operator, list(listed.proof(operator))
        )


class SeatAttestations(BoundContract):
    """SeatAttestations: operators whose keys an attestor saw inside an enclave."""

    interface_name = "SeatAttestations"

    async def attestor(self, at: At) -> Address:
        """Whose word it is."""
        return Address(await self._one("attestor", at=at))

    async def attested_until(
        self, operator: Address, signer: Address, encryption_key: bytes, at: At
    ) -> Timestamp:
        """Last second in which a statement counts, 0 without one."""
        keys = (signer, encryption_key)
        return Timestamp(await self._one("attested_until", operator, *keys, at=at))

    async def stated(self, operator: Address, at: At) -> tuple[tuple[Address, bytes], ...]:
        """Signers and encryption keys of an operator of which a statement stands, oldest first,
        whether its time is over or not.

        A seat keeps the signer that it was taken with, so that the keys of the moment are not all.

        Raises:
            Unavailable: the node does not answer.
        """
        topics = [topic(self.interface_name, OperatorAttested.__name__), word(operator)]
        since = self._connection.deployment.block
        events = await read_events(self._connection, self.address, topics, since)
        said = [one for one in events if isinstance(one, OperatorAttested)]
        keys = dict.fromkeys((one.signer, one.encryption_key) for one in said)
        return tuple([one for one in keys if await self.attested_until(operator, *one, at=at)])

    def attest(
        self,
        operator: Address,
        signer: Address,
        encryption_key: bytes,
        evidence: Digest,
        until: Timestamp,
    ) -> ContractCall:
        """State that an enclave holds an operator's keys; only the attestor may."""
        return self.call("attest", operator, signer, encryption_key, evidence, until)

    def revoke(self, operator: Address, signer: Address, encryption_key: bytes) -> ContractCall:
        """Take a statement back; only the attestor may."""
        return self.call("revoke", operator, signer, encryption_key)
