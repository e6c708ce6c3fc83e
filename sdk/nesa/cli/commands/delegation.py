"""`nesa delegation`"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import click

from nesa.chain.contracts import ZERO_ADDRESS
from nesa.chain.economy import Exit
from nesa.cli.commands.balance import read_account
from nesa.cli.output import console, json_option, moment, pairs, show
from nesa.cli.quantities import Nes, Percent
from nesa.cli.session import Target, connected, network_options
from nesa.client.client import Client
from nesa.client.delegating import Delegation, PoolTerms
from nesa.client.payment import in_nes
from nesa.protocol.ids import Amount

OPERATOR = click.argument("operator")


@click.group(epilog="Example: nesa delegation add 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 500")
def delegation() -> None:
    """Stake NES for an operator, and take a part of what it earns in new NES.

    Your NES back the operator's seats. A wrong answer that it signs is slashed: first what is its
    own, then what is delegated. Whoever leaves waits for the unbonding and can be slashed until it
    is paid. With --json sums are units, 1000000000 to the NES.
    """


@delegation.command(epilog="Example: nesa delegation operators --json")
@network_options
@json_option
def operators(target: Target, as_json: bool) -> None:
    """List who takes delegations, with the terms."""

    async def read(client: Client) -> tuple[PoolTerms, ...]:
        return await client.delegations(ZERO_ADDRESS).operators()

    found = connected(target, read)
    if as_json:
        show({"operators": found}, as_json=True)
    elif not found:
        click.echo("no operator takes delegations yet; `nesa delegation open` makes one")
    for terms in () if as_json else found:
        console().print(pairs(_terms(terms)))


@delegation.command(
    "show", epilog="Example: nesa delegation show 0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
)
@click.argument("account", required=False)
@network_options
@json_option
def show_all(target: Target, account: str | None, as_json: bool) -> None:
    """Show what ACCOUNT has with operators, by default your own key's account."""
    address = None if account is None else read_account(account)

    async def read(client: Client) -> tuple[Delegation, ...]:
        return await client.delegations(address).all()

    found = connected(target, read)
    if as_json:
        show({"delegations": found}, as_json=True)
    elif not found:
        click.echo("nothing is delegated; `nesa delegation operators` lists who takes it")
    for one in () if as_json else found:
        console().print(pairs(_words(one)))


@delegation.command(
    epilog="Example: nesa delegation add 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 500"
)
@OPERATOR
@click.argument("amount", type=Nes())
@network_options
@json_option
def add(target: Target, operator: str, amount: Amount, as_json: bool) -> None:
    """Delegate AMOUNT NES to OPERATOR, which `nesa delegation operators` lists."""
    address = read_account(operator)
    _tell(target, lambda client: client.delegations().add(address, amount), as_json=as_json)


@delegation.command(
    epilog="Example: nesa delegation leave 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 100"
)
@OPERATOR
@click.argument("amount", type=Nes(), required=False)
@network_options
@json_option
def leave(target: Target, operator: str, amount: Amount | None, as_json: bool) -> None:
    """Let AMOUNT NES with OPERATOR thaw, by default all; `withdraw` pays them when they are due.

    What thaws already starts its time again. It earns nothing more, and is slashed as before.
    """
    address = read_account(operator)
    _tell(target, lambda client: client.delegations().leave(address, amount), as_json=as_json)


@delegation.command(
    epilog="Example: nesa delegation stay 0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
)
@OPERATOR
@network_options
@json_option
def stay(target: Target, operator: str, as_json: bool) -> None:
    """Make what thaws stay with OPERATOR."""
    address = read_account(operator)
    _tell(target, lambda client: client.delegations().stay(address), as_json=as_json)


@delegation.command(
    epilog="Example: nesa delegation withdraw 0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
)
@OPERATOR
@network_options
@json_option
def withdraw(target: Target, operator: str, as_json: bool) -> None:
    """Have what has thawed with OPERATOR paid to your account."""
    address = read_account(operator)

    async def pay(client: Client) -> tuple[Amount, Delegation]:
        mine = client.delegations()
        return await mine.withdraw(address), await mine.of(address)

    paid, left = connected(target, pay)
    if as_json:
        show({"paid": paid, "delegation": left}, as_json=True)
        return
    show({"paid": in_nes(paid), **_words(left)}, as_json=False)


@delegation.command(
    "open",
    epilog="Example: nesa delegation open --commission 10 --keystore miner/keys/owner.json "
    "--password-file password",
)
@click.option(
    "--commission", "bps", type=Percent(), required=True, help="Kept of their rewards, in percent."
)
@network_options
@json_option
def open_pool(target: Target, bps: int, as_json: bool) -> None:
    """Take delegations as an operator, or change the commission; use the owner's key.

    A higher commission is announced, and holds once everybody who is against it could have left.
    Only new NES are shared with delegators by force. It cannot be closed: whoever delegated may
    always leave, and anybody may always delegate.
    """

    async def announce(client: Client) -> PoolTerms:
        return await client.delegations().open(bps)

    terms = connected(target, announce)
    show({"terms": terms} if as_json else _terms(terms), as_json=as_json)


def _tell(
    target: Target, change: Callable[[Client], Awaitable[Delegation]], *, as_json: bool
) -> None:
    """Do it, and show where the delegation stands then."""
    found = connected(target, change)
    show({"delegation": found} if as_json else _words(found), as_json=as_json)


def _words(found: Delegation) -> Mapping[str, Any]:
    """A delegation in a few lines."""
    return {
        "operator": found.operator,
        "worth": in_nes(found.worth),
        "shares": f"{found.shares:,}",
        **({} if not found.leaving.shares else _leaving(found.leaving, found.leaving_worth)),
    }


def _leaving(leaving: Exit, worth: Amount) -> Mapping[str, str]:
    return {"thawing": in_nes(worth), "paid from": moment(leaving.ready_at)}


def _terms(terms: PoolTerms) -> Mapping[str, Any]:
    """An operator's terms in a few lines."""
    changes = terms.next_commission_bps != terms.commission_bps
    next_one = f"{terms.next_commission_bps / 100:g} % from {moment(terms.changes_at)}"
    return {
        "operator": terms.operator,
        "commission": f"{terms.commission_bps / 100:g} %",
        **({"next commission": next_one} if changes else {}),
        "own stake": in_nes(terms.own_stake),
        "delegated": in_nes(terms.delegated),
        "takes": f"{in_nes(terms.delegable)} more",
        "endpoint": terms.endpoint,
    }
