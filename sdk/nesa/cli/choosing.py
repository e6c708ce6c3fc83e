"""Privacy on the command line: by name, or chosen by the hybrid rule and explained first."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from nesa.cli.commands.balance import read_account
from nesa.cli.option_groups import Command, grouped
from nesa.cli.output import console, pairs, safe
from nesa.cli.quantities import WholeNumber
from nesa.client.hybrid.rule import Sensitivity
from nesa.client.hybrid.words import Explanation
from nesa.client.modes import Auto, Equivariant, Mode, Open, Sealed, Shared, Split
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address
from nesa.protocol.queries import Assurance

if TYPE_CHECKING:
    from nesa.client.splitting import SplitModel
    from nesa.privacy.equivariant.user_keys import UserKey

OPEN: Final = "open"
SEALED: Final = "sealed"
AUTO: Final = "auto"

MOST_SECONDS: Final = 366 * 24 * 3600

NOBODY_TO_ASK: Final = (
    "nobody can be asked here whether to pay: add --yes to pay what the plan says, or --dry-run to "
    "see it only"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says of privacy and assurance. `kind` is open, sealed or auto, None
    where it says nothing."""

    kind: str | None
    assurance: str | None
    sensitivity: str | None
    deadline: int | None
    attested: Address | None
    public_answer: bool
    yes: bool
    dry_run: bool

    @property
    def is_auto(self) -> bool:
        """Whether the hybrid rule chooses."""
        return self.kind == AUTO

    @property
    def is_planned(self) -> bool:
        """Whether there is a plan to be shown."""
        return self.is_auto or self.dry_run

    def check(self, *, as_json: bool) -> None:
        """Returns when the options go together, and somebody can be asked where that is needed.

        Raises:
            InvalidInput: they do not, or nobody can.
        """
        if not self.is_auto:
            if self.yes:
                raise InvalidInput("--yes is for --privacy auto, which asks before it pays")
            if self.sensitivity is not None or self.deadline is not None or self.public_answer:
                raise InvalidInput(
                    "a sensitivity, a deadline and --public-answer are for --privacy auto, which "
                    "chooses by them"
                )
            return
        if self.assurance is not None:
            raise InvalidInput("--privacy auto chooses the assurance as well; leave it out")
        if self.sensitivity is None:
            known = "|".join(one.value for one in Sensitivity)
            raise InvalidInput(f"--privacy auto needs --sensitivity {known}")
        if not self.yes and not self.dry_run and (as_json or not sys.stdin.isatty()):
            raise InvalidInput(NOBODY_TO_ASK)

    def mode(
        self,
        held: UserKey | None,
        shared: Shared | None,
        split: SplitModel | None,
        *,
        watched: bool,
    ) -> Mode:
        """The mode that the options name, of a model under a key that is held, on shares, or split.

        Raises:
            InvalidInput: the model would be several of these.
        """
        if self.is_auto:
            wished = self.sensitivity or "", self.deadline, watched, self.public_answer
            return Auto(*wished, equivariant=held, split=split, shared=shared)
        if shared is not None:
            return shared
        if split is not None:
            if held is not None:
                raise InvalidInput("a version is under a key or a middle: --ee-key or --split")
            return Split(split, sealed=self.kind != OPEN)
        if held is not None:
            return Equivariant(held, sealed=self.kind != OPEN)
        return Sealed() if self.kind == SEALED else Open()

    def confirm(self, found: Explanation) -> None:
        """Ask whether to pay, unless that was said beforehand.

        Raises:
            Abort: no.
        """
        verb = "Put down" if found.is_deposit else "Pay"
        if not self.yes:
            click.confirm(f"{verb} {found.price} for it?", abort=True)


def privacy_options(command: Command) -> Command:
    """Options that say how private a query is; the command receives `wanted`."""

    def call(
        privacy: str | None,
        sealed: bool,
        assurance: str | None,
        sensitivity: str | None,
        deadline: int | None,
        attested: str | None,
        public_answer: bool,
        yes: bool,
        dry_run: bool,
        **others: Any,
    ) -> Any:
        kind = _kind(privacy, sealed)
        named = None if attested is None else read_account(attested)
        wished = kind, assurance, sensitivity, deadline, named
        wanted = Wanted(*wished, public_answer=public_answer, yes=yes, dry_run=dry_run)
        return command(wanted=wanted, **others)

    return grouped(command, call, _OPTIONS)


def _kind(privacy: str | None, sealed: bool) -> str | None:
    """The privacy that is named, in either way; None where none is.

    Raises:
        InvalidInput: in both, and not the same.
    """
    kind = None if privacy is None else privacy.lower()
    if sealed and kind not in (None, SEALED):
        raise InvalidInput(f"a query is sealed, or its privacy is {kind}; leave one of them out")
    return SEALED if sealed else kind


def tell_plan(found: Explanation) -> None:
    """Show a plan to whoever pays."""
    console().print(pairs(_words(found)))
    for reason in found.passed:
        console().print(safe(f"passed over: {reason}"))


def _words(found: Explanation) -> Mapping[str, str]:
    row = "" if found.row is None else f" (row {found.row} of the table)"
    return {
        "model": found.model,
        "asked": f"{found.asked}{row}",
        "because": found.why,
        "who can read it": found.readers,
        "the answer": found.backing,
        "deposit" if found.is_deposit else "price": found.price,
        "time": found.time,
    }


_OPTIONS: Final = (
    click.option(
        "--assurance",
        type=click.Choice([kind.name for kind in Assurance], case_sensitive=False),
        help="How the answer must be backed; AGREED when nothing is said. CHALLENGED waits until "
        "nobody can dispute it any more.",
    ),
    click.option(
        "--privacy",
        type=click.Choice([OPEN, SEALED, AUTO], case_sensitive=False),
        help="Who may read the query; open when nothing is said, but for --ee-key and --split, "
        "which are sealed then. With auto, privacy and assurance are chosen by sensitivity, "
        "deadline and --max-fee, explained, and paid when you say yes.",
    ),
    click.option("--sealed", is_flag=True, help="Short for --privacy sealed: drawn members only."),
    click.option(
        "--sensitivity",
        type=click.Choice([one.value for one in Sensitivity], case_sensitive=False),
        help="For --privacy auto: what the input is.",
    ),
    click.option(
        "--deadline",
        type=WholeNumber(1, MOST_SECONDS),
        metavar="SECONDS",
        help="For --privacy auto: when the answer must be there.",
    ),
    click.option(
        "--attested",
        metavar="CONTRACT",
        help="Ask only when all seats are attested by this contract (SeatAttestations).",
    ),
    click.option(
        "--public-answer",
        is_flag=True,
        help="For --privacy auto: the answer of critical data may be on chain for everybody.",
    ),
    click.option("--yes", is_flag=True, help="For --privacy auto: pay without asking."),
    click.option(
        "--dry-run", is_flag=True, help="Show who could read it and what it costs, pay nothing."
    ),
)
