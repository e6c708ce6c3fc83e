"""Canonical JSON: one byte string for one value."""

from __future__ import annotations

import json


def canonical_json(value: object) -> bytes:
    """UTF-8 with sorted keys, no spaces and no NaN; floats in Python's shortest form.

    Raises:
        ValueError: NaN or infinity.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()
