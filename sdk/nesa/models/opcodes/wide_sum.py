"""What MatMul and RowSum share: sums that may outgrow float32 but not int32."""

from __future__ import annotations

from nesa.models.graph import Row
from nesa.models.opcodes.interface import expect
from nesa.protocol.edges import DType, EdgeType

SUM_LIMIT = 2**31


def sum_of(row: Row, operands: int, low: int, high: int, shape: tuple[int, ...]) -> EdgeType:
    """int32 type of sums of `operands` terms in [low, high].

    The bound holds for every partial sum too, so the sums are exact in any order.

    Raises:
        InvalidModel: the worst case does not fit int32.
    """
    worst = operands * max(abs(low), abs(high))
    expect(worst < SUM_LIMIT, row, f"worst-case sum {worst} is not below 2**31")
    return EdgeType(DType.INT32, shape, operands * low, operands * high)
