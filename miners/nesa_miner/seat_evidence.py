"""The quote of an enclave that an operator gives its miner, and what the miner shows of it."""

from __future__ import annotations

from pathlib import Path

from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.privacy.attested.binding import Binding
from nesa.privacy.attested.evidence import (
    MAX_SEAT_EVIDENCE_BYTES,
    SeatEvidence,
    decode_seat_evidence,
)
from nesa.privacy.attested.files import read_bounded
from nesa.privacy.attested.quotes import MAX_COLLATERAL_BYTES, MAX_QUOTE_BYTES, read_quote
from nesa.privacy.keys import public_bytes
from nesa.protocol.errors import InvalidConfiguration, InvalidMessage
from nesa.protocol.ids import Address, BlockNumber
from nesa_miner.config import MinerSettings
from nesa_miner.identity import Identity


async def current_binding(
    folder: Path,
    settings: MinerSettings,
    identity: Identity,
    operator: Address,
    block: BlockNumber | None,
) -> Binding:
    """What a quote has to carry to speak for this miner since a block, by default the newest.

    Raises:
        Unavailable: the node does not answer, or has no such block.
    """
    deployment = Deployment.read(folder / settings.deployment)
    async with await Connection.open(settings.rpc_url, deployment) as connection:
        found = await (connection.head() if block is None else connection.block(block))
    return Binding(
        chain_id=deployment.chain_id,
        vault=deployment.vault,
        operator=operator,
        signer=identity.address,
        encryption_key=public_bytes(identity.encryption),
        block_number=found.number,
        block_hash=found.hash,
    )


def read_evidence(
    binding: Binding, quote: Path, collateral: Path, *, other_format: bool
) -> SeatEvidence:
    """The evidence that these files are for this miner. `other_format` says that the program fills
    its report data in a way of its own, which attestors have to know.

    Raises:
        InvalidConfiguration: a file cannot be read, or is too long.
        InvalidMessage: no quote, or it speaks for somebody else.
    """
    data = read_bounded(quote, MAX_QUOTE_BYTES)
    text = read_bounded(collateral, MAX_COLLATERAL_BYTES).decode("utf-8", "replace")
    carried = read_quote(data).report_data
    if carried != binding.report_data and not other_format:
        raise InvalidMessage(
            f"the quote is for another operator, signer, key, chain or block: its report data are "
            f"0x{carried.hex()} and have to be 0x{binding.report_data.hex()}; make one with those "
            "(`nesa-miner quote-data`)"
        )
    return SeatEvidence(binding, data, text)


def keep_evidence(path: Path, evidence: SeatEvidence) -> None:
    """Put evidence where a running miner finds it; an older one is replaced.

    Raises:
        InvalidConfiguration: it cannot be written.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_bytes(evidence.encode())
        beside.replace(path)
    except OSError as error:
        raise InvalidConfiguration(f"cannot write {path}: {error.strerror}") from error


def kept_evidence(path: Path) -> bytes | None:
    """The document that a miner shows, None where its operator gave it no quote.

    Raises:
        InvalidConfiguration: it cannot be read, or is too long.
        InvalidMessage: the file holds something else.
    """
    if not path.exists():
        return None
    data = read_bounded(path, MAX_SEAT_EVIDENCE_BYTES)
    decode_seat_evidence(data)
    return data
