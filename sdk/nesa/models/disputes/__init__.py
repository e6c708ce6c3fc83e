"""The game that leads two parties who disagree on an answer to one element; docs/disputes.md.

`game` holds the rules, `moves` what either side can do, `parties` how an honest side plays.
"""

from __future__ import annotations
