"""What is wrong with a document, in words: the first problem that pydantic found."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError, whole: str, skipped: int = 0) -> tuple[str, str]:
    """Where the first problem is, and what; `whole` names the document where it is all of it.

    `skipped` parts of the place in front are left out, such as the kind in a union. Values are
    not shown.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(map(str, first["loc"][skipped:])) or whole, first["msg"]
