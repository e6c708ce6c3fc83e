"""Natural text that every machine with Python has: the manual and docstrings of Python itself.

They are under the licence of Python (PSF-2.0). Nothing of them is kept in the repository.
"""

from __future__ import annotations

import inspect
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

QUOTED: Final = re.compile('"""(.*?)"""', re.DOTALL)
"""What stands between triple quotes: nearly always a docstring."""
LEAST_WORDS: Final = 6
"""Shorter paragraphs are headings and code."""


def paragraphs() -> tuple[list[str], list[str]]:
    """Paragraphs of prose, in an order drawn once: one half for clients, one for the attacker."""
    found = sorted({text for text in _all() if _is_prose(text)})
    order = np.random.default_rng(0).permutation(len(found))
    return [found[place] for place in order[0::2]], [found[place] for place in order[1::2]]


def _all() -> Iterator[str]:
    from pydoc_data.topics import topics

    for text in topics.values():
        yield from _split(text)
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for text in QUOTED.findall(path.read_text(encoding="utf-8", errors="replace")):
            yield from _split(text)


def _split(text: str) -> Iterator[str]:
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        yield " ".join(paragraph.split())


def _is_prose(text: str) -> bool:
    words = text.split()
    letters = sum(character.isalpha() or character == " " for character in text)
    return len(words) >= LEAST_WORDS and letters > 0.85 * len(text)
