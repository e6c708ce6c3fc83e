"""Compiled models in a store of files by digest: written by the developer, read a shard at a time.

A store is a folder, or anything that serves one; each file lies under the hexadecimal Merkle root
of its bytes. What the chain calls the location of a version is the address of its index there:
`<base URL>/<digest of the index>`. The index names every other file by digest.

Of a private model whatever belongs to one shard is published encrypted, under the digest of the
ciphertext; the index, which names both digests, and the test rows stay readable.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from nesa.models.answers import answers_path, read_answers
from nesa.models.folder import INDEX, CompiledModel, circuit_path, load
from nesa.models.graph import Table
from nesa.models.index import (
    Index,
    KeyRelease,
    PrivateFiles,
    constants_path,
    decode_index,
    read_definition,
    read_outline,
    unword,
    word,
)
from nesa.models.proving.circuits import Circuit, require_digest
from nesa.models.proving.reference_string import ReferenceFile
from nesa.models.proving.verifier import code_hash, runtime_of
from nesa.models.runtime import KnownAnswer
from nesa.models.stacking import most_stacked
from nesa.protocol.circuits import Ends, ShownEdge, circuit_digest
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import (
    ExhaustedResource,
    IntegrityError,
    InvalidConfiguration,
    InvalidModel,
    NotEntitled,
)
from nesa.protocol.ids import Digest, VersionRoot
from nesa.protocol.versions import ShardFacts

MAX_LOCATION_BYTES: Final = 256
"""Longest location that the registry takes."""

SETTINGS: Final = "settings.json"
VERIFYING_KEY: Final = "vk"
VERIFIER_SOURCE: Final = "verifier.sol"
VERIFIER_CODE: Final = "verifier.hex"
CORNER: Final = "corner.json"
ARTEFACTS: Final = (SETTINGS, VERIFYING_KEY, VERIFIER_SOURCE, VERIFIER_CODE, CORNER)
"""What a provable shard has beside its ONNX files; see `nesa.models.proving.artefacts`."""

_DIGEST_NAME: Final = re.compile(r"[0-9a-f]{64}")
_FULL_DISK: Final = (errno.ENOSPC, errno.EDQUOT)

_SHARD_FILE: Final = re.compile(r"(?:known_answers|parameters|shards)/([0-9]+)\.")

FetchFile = Callable[[Digest], bytes]
"""Returns the bytes with a Merkle root, which it has checked."""


DecryptFile = Callable[[Digest, bytes], bytes]
"""Returns what the ciphertext of a file with a Merkle root holds, which it may leave unchecked."""

EncryptFile = Callable[[VersionRoot, int, Digest, bytes], bytes]
"""Returns the ciphertext of a shard's file: version, number of the shard, Merkle root, content."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a private model is published, and where operators ask for the keys."""

    release: KeyRelease
    encrypt: EncryptFile


def artefact_path(shard: int, kind: str) -> str:
    """Path of one of a shard's `ARTEFACTS` inside a model's folder."""
    return f"shards/{shard}.{kind}"


def shard_of_file(path: str) -> int | None:
    """The shard that a file of a model's folder belongs to, None where it is the whole model's."""
    found = _SHARD_FILE.match(path)
    return int(found[1]) if found else None


def publish(folder: Path, store: Path, base_url: str, encryption: Encryption | None = None) -> str:
    """Write the compiled model in `folder` into `store`, which answers at `base_url`.

    With an `encryption` the files of its shards are written encrypted only.

    Returns the location to register. Files that are there already stay; publishing the same
    model again changes nothing and returns the same location.

    Raises:
        InvalidModel: the folder holds no model, or lacks a file of a provable shard; or a private
            model has circuits.
        IntegrityError: a file does not match its digest.
        InvalidConfiguration: the store cannot be written, or holds a private model's files in the
            clear, or the base URL is too long.
        ExhaustedResource: the disk is full; what is in the store is whole.
    """
    model = load(folder)
    artefacts = _artefacts(folder, model)
    files: Mapping[str, bytes] = {**model.files, **artefacts}
    index = _published_index(folder, artefacts)
    if encryption is not None:
        files, index = _made_private(model, index, store, encryption)
    location = f"{base_url.rstrip('/')}/{bytes_root(index).hex()}"
    if len(location.encode()) > MAX_LOCATION_BYTES:
        raise InvalidConfiguration(
            f"the location {location} is longer than {MAX_LOCATION_BYTES} bytes; "
            "use a shorter base URL"
        )
    for data in (*files.values(), index):
        _place(store, data)
    return location


def index_digest(location: str) -> Digest:
    """Digest of the index at a registered location.

    Raises:
        InvalidModel: the location does not end in a digest.
    """
    name = location.rstrip("/").rpartition("/")[2]
    if not _DIGEST_NAME.fullmatch(name):
        raise InvalidModel(f"the location {location!r} does not end in the digest of an index")
    return Digest(bytes.fromhex(name))


def base_of(location: str) -> str:
    """The store that a location lies in.

    Raises:
        InvalidModel: the location does not end in a digest.
    """
    index_digest(location)
    return location.rstrip("/").rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """The index of a published version; whatever else is asked for is fetched then.

    Of a private version `decrypt` opens the files of the one shard whose key is here.
    """

    index: Index
    fetch_file: FetchFile = field(repr=False)
    decrypt: DecryptFile | None = field(default=None, repr=False)

    @classmethod
    def fetch(cls, location: str, fetch_file: FetchFile) -> Self:
        """The version at a registered location.

        Raises:
            InvalidModel: the location names no index.
            Unavailable, IntegrityError, ExhaustedResource: see `fetch_file`.
        """
        return cls(decode_index(fetch_file(index_digest(location))), fetch_file)

    def unlocked(self, decrypt: DecryptFile) -> PublishedVersion:
        """The version with the files of one shard open."""
        return replace(self, decrypt=decrypt)

    def require_registered(self, operators_root: Digest, metadata_digest: Digest) -> None:
        """Returns when the index is that of the version that was registered with these digests.

        Raises:
            IntegrityError: it is another one.
        """
        index = self.index
        if index.card.digest != metadata_digest or unword(index.operators_root) != operators_root:
            raise IntegrityError(f"the index of {index.card.name} is not that of this version")

    @property
    def reference_digest(self) -> Digest:
        """Digest of the reference string of the version's circuits.

        Raises:
            InvalidModel: the card names none.
        """
        text = self.index.card.reference_string
        if not _DIGEST_NAME.fullmatch(text.removeprefix("0x")):
            raise InvalidModel(f"the card of {self.index.card.name} names no reference string")
        return Digest(unword(text))

    def file(self, path: str) -> bytes:
        """A file by its path in the model's folder.

        Raises:
            InvalidModel: the index does not name it.
            NotEntitled: it is encrypted and no key is here.
            IntegrityError: the key does not open it, or it holds something else.
        """
        digest, private = self._digest(path), self.index.private
        if private is None or path not in private.files:
            return self.fetch_file(digest)
        if self.decrypt is None:
            raise NotEntitled(f"{path} of {self.index.card.name} is for the operators of its shard")
        data = self.decrypt(digest, self.fetch_file(Digest(unword(private.files[path]))))
        if not data or bytes_root(data) != digest:
            raise IntegrityError(f"{path} of {self.index.card.name} does not match its digest")
        return data

    def known_answers(self, shard: int) -> tuple[KnownAnswer, ...]:
        """What a shard must answer on every machine.

        Raises:
            InvalidModel: the version was published without.
        """
        return read_answers(self.file(answers_path(shard)), shard)

    def outline(self) -> Table:
        """The table without its constants, of which it has the roots.

        Raises:
            InvalidModel: the index holds no legal table.
            IntegrityError: it is another one than the index names.
        """
        return read_outline(self.index)

    def definition(self, shard: int) -> Table:
        """The table with the constants of one shard, which whoever signs must be able to open.

        Raises:
            InvalidModel: the index holds no legal table, or has no such shard.
            IntegrityError: it is another one than the index names.
        """
        path = constants_path(shard)
        constants = self.file(path) if path in self.index.files else b""
        return read_definition(self.index, constants, shard)

    def most_stacked(self, shard: int) -> int:
        """How many queries may run at once in a shard; see `nesa.models.stacking`.

        Raises:
            InvalidModel, IntegrityError: see `outline`; or it has no such shard.
        """
        table = self.outline()
        if not 0 <= shard < len(table.shards):
            raise InvalidModel(f"{self.index.card.name} has no shard {shard}")
        return most_stacked(table, table.shards[shard])

    def circuit(self, shard: int, facts: ShardFacts, reference: ReferenceFile) -> Circuit:
        """The circuit of a shard; its verifying key is the one that the chain knows.

        Raises:
            InvalidModel: the shard has no circuit.
            IntegrityError: the published verifying key is another one.
        """
        if not any(facts.circuit_digest):
            raise InvalidModel(f"shard {shard} of {self.index.card.name} has no circuit")
        ends = self.index.card.circuits.ends(shard, len(self.index.shards))
        circuit = Circuit(
            self.file(circuit_path(shard)),
            self.file(artefact_path(shard, SETTINGS)),
            self.file(artefact_path(shard, VERIFYING_KEY)),
            ShownEdge(facts.input_edges[0], ends.hashed_input),
            ShownEdge(facts.output_edges[0], ends.hashed_output),
            reference,
        )
        require_digest(circuit, facts.circuit_digest)
        return circuit

    def verifier(self, shard: int) -> tuple[str, bytes]:
        """Solidity source and runtime bytecode of a shard's verifier as published.

        Raises:
            InvalidModel: they are not there or malformed.
        """
        source = self.file(artefact_path(shard, VERIFIER_SOURCE))
        creation = self.file(artefact_path(shard, VERIFIER_CODE))
        return source.decode(errors="replace"), runtime_of(_unhex(creation))

    def _digest(self, path: str) -> Digest:
        root = self.index.files.get(path)
        if root is None:
            raise InvalidModel(f"{self.index.card.name} was published without {path}")
        return Digest(unword(root))


def _made_private(
    model: CompiledModel, index: bytes, store: Path, encryption: Encryption
) -> tuple[dict[str, bytes], bytes]:
    """The files as they are published, and the index that names them.

    Proving keys hold the weights of their circuit in the clear, on the disk of whoever proves.
    """
    if any(any(facts.circuit_digest) for facts in model.shards):
        raise InvalidModel(
            f"{model.name} has circuits, whose proving keys hold weights in the clear; make a "
            "folder without them: `nesa model cut FOLDER --shards N --output OTHER`"
        )
    published, ciphertexts = dict[str, bytes](), dict[str, str]()
    for path, data in model.files.items():
        shard, digest = shard_of_file(path), bytes_root(data)
        if shard is None:
            published[path] = data
            continue
        _require_absent(store, digest, path)
        published[path] = encryption.encrypt(model.root, shard, digest, data)
        ciphertexts[path] = word(bytes_root(published[path]))
    private = PrivateFiles(release=encryption.release, files=ciphertexts)
    return published, decode_index(index).model_copy(update={"private": private}).encode()


def _require_absent(store: Path, digest: Digest, path: str) -> None:
    if (store / digest.hex()).exists():
        raise InvalidConfiguration(
            f"{store} holds {path} in the clear as {digest.hex()}; whoever fetched it has it for "
            "good, so publish weights that were never there, into a store of their own"
        )


def _artefacts(folder: Path, model: CompiledModel) -> dict[str, bytes]:
    """Files of the provable shards that the folder's own index does not name."""
    found: dict[str, bytes] = {}
    for shard, facts in enumerate(model.shards):
        if not any(facts.circuit_digest):
            continue
        for kind in ARTEFACTS:
            path = artefact_path(shard, kind)
            found[path] = model.files[path] if path in model.files else _read(folder / path)
        ends = model.card.circuits.ends(shard, len(model.shards))
        _check_artefacts(found, shard, facts, ends)
    return {path: data for path, data in found.items() if path not in model.files}


def _check_artefacts(files: Mapping[str, bytes], shard: int, facts: ShardFacts, ends: Ends) -> None:
    key = files[artefact_path(shard, VERIFYING_KEY)]
    if circuit_digest(key, ends) != facts.circuit_digest:
        raise IntegrityError(f"the verifying key of shard {shard} does not match its digest")
    runtime = runtime_of(_unhex(files[artefact_path(shard, VERIFIER_CODE)]))
    if code_hash(runtime) != facts.verifier_code_hash:
        raise IntegrityError(f"the verifier of shard {shard} does not match its code hash")


def _published_index(folder: Path, artefacts: Mapping[str, bytes]) -> bytes:
    """The folder's index, with digests of the artefacts where it has none."""
    data = _read(folder / INDEX)
    if not artefacts:
        return data
    index = decode_index(data)
    named = {path: word(bytes_root(body)) for path, body in artefacts.items()}
    return index.model_copy(update={"files": {**index.files, **named}}).encode()


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidModel(f"{path} cannot be read: {error.strerror}") from error
    if not data:
        raise InvalidModel(f"{path} is empty")
    return data


def _unhex(data: bytes) -> bytes:
    try:
        return bytes.fromhex(data.decode().strip().removeprefix("0x"))
    except ValueError as error:
        raise InvalidModel("the verifier's bytecode is not hexadecimal") from error


def _place(store: Path, data: bytes) -> None:
    """Put `data` under its digest, whole or not at all."""
    target = store / bytes_root(data).hex()
    try:
        store.mkdir(parents=True, exist_ok=True)
        if target.is_file() and target.read_bytes() == data:
            return
        _write_whole(target, data)
    except OSError as error:
        if error.errno in _FULL_DISK:
            raise ExhaustedResource(
                f"no room for {len(data)} bytes in {store}; free some space and publish again"
            ) from error
        raise InvalidConfiguration(f"cannot write to {store}: {error.strerror}") from error


def _write_whole(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".incoming-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
