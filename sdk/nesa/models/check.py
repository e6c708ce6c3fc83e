"""Whether a table keeps the rules of `int-v1`."""

from __future__ import annotations

from nesa.models.graph import Shard, Table
from nesa.models.judging.questions import MAX_NODES
from nesa.models.opcodes import operator
from nesa.protocol.errors import InvalidModel
from nesa.protocol.openings import sibling_count


def check_table(table: Table) -> None:
    """Works every row's output type out anew and compares it with the declared one; and sees that
    each row can be judged.

    Raises:
        InvalidModel: a row breaks a rule of its operator, or reads values that no proof of a
            dispute could hold; the message names the row.
    """
    for shard in table.shards:
        check_shard(table, shard)


def check_shard(table: Table, shard: Shard) -> None:
    """As `check_table`, of one shard; no other rows need their constants."""
    values = (*shard.inputs, *map(table.output_of, range(shard.first, shard.end)))
    place_of = {value: place for place, value in enumerate(values)}
    for index in range(shard.first, shard.end):
        _check_type(table, index)
        places = sorted({place_of[value] for value in table.rows[index].inputs})
        if sibling_count(places, len(values)) > MAX_NODES:
            raise InvalidModel(
                f"row {index} reads {len(places)} values too far apart to be shown in a dispute; "
                "cut the model into more shards"
            )


def _check_type(table: Table, index: int) -> None:
    row = table.rows[index]
    try:
        inferred = operator(row.opcode).infer(row, table.types_of(row.inputs))
    except InvalidModel as error:
        raise InvalidModel(f"row {index}: {error}") from error
    if inferred != row.output_type:
        raise InvalidModel(f"row {index}: declares {row.output_type} but gives {inferred}")
