"""What the tests of sessions ask of their results, and of who is paid for them."""

from __future__ import annotations

import asyncio

from nesa import Client
from nesa.chain.sessions import SharedSessions
from nesa.client.sharing import SharedPublicModel, SharedResult, SharedSession
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator
from nesa.models import reference
from nesa.models.samples import LabelledRows
from nesa.protocol.ids import QueryId

ROUND_SECONDS = 20.0


def is_exact(shared: SharedPublicModel, rows: LabelledRows, row: int, result: SharedResult) -> bool:
    """Whether an answer is that of the public model, bit for bit."""
    data = shared.public.input_edge.encode(rows.inputs[row])
    (expected,) = reference.run(shared.public.table, (data,))
    return shared.public.output_edge.encode(result.output.integers) == expected


async def redeemed(client: Client, session_id: QueryId, operator: Operator) -> int:
    sessions = SharedSessions.of(client.connection)
    return await sessions.redeemed_by(session_id, operator.owner, "latest")


async def until_redeemed(
    client: Client, session_id: QueryId, operator: Operator, wanted: int
) -> None:
    async with asyncio.timeout(240):
        while await redeemed(client, session_id, operator) != wanted:
            await asyncio.sleep(0.2)


def members_of(devnet: Devnet, session: SharedSession) -> tuple[list[Operator], ...]:
    """Operators of the first group, of the second, and the spares."""
    groups = (session.first_group, session.second_group, session.spares)
    return tuple([devnet.operator_of(signer) for signer in group] for group in groups)
