"""Orders layers so that little is alive between two of them, which is where a model can be cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TypeVar

FRONT: Final = -1
"""How far behind the input the input itself lies."""


class Step(Protocol):
    """What reads some values and gives one."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of what is read."""

    @property
    def target(self) -> str:
        """Name of what is given."""


_Step = TypeVar("_Step", bound=Step)


def as_late_as_needed(steps: Sequence[_Step], target: str) -> tuple[_Step, ...]:
    """The steps that `target` depends on, each just in front of the first that needs it.

    `steps` are in an order of evaluation. They are walked through from the target, of several
    sources first the one behind the most steps (after Sethi and Ullman 1970), so that what is
    quickly made, such as a mask, is not made long before it is read.
    """
    made = {step.target: step for step in steps}
    depths = _depths(steps)
    order: dict[str, _Step] = {}
    waiting = [(target, False)]
    while waiting:
        name, ready = waiting.pop()
        if name in order or name not in made:
            continue
        if ready:
            order[name] = made[name]
            continue
        waiting.append((name, True))
        sources = sorted(made[name].sources, key=lambda one: depths.get(one, FRONT))
        waiting += [(source, False) for source in sources]
    return tuple(order.values())


def _depths(steps: Sequence[_Step]) -> Mapping[str, int]:
    """Steps on the longest way from the input to each value."""
    depths: dict[str, int] = {}
    for step in steps:
        depths[step.target] = 1 + max((depths.get(one, FRONT) for one in step.sources), default=0)
    return depths
