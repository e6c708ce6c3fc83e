"""One module for each operator of `int-v1`: definition, reference, lowerings, circuit needs."""

from __future__ import annotations

from typing import Final

from nesa.models.graph import Opcode
from nesa.models.opcodes.add_rescale import AddRescale
from nesa.models.opcodes.arg_max import ArgMax
from nesa.models.opcodes.concat import Concat
from nesa.models.opcodes.conv import Conv
from nesa.models.opcodes.interface import Operator
from nesa.models.opcodes.linear import Linear
from nesa.models.opcodes.lookup import Lookup
from nesa.models.opcodes.max_pool import MaxPool
from nesa.models.opcodes.rescale import Rescale
from nesa.models.opcodes.reshape import Reshape
from nesa.models.opcodes.slicing import Slice
from nesa.models.opcodes.sum_pool import SumPool
from nesa.models.opcodes.transpose import Transpose
from nesa.protocol.errors import InvalidModel

__all__ = ["Operator", "operator"]

_OFFERED: Final[tuple[Operator, ...]] = (
    Linear(),
    Conv(),
    Rescale(),
    AddRescale(),
    Lookup(),
    MaxPool(),
    SumPool(),
    ArgMax(),
    Reshape(),
    Transpose(),
    Concat(),
    Slice(),
)

_BY_CODE: Final = {offered.code: offered for offered in _OFFERED}


def operator(code: Opcode) -> Operator:
    """The operator with number `code`.

    Raises:
        InvalidModel: the number is reserved for an operator that is not offered yet.
    """
    if code not in _BY_CODE:
        raise InvalidModel(f"opcode {code.name} is not offered yet")
    return _BY_CODE[code]
