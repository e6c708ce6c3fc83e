"""Public architectures, exported by torch, compile and answer nearly as the float model does."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from nesa.models.compile import compile_model
from nesa.models.runtime import session
from tests.models.float_models import expect_agreement, real_output

torch = pytest.importorskip("torch")
architectures = pytest.importorskip("tests.train.architectures")

pytestmark = pytest.mark.train

SIZE = 16
FEEDS = ("input_ids", "attention_mask", "token_type_ids")


def images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 3, SIZE, SIZE)).astype(np.float32)


def sentences(count: int, seed: int) -> np.ndarray:
    """Indices of 3 to 10 words, the rest filled up with 0."""
    generator = np.random.default_rng(seed)
    shape = (count, architectures.LENGTH)
    lengths = generator.integers(3, architectures.LENGTH + 1, (count, 1))
    words = generator.integers(1, architectures.WORDS, shape)
    return np.where(np.arange(architectures.LENGTH) < lengths, words, 0)


def feeds(names, row: np.ndarray) -> dict[str, np.ndarray]:
    """What a model of language reads for a row of words."""
    ids = row[None]
    all_of_them = dict(zip(FEEDS, (ids, (ids != 0).astype(np.int64), ids * 0), strict=True))
    return {name: all_of_them.get(name, ids) for name in names}


def error(onnx: bytes, data: tuple[np.ndarray, np.ndarray], padding: int | None = None) -> float:
    """Root mean square of the difference to the float model, over the spread of its answers."""
    calibration, rows = data
    made = compile_model(onnx, calibration, percentile=100.0, padding=padding)
    expect_agreement(made, rows[:3])
    runner = session(onnx)
    names = [item.name for item in runner.get_inputs()]
    is_text = rows.dtype.kind == "i"
    wanted = [
        runner.run(None, feeds(names, row) if is_text else {names[0]: row[None]})[0] for row in rows
    ]
    found = [real_output(made, row) for row in rows]
    apart = np.stack(found).reshape(-1) - np.stack(wanted).reshape(-1)
    return float(np.sqrt((apart**2).mean() / np.stack(wanted).var()))


def exported(model, examples: list[np.ndarray], names: list[str]) -> bytes:
    """The ONNX file, batch norms settled on images."""
    tensors = tuple(torch.tensor(example) for example in examples)
    if examples[0].dtype.kind == "f":
        with torch.no_grad():
            for seed in range(10):
                model.train()(torch.tensor(images(32, seed)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return architectures.exported(model, tensors, names)


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (architectures.mobile_net, 0.06),
        (architectures.res_net, 0.04),
        (architectures.conv_next, 0.03),
        (architectures.UNet, 0.05),
    ],
    ids=["MobileNetV2", "ResNet", "ConvNeXt", "U-Net"],
)
def test_a_network_of_convolutions_is_near_the_float_model(make, bound):
    torch.manual_seed(0)
    onnx = exported(make(), [images(1, 0)], ["x"])
    assert error(onnx, (images(48, 1), images(16, 2))) < bound


@pytest.mark.parametrize("masking", ["eager", "sdpa", "bool"])
@pytest.mark.parametrize("kind", [architectures.Bert, architectures.PaddedBert])
def test_a_bert_is_near_the_float_model(kind, masking):
    torch.manual_seed(0)
    ids = sentences(1, 0)
    inputs = [ids] if kind is architectures.PaddedBert else [ids, (ids != 0) * 1, ids * 0]
    onnx = exported(kind(masking), inputs, list(FEEDS[: len(inputs)]))
    assert error(onnx, (sentences(64, 1), sentences(16, 2)), padding=0) < 0.06


def test_a_llama_block_is_near_the_float_model():
    torch.manual_seed(0)
    onnx = exported(architectures.Llama(), [sentences(1, 0)], ["ids"])
    assert error(onnx, (sentences(64, 1), sentences(16, 2))) < 0.03
