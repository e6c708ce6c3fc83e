"""Judging single elements: what must be opened, who makes the openings, and who believes them.

`Witness` makes openings from a table and all values; `evaluate` judges from the openings alone, as
`contracts/disputes/` does on a chain.
"""

from __future__ import annotations

from nesa.models.judging.questions import Opening, Question
from nesa.models.judging.verdicts import evaluate, extent, is_refuted
from nesa.models.judging.witness import Witness

__all__ = ["Opening", "Question", "Witness", "evaluate", "extent", "is_refuted"]
