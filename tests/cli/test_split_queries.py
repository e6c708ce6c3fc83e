"""`nesa query --split`: what is computed here, what leaves, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nesa.cli.features import read_features
from nesa.cli.split_queries import carried, finish_with
from nesa.client.answers import Answer, OutputTensor
from nesa.client.cards import Model
from nesa.client.modes import Open, Sealed, Split
from nesa.client.splitting import SplitModel
from nesa.models.folder import CompiledModel, load
from nesa.models.reference import run
from nesa.privacy.split.parts import split
from nesa.privacy.split.publishing import write_middle
from nesa.protocol.errors import InvalidInput, InvalidTensor
from tests.cli.conftest import Nesa
from tests.standing_network import SHARED, StandingNetwork

AUTO = ("--privacy", "auto", "--sensitivity", "personal")
WHOLE = Path(__file__).parents[2] / "models" / SHARED


@pytest.fixture(scope="module")
def whole() -> CompiledModel:
    return load(WHOLE)


@pytest.fixture(scope="module")
def middle(whole: CompiledModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("split") / "middle"
    write_middle(whole, split(whole.table, 2, len(whole.table.rows) - 1), 1, folder)
    return folder


@pytest.fixture(scope="module")
def numbers(whole: CompiledModel) -> str:
    return ",".join(map(str, whole.test_rows().features[0]))


@pytest.fixture(scope="module")
def model(middle: Path) -> SplitModel:
    return SplitModel.read(WHOLE, middle)


def answered(found: CompiledModel, sent: bytes, fake: Answer) -> Answer:
    """What a network would answer to the middle's input."""
    (output,) = run(found.table, [sent])
    edge = found.table.type_of(found.table.outputs[0])
    return replace(fake, output=OutputTensor(edge.decode(output), edge, 1.0))


@pytest.mark.parametrize("sealed", [False, True])
def test_the_market_carries_activations_and_the_answer_is_that_of_the_whole_model(
    whole: CompiledModel, middle: Path, model: SplitModel, numbers: str, sealed: bool
) -> None:
    part = load(middle)
    registered = Model.__new__(Model)
    object.__setattr__(registered, "card", part.card)
    given = read_features(numbers)
    sent = carried(registered, Split(model, sealed=sealed), given)
    assert sent.mode == Sealed() if sealed else sent.mode == Open()
    tensor = part.input_edge.encode(sent.features)
    inputs = whole.input_edge.encode(whole.test_rows().inputs[0])
    (expected,) = run(whole.table, [inputs])
    fake = Answer.__new__(Answer)
    for name in Answer.__slots__:
        object.__setattr__(fake, name, None)
    for finish in (sent.finished, finish_with(model, numbers)):
        found = finish(answered(part, tensor, fake))
        assert whole.output_edge.encode(found.output.integers) == expected
        assert found.label in whole.classifier.labels


def test_features_of_the_whole_model_are_wanted(model: SplitModel, middle: Path) -> None:
    registered = Model.__new__(Model)
    object.__setattr__(registered, "card", load(middle).card)
    with pytest.raises(InvalidTensor, match="30"):
        carried(registered, Split(model), read_features("1,2,3"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--split", WHOLE], "--middle with what"),
        (["--middle", WHOLE], "--split with the whole model"),
        (["--split", WHOLE, "--middle", WHOLE], "write one with `nesa model split`"),
        (["--split", WHOLE, "--middle", "MIDDLE", "--shared", WHOLE], "--shared goes with"),
        (["--split", WHOLE.parent / "digits-cnn", "--middle", "MIDDLE"], "which was split"),
        (["--split", WHOLE, "--middle", "MIDDLE"], "is not the middle that breast-cancer-mlp was"),
        (
            [
                "--split",
                WHOLE,
                "--middle",
                "MIDDLE",
                *["--privacy", "auto", "--sensitivity", "personal", "--yes"],
            ],
            "is not the middle",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_says_what_to_do(
    nesa: Nesa,
    network: StandingNetwork,
    numbers: str,
    middle: Path,
    options: list[object],
    reason: str,
) -> None:
    words = [middle if word == "MIDDLE" else word for word in options]
    found = nesa("query", SHARED, numbers, "--network", network.file, *words)
    assert found.code == 1
    assert reason in " ".join(found.err.split())


@pytest.mark.usefixtures("chain_put_back")
def test_a_registered_middle_is_planned_before_it_is_paid(
    nesa: Nesa, network: StandingNetwork, numbers: str, middle: Path, tmp_path: Path
) -> None:
    offer = ("--price", "0.05", "--store", tmp_path / "store", "--network", network.file, "--json")
    version = nesa("model", "register", middle, *offer).document["version"]
    words = ("query", version, numbers, "--network", network.file, "--split", WHOLE)
    # Nobody has a seat in it, so that the market is asked, and says so.
    for options in ((), ("--sealed",), ("--dry-run",)):
        found = nesa(*words, "--middle", middle, *options, "--json")
        assert "too few operators serve this model" in found.document["error"]["message"]


def test_an_answer_is_finished_with_its_input_only(model: SplitModel) -> None:
    with pytest.raises(InvalidInput, match="needs --input"):
        finish_with(model, None)
    with pytest.raises(InvalidInput, match="is for --split"):
        finish_with(None, "1,2")
