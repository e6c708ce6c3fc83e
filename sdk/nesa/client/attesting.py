"""What an attestor does: asks operators for evidence, checks it, and states it on the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import aiohttp

from nesa.chain.admissions import SeatAttestations
from nesa.chain.connection import Connection
from nesa.chain.contracts import ZERO_ADDRESS, Contracts, Operator
from nesa.chain.members import ask_member
from nesa.chain.web import Patience
from nesa.client.payment import Send
from nesa.privacy.attested.evidence import (
    MAX_SEAT_EVIDENCE_BYTES,
    SEAT_EVIDENCE_PATH,
    SeatEvidence,
    decode_seat_evidence,
)
from nesa.privacy.attested.examining import OperatorOnChain, examine
from nesa.privacy.attested.policy import Policy
from nesa.privacy.attested.quotes import VerifiedQuote
from nesa.protocol.errors import InvalidInput, InvalidMessage, Unavailable
from nesa.protocol.ids import Address, BlockNumber, Timestamp

PATIENCE: Final = Patience(10.0, MAX_SEAT_EVIDENCE_BYTES)


@dataclass(frozen=True, slots=True)
class Attested:
    """Evidence that was checked, and when."""

    evidence: SeatEvidence
    quote: VerifiedQuote
    time: Timestamp


@dataclass(frozen=True, slots=True)
class Examiner:
    """Checks evidence against a chain, by a policy."""

    connection: Connection
    policy: Policy

    async def ask(self, operator: Address) -> SeatEvidence:
        """What an operator shows at its endpoint.

        Raises:
            InvalidInput: there is no such operator.
            Unavailable: nobody answers there, or the miner has no evidence.
            InvalidMessage: it answers something else, or shows another operator's.
        """
        endpoint = (await self._record(operator)).endpoint
        async with aiohttp.ClientSession() as session:
            found = await ask_member(session, endpoint, SEAT_EVIDENCE_PATH, PATIENCE)
        if found is None:
            raise Unavailable(
                f"the miner at {endpoint} has no evidence of its seat; its operator gives it a "
                "quote with `nesa-miner attest`"
            )
        evidence = decode_seat_evidence(found)
        if evidence.binding.operator != operator:
            raise InvalidMessage(f"{endpoint} shows the evidence of {evidence.binding.operator}")
        return evidence

    async def check(self, evidence: SeatEvidence) -> Attested:
        """The evidence, when it is an operator's of this chain and meets the policy.

        Raises:
            InvalidInput: there is no such operator.
            InvalidMessage: the first thing that is wrong, by name.
        """
        binding, connection = evidence.binding, self.connection
        record = await self._record(binding.operator)
        head = await connection.head()
        named = await connection.find_block(BlockNumber(binding.block_number))
        known = OperatorOnChain(
            chain_id=connection.deployment.chain_id,
            vault=connection.deployment.vault,
            operator=record.address,
            signer=record.signer,
            block_hash=None if named is None else named.hash,
            head=head.number,
            time=head.timestamp,
        )
        return Attested(evidence, examine(evidence, known, self.policy), head.timestamp)

    async def _record(self, operator: Address) -> Operator:
        record = await Contracts(self.connection).vault.operator(operator, at="latest")
        if record.signer == ZERO_ADDRESS:
            raise InvalidInput(f"{operator} is no operator of this chain")
        return record


@dataclass(frozen=True, slots=True)
class Attestor:
    """Vouches for operators in one SeatAttestations contract, from one account."""

    statements: SeatAttestations
    account: Address
    send: Send

    async def require_trusted(self) -> None:
        """Returns when the contract takes this account's word.

        Raises:
            InvalidInput: it takes another's.
        """
        attestor = await self.statements.attestor(at="latest")
        if attestor != self.account:
            raise InvalidInput(
                f"the contract {self.statements.address} takes the word of {attestor}, and you are "
                f"{self.account}; use that account's --keystore"
            )

    async def state(self, found: Attested, seconds: int) -> Timestamp:
        """State checked evidence for so many seconds; returns the last one.

        Raises:
            InvalidInput: the contract takes the word of somebody else.
        """
        await self.require_trusted()
        binding, until = found.evidence.binding, Timestamp(found.time + seconds)
        keys = (binding.operator, binding.signer, binding.encryption_key)
        await self.send(self.statements.attest(*keys, found.evidence.digest, until))
        return until

    async def revoke(self, operator: Address) -> tuple[tuple[Address, bytes], ...]:
        """Take back all that was stated of an operator, of keys that it had before too: its seats
        keep the signers that they were taken with. Returns signers and encryption keys.

        Raises:
            InvalidInput: the contract takes the word of somebody else, or nothing was stated.
        """
        await self.require_trusted()
        stated = await self.statements.stated(operator, at="latest")
        if not stated:
            raise InvalidInput(
                f"no statement of {operator} stands in {self.statements.address}, so there is "
                "nothing to take back"
            )
        for keys in stated:
            await self.send(self.statements.revoke(operator, *keys))
        return stated
