"""R10 for convolutions: images on shares of two groups of processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa import Client
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import DevnetSettings, running_devnet
from tests.end_to_end.sessions import ROUND_SECONDS, is_exact

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

CNN = Path(__file__).parents[2] / "models" / "digits-cnn"
IMAGES = 5


async def test_images_are_answered_as_the_public_model_answers_them(tmp_path: Path) -> None:
    shared = SharedPublicModel.read(CNN)
    rows = shared.public.test_rows()
    settings = DevnetSettings(tmp_path / "net", seated=(f"{CNN.name}-shared-0",), shared=(CNN,))
    async with (
        running_devnet(settings, lambda line: None) as devnet,
        Client.connect(devnet.network) as client,
    ):
        for row in range(IMAGES):
            async with client.shared_session(shared) as session:
                result = await session.ask(rows.features[row], round_seconds=ROUND_SECONDS)
            assert is_exact(shared, rows, row, result)
