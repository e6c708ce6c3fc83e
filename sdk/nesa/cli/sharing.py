"""Asks a model on shares from the command line, and keeps what convicts members that lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesa.cli.features import Given
from nesa.cli.output import console
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.client.sharing import DEFAULT_GROUP, SharedPublicModel, SharedResult
from nesa.protocol.errors import GroupFailed
from nesa.protocol.ids import Amount
from nesa.protocol.queries import MAX_REPLICAS

SPARES: Final = 2
"""Who stand by for members that fail, unless the groups take all seats."""


@dataclass(frozen=True, slots=True)
class SharedWish:
    """What is asked: the public model in a folder, and what the network calls its products."""

    folder: Path
    model: str
    given: Given
    replicas: int | None
    max_deposit: Amount | None


async def ask_shared(client: Client, wish: SharedWish, *, quiet: bool) -> SharedResult:
    """Ask and wait; evidence against members is written to files here, whatever comes of it."""
    shared = SharedPublicModel.read(wish.folder)
    features = wish.given.ordered([feature.name for feature in shared.public.card.features])
    shared.encoded(features)
    replicas = DEFAULT_GROUP if wish.replicas is None else wish.replicas
    products = None if wish.model == shared.public.name else wish.model
    seats = min(2 * replicas + SPARES, MAX_REPLICAS)
    async with client.shared_session(
        shared, products, replicas=replicas, seats=seats, max_deposit=wish.max_deposit
    ) as session:
        if not quiet:
            console().print(f"session {session.session_id} is open; its groups are drawn")
        try:
            result = await session.ask(features)
        except GroupFailed as error:
            _keep(session.evidence([error]), quiet=quiet)
            raise
    _keep(result.evidence, quiet=quiet)
    return result


def _keep(evidence: Mapping[str, bytes], *, quiet: bool) -> None:
    for name, data in evidence.items():
        Path(name).write_bytes(data)
        if not quiet:
            console().print(f"a member signed wrong sums: what convicts it is in {name}")


def shared_summary(result: SharedResult, said: str) -> Mapping[str, Any]:
    """A result in a few lines."""
    scores = ", ".join(f"{name} {score:.3f}" for name, score in result.scores.items())
    traffic = result.traffic
    return {
        "answer": said,
        **({"scores": scores} if result.label is not None else {}),
        "session": result.session_id,
        "backed": "SHARED: checked by this client, attested by nobody",
        "rounds": result.rounds,
        "bytes": f"{traffic.sent:,} sent, {traffic.received:,} received",
        "fee": f"{in_nes(result.spent)} of a deposit of {in_nes(result.deposit)}",
        **{f"refused {member[:10]}": reason for member, reason in result.refused.items()},
    }


def shared_document(result: SharedResult) -> Mapping[str, Any]:
    """A result as JSON has it."""
    return {
        "label": result.label,
        "index": result.index,
        "logits": dict(result.logits),
        "scores": dict(result.scores),
        "output": result.output.integers.tolist(),
        "scale": result.output.scale,
        "session_id": result.session_id,
        "deposit": result.deposit,
        "spent": result.spent,
        "gas": result.gas,
        "rounds": result.rounds,
        "bytes_sent": result.traffic.sent,
        "bytes_received": result.traffic.received,
        "refused": dict(result.refused),
        "evidence": sorted(result.evidence),
        "unpaid": list(result.unpaid),
    }
