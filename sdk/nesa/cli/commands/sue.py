"""`nesa sue`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

import click

from nesa.chain.disputes import Ending
from nesa.cli.output import console, json_option, moment, show
from nesa.cli.session import Target, connected, network_options
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.client.sharing import SharedPublicModel
from nesa.client.suing import WHAT_IT_SHOWS, Answered, CheckedSuit, Decided, Progress, Sued
from nesa.privacy.shared.evidence import (
    MAX_EVIDENCE_BYTES,
    ShareEvidence,
    decode_share_evidence,
)
from nesa.protocol.errors import InvalidInput, InvalidMessage


@click.command(
    epilog="Example: nesa sue nesa-wrong-share-9-0-0x1f9d34aa….cbor "
    "--shared models/breast-cancer-mlp --dry-run"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--shared",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Folder of the public model that was asked on shares.",
)
@click.option("--dry-run", is_flag=True, help="Check the file and show the bond; send nothing.")
@click.option(
    "--reveal-share",
    is_flag=True,
    help="Open a suit although the game shows members of the other group a value of the query.",
)
@network_options
@json_option
def sue(
    target: Target, file: Path, shared: Path, dry_run: bool, reveal_share: bool, as_json: bool
) -> None:
    """Take a member of a session to court with FILE, what a query on shares kept of its wrong sums.

    The sums are computed here first: who sues for right ones loses the bond. Your key puts down the
    bond and pays the gas. Then the command waits until the suit is decided, for a member that
    answers has to be answered, and nobody else holds the share to do so. When it is interrupted,
    the same command goes on with the suit; leave it for longer than a move may take and you lose.

    A member that answers makes both sides show digits of the share. Unless the share was discarded
    before it blinded anything, members of the other group then know what was asked, and the command
    opens a suit with --reveal-share only; with one that is open it goes on without.
    """
    evidence, public = read_evidence(file), SharedPublicModel.read(shared)

    async def see_through(client: Client) -> tuple[CheckedSuit, Decided | None]:
        checked = await client.check_suit(evidence, public)
        if not as_json:
            show(claimed(checked), as_json=False)
        if dry_run:
            return checked, None
        return checked, await client.sue(checked, tell, reveal_share=reveal_share)

    async def tell(progress: Progress) -> None:
        if not as_json:
            console().print(in_words(progress))

    checked, decided = connected(target, see_through)
    if as_json:
        show(document(checked, decided), as_json=True)


def read_evidence(file: Path) -> ShareEvidence:
    """The evidence in a file.

    Raises:
        InvalidInput: it holds none.
    """
    try:
        with file.open("rb") as stored:
            return decode_share_evidence(stored.read(MAX_EVIDENCE_BYTES + 1))
    except InvalidMessage as error:
        raise InvalidInput(
            f"{file} is no evidence of a query on shares ({error}); give a file named "
            "nesa-wrong-share-….cbor, as `nesa query --shared` wrote it"
        ) from error
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error


def claimed(checked: CheckedSuit) -> Mapping[str, Any]:
    """What the evidence claims and what a suit takes, for a person."""
    return {
        "session": checked.terms.query_id,
        "product": checked.terms.attempt,
        "signer": checked.signer,
        "operator": checked.operator,
        "claim": "it signed sums that are not those of the share; they were computed here",
        "it can lose": f"{in_nes(checked.stake)}, the stake of a seat",
        "bond": f"{in_nes(checked.bond)}, back when the suit is won",
        "a game shows": _shown(checked),
        "suits are taken until": moment(checked.until),
        **({"suit": "opened already"} if checked.challenge is not None else {}),
    }


def _shown(checked: CheckedSuit) -> str:
    if not checked.reveals:
        return "nothing of the query: the share was discarded before it blinded anything"
    needs = " (needs --reveal-share)" if checked.challenge is None else ""
    return f"the query to the other group{needs}: it {WHAT_IT_SHOWS}"


def in_words(progress: Progress) -> str:
    """How a suit goes on, in a line."""
    match progress:
        case Sued(challenge):
            until = moment(challenge.defence_ends)
            return f"suit {challenge.challenge_id} is open: the member may answer until {until}"
        case Answered(moves, deadline):
            return f"{moves} moves were made; the next is due by {moment(deadline)}"
        case Decided(challenge, ending, paid):
            return f"suit {challenge.challenge_id} {_ended(ending)}; {in_nes(paid)} came back"
    assert_never(progress)


def _ended(ending: Ending) -> str:
    match ending:
        case Ending.FALLEN:
            return "is won: the signer was convicted and lost a seat's stake"
        case Ending.FALLEN_ELSEWHERE:
            return "ended without a reward: another suit convicted the signer first"
        case Ending.STANDING:
            return "is lost: the member won the game, and the bond is gone"
    assert_never(ending)


def document(checked: CheckedSuit, decided: Decided | None) -> Mapping[str, Any]:
    """A suit as JSON has it; sums are NES units."""
    return {
        "session_id": checked.terms.query_id,
        "product": checked.terms.attempt,
        "signer": checked.signer,
        "operator": checked.operator,
        "stake": checked.stake,
        "bond": checked.bond,
        "reveals_share": checked.reveals,
        "until": checked.until,
        "challenge": None if decided is None else decided.challenge.challenge_id,
        "ending": None if decided is None else decided.ending,
        "paid": None if decided is None else decided.paid,
    }
