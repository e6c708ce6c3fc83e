"""One module for each operator of `int-v1`: definition, reference, lowerings, circuit needs."""

from __future__ import annotations

from typing import Final

from nesa.models.graph import Opcode
from nesa.models.opcodes.add_rescale import AddRescale
from nesa.models.opcodes.arg_max import ArgMax
from nesa.models.opcodes.concat import Concat
from nesa.models.opcodes.conv import Conv
from nesa.models.opcodes.divide_search import DivideSearch
from nesa.models.opcodes.embedding import Embedding
from nesa.models.opcodes.interface import Operator
from nesa.models.opcodes.linear import Linear
from nesa.models.opcodes.lookup import Lookup
from nesa.models.opcodes.mat_mul import MatMul
from nesa.models.opcodes.max_pool import MaxPool
from nesa.models.opcodes.rescale import Rescale
from nesa.models.opcodes.reshape import Reshape
from nesa.models.opcodes.root_search import RootSearch
from nesa.models.opcodes.row_max import RowMax
from nesa.models.opcodes.row_sum import RowSum
from nesa.models.opcodes.slicing import Slice
from nesa.models.opcodes.sum_pool import SumPool
from nesa.models.opcodes.transpose import Transpose
from nesa.protocol.errors import InvalidModel

__all__ = ["Operator", "operator"]

_OPERATORS: Final[tuple[Operator, ...]] = (
    Linear(),
    Conv(),
    MatMul(),
    Rescale(),
    AddRescale(),
    Lookup(),
    MaxPool(),
    SumPool(),
    RowSum(),
    RowMax(),
    DivideSearch(),
    RootSearch(),
    Embedding(),
    ArgMax(),
    Reshape(),
    Transpose(),
    Concat(),
    Slice(),
)

_BY_CODE: Final = {rule.code: rule for rule in _OPERATORS}


def operator(code: Opcode) -> Operator:
    """The operator with number `code`.

    Raises:
        InvalidModel: the number is not that of an operator.
    """
    if code not in _BY_CODE:
        raise InvalidModel(f"{code.name} is not an operator")
    return _BY_CODE[code]
