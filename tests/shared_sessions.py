"""Sessions of queries on shares over the protocol that `tests.market` deploys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from boa.contracts.vyper.vyper_contract import VyperContract
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.draw import draw, query_seed
from nesa.protocol.ids import ONE_NES, Address, Amount, Digest, QueryId, VersionId
from nesa.protocol.queries import Query
from nesa.protocol.sessions import SessionOrder, Voucher, sign_voucher
from tests.deployment import deployer
from tests.market import CREDIT_WINDOW, World, as_query, go_to, pass_blocks, seed_of
from tests.reports import signer_address

PAYER: Final = PrivateKey(keccak(text="payer"))
PRODUCTS: Final = 3


def deploy_sessions(world: World, **below: Any) -> VyperContract:
    """Sessions over a world's seats, or over what is given in place of a contract."""
    lower = world.lower
    names = {
        "token": lower.token,
        "parameters": lower.parameters,
        "registry": lower.registry,
        "vault": lower.vault,
        "committee": world.committee,
    } | below
    return deployer("market/SharedSessions").deploy(*names.values(), CREDIT_WINDOW)


def product_ids(first: bytes, count: int = PRODUCTS) -> list[VersionId]:
    """Versions of a model's products: one that is registered, and others."""
    others = [keccak(text=f"product {number}") for number in range(1, count)]
    return [VersionId(one) for one in (first, *others)]


@dataclass(frozen=True, slots=True)
class Sessions:
    """A world with sessions, and products of its version of one shard."""

    world: World
    contract: VyperContract
    listed: Digest

    def client(self, name: str = "client", amount: int = 10_000 * ONE_NES) -> str:
        """An account with NES that the sessions may pull."""
        account = self.world.client(name, amount)
        self.world.lower.token.approve(self.contract, 2**256 - 1, sender=account)
        return account

    def order(self, **changes: Any) -> SessionOrder:
        """Two groups of one, and two spares, unless something else is asked for."""
        payer = Address(signer_address(PAYER))
        return replace(SessionOrder(self.listed, 1, 4, payer, Amount(1_000 * ONE_NES)), **changes)

    def open(self, client: str, **changes: Any) -> Query:
        """Opens a session, and waits until its seed is known."""
        self.contract.open_session(self.order(**changes).as_abi(), sender=client)
        return self.opened()

    def opened(self) -> Query:
        """Terms of the session that was opened just now, once its seed is known."""
        terms = as_query(self.event("SessionOpened").query)
        pass_blocks(2)
        return terms

    def drawn(self, terms: Query) -> list[PrivateKey]:
        """Keys of all that are drawn, in order."""
        address = Address(self.contract.address)
        seed = query_seed(self.world.chain_id, address, terms.query_id, 0, seed_of(terms))
        slots = terms.seat_count(0)
        vault = self.world.lower.vault
        seats = [vault.seats(terms.version_id, 0, [slot])[0] for slot in range(slots)]
        active = [seat.from_epoch <= terms.epoch < seat.to_epoch for seat in seats]
        order = draw(seed, 0, slots, 8, active.__getitem__)
        return [self.world.keys[seats[slot].signer] for slot in order]

    def operator(self, terms: Query, position: int) -> str:
        """Who sits there."""
        return self.world.owners[signer_address(self.drawn(terms)[position])]

    def voucher(
        self, terms: Query, position: int, amount: int, payer: PrivateKey = PAYER
    ) -> tuple[bytes, bytes]:
        """The payer's word for the member at a place of the draw."""
        operator = Address(self.operator(terms, position))
        made = Voucher(QueryId(terms.query_id), operator, Amount(amount))
        return sign_voucher(payer, self.world.chain_id, Address(self.contract.address), made)

    def redeem(self, terms: Query, position: int, amount: int, **options: Any) -> int:
        """Brings an honest voucher."""
        given = self.voucher(terms, position, amount)
        return int(self.contract.redeem(terms.as_abi(), position, amount, *given, **options))

    def end(self, terms: Query) -> None:
        """Goes to the last second in which vouchers count."""
        go_to(terms.answer_deadline + terms.rules.claim_window)

    def waiting(self, account: str) -> int:
        """What an account earned and cannot take yet."""
        return int(self.contract.credit_of(account)[1])

    def event(self, name: str) -> Any:
        """The last event of that name in the last transaction."""
        return [e for e in self.contract.get_logs() if type(e).__name__ == name][-1]

    def assert_solvent(self) -> None:
        """The contract has exactly what it owes."""
        assert self.world.lower.token.balanceOf(self.contract) == self.contract.total_owed()


def build_sessions(world: World, versions: Sequence[VersionId] = ()) -> Sessions:
    """Sessions with a list of products."""
    contract = deploy_sessions(world)
    listed = contract.list_products(list(versions) or product_ids(world.versions[1]))
    return Sessions(world, contract, Digest(listed))
