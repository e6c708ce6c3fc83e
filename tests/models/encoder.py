"""A very small transformer: embedding, attention with a residual, normalised, two logits."""

from __future__ import annotations

from math import sqrt

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.compositions import Written, affine, layer_norm, rms_norm, softmax
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.quantise import Scaling
from nesa.protocol.edges import DType, EdgeType

TOKENS, WIDTH, WORDS = 4, 8, 50


def encoder(seed: int = 0) -> Table:
    """The whole of it: four words in, int16 logits [1, 2] out."""
    block = Block(seed)
    words = block.embedded()
    normal = layer_norm(block.builder, words, 4.0, Scaling(DType.INT8, -127, 127, 1 / 40))
    mixed = block.attention(normal)
    residual = block.sum(words, mixed)
    generator = np.random.default_rng(seed)
    gains, offsets = generator.normal(0, 1, WIDTH), generator.normal(0, 0.3, WIDTH)
    root = rms_norm(block.builder, residual, 4.0, Scaling(DType.INT16, -32767, 32767, 1 / 8000))
    bent = affine(block.builder, root, gains, offsets, Scaling(DType.INT8, -127, 127, 1 / 30))
    return block.builder.table([block.logits(bent.value)])


class Block:
    """Rows of the encoder, its constants drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.builder = TableBuilder([EdgeType(DType.UINT8, (1, TOKENS), 0, WORDS - 1)])
        self._generator = np.random.default_rng(seed)

    def embedded(self) -> int:
        """Rows of the words, [1, TOKENS, WIDTH]."""
        weights = [self._constants(ParameterKind.WEIGHTS, 127, (WORDS, WIDTH))]
        return self.builder.add(Opcode.EMBEDDING, [0], (WORDS, WIDTH), weights)

    def attention(self, source: Written) -> int:
        """One head."""
        query, key, value = (self._dense(source.value, WIDTH, WIDTH) for _ in range(3))
        turned = self.builder.add(Opcode.TRANSPOSE, [key], (0, 2, 1))
        products = self.builder.add(Opcode.MATMUL, [query, turned], (TOKENS, WIDTH, TOKENS))
        scores = self._narrow(products, DType.INT8, 127)
        shares = softmax(self.builder, Written(scores, 1 / sqrt(WIDTH) / 8))
        mixed = self.builder.add(Opcode.MATMUL, [shares.value, value], (TOKENS, TOKENS, WIDTH))
        return self._narrow(mixed, DType.INT8, 127)

    def sum(self, first: int, second: int) -> int:
        """The residual stream as int16."""
        factors = [Parameter(ParameterKind.MULTIPLIERS, np.array([8000, 7001]))]
        declared = EdgeType(DType.INT16, (1, TOKENS, WIDTH), -32767, 32767)
        return self.builder.add(Opcode.ADD_RESCALE, [first, second], (1,), factors, declared)

    def logits(self, source: int) -> int:
        """Two numbers from all places."""
        flat = self.builder.add(Opcode.RESHAPE, [source], (1, TOKENS * WIDTH))
        sums = self._sums(flat, TOKENS * WIDTH, 2)
        return self._narrow(sums, DType.INT16, 32767, 1)

    def _dense(self, source: int, operands: int, channels: int) -> int:
        return self._narrow(self._sums(source, operands, channels), DType.INT8, 127)

    def _sums(self, source: int, operands: int, channels: int) -> int:
        weights = self._constants(ParameterKind.WEIGHTS, 127, (channels, operands))
        biases = self._constants(ParameterKind.BIASES, 500, (channels,))
        return self.builder.add(Opcode.LINEAR, [source], (operands, channels), [weights, biases])

    def _narrow(self, source: int, dtype: DType, high: int, halves: int = 2) -> int:
        shape = self.builder.type_of(source).shape
        factors = [Parameter(ParameterKind.MULTIPLIERS, np.array([73]))]
        declared = EdgeType(dtype, shape, -high, high)
        return self.builder.add(Opcode.RESCALE, [source], (halves, -1), factors, declared)

    def _constants(self, kind: ParameterKind, high: int, shape: tuple[int, ...]) -> Parameter:
        return Parameter(kind, self._generator.integers(-high, high + 1, shape))
