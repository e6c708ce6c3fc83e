"""The whole story: set-up that is cached, the network, five scenes, a report."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from rich.console import Console

from nesa.chain.connection import RpcPolicy
from nesa.cli.demo.cast import MLP, Cast
from nesa.cli.demo.narration import Narrator
from nesa.cli.demo.report import Check, SceneReport, StoryReport
from nesa.cli.demo.scenes import faults, fees, proved, sealed, triage
from nesa.client.client import Client
from nesa.devnet.network import Devnet, DevnetSettings, prepare, running_devnet, while_all_live
from nesa.protocol.errors import NesaError

SCENES: Final[tuple[ModuleType, ...]] = (triage, sealed, proved, faults, fees)
POLL: Final = RpcPolicy(poll=0.1)


@dataclass(frozen=True, slots=True)
class Told:
    """A finished story: its report, and the folder that stays when something went wrong."""

    report: StoryReport
    folder: Path | None


@contextlib.asynccontextmanager
async def telling(console: Console, *, keep: bool) -> AsyncIterator[tuple[Told, Devnet]]:
    """The story, told; the network stays up within the context.

    Miners take seats of the model that is asked; when the network is to be kept, of all models.
    """
    begun = time.monotonic()
    narrator = Narrator(console)
    seated = () if keep else (MLP,)
    await prepare(lambda line: narrator.say("cache", line), seated)
    prepared = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="nesa-demo-"))
    narrator.say("network", "a chain, eight miners and two oracles, each a process of its own")
    settings = DevnetSettings(folder, seated=seated)
    async with running_devnet(settings, lambda line: narrator.say("set-up", line)) as devnet:
        narrator.say("network", f"ready at {devnet.network.rpc_url}")
        scenes = await _tell_scenes(devnet, narrator)
        report = StoryReport(
            scenes=scenes,
            preparation_seconds=round(prepared - begun, 1),
            story_seconds=round(time.monotonic() - prepared, 1),
            expected_scenes=len(SCENES),
        )
        yield Told(report, None if report.holds else folder), devnet
    if report.holds:
        shutil.rmtree(folder, ignore_errors=True)


async def _tell_scenes(devnet: Devnet, narrator: Narrator) -> tuple[SceneReport, ...]:
    told: list[SceneReport] = []
    async with Client.connect(devnet.network, policy=POLL) as client:
        cast = Cast(devnet, client, narrator)
        for number, scene in enumerate(SCENES, start=1):
            narrator.scene(number, scene.TITLE, scene.WORDS)
            told.append(await _tell(scene, cast))
    return tuple(told)


async def _tell(scene: ModuleType, cast: Cast) -> SceneReport:
    """A scene; one that breaks off is a scene that failed, and the next ones are still told."""
    begun = time.monotonic()
    try:
        report: SceneReport = await while_all_live(cast.devnet, scene.tell(cast))
    except NesaError as error:
        check = Check("the scene is told to its end", holds=False, seen=str(error))
        cast.narrator.verdict(check)
        seconds = round(time.monotonic() - begun, 2)
        return SceneReport(scene.TITLE, seconds, (check,))
    return report
