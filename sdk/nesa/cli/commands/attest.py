"""`nesa attest`: what an attestor of seats does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from nesa.cli.commands.balance import read_account
from nesa.cli.output import json_option, moment, show
from nesa.cli.session import Target, connected, network_options
from nesa.client.attesting import Attested, Attestor, Examiner
from nesa.client.client import Client
from nesa.privacy.attested.evidence import (
    MAX_SEAT_EVIDENCE_BYTES,
    SeatEvidence,
    decode_seat_evidence,
)
from nesa.privacy.attested.files import read_bounded
from nesa.privacy.attested.policy import read_policy
from nesa.privacy.attested.quotes import (
    MAX_COLLATERAL_BYTES,
    MAX_QUOTE_BYTES,
    Quote,
    VerifiedQuote,
    read_quote,
    verify_quote,
)
from nesa.protocol.errors import NesaError

FILE: Final = click.Path(path_type=Path, dir_okay=False)
DAY: Final = 24 * 3600

policy_option = click.option(
    "--policy", type=FILE, required=True, help="JSON file that says which quotes are good enough."
)
contract_option = click.option(
    "--contract", required=True, help="SeatAttestations contract that takes your word."
)


@click.group(epilog="Example: nesa attest verify seat_evidence.json --policy policy.json")
def attest() -> None:
    """Check quotes of SGX and TDX for the seats of operators, and vouch for them on the chain."""


@attest.command("show", epilog="Example: nesa attest show quote.bin --collateral collateral.json")
@click.argument("quote", type=FILE)
@click.option("--collateral", type=FILE, help="Verify it with this, as PCCS services write it.")
@click.option("--at", type=int, help="Second of Unix time to verify it at; by default now.")
@json_option
def show_quote(quote: Path, collateral: Path | None, at: int | None, as_json: bool) -> None:
    """Show what the file QUOTE states: program, report data, and with --collateral its worth.

    The registers are what the measurements of a policy name.
    """
    data = read_bounded(quote, MAX_QUOTE_BYTES)
    facts: Mapping[str, Any] = _quote_facts(read_quote(data))
    if collateral is not None:
        text = read_bounded(collateral, MAX_COLLATERAL_BYTES).decode("utf-8", "replace")
        found = verify_quote(data, text, int(time.time()) if at is None else at)
        facts = {**facts, "verified": True, **_worth(found)}
    else:
        facts = {**facts, "verified": False}
    show(facts, as_json=as_json)


@attest.command(epilog="Example: nesa attest verify seat_evidence.json --policy policy.json")
@click.argument("source", metavar="EVIDENCE|OPERATOR")
@policy_option
@network_options
@json_option
def verify(target: Target, source: str, policy: Path, as_json: bool) -> None:
    """Check the evidence of a seat: a file, or what OPERATOR (an account) shows at its endpoint.

    The quote has to be good at the time of the newest block, and bound to the operator's
    signer and to the encryption key that is printed, which the chain may not have yet. Nothing is
    sent.

    \b
    A policy names programs by their registers (`nesa attest show QUOTE`):
      {"measurements": [{"technology": "tdx",
                         "registers": {"mr_td": "0x91eb…"}}],
       "max_age": 300}
    docs/attested-seats.md has all its fields.
    """
    read = read_policy(policy)

    async def work(client: Client) -> Attested:
        examiner = Examiner(client.connection, read)
        return await examiner.check(await _evidence(examiner, source))

    found = connected(target, work)
    show({**_evidence_facts(found.evidence), **_worth(found.quote)}, as_json=as_json)


@attest.command(
    epilog="Example: nesa attest post 0x… --policy policy.json --contract 0x… --keystore key.json "
    "--password-file password"
)
@click.argument("sources", nargs=-1, required=True, metavar="EVIDENCE|OPERATOR…")
@policy_option
@contract_option
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True)
@network_options
@json_option
def post(
    target: Target,
    sources: tuple[str, ...],
    policy: Path,
    contract: str,
    days: int,
    as_json: bool,
) -> int:
    """Check each as `verify` does and state on the chain, for some days, that its keys are in an
    enclave. Exit 1 when one was refused; the others are stated all the same.

    Run it again before the days are over, each time with a quote that is made anew. `nesa attest
    verify --help` shows a policy, docs/attested-seats.md what its fields mean.
    """
    read, address = read_policy(policy), read_account(contract)

    async def work(client: Client) -> list[dict[str, Any]]:
        attestor, examiner = client.attestor(address), Examiner(client.connection, read)
        await attestor.require_trusted()
        return [await _posted(attestor, examiner, one, days * DAY) for one in sources]

    found = connected(target, work)
    _show_each(found, as_json=as_json)
    return 1 if any("refused" in one for one in found) else 0


@attest.command(epilog="Example: nesa attest revoke 0x… --contract 0x…")
@click.argument("operator")
@contract_option
@network_options
@json_option
def revoke(target: Target, operator: str, contract: str, as_json: bool) -> None:
    """Take back all that was stated about OPERATOR, also of keys that it has no more.

    Its seats are ended by watchtowers, or by anybody with `nesa model evict`.
    """
    account, address = read_account(operator), read_account(contract)

    async def work(client: Client) -> dict[str, Any]:
        revoked = await client.attestor(address).revoke(account)
        statements = [{"signer": signer, "encryption_key": key} for signer, key in revoked]
        return {"operator": account, "statements": statements}

    show(connected(target, work), as_json=as_json)


async def _evidence(examiner: Examiner, source: str) -> SeatEvidence:
    path = Path(source)
    if path.exists():
        return decode_seat_evidence(read_bounded(path, MAX_SEAT_EVIDENCE_BYTES))
    return await examiner.ask(read_account(source))


async def _posted(
    attestor: Attestor, examiner: Examiner, source: str, seconds: int
) -> dict[str, Any]:
    """What became of one source; what is wrong with it does not hold up the others."""
    try:
        found = await examiner.check(await _evidence(examiner, source))
        until = await attestor.state(found, seconds)
    except NesaError as error:
        return {"source": source, "refused": str(error)}
    return {"source": source, **_evidence_facts(found.evidence), "until": until}


def _show_each(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show({"statements": found}, as_json=True)
        return
    for one in found:
        until = {"until": moment(one["until"])} if "until" in one else {}
        show({**one, **until}, as_json=False)


def _evidence_facts(evidence: SeatEvidence) -> dict[str, Any]:
    binding = evidence.binding
    return {
        "operator": binding.operator,
        "signer": binding.signer,
        "encryption_key": binding.encryption_key,
        "block": binding.block_number,
        "evidence": evidence.digest,
    }


def _quote_facts(quote: Quote) -> dict[str, Any]:
    return {
        "technology": quote.technology.value,
        **quote.registers,
        "report_data": quote.report_data,
        "debug": quote.is_debug,
    }


def _worth(found: VerifiedQuote) -> dict[str, Any]:
    return {"status": found.status, "advisories": found.advisories}
