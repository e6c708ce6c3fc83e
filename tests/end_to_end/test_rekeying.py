"""A miner gets another encryption key while a sealed query is under way, and dies over it."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process

import pytest

from nesa import Client, Model
from nesa.cli.demo.cast import Question
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator, find_script
from nesa.privacy.key_rotation import former_key_paths
from tests.end_to_end.processes import Observer, drawn, no_blocks, until
from tests.end_to_end.test_queries import is_right

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.deep]


async def rotation(devnet: Devnet, miner: Operator) -> Process:
    """`nesa-miner rotate-encryption-key`, begun."""
    words = [find_script("nesa-miner"), "rotate-encryption-key", "--dir", str(miner.folder)]
    environment = os.environ | devnet.founder.environment(miner.folder)
    return await asyncio.create_subprocess_exec(*words, env=environment, stdout=DEVNULL)


async def test_a_sealed_query_is_answered_across_a_rotation_that_was_killed(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    """The command dies when the new key lies on the disk and the chain does not know it. The query
    needs the miner: one of the other three of its shard stands still."""
    submitted = await client.submit(model, question.features, sealed=True)
    committees = await drawn(client, submitted.query_id)
    target, silent = (devnet.operator_of(seat.signer) for seat in committees.shards[0][:2])
    path = target.folder / "keys" / "encryption.json"
    before = path.read_bytes()
    await observer.kill(target)
    async with no_blocks(client):
        killed = await rotation(devnet, target)
        await until(lambda: path.read_bytes() != before)
        killed.send_signal(signal.SIGKILL)
        assert await killed.wait() == -signal.SIGKILL
        await client.connection.request("anvil_dropAllTransactions")
    owner = committees.shards[0][0].operator
    record = await client.contracts.vault.operator(owner, at="latest")
    assert record.next_encryption_key == record.encryption_key, "the chain knows nothing of it"
    assert len(former_key_paths(path)) == 1
    assert await (await rotation(devnet, target)).wait() == 0
    record = await client.contracts.vault.operator(owner, at="latest")
    assert record.next_encryption_key.hex() in path.read_text()
    with observer.frozen(silent):
        await observer.restart(target)
        answer = await client.result(submitted)
    assert is_right(answer, question)
    paid = {devnet.operator_of(member.signer).name for member in answer.committee if member.paid}
    assert target.name in paid
