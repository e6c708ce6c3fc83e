"""A whole development network: up within a context, gone behind it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from nesa.chain.connection import Connection
from nesa.chain.deployment import Network, ServedModel
from nesa.devnet import lease
from nesa.devnet.deploying import compile_contracts
from nesa.devnet.foundation import Foundation, hand_out, lay_foundation
from nesa.devnet.layout import Layout, find_clone
from nesa.devnet.models import Progress, PublishedModel, find_models, make_proving_keys
from nesa.devnet.operators import (
    MINER,
    ORACLE,
    Founder,
    Operator,
    seats_of,
    wait_until_ready,
)
from nesa.devnet.processes import Supervisor, describe_failure
from nesa.protocol.errors import InvalidConfiguration, InvalidInput, Unavailable
from nesa.protocol.ids import ONE_NES, Address, Amount

_Result = TypeVar("_Result")

STAKE: Final = Amount(10_000 * ONE_NES)
"""What every operator is given: ten seats at the development profile's stake."""

COMMITTEE: Final = 4
"""Members that a shard has to have."""

AT_ONCE: Final = 3
"""Operators that are set up at the same time: a little more than a small machine has cores."""

DOWN_SECONDS: Final = 30.0
WATCH_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class DevnetSettings:
    """What to start; `block_time` in whole seconds. Every model of the clone is registered, as are
    those in the folders `models` and the products of those in `shared`, and miners take seats of
    those named in `seated`, or of all."""

    folder: Path
    miners: int = 8
    oracles: int = 2
    block_time: int = 1
    seated: tuple[str, ...] = ()
    models: tuple[Path, ...] = ()
    shared: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Devnet:
    """A running network."""

    layout: Layout
    supervisor: Supervisor
    foundation: Foundation
    founder: Founder
    miners: tuple[Operator, ...]
    oracles: tuple[Operator, ...]
    network: Network

    def model(self, name: str) -> PublishedModel:
        """A model by name.

        Raises:
            InvalidInput: the network does not serve it.
        """
        for published in self.foundation.models:
            if published.model.name == name:
                return published
        raise InvalidInput(f"this network serves no model called {name}")

    def operator_of(self, signer: Address) -> Operator:
        """The operator that signs with this key.

        Raises:
            InvalidInput: there is none.
        """
        for operator in (*self.miners, *self.oracles):
            if operator.signer == signer:
                return operator
        raise InvalidInput(f"{signer} signs for no operator of this network")


@contextlib.asynccontextmanager
async def running_devnet(settings: DevnetSettings, progress: Progress) -> AsyncIterator[Devnet]:
    """A network that is ready for queries; every process of it ends with the context.

    Raises:
        InvalidConfiguration: the folder is in use or not a network's, or something is missing.
        Unavailable: a part of it failed; the message has the end of its log.
    """
    check_settings(settings)
    layout = Layout(settings.folder.resolve())
    clone = find_clone()
    with lease.hold(layout.lease):
        if clear_remains(layout):
            progress(
                f"a new chain begins in {layout.root}; addresses, keys and versions of the earlier "
                "one are void"
            )
        async with Supervisor() as supervisor:
            models = (*find_models(clone.models), *settings.models)
            parts = (models, settings.shared)
            foundation = await lay_foundation(supervisor, layout, clone, *parts, progress)
            yield await _populate(supervisor, foundation, settings, progress)


async def keep_running(devnet: Devnet, progress: Progress) -> None:
    """Watch over the processes until cancelled; operators that end are told, not replaced.

    Raises:
        Unavailable: the chain ended.
    """
    told: set[int] = set()
    while True:
        for running in devnet.supervisor.ended():
            if running is devnet.foundation.chain.running:
                raise Unavailable(describe_failure(running))
            if running.pid not in told:
                told.add(running.pid)
                progress(f"{describe_failure(running)}; the others go on")
        await asyncio.sleep(WATCH_SECONDS)


async def while_all_live(devnet: Devnet, work: Coroutine[Any, Any, _Result]) -> _Result:
    """What `work` returns, given up as soon as a process ends that nobody stopped.

    Raises:
        Unavailable: which process ended, and its last words.
    """
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            if ended := devnet.supervisor.ended():
                raise Unavailable(describe_failure(ended[0]))
            await asyncio.wait({task}, timeout=WATCH_SECONDS)
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def take_down(folder: Path) -> bool:
    """End the network of a folder from any other process; False when none runs there.

    Raises:
        Unavailable: it does not end.
    """
    return lease.end_owner(Layout(folder.resolve()).lease, DOWN_SECONDS)


def check_settings(settings: DevnetSettings) -> None:
    """Returns when a network of these settings can answer queries.

    Raises:
        InvalidInput: too few operators.
        InvalidConfiguration: the folder holds something else.
    """
    if settings.oracles < 1 or settings.miners < 8:
        raise InvalidInput("a network needs at least 8 miners (4 a shard) and 1 oracle")
    folder = settings.folder
    if folder.is_dir() and any(folder.iterdir()) and not Layout(folder).lease.exists():
        raise InvalidConfiguration(
            f"{folder} holds something else than a network; choose another --dir"
        )


async def prepare(progress: Progress, seated: tuple[str, ...] = ()) -> None:
    """Make what is made once per clone: bytecode, and proving keys of the models in `seated`.

    Raises:
        ExhaustedResource: time, memory or disk is used up.
    """
    clone = find_clone()
    progress("compiled contracts")
    async with Supervisor() as supervisor:
        await compile_contracts(supervisor, clone, clone.root / ".cache" / "compile.log")
    paths = [path for path in find_models(clone.models) if not seated or path.name in seated]
    await make_proving_keys(paths, clone.proving_cache, progress)


def clear_remains(layout: Layout) -> bool:
    """Remove what an earlier network of this folder left; its chain ended with it.

    False when there was none.
    """
    found = any(path.exists() for path in (layout.network, *layout.folders))
    layout.network.unlink(missing_ok=True)
    for folder in layout.folders:
        shutil.rmtree(folder, ignore_errors=True)
    return found


async def _populate(
    supervisor: Supervisor, foundation: Foundation, settings: DevnetSettings, progress: Progress
) -> Devnet:
    founder = Founder(supervisor, foundation)
    seated = _seated(foundation, settings)
    progress(f"making keys for {settings.miners} miners and {settings.oracles} oracles")
    miners = await _found(founder, "miner", MINER, settings.miners)
    oracles = await _found(founder, "oracle", ORACLE, settings.oracles)
    await _endow(foundation, (*miners, *oracles))
    progress("staking and taking seats")
    await _seat_all(founder, seated, miners, oracles)
    progress("starting the daemons")
    await foundation.chain.begin(settings.block_time)
    for operator in (*miners, *oracles):
        await founder.start(operator)
    await wait_until_ready((*miners, *oracles), supervisor)
    network = describe_network(foundation)
    network.write(foundation.layout.network)
    return Devnet(foundation.layout, supervisor, foundation, founder, miners, oracles, network)


async def _found(founder: Founder, kind: str, command: str, count: int) -> tuple[Operator, ...]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Operator:
        async with gate:
            return await founder.found(f"{kind}-{number}", command)

    return tuple(await asyncio.gather(*(one(number) for number in range(1, count + 1))))


async def _endow(foundation: Foundation, operators: tuple[Operator, ...]) -> None:
    """Coins and NES for every owner, coins for every signer."""
    chain = foundation.chain
    for operator in operators:
        await chain.give_coins(operator.owner)
        await chain.give_coins(operator.signer)
    async with await Connection.open(chain.url, foundation.deployment) as connection:
        gifts = [(operator.owner, STAKE) for operator in operators]
        await hand_out(connection, foundation.people.deployer, gifts)


def _seated(foundation: Foundation, settings: DevnetSettings) -> tuple[PublishedModel, ...]:
    names = settings.seated
    seated = tuple(one for one in foundation.models if not names or one.model.name in names)
    for one in seated:
        needed = COMMITTEE * len(one.model.shards)
        if settings.miners < needed:
            raise InvalidInput(
                f"{one.model.name} has {len(one.model.shards)} shards of {COMMITTEE} members each; "
                f"it needs {needed} miners, not {settings.miners}"
            )
    return seated


async def _seat_all(
    founder: Founder,
    models: tuple[PublishedModel, ...],
    miners: tuple[Operator, ...],
    oracles: tuple[Operator, ...],
) -> None:
    """One miner a shard goes first: it rebuilds the circuit, which the others then find done."""
    gate = asyncio.Semaphore(AT_ONCE)
    first = max(len(published.model.shards) for published in models)

    async def seat(number: int) -> None:
        async with gate:
            for one in seats_of(models, number):
                await founder.register(miners[number], one)

    async def seat_oracle(oracle: Operator) -> None:
        async with gate:
            await founder.register(oracle, None)

    await asyncio.gather(*(seat(number) for number in range(first)))
    others = [seat(number) for number in range(first, len(miners))]
    await asyncio.gather(*others, *(seat_oracle(oracle) for oracle in oracles))


def describe_network(foundation: Foundation) -> Network:
    """What clients read of it."""
    models = tuple(
        ServedModel(
            name=published.model.name,
            version_id=f"0x{published.version_id.hex()}",
            folder=published.path,
        )
        for published in foundation.models
    )
    return Network(
        rpc_url=foundation.chain.url,
        chain_id=foundation.deployment.chain_id,
        contracts=foundation.deployment,
        client=foundation.people.client.files,
        models=models,
    )
