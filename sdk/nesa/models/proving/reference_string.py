"""Structured reference strings: the one for development, the public ceremony's, and their use.

Whoever knows the secret behind a reference string can prove anything. The development string was
made on one machine, so nobody can show that its secret is gone: it may be used on chains of one
machine only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nesa.protocol.errors import Incompatible, IntegrityError, InvalidConfiguration
from nesa.protocol.ids import Digest

LOCAL_CHAIN_IDS: Final = frozenset({31337, 1337})
"""Chains that live on one machine: anvil and its kin. Compiled in on purpose."""


@dataclass(frozen=True, slots=True)
class ReferenceString:
    """Identity of a reference string: `digest` is SHA-256 of the file, `k` log2 of its rows."""

    name: str
    digest: Digest
    k: int
    development_only: bool


DEVELOPMENT_ONLY: Final = ReferenceString(
    name="development only",
    digest=Digest(
        bytes.fromhex("f55f04aee225c473988e9fbd7ab1e6e7ab7ae8625f62fa4846371027a55b4abd")
    ),
    k=15,
    development_only=True,
)

CEREMONY_K15: Final = ReferenceString(
    name="perpetual powers of tau",
    digest=Digest(
        bytes.fromhex("90807800a1c3b248a452e1732c45ee5099f38b737356f5542c0584ec9c3ebb45")
    ),
    k=15,
    development_only=False,
)
"""The public ceremony's string for 2**15 rows, by the digest that ezkl publishes for it."""

REFERENCE_STRINGS: Final = {known.digest: known for known in (DEVELOPMENT_ONLY, CEREMONY_K15)}

_DEVELOPMENT_FILE: Final = Path(__file__).with_name("development-only-k15.srs")


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """A reference string together with the checked file that holds it."""

    identity: ReferenceString
    path: Path


def development_only() -> ReferenceFile:
    """The string that comes with the package.

    Raises:
        IntegrityError: the file was changed.
    """
    return _checked(_DEVELOPMENT_FILE, DEVELOPMENT_ONLY)


def from_file(path: Path, digest: Digest) -> ReferenceFile:
    """The reference string `digest` (32 bytes, SHA-256 of the file), read from `path`.

    Raises:
        InvalidConfiguration: no such file, or a string that this release does not know.
        IntegrityError: the file is another one.
    """
    known = REFERENCE_STRINGS.get(digest)
    if known is None:
        raise InvalidConfiguration(f"reference string 0x{digest.hex()} is not a known one")
    return _checked(path, known)


def locate(digest: Digest, ceremony: Path | None) -> ReferenceFile:
    """The reference string `digest`: the packaged one, or the one in the file `ceremony`.

    Raises:
        InvalidConfiguration: it is not packaged and no file was given, or see `from_file`.
        IntegrityError: the file is another one.
    """
    if digest == DEVELOPMENT_ONLY.digest:
        return development_only()
    if ceremony is None:
        raise InvalidConfiguration(f"a file with reference string 0x{digest.hex()} is needed")
    return from_file(ceremony, digest)


def require_permitted(chain_id: int, digest: Digest) -> None:
    """Returns when proofs over the reference string `digest` may count on chain `chain_id`.

    Raises:
        Incompatible: an unknown string, or the development string on a real chain.
    """
    known = REFERENCE_STRINGS.get(digest)
    if known is None:
        raise Incompatible(f"reference string 0x{digest.hex()} is not a known one")
    if known.development_only and chain_id not in LOCAL_CHAIN_IDS:
        raise Incompatible(
            f"the {known.name} reference string must not be used on chain {chain_id}"
        )


def _checked(path: Path, identity: ReferenceString) -> ReferenceFile:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise InvalidConfiguration(f"reference string {path}: {error.strerror}") from None
    if found != identity.digest:
        raise IntegrityError(
            f"{path} has SHA-256 0x{found.hex()}, the {identity.name} reference string "
            f"has 0x{identity.digest.hex()}"
        )
    return ReferenceFile(identity, path.resolve())
