"""Looks for everything that would keep a miner from working, and says what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from nesa.chain.contracts import Contracts
from nesa_miner.doctor.checks import Check, Patient, Verdict
from nesa_miner.doctor.files import Shards
from nesa_miner.doctor.machine import (
    check_disk,
    check_journal,
    check_keys,
    check_port,
    check_runtime,
)
from nesa_miner.doctor.network import Contacts, check_node
from nesa_miner.shard_keys import NO_KEYS, ShardKeys, released_keys
from nesa_miner.shards import open_library

__all__ = ["Check", "Patient", "Verdict", "examine"]


async def examine(patient: Patient) -> AsyncIterator[Check]:
    """All checks, each as soon as it is done."""
    yield check_runtime()
    identity, of_keys = await asyncio.to_thread(check_keys, patient)
    yield of_keys
    yield check_journal(patient)
    yield check_disk(patient)
    yield await check_port(patient, identity)
    connection, node = await check_node(patient)
    yield node
    if connection is None:
        for name in (*Contacts.NAMES, *Shards.NAMES):
            yield Check(name, Verdict.SKIPPED, "needs a node that answers")
        return
    async with connection:
        contacts = Contacts(connection, Contracts(connection), patient.settings, identity)
        async for check in contacts.checks():
            yield check
        seats = await contacts.seats()
        limit = patient.settings.memory_limit_mib << 20
        keys: ShardKeys = NO_KEYS
        if identity is not None:
            keys = released_keys(patient.folder, patient.settings, connection, identity)
        library = open_library(patient.folder, patient.settings, connection, keys)
        async for check in Shards(library, seats, limit).checks():
            yield check
