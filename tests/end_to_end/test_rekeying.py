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
from nesa.protocol.ids import Address
from tests.end_to_end.processes import Observer, no_blocks, until
from tests.end_to_end.test_queries import is_right

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.deep]


async def rotation(devnet: Devnet, miner: Operator) -> Process:
    """`nesa-miner rotate-encryption-key`, begun."""
    words = [find_script("nesa-miner"), "rotate-encryption-key", "--dir", str(miner.folder)]
    environment = os.environ | devnet.founder.environment(miner.folder)
    return await asyncio.create_subprocess_exec(*words, env=environment, stdout=DEVNULL)


async def begin_of_epoch(client: Client) -> None:
    """Returns just after an epoch began."""
    vault = client.contracts.vault
    before = await vault.epoch(at="latest")
    while await vault.epoch(at="latest") == before:
        await asyncio.sleep(0.1)


async def test_a_sealed_query_is_answered_across_a_rotation_that_was_killed(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    """The command dies when the new key lies on the disk and the chain does not know it. Then the
    miner comes back with the new key in the middle of a query that goes by the old one, and that
    needs it: another member of its shard stands still."""
    target, silent = [miner for number, miner in enumerate(devnet.miners) if number % 2 == 0][:2]
    path, owner = target.folder / "keys" / "encryption.json", Address(target.owner)
    before = path.read_bytes()
    async with no_blocks(client):
        killed = await rotation(devnet, target)
        await until(lambda: path.read_bytes() != before)
        killed.send_signal(signal.SIGKILL)
        assert await killed.wait() == -signal.SIGKILL
        await client.connection.request("anvil_dropAllTransactions")
    record = await client.contracts.vault.operator(owner, at="latest")
    assert record.next_encryption_key == record.encryption_key, "the chain knows nothing of it"
    assert len(former_key_paths(path)) == 1
    # The old key serves for the rest of this epoch and the next one, and all below has to fit.
    await begin_of_epoch(client)
    assert await (await rotation(devnet, target)).wait() == 0
    record = await client.contracts.vault.operator(owner, at="latest")
    assert record.next_encryption_key.hex() in path.read_text()
    with observer.frozen(silent):
        await observer.kill(target)
        submitted = await client.submit(model, question.features, privacy="sealed")
        await observer.restart(target)
        answer = await client.result(submitted)
    assert submitted.query.epoch < record.key_epoch, "it went by the old key"
    assert is_right(answer, question)
    paid = {devnet.operator_of(member.signer).name for member in answer.committee if member.paid}
    assert target.name in paid
