"""`nesa query`"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nesa.cli.asking import Preview, Wish, about_deposit, ask, preview
from nesa.cli.choosing import OPEN, Wanted, privacy_options, tell_plan
from nesa.cli.features import read_features
from nesa.cli.grants import ViewKey
from nesa.cli.output import console, json_option, show
from nesa.cli.publishing import publishing_options
from nesa.cli.quantities import Coins, Nes, WholeNumber
from nesa.cli.resuming import Departure
from nesa.cli.session import Target, connected, network_options
from nesa.cli.sharing import ask_shared, tell_kept
from nesa.cli.showing import show_answer, show_shared
from nesa.cli.split_queries import as_version, read_split, split_options
from nesa.cli.user_keys import read_user_key, user_key_options
from nesa.client.answers import Answer
from nesa.client.hybrid.offers import QueryPlan
from nesa.client.modes import Shared, Split, key_of, new_content_key, seal_of
from nesa.client.publishing import Publisher
from nesa.client.sharing import SharedPublicModel, SharedResult
from nesa.models.folder import load
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Amount

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey

ALONE: Final = (
    "--shared goes with --replicas, --max-fee, --attested, --ee-key and --dry-run only: nothing of "
    "it is on chain to seal, to watch or to report (--privacy auto may choose it)"
)

UNACCOMPANIED: Final = (
    "nothing of a query on shares is on chain: no watcher sees it, and nobody reports it for gas"
)

AUTO: Final = "auto"
"""Instead of a deposit: what a report takes at twice the price of gas of the moment."""

_NEGATIVE_FIRST: Final = re.compile(r"-[\d.][^,]*,")

EXAMPLES = """\b
Examples:
  nesa query breast-cancer-mlp patient.csv --assurance AGREED --sealed
  nesa query digits-cnn pixels.json --assurance PROVED --json
  nesa query breast-cancer-mlp patient.csv --sealed --watcher 0x1f9d…
  nesa query breast-cancer-mlp patient.csv --shared models/breast-cancer-mlp
  nesa query digits-cnn-middle pixels.json --split models/digits-cnn --middle middle
  nesa query breast-cancer-mlp patient.csv --privacy auto --sensitivity personal
  nesa query breast-cancer-mlp patient.csv --assurance CHALLENGED --dry-run
"""


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
@click.option(
    "--replicas", type=WholeNumber(1, 8), help="Members of a shard's committee, or of a group."
)
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
    "MODEL is its name, or the first version of its products. With --privacy auto they are asked "
    "where that is what the sensitivity takes.",
)
@split_options
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
    split: Path | None,
    middle: Path | None,
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
    in_parts = read_split(split, middle)
    if shared is not None and not wanted.is_auto:
        refuse_beside_shares(wanted, watchers, keep_key, gas_deposit, publisher, in_parts)
    on_shares = None if shared is None else offered_shares(shared, wanted, replicas, held)
    mode = wanted.mode(held, on_shares, in_parts, watched=bool(watchers))
    wish = Wish(
        model,
        read_features(input_),
        mode,
        wanted.assurance,
        None if isinstance(mode, Shared) else replicas,
        max_fee,
        gas_deposit,
        watchers,
        wanted.attested,
    )
    plan = None
    if wanted.is_planned or isinstance(mode, Shared | Split):
        found = connected(target, lambda client: preview(client, wish, keep_key))
        show_preview(found, wish, wanted, as_json=as_json)
        if wanted.dry_run:
            return
        if wanted.is_auto:
            wanted.confirm(found.plan.explanation)
        plan, wish = found.plan, wish.planned(found.plan)
    if plan is not None and isinstance(plan.privacy, Shared):
        evidence: dict[str, bytes] = {}
        try:
            result = asked_shares(target, plan, wish, evidence, quiet=as_json)
            show_shared(result, as_json=as_json, plan=plan)
        finally:
            tell_kept(evidence, quiet=as_json)
    else:
        answer = asked(target, publisher, wish, keep_key, quiet=as_json)
        show_answer(answer, as_json=as_json, plan=plan)


def asked_shares(
    target: Target, plan: QueryPlan, wish: Wish, evidence: dict[str, bytes], *, quiet: bool
) -> SharedResult:
    """The answer to a query on shares, as it was planned; `evidence` as of `ask_shared`."""
    return connected(
        target, lambda client: ask_shared(client, plan, wish.given, evidence, quiet=quiet)
    )


def asked(
    target: Target, publisher: Publisher | None, wish: Wish, kept: Path | None, *, quiet: bool
) -> Answer:
    """The answer to a query of the market, with what it takes to go on kept all the while."""
    mode = as_version(wish.mode)
    content_key = None if seal_of(mode) is None else new_content_key()
    departure = Departure(content_key, kept, encoded=key_of(mode) is not None)
    with departure.watched():
        return connected(
            target,
            lambda client: ask(client, wish, departure, quiet=quiet),
            departure.note,
            publisher,
        )


def offered_shares(
    folder: Path, wanted: Wanted, replicas: int | None, held: UserKey | None
) -> Shared:
    """How the model in a folder, which may be under a key, is asked on shares. Where the mode is
    still to be chosen, replicas are those of committees, and a key may be that of the version."""
    if not wanted.is_auto:
        public = SharedPublicModel.read(folder, held)
        return Shared(public) if replicas is None else Shared(public, replicas=replicas)
    is_under_key = load(folder).card.equivariance is not None
    return Shared(SharedPublicModel.read(folder, held if is_under_key else None))


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
    if wanted.kind not in (None, OPEN) or wanted.assurance or watchers or keep_key:
        raise InvalidInput(ALONE)
    if deposit != 0 or any(others):
        raise InvalidInput(ALONE)


def show_preview(found: Preview, wish: Wish, wanted: Wanted, *, as_json: bool) -> None:
    """Show a plan before it is paid; as JSON it goes with the answer, where there will be one."""
    if as_json:
        if wanted.dry_run:
            document = {"plan": found.plan.explanation, "gas_deposit": found.gas_deposit}
            show(document, as_json=True)
        return
    tell_plan(found.plan.explanation)
    if isinstance(found.plan.privacy, Shared):
        if wish.watchers or wish.gas_deposit != 0:
            console().print(UNACCOMPANIED)
        return
    if found.gas_deposit:
        console().print(about_deposit(found.gas_deposit))
