"""The miner's signed statement of what its machine can do."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from nesa.chain.deployment import Deployment
from nesa.protocol.capacity import CapacityStatement, encode_statement, sign_statement
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import PROTOCOL_VERSION, Timestamp
from nesa_miner.identity import Identity
from nesa_miner.measuring import Measured


def state(measured: Measured, deployment: Deployment, identity: Identity) -> CapacityStatement:
    """The figures, signed now for one deployment."""
    unsigned = CapacityStatement(
        version=PROTOCOL_VERSION,
        chain_id=deployment.chain_id,
        vault=deployment.vault,
        signer=identity.address,
        measured_at=Timestamp(int(time.time())),
        **asdict(measured),
    )
    return sign_statement(unsigned, identity.signer)


def write_statement(path: Path, statement: CapacityStatement) -> None:
    """Stores the canonical bytes; an older file is replaced at once.

    Raises:
        InvalidConfiguration: the file cannot be written.
    """
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_bytes(encode_statement(statement))
        draft.replace(path)
    except OSError as error:
        text = f"{path} cannot be written ({error.strerror}); choose another --out"
        raise InvalidConfiguration(text) from error
