"""Writes a document that people and programs read, such as settings, all of it or nothing."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from nesa.protocol.errors import InvalidConfiguration


def write_document(path: Path, document: BaseModel) -> None:
    """Store as JSON; the folder is made when it is missing, an older file replaced at once.

    Raises:
        InvalidConfiguration: it cannot be written; the older file is as it was.
    """
    draft = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(document.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise InvalidConfiguration(f"cannot write {path}: {error.strerror}") from error
