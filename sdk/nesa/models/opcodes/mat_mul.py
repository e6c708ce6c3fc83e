"""MatMul: `y[.., i, j] = sum_k x[.., i, k] * z[.., k, j]`, a product of two activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.dot_product import dot
from nesa.models.opcodes.interface import NodeWriter, carrier, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Places, coordinates
from nesa.models.opcodes.rescale import MANY_ELEMENTS
from nesa.models.opcodes.wide_sum import sum_of
from nesa.protocol.edges import EdgeType


class MatMul:
    """Batched matrix product; every axis in front of the last two must be the same in both.

    Inputs `x` [.., M, K] and `z` [.., K, N] of rank >= 2. Attributes (M, K, N). Output int32
    [.., M, N]; element `(b, i, j)` reads `x` at `(b*M + i)*K + k` and `z` at `(b*K + k)*N + j`.
    With K = 1 it is the product of every pair, which serves to scale rows.

    Bound: `K * max|x| * max|z| < 2**31`; from 2**24 on the sums are float64.
    """

    code = Opcode.MATMUL
    unprovable = ""
    fold = Fold.SUM

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int32 with the worst-case range; see `Operator.infer`."""
        expect_shape(row, inputs, arity=2, attributes=3, parameters=0)
        (first, second), (height, operands, width) = inputs, row.attributes
        expect(min(len(first.shape), len(second.shape)) >= 2, row, "the rank must be 2 or more")
        expect(first.shape[-2:] == (height, operands), row, "the first input must end in [M, K]")
        expect(second.shape[-2:] == (operands, width), row, "the second input must end in [K, N]")
        batch = first.shape[:-2]
        expect(second.shape[:-2] == batch, row, "both inputs must have the same axes in front")
        ends = [x * z for x in (first.low, first.high) for z in (second.low, second.high)]
        return sum_of(row, operands, min(ends), max(ends), (*batch, height, width))

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        product: Integers = tensors[0] @ tensors[1]
        return product

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """In the element type of the sums; rows scaled and squared without MatMul where that pays.

        MatMul has an overhead for each of many small products, and ONNX Runtime walks through a
        last axis of size 1 element by element.
        """
        wanted = carrier(row.output_type)
        pairs = zip(names, inputs, strict=True)
        factors = [writer.cast(name, carrier(edge), wanted) for name, edge in pairs]
        height, operands, width = row.attributes
        many = max(edge.elements for edge in inputs) >= MANY_ELEMENTS
        if many and operands == width == 1:
            return _scaled_rows(factors, inputs, writer)
        if many and height == width == 1:
            return _products_of_rows(factors, inputs, writer)
        return writer.node("Mul" if operands == 1 else "MatMul", factors)

    def lower_ezkl(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """MatMul, or Mul for one product each."""
        wanted = carrier(row.output_type)
        pairs = zip(names, inputs, strict=True)
        factors = [writer.cast(name, carrier(edge), wanted) for name, edge in pairs]
        return writer.node("Mul" if row.attributes[1] == 1 else "MatMul", factors)

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """One row for two products, and one for every sum."""
        return row.output_type.elements * (row.attributes[1] // 2 + 2)

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """A row of the first input and a column of the second, in step."""
        height, size, width = row.attributes
        batch, line, place = coordinates((row.output_type.elements, height, width), element)
        return (
            (Places(0, (batch * height + line) * size, 1, size),),
            (Places(1, batch * size * width + place, width, size),),
        )

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The sum of the products."""
        return dot(*columns)


def _scaled_rows(factors: Sequence[str], inputs: tuple[EdgeType, ...], writer: NodeWriter) -> str:
    """[.., M, 1] by [.., 1, 1]: every row of the first times its number, as [.., M] and [.., 1]."""
    shape = inputs[0].shape
    numbers, scales = (
        writer.reshape(name, edge.shape[:-1]) for name, edge in zip(factors, inputs, strict=True)
    )
    product = writer.node("Mul", [numbers, scales])
    writer.products[product] = numbers, scales
    return writer.reshape(product, shape)


def _products_of_rows(
    factors: Sequence[str], inputs: tuple[EdgeType, ...], writer: NodeWriter
) -> str:
    """[.., 1, K] by [.., K, 1]: the sum of the products of both rows."""
    shape = inputs[0].shape
    lying = writer.reshape(factors[1], shape)
    axis = writer.constant(np.array([len(shape) - 1], np.int64))
    products = writer.node("Mul", [factors[0], lying])
    return writer.node("ReduceSum", [products, axis], keepdims=1)
