"""R7: a model under a key on a network of real processes, which see neither key nor plain text."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nesa.client.client import Client
from nesa.client.modes import Auto, Equivariant, Shared
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import COMMITTEE, DevnetSettings, running_devnet
from nesa.models.folder import load, save
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.user_keys import UserKey, load_user_key, save_user_key
from nesa.protocol.errors import InvalidInput
from nesa.protocol.queries import Privacy
from tests.privacy.equivariant.traces import asked

MLP = Path(__file__).parents[3] / "models" / "breast-cancer-mlp"

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]


async def test_miners_answer_under_a_key_that_they_never_see(tmp_path: Path) -> None:
    plain = load(MLP)
    file = tmp_path / "net.key"
    save_user_key(file, UserKey.generate(plain), "a password", 2**10)
    held = load_user_key(file, "a password")
    made = transformed_model(plain, held)
    save(made, tmp_path / made.name)
    # Whoever still answers cannot be reading it.
    file.unlink()
    settings = DevnetSettings(
        tmp_path / "net",
        miners=len(made.shards) * COMMITTEE,
        seated=(made.name, f"{made.name}-shared-0"),
        models=(tmp_path / made.name,),
        shared=(tmp_path / made.name,),
    )
    async with (
        running_devnet(settings, lambda line: None) as devnet,
        Client.connect(devnet.network) as client,
    ):
        features = plain.test_rows().features
        mixed = np.stack([features[5:15, place].max(0) for place in range(features.shape[1])])
        answer = await asked(client, devnet, plain, held, made.name, mixed)
        assert answer.label in plain.classifier.labels
        assert set(answer.scores) == set(plain.classifier.labels)
        before = await client.balance()
        for hidden, readers in ((False, "everybody, for good, can see"), (True, "the 8 operators")):
            plan = await client.plan(made.name, privacy=Equivariant(held, hidden))
            assert plan.explanation.readers.startswith(readers)
            assert "see encoded input" in plan.explanation.readers
        chosen = await client.plan(made.name, privacy=Auto("personal", equivariant=held))
        assert (chosen.way.mode, chosen.explanation.row) == (Privacy.EQUIVARIANT, 5)
        with pytest.raises(InvalidInput, match="is under a user's key"):
            await client.submit(made.name, mixed)
        for wrong in (held.rotated(), UserKey.generate(plain)):
            with pytest.raises(InvalidInput):
                await client.submit(made.name, mixed, privacy=Equivariant(wrong))
        with pytest.raises(InvalidInput, match="no circuits"):
            await client.submit(made.name, mixed, assurance="PROVED", privacy=Equivariant(held))
        assert await client.balance() == before
        sealed = await client.ask(made.name, mixed, privacy=Equivariant(held, sealed=True))
        assert np.array_equal(sealed.output.integers, answer.output.integers)
        again = await by_command(devnet.layout.network, tmp_path, made.name, mixed, held)
        assert again["label"] == answer.label
        assert again["logits"] == pytest.approx(dict(answer.logits))
        folder = tmp_path / made.name
        shares = await client.ask(
            made.name, mixed, privacy=Shared(SharedPublicModel.read(folder, held))
        )
        assert np.array_equal(shares.output.integers, answer.output.integers)
        words = ("--shared", str(folder))
        printed = await by_command(
            devnet.layout.network, tmp_path / "shared", made.name, mixed, held, *words
        )
        assert printed["label"] == answer.label


async def by_command(
    network: Path, folder: Path, name: str, row: np.ndarray, held: UserKey, *others: str
) -> dict[str, Any]:
    """The answer that `nesa query` prints."""
    folder.mkdir(exist_ok=True)
    key, password, features = (folder / name for name in ("again.key", "password", "row.json"))
    save_user_key(key, held, "a password", 2**10)
    password.write_text("a password\n")
    password.chmod(0o600)
    features.write_text(json.dumps(row.tolist()))
    words = ["query", name, features, "--network", network, "--json", "--ee-key", key]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "nesa.cli.main",
        *map(str, words),
        "--ee-password-file",
        password,
        *others,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    found: dict[str, Any] = json.loads(out)["answer"]
    return found
