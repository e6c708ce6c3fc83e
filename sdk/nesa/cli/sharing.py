"""Asks a model on shares from the command line, and keeps what convicts members that lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nesa.cli.features import Given
from nesa.cli.output import console
from nesa.client.client import Client
from nesa.client.evidence_files import keep_evidence
from nesa.client.hybrid.offers import QueryPlan
from nesa.client.modes import Shared
from nesa.client.payment import in_nes
from nesa.client.sharing import SharedResult, SharedSession


async def ask_shared(
    client: Client, plan: QueryPlan, given: Given, evidence: dict[str, bytes], *, quiet: bool
) -> SharedResult:
    """Ask as planned and wait; what convicts members is put into `evidence` by the name of a file,
    whatever comes of the query."""
    assert isinstance(plan.privacy, Shared)
    mode = plan.privacy
    features = given.ordered([feature.name for feature in mode.shared.card.features])
    opening = client.shared_session(
        mode.shared,
        plan.model,
        replicas=mode.replicas,
        seats=mode.seats,
        max_deposit=plan.offered.price,
        attested=plan.attested,
    )
    left = list[SharedSession]()
    try:
        async with opening as session:
            left.append(session)
            if not quiet:
                console().print(f"session {session.session_id} is open; its groups are drawn")
            result = await session.ask(features)
        return session.with_late(result)
    finally:
        for one in left:  # lies also come while it is left
            evidence.update(one.evidence())


def tell_kept(evidence: Mapping[str, bytes], *, quiet: bool) -> None:
    """Keep evidence in files here, and say which unless quiet."""
    for path in keep_evidence(evidence):
        if not quiet:
            console().print(f"a member signed wrong sums: what convicts it is in {path}")


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
