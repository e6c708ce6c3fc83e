"""`nesa query`"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nesa.cli.choosing import Wanted, privacy_options, tell_plan
from nesa.cli.features import Given, read_features
from nesa.cli.grants import MOST_WATCHERS, ViewKey, Watchers
from nesa.cli.output import console, json_option, moment, plain, show
from nesa.cli.publishing import publishing_options
from nesa.cli.quantities import Coins, Nes, WholeNumber, in_coins
from nesa.cli.resuming import Departure, keeping
from nesa.cli.session import Target, connected, network_options
from nesa.cli.sharing import SharedWish, ask_shared, shared_document, shared_summary
from nesa.cli.stages import in_words, why_waiting
from nesa.cli.user_keys import read_user_key, user_key_options
from nesa.client.answers import Answer, SubmittedQuery
from nesa.client.cards import Model
from nesa.client.client import Client
from nesa.client.equivariance import require_key
from nesa.client.hybrid.offers import QueryPlan
from nesa.client.ordering import OPEN, SEALED, choose_content_key, read_assurance
from nesa.client.payment import in_nes
from nesa.client.publishing import Publisher
from nesa.client.sharing import SharedResult
from nesa.client.watching import Requested, Stage
from nesa.protocol.errors import InvalidInput, NesaError
from nesa.protocol.ids import Address, Amount
from nesa.protocol.queries import Assurance

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey

MOST_SHOWN: Final = 8
"""How many numbers of a tensor are shown."""

UNWATCHED: Final = (
    "no watcher is named, and the key of the query goes with its answer: afterwards only its "
    "committee could challenge it (--watcher lets a watchtower see it, --keep-key keeps the key)"
)

NOBODY_LOOKS: Final = (
    "a sealed CHALLENGED answer is worth no more than an AGREED one where nobody can look at it: "
    "name a watchtower with --watcher, or keep the key with --keep-key and grant the view later"
)
ALONE: Final = "--shared goes with --replicas and --max-fee only: nothing of it is on chain to seal"

AUTO: Final = "auto"
"""Instead of a deposit: what a report takes at twice the price of gas of the moment."""

_NEGATIVE_FIRST: Final = re.compile(r"-[\d.][^,]*,")

EXAMPLES = """\b
Examples:
  nesa query breast-cancer-mlp patient.csv --assurance AGREED --sealed
  nesa query digits-cnn pixels.json --assurance PROVED --json
  nesa query breast-cancer-mlp patient.csv --sealed --watcher 0x1f9d…
  nesa query breast-cancer-mlp patient.csv --shared models/breast-cancer-mlp
  nesa query breast-cancer-mlp patient.csv --privacy auto --sensitivity personal --dry-run
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    model: str
    given: Given
    assurance: Assurance | str
    sealed: bool
    replicas: int | None
    max_fee: Amount | None
    gas_deposit: int | None
    watchers: tuple[bytes, ...] = ()
    user_key: UserKey | None = None
    attested: Address | None = None


class GasDepositChoice(click.ParamType):
    """A sum of coins, or `auto` for what a report takes."""

    name = "coins|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """The wei, None for `auto`; anything else is wrong usage."""
        return None if value == AUTO else Coins().convert(value, param, ctx)


class QueryCommand(click.Command):
    """Takes numbers whose first is negative for the input that they are, not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, numbers of a negative beginning last."""
        numbers = [word for word in args if _NEGATIVE_FIRST.match(word)]
        if numbers and "--" not in args:
            args = [word for word in args if word not in numbers] + ["--", *numbers]
        return super().parse_args(ctx, args)


@click.command(cls=QueryCommand, epilog=EXAMPLES)
@click.argument("model")
@click.argument("input_", metavar="INPUT")
@privacy_options
@click.option(
    "--watcher",
    "watchers",
    type=ViewKey(),
    multiple=True,
    help="View key of a watchtower that may see the sealed query and challenge its answer; a grant "
    "to send to it is written as nesa-grant-QUERY.json. May be repeated.",
)
@click.option(
    "--keep-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to keep the key of the sealed query in, so that `nesa grant` can be used later.",
)
@click.option("--replicas", type=WholeNumber(1, 8), help="Members of each shard's committee.")
@click.option("--max-fee", "--budget", "max_fee", type=Nes(), help="Most to pay, in NES.")
@click.option(
    "--gas-deposit",
    type=GasDepositChoice(),
    default="0",
    help="Coins to leave for the gas of whoever reports, or `auto`; by default none, as the fee is "
    "to be worth it. Some oracles ask for it. It comes back with the fee when nobody answers.",
)
@click.option(
    "--shared",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of the public model: ask two groups on shares of the input, which neither learns. "
    "MODEL is its name, or the first version of its products.",
)
@publishing_options
@user_key_options
@network_options
@json_option
def query(
    target: Target,
    publisher: Publisher | None,
    model: str,
    input_: str,
    wanted: Wanted,
    watchers: tuple[bytes, ...],
    keep_key: Path | None,
    replicas: int | None,
    max_fee: Amount | None,
    gas_deposit: int | None,
    shared: Path | None,
    ee_key: Path | None,
    ee_password_file: Path | None,
    as_json: bool,
) -> None:
    """Ask MODEL (a name or a 0x-prefixed id) about INPUT and wait for the answer.

    INPUT is a csv file with one row of numbers, a json file, or the numbers themselves: 1.5,2,3.
    Where a heading or the keys of a json object name the features, they may stand in any order;
    otherwise their order is that of `nesa model show`. A json file may also hold a list, or
    {"features": [1.5, 2, 3]}.

    When the wait is interrupted, `nesa answer` goes on with it.

    An input over 4,096 bytes does not go on chain. The members read it from where --serve or
    --content-url say, by default (on a local chain only) from this command while it waits.
    """
    wanted.check(as_json=as_json)
    held = read_user_key(ee_key, ee_password_file)
    given = read_features(input_)
    if shared is not None:
        refuse_beside_shares(wanted, watchers, keep_key, gas_deposit, publisher, held)
        sharing = SharedWish(shared, model, given, replicas, max_fee)
        result = connected(target, lambda client: ask_shared(client, sharing, quiet=as_json))
        show_shared(result, as_json=as_json)
        return
    terms = (wanted.assurance or Assurance.AGREED, wanted.kind == SEALED, replicas, max_fee)
    wish = Wish(model, given, *terms, gas_deposit, watchers, held, wanted.attested)
    plan = None
    if wanted.is_auto:
        plan = connected(target, lambda client: planned(client, wish, wanted))
        show_plan(plan, wanted, as_json=as_json)
        if wanted.dry_run:
            return
        wanted.confirm(plan.explanation)
        version = f"0x{plan.model.version_id.hex()}"
        wish = replace(wish, model=version, **plan.terms)
    content_key = choose_content_key(None, wish.sealed)
    departure = Departure(content_key, keep_key, encoded=held is not None)
    with departure.watched():
        answer = connected(
            target,
            lambda client: ask(client, wish, departure, quiet=as_json),
            departure.note,
            publisher,
        )
    show_answer(answer, as_json=as_json, plan=plan)


def refuse_beside_shares(
    wanted: Wanted,
    watchers: tuple[bytes, ...],
    keep_key: Path | None,
    deposit: int | None,
    *others: object,
) -> None:
    """Returns when nothing is asked for that a query on shares has not.

    Raises:
        InvalidInput: something is.
    """
    if wanted.kind != OPEN or wanted.assurance or wanted.attested or watchers or keep_key:
        raise InvalidInput(ALONE)
    if deposit != 0 or any(others):
        raise InvalidInput(ALONE)


def show_plan(plan: QueryPlan, wanted: Wanted, *, as_json: bool) -> None:
    """Show a plan before it is paid; as JSON it goes with the answer, where there will be one."""
    if not as_json:
        tell_plan(plan.explanation)
    elif wanted.dry_run:
        show({"plan": plan.explanation}, as_json=True)


async def planned(client: Client, wish: Wish, wanted: Wanted) -> QueryPlan:
    """How the hybrid rule would ask; nothing is paid."""
    return await client.plan(
        wish.model,
        sensitivity=wanted.sensitivity or "",
        deadline=wanted.deadline,
        max_fee=wish.max_fee,
        replicas=wish.replicas,
        attested=wish.attested,
        watched=bool(wish.watchers),
        equivariant_key=wish.user_key,
    )


async def ask(client: Client, wish: Wish, departure: Departure, *, quiet: bool) -> Answer:
    """Ask and wait; `departure` learns how far it came."""
    watchers = _watchers(wish, departure)
    model = await client.model(wish.model)
    if not quiet and wish.sealed and not wish.watchers and departure.kept is None:
        console().print(UNWATCHED)
    deposit = await _gas_deposit(client, model, wish)
    if not quiet and deposit:
        console().print(_about_deposit(deposit))
    submitted = await _submitted(client, model, wish, departure.content_key, deposit)
    departure.arrived(submitted)
    if not quiet:
        console().print(
            f"query {submitted.query_id} is on chain, paid {in_nes(submitted.query.fee)}"
        )

    async def told(stage: Stage) -> None:
        if isinstance(stage, Requested):
            files = await watchers.grant(client, replace(submitted, query=stage.query))
            if files and not quiet:
                console().print(f"send the watcher its grant: {', '.join(map(str, files))}")
        if not quiet:
            await tell_wait(submitted, stage)

    with keeping(submitted):
        return await client.result(submitted, told)


def _watchers(wish: Wish, departure: Departure) -> Watchers:
    """Who may see the query, once everything that can be checked before it is paid is.

    Raises:
        InvalidInput: the query is open, nobody could challenge an answer that waits for it, or too
            many or impossible watchers.
        InvalidConfiguration: the file to keep its key in is there already.
    """
    if not wish.sealed and (wish.watchers or departure.kept):
        raise InvalidInput("everybody sees an open query; --watcher and --keep-key need --sealed")
    waits = read_assurance(wish.assurance) is Assurance.CHALLENGED
    if wish.sealed and waits and not (wish.watchers or departure.kept):
        raise InvalidInput(NOBODY_LOOKS)
    watchers = Watchers(tuple(dict.fromkeys(wish.watchers)))
    if len(watchers.holders) > MOST_WATCHERS:
        raise InvalidInput(f"a query has at most {MOST_WATCHERS} watchers")
    watchers.check()
    departure.check()
    return watchers


async def _submitted(
    client: Client, model: Model, wish: Wish, content_key: bytes | None, deposit: int
) -> SubmittedQuery:
    """The query on chain; where only its deposit failed, the answer is waited for all the same."""
    require_key(model, wish.user_key)  # before the features, which are named by the plain model
    card = model.card if wish.user_key is None else wish.user_key.plain_card
    try:
        return await client.submit(
            model,
            wish.given.ordered([feature.name for feature in card.features]),
            assurance=wish.assurance,
            sealed=wish.sealed,
            replicas=wish.replicas,
            max_fee=wish.max_fee,
            content_key=content_key,
            gas_deposit=deposit,
            equivariant_key=wish.user_key,
            attested=wish.attested,
        )
    except NesaError as error:
        if not isinstance(error.submitted, SubmittedQuery):
            raise
        warnings.warn(f"no coin was left for the gas of the report: {error}", stacklevel=1)
        return error.submitted


async def _gas_deposit(client: Client, model: Model, wish: Wish) -> int:
    """Wei to leave for whoever reports."""
    if wish.gas_deposit is not None:
        return wish.gas_deposit
    return await client.wanted_gas_deposit(model, assurance=wish.assurance, replicas=wish.replicas)


def _about_deposit(wei: int) -> str:
    return (
        f"leaving {in_coins(wei)} coins beside the fee for the gas of whoever reports, who gets "
        "all of it; they come back when nobody answers"
    )


async def tell_wait(submitted: SubmittedQuery, stage: Stage) -> None:
    """Say why a CHALLENGED answer that is there is not shown yet."""
    words = why_waiting(submitted.query, stage)
    if words is not None:
        console().print(words)


def show_answer(answer: Answer, *, as_json: bool, plan: QueryPlan | None = None) -> None:
    """Print an answer, for programs with the plan that it was asked by."""
    asked = {} if plan is None else {"plan": plan.explanation}
    show({**asked, "answer": plain(answer)} if as_json else _summary(answer), as_json=as_json)


def show_shared(result: SharedResult, *, as_json: bool) -> None:
    """Print the answer of a query on shares."""
    found = (
        {"answer": shared_document(result)} if as_json else shared_summary(result, _said(result))
    )
    show(found, as_json=as_json)


def _said(answer: Answer | SharedResult) -> str:
    """The label, or the beginning of the tensor that the answer is."""
    if answer.label is not None:
        return answer.label
    numbers = answer.output.values.reshape(-1)
    first = ", ".join(f"{number:.4g}" for number in numbers[:MOST_SHOWN])
    if numbers.size <= MOST_SHOWN:
        return first
    return f"{first}, … ({numbers.size} numbers; --json gives them all)"


def _disputable(answer: Answer) -> Mapping[str, str]:
    """Whether the answer can still be overturned."""
    if answer.disputable_until is None:
        return {}
    if answer.challenged_shards:
        which = in_words(answer.challenged_shards)
        return {"disputed": f"{which} is held by a challenge; follow it with `nesa watch`"}
    return {"disputable until": moment(answer.disputable_until)}


def _summary(answer: Answer) -> Mapping[str, Any]:
    """An answer in a few lines."""
    scores = ", ".join(f"{name} {score:.3f}" for name, score in answer.scores.items())
    return {
        "answer": _said(answer),
        **({"scores": scores or "none"} if answer.label is not None else {}),
        "query": answer.query_id,
        "backed": f"{answer.assurance.name}, {answer.privacy.name}, {answer.status.name}",
        **_disputable(answer),
        "took": f"{answer.timings.seconds} s from block to block",
        "fee": in_nes(answer.fee.total),
        "gas": f"{answer.gas.fulfil:,} to deliver",
    }
