"""Has a contract decide about a credit on numbers that it never sees.

    python examples/credit_decision/decide.py --borrower 0x… --amount 100

Deploys a CreditDesk, or goes on with the one that `--desk` names. The clerk is the key of the
network file: it saw the applicant's numbers, seals them here, and signs the desk's transactions.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_account.signers.local import LocalAccount

from nesa import ONE_NES, Client, Model, NesaError
from nesa.chain.abi import ContractCall, interface
from nesa.chain.deployment import read_network
from nesa.chain.keystore import load_keystore, read_password_file
from nesa.chain.sender import Sender
from nesa.cli.features import read_features
from nesa.cli.session import DEFAULT_NETWORK
from nesa.client.answers import Answer
from nesa.client.ordering import SealedInput
from nesa.devnet.examples import compile_contract, deploy_code
from nesa.devnet.layout import find_clone
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address, Amount, QueryId

MODEL: Final = "credit-synthetic-hashed"
SOURCE: Final = Path("contracts/examples/CreditDesk.vy")
APPLICANT: Final = Path(__file__).with_name("applicant.csv")
MAX_FEE: Final = Amount(5 * ONE_NES)
STATUS: Final = {0: "not asked", 1: "waiting", 2: "refused", 4: "granted", 8: "collected"}


@dataclass(frozen=True, slots=True)
class Desk:
    """A deployed desk, and its clerk."""

    address: Address
    clerk: Sender
    client: Client

    async def ask(self, borrower: Address, amount: Amount, sealed: SealedInput) -> QueryId:
        """Have the desk ask whether `borrower` gets `amount` NES units."""
        terms = (borrower, amount, sealed.input_digest, sealed.ciphertext, MAX_FEE)
        found = interface("CreditDesk").function("ask_credit", len(terms))
        await self.clerk.send(ContractCall(self.address, found.encode(terms), "ask_credit"))
        return QueryId((await self._credit(borrower))[2])

    async def status(self, borrower: Address) -> str:
        """What the desk says of a borrower."""
        return STATUS[(await self._credit(borrower))[0]]

    async def _credit(self, borrower: Address) -> tuple[int, int, int]:
        found = interface("CreditDesk").function("credits", 1)
        call = ContractCall(self.address, found.encode([borrower]), "credits")
        (credit,) = found.decode(await self.client.connection.call(call, "latest"))
        status, amount, query_id = credit
        return int(status), int(amount), int(query_id)


async def open_desk(client: Client, clerk: LocalAccount, model: Model, funds: Amount) -> Address:
    """Deploy a desk that asks `model`, and give it NES to lend and to pay fees with."""
    contracts = client.contracts
    creation = await compile_contract(find_clone(), SOURCE)
    terms = (contracts.market.address, contracts.token.address, model.version_id)
    kinds = ("address", "address", "bytes32")
    address, _ = await deploy_code(client.connection, clerk, creation, kinds, terms)
    await client.transfer(address, funds)
    return address


async def decide(
    desk: Desk, model: Model, features: Any, borrower: Address, amount: Amount
) -> Answer:
    """Seal the numbers, have the desk ask, and wait until it was called with the proved answer."""
    sealed = await desk.client.seal(model, features, assurance="PROVED")
    query_id = await desk.ask(borrower, amount, sealed)
    # Whoever is drawn gets the content key from here: this has to run until the answer is there.
    found = await desk.client.find(query_id, content_key=sealed.content_key)
    return await desk.client.result(found)


async def main(options: argparse.Namespace) -> None:
    """Does what the command line says, and prints what the chain now knows."""
    network = read_network(options.network)
    if network.client is None:
        raise InvalidConfiguration(f"{options.network} names no client key to sign with")
    password = read_password_file(network.client.password_file)
    clerk = load_keystore(network.client.keystore, password)
    amount = Amount(options.amount * ONE_NES)
    async with Client.connect(network, key=clerk) as client:
        model = await client.model(MODEL)
        given = read_features(str(options.applicant))
        features = given.ordered([feature.name for feature in model.card.features])
        address = options.desk or await open_desk(client, clerk, model, Amount(amount + MAX_FEE))
        print(f"desk {address}")
        desk = Desk(address, Sender(client.connection, clerk), client)
        answer = await decide(desk, model, features, options.borrower, amount)
        print(f"query {answer.query_id}: {answer.label}, proved, {answer.gas.fulfil:,} gas")
        print(f"the desk says of {options.borrower}: {await desk.status(options.borrower)}")


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("applicant", nargs="?", default=APPLICANT, help="CSV file of the numbers")
    parser.add_argument("--borrower", required=True, help="account that may collect the credit")
    parser.add_argument("--amount", type=int, default=100, help="NES to lend")
    parser.add_argument("--desk", help="address of a desk that is there already")
    parser.add_argument("--network", type=Path, default=DEFAULT_NETWORK)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        asyncio.run(main(read_arguments()))
    except NesaError as error:
        raise SystemExit(str(error)) from error
