"""Disputes as one side of them lives through them: what the chain says, what is due, who does it.

    court's events --> docket --> duties --> next move --> sent

`docket`, `duties` and `playing` are values and rules; `litigation` performs.
"""

from __future__ import annotations
