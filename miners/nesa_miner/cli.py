"""The `nesa-miner` command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from nesa.chain.deployment import Deployment
from nesa.chain.keystore import read_password
from nesa.chain.leaving import in_words
from nesa.chain.owner import Owner, as_owner, read_nes
from nesa.protocol.capacity import encode_statement
from nesa.protocol.errors import InvalidConfiguration, InvalidInput
from nesa.protocol.ids import Address, BlockNumber, VersionId
from nesa_miner.config import MinerSettings, read_settings
from nesa_miner.keys import PASSWORD_VARIABLE, open_encryption, open_identity, open_owner
from nesa_miner.log_format import configure_logging
from nesa_miner.options import folder_option, json_option
from nesa_miner.output import report, show
from nesa_miner.watchtower.commands import watchtower

if TYPE_CHECKING:
    from nesa.privacy.attested.binding import Binding

Result = TypeVar("Result")

DEFAULT_PORT: Final = 8701
CONTEXT: Final = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}


@click.group(
    context_settings=CONTEXT, epilog="Example: nesa-miner init --dir miner --network network.json"
)
@click.version_option(package_name="nesa")
def cli() -> None:
    """Run shards of models for queries on the chain, and earn NES.

    Keys are encrypted with the password in the file that NESA_PASSWORD_FILE names, or in
    NESA_PASSWORD.
    """


@cli.command(
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner init --dir miner --network "
    "network.json --endpoint http://127.0.0.1:8701 --port 8701 --store https://models.example.org"
)
@click.option("--dir", "folder", type=click.Path(path_type=Path), required=True, help="Made here.")
@click.option("--network", type=click.Path(path_type=Path), help="network.json of a devnet.")
@click.option("--deployment", type=click.Path(path_type=Path), help="deployments/<chain id>.json.")
@click.option("--rpc-url", help="Node to follow the chain with.")
@click.option("--endpoint", help="URL at which members and oracles reach this miner.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port to listen on.")
@click.option("--store", "stores", multiple=True, help="Store of model files; may be repeated.")
@click.option("--light-keys", is_flag=True, help="Keys that open fast; for local chains only.")
@json_option
def init(
    folder: Path,
    network: Path | None,
    deployment: Path | None,
    rpc_url: str | None,
    endpoint: str | None,
    host: str,
    port: int,
    stores: tuple[str, ...],
    light_keys: bool,
    as_json: bool,
) -> None:
    """Make a miner: three encrypted keys and miner.json. Nothing is overwritten."""
    from nesa_miner.founding import Listening, find_place, found_miner, next_steps

    password = read_password(PASSWORD_VARIABLE)
    place = find_place(deployment, network, rpc_url)
    listening = Listening(endpoint or f"http://127.0.0.1:{port}", host, port)
    keys = found_miner(folder, place, listening, stores, password, light_keys=light_keys)
    document = {"folder": folder.absolute(), **asdict(keys), "endpoint": listening.endpoint}
    show(document, as_json=as_json)
    if not as_json:
        click.echo(next_steps(folder, place, keys.owner))


@cli.command(epilog="Example: NESA_PASSWORD_FILE=password nesa-miner doctor --dir miner")
@folder_option
@json_option
def doctor(folder: Path, as_json: bool) -> int:
    """Look for everything that would keep the miner from working; exit 1 when something does."""
    from nesa_miner.doctor import Check, Patient, Verdict, examine

    async def look() -> list[Check]:
        checks = []
        async for check in examine(patient):
            checks.append(check)
            if not as_json:
                click.echo(f"{check.verdict:8} {check.name:13} {check.text}")
        return checks

    patient = Patient(folder, read_settings(folder), _password_or_none())
    checks = asyncio.run(look())
    failures = sum(check.verdict is Verdict.FAILED for check in checks)
    if as_json:
        document = {"ok": not failures, "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(document, indent=2))
    return 1 if failures else 0


@cli.command(
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner register --dir miner --version "
    "0x5f1c…9a --shard 0"
)
@folder_option
@click.option("--version", "version", required=True, help="Version id, 0x and 64 hex digits.")
@click.option("--shard", type=click.IntRange(0, 7), required=True, help="Index of the shard.")
@click.option("--stake", default="0", help="NES to bring the whole stake up to.  [the seat's]")
@json_option
def register(folder: Path, version: str, shard: int, stake: str, as_json: bool) -> None:
    """Become an operator, deposit what is missing, rebuild the circuit and take a seat.

    What is done already is left alone, so it can be run again after any failure.
    """
    from nesa_miner.registering import Seated, Wish
    from nesa_miner.registering import register as bring_about

    settings = read_settings(folder)
    wish = Wish(_version_id(version), shard, read_nes(stake))
    identity = open_identity(folder, settings, read_password(PASSWORD_VARIABLE))

    async def work(owner: Owner) -> Seated:
        return await bring_about(folder, settings, identity, owner, wish)

    seated = _as_owner(folder, settings, work)
    document = {name: value for name, value in asdict(seated).items() if name != "rebuilt"}
    show({**document, **asdict(seated.rebuilt)}, as_json=as_json)


@cli.command(
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner leave --dir miner --version 0x5f1c…9a "
    "--shard 0"
)
@folder_option
@click.option("--version", "version", required=True, help="Version id, 0x and 64 hex digits.")
@click.option("--shard", type=click.IntRange(0, 7), required=True, help="Index of the shard.")
@json_option
def leave(folder: Path, version: str, shard: int, as_json: bool) -> None:
    """Leave a seat at the end of this epoch, and say how long its stake stays locked.

    Queries that drew the seat before still count on it: keep the miner running until then.
    """
    from nesa_miner import leaving

    version_id = _version_id(version)
    settings = read_settings(folder)
    left = _as_owner(
        folder, settings, lambda owner: leaving.leave(leaving.way_out(owner), version_id, shard)
    )
    show(asdict(left) if as_json else in_words(left), as_json=as_json)


@cli.command(
    "rotate-signer",
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner rotate-signer miner-2 --dir miner "
    "--endpoint https://miner.example.org:8702 --port 8702",
)
@click.argument("successor", type=click.Path(path_type=Path, file_okay=False))
@folder_option
@click.option("--endpoint", help="URL at which others reach the new miner.  [the old one's]")
@click.option("--host", help="Address to listen on.  [the old one's]")
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="Port to listen on.")
@click.option("--light-keys", is_flag=True, help="Keys that open fast; for local chains only.")
@json_option
def rotate_signer(
    successor: Path,
    folder: Path,
    endpoint: str | None,
    host: str | None,
    port: int,
    light_keys: bool,
    as_json: bool,
) -> None:
    """Make a miner with a new signer for the same owner in SUCCESSOR, and name it on chain.

    Seats that are held keep their signer: leave them, and run the old miner until they are
    released. The new miner takes new seats with `register`, which also states its endpoint. What is
    done already is left alone, so it can be run again after any failure.
    """
    from nesa_miner import rotating
    from nesa_miner.founding import Listening, key_cost

    settings = read_settings(folder)
    password = read_password(PASSWORD_VARIABLE)
    cost = key_cost(Deployment.read(folder / settings.deployment), light_keys)
    listening = Listening(endpoint or settings.endpoint, host or settings.host, port)
    rotating.found_successor(folder, settings, successor, listening, password, cost)
    identity = open_identity(successor, read_settings(successor), password)
    rotated = _as_owner(folder, settings, lambda owner: rotating.rotate(owner, identity))
    show({"folder": successor.absolute(), **asdict(rotated)}, as_json=as_json)


@cli.command(
    "rotate-encryption-key",
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner rotate-encryption-key --dir miner",
)
@folder_option
@click.option("--prepare", is_flag=True, help="Make the key only, to be attested before.")
@click.option("--unattested", is_flag=True, help="Also with attested seats, which may be ended.")
@json_option
def rotate_encryption_key(folder: Path, prepare: bool, unattested: bool, as_json: bool) -> None:
    """Make a new encryption key and name it on chain; then restart the miner.

    The new key is used from the epoch after the next one on: restart the miner before. The old
    key is kept for queries of the epochs before and overwritten when none can need it. A rotation
    that was broken off, or only prepared, is finished by running this again.
    """
    from nesa_miner.rekeying import Prepared, Rekeyed, Rekeying

    settings = read_settings(folder)
    password = read_password(PASSWORD_VARIABLE)
    identity = open_identity(folder, settings, password)
    path = folder / settings.encryption_keystore

    async def work(owner: Owner) -> Rekeyed | Prepared:
        rekeying = Rekeying(owner, identity, path)
        if prepare:
            return await rekeying.prepare(password, unattested=unattested)
        return await rekeying.rotate(password, unattested=unattested)

    show(asdict(_as_owner(folder, settings, work)), as_json=as_json)
    if not prepare:
        _progress("restart the miner now: one that runs does not know the new key")


@cli.command(epilog="Example: NESA_PASSWORD_FILE=password nesa-miner unstake 500 --dir miner")
@click.argument("amount", required=False)
@folder_option
@json_option
def unstake(amount: str | None, folder: Path, as_json: bool) -> None:
    """Let AMOUNT NES of free stake thaw, by default all of it; `withdraw` pays it when it is due.

    Stake that thaws already starts its time again. With --json sums are units, 1000000000 to the
    NES.
    """
    from nesa_miner import leaving

    wanted = None if amount is None else read_nes(amount)
    settings = read_settings(folder)
    outcome = _as_owner(folder, settings, lambda owner: leaving.way_out(owner).unstake(wanted))
    show(asdict(outcome) if as_json else in_words(outcome), as_json=as_json)


@cli.command(epilog="Example: NESA_PASSWORD_FILE=password nesa-miner withdraw --dir miner")
@folder_option
@json_option
def withdraw(folder: Path, as_json: bool) -> None:
    """Release ended seats, pay thawed stake to the owner, and show what waits until when.

    Earnings are paid with `nesa withdraw OWNER`. With --json sums are units, 1000000000 to the
    NES.
    """
    from nesa_miner import leaving

    settings = read_settings(folder)
    outcome = _as_owner(folder, settings, lambda owner: leaving.way_out(owner).withdraw())
    show(asdict(outcome) if as_json else in_words(outcome), as_json=as_json)


@cli.command(epilog="Example: NESA_PASSWORD_FILE=password nesa-miner run --dir miner")
@folder_option
@click.option("--dry", is_flag=True, help="Follow the chain and log, as without a signer key.")
@json_option
def run(folder: Path, dry: bool, as_json: bool) -> None:
    """Work until SIGTERM or Ctrl-C. Without a signer key: follow the chain and log only."""
    settings = read_settings(folder)
    configure_logging(as_json=as_json or None)
    asyncio.run(_working(folder, settings, dry))


@cli.command(epilog="Example: NESA_PASSWORD_FILE=password nesa-miner defend --dir miner")
@folder_option
@json_option
def defend(folder: Path, as_json: bool) -> None:
    """Defend what this operator's signers signed, from the owner's account, until Ctrl-C.

    A running miner defends by itself. This is for a signer whose key is lost or was replaced: its
    seats answer for its work until they are released. Needs coin for gas in the owner's account.
    """
    from nesa_miner import defending

    settings = read_settings(folder)
    configure_logging(as_json=as_json or None)
    password = read_password(PASSWORD_VARIABLE)
    owner = open_owner(folder, settings, password)
    encryption = open_encryption(folder, settings, password)
    asyncio.run(defending.run(folder, settings, owner, encryption))


@cli.command(epilog="Example: NESA_PASSWORD_FILE=password nesa-miner capacity --out capacity.bin")
@folder_option
@click.option("--out", type=click.Path(path_type=Path), help="File for the signed statement.")
@json_option
def capacity(folder: Path, out: Path | None, as_json: bool) -> None:
    """Measure what one thread of this machine can do, in a few seconds, and sign it.

    Plans are made from such statements (`nesa model plan`); leave the machine alone meanwhile.
    """
    from nesa_miner.capacity import state, write_statement
    from nesa_miner.measuring import measure

    settings = read_settings(folder)
    identity = open_identity(folder, settings, read_password(PASSWORD_VARIABLE))
    deployment = Deployment.read(folder / settings.deployment)
    statement = state(measure(), deployment, identity)
    if out is not None:
        write_statement(out, statement)
    show({**asdict(statement), "statement": encode_statement(statement)}, as_json=as_json)


@cli.command("quote-data", epilog="Example: NESA_PASSWORD_FILE=password nesa-miner quote-data")
@folder_option
@json_option
def quote_data(folder: Path, as_json: bool) -> None:
    """Show what an enclave has to put into its quote to speak for this miner from this block on.

    Give it the report data, then the quote to `nesa-miner attest` with the number of the block.
    """
    binding = _binding(folder, None)
    document = {"block": binding.block_number, "report_data": binding.report_data}
    show({**document, **asdict(binding)}, as_json=as_json)


@cli.command(
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner attest quote.bin --collateral "
    "collateral.json --block 1234"
)
@click.argument("quote", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--collateral",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="JSON file of Intel's collateral for it, as PCCS services write it.",
)
@click.option("--block", type=click.IntRange(0), required=True, help="As `quote-data` showed it.")
@click.option(
    "--other-format",
    is_flag=True,
    help="The program fills its report data in its own way; attestors have to know it.",
)
@folder_option
@json_option
def attest(
    quote: Path, collateral: Path, block: int, other_format: bool, folder: Path, as_json: bool
) -> None:
    """Have the miner show the QUOTE of its enclave to attestors, at /v1/seat-evidence.

    The miner itself need not be restarted. A new quote replaces the one before.
    """
    from nesa_miner.seat_evidence import keep_evidence, read_evidence

    binding = _binding(folder, BlockNumber(block))
    evidence = read_evidence(binding, quote, collateral, other_format=other_format)
    path = folder / read_settings(folder).seat_evidence
    keep_evidence(path, evidence)
    show({"shown": path, "evidence": evidence.digest}, as_json=as_json)


@cli.command(epilog="Example: nesa-miner status --dir miner --json")
@folder_option
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Ask the running miner what it does, or without one read its journal."""
    from nesa_miner.status import as_daemon

    show(asyncio.run(as_daemon(folder, read_settings(folder)).read_status()), as_json=as_json)


cli.add_command(watchtower)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it worked, 1 with a sentence when not, 2 for wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code: Any = cli.main(args=words, prog_name="nesa-miner", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        return 130
    except Exception as error:
        report(error, as_json="--json" in words)
        return 1
    return code if isinstance(code, int) else 0


def _binding(folder: Path, block: BlockNumber | None) -> Binding:
    """What a quote of this miner has to carry, for a block of the chain."""
    from nesa_miner.seat_evidence import current_binding

    settings, password = read_settings(folder), read_password(PASSWORD_VARIABLE)
    identity = open_identity(folder, settings, password)
    operator = Address(open_owner(folder, settings, password).address)
    return asyncio.run(current_binding(folder, settings, identity, operator, block))


def _as_owner(
    folder: Path, settings: MinerSettings, work: Callable[[Owner], Coroutine[Any, Any, Result]]
) -> Result:
    """What `work` returns, run with the unlocked owner on the chain."""
    account = open_owner(folder, settings, read_password(PASSWORD_VARIABLE))
    chain = (settings.rpc_url, folder / settings.deployment)
    return as_owner(chain, account, work, _progress)


def _working(folder: Path, settings: MinerSettings, dry: bool) -> Coroutine[Any, Any, None]:
    """The work itself, or dry mode."""
    if dry or not (folder / settings.signer_keystore).exists():
        from nesa_miner.following import follow

        return follow(folder, settings)
    from nesa_miner import daemon

    identity = open_identity(folder, settings, read_password(PASSWORD_VARIABLE))
    return daemon.run(folder, settings, identity)


def _password_or_none() -> str | None:
    try:
        return read_password(PASSWORD_VARIABLE)
    except InvalidConfiguration:
        return None


def _version_id(text: str) -> VersionId:
    try:
        version_id = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        version_id = b""
    if len(version_id) != 32:
        raise InvalidInput(f"{text!r} is no version id; `nesa model list` shows them")
    return VersionId(version_id)


def _progress(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    sys.exit(main())
