"""Steps move to where they are needed, in an order that can still be evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from nesa.models.ordering import as_late_as_needed


@dataclass(frozen=True)
class Written:
    sources: tuple[str, ...]
    target: str


def targets(steps) -> list[str]:
    return [step.target for step in steps]


def test_a_mask_is_made_in_front_of_what_reads_it():
    steps = [
        Written(("ids",), "mask"),
        Written(("ids",), "count"),
        Written(("ids",), "words"),
        Written(("words",), "scores"),
        Written(("scores", "mask"), "masked"),
        Written(("masked",), "mixed"),
        Written(("mixed", "count"), "mean"),
    ]
    found = targets(as_late_as_needed(steps, "mean"))
    assert found == ["words", "scores", "mask", "masked", "mixed", "count", "mean"]


def test_what_nobody_reads_is_left_out():
    steps = [Written(("x",), "y"), Written(("x",), "unread"), Written(("y",), "z")]
    assert targets(as_late_as_needed(steps, "z")) == ["y", "z"]


def test_a_long_chain_needs_no_stack():
    steps = [Written((str(number),), str(number + 1)) for number in range(20_000)]
    assert as_late_as_needed(steps, "20000") == tuple(steps)


@given(st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=3), min_size=1, max_size=40))
def test_every_source_is_made_before_it_is_read(drawn):
    steps = [
        Written(tuple(str(one % (number + 1)) for one in sources), str(number + 1))
        for number, sources in enumerate(drawn)
    ]
    made = {"0"}
    for step in as_late_as_needed(steps, str(len(steps))):
        assert made.issuperset(step.sources)
        made.add(step.target)
    assert str(len(steps)) in made
