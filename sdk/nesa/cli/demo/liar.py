"""Puts a miner that lies in an honest miner's place: a program of its own, under the same keys."""

from __future__ import annotations

import sys
from typing import Final

from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator, wait_until_ready
from nesa.devnet.processes import Program
from nesa.protocol.errors import InvalidInput

PROGRAM: Final = "scripts/lying_miner.py"


async def replace_by_liar(devnet: Devnet, name: str, *, defends: bool = False) -> Operator:
    """Stop the miner of that name and start the liar in its folder; returns once it is ready.

    One that `defends` plays its lie to the end when it is challenged; others are silent.

    Raises:
        InvalidInput: there is no such miner.
        Unavailable: the liar does not start.
    """
    operator = next((miner for miner in devnet.miners if miner.name == name), None)
    if operator is None:
        raise InvalidInput(f"this network has no {name}")
    await devnet.supervisor.stop(name)
    words = ("--defend",) if defends else ()
    program = devnet.foundation.clone.root / PROGRAM
    await devnet.supervisor.start(
        Program(
            name=name,
            command=(sys.executable, str(program), "--dir", str(operator.folder), *words),
            log=devnet.layout.log(f"{name}-lying"),
            environment=devnet.founder.environment(operator.folder),
        )
    )
    await wait_until_ready([operator], devnet.supervisor)
    return operator
