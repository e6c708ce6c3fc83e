"""Files of private models as they are published: ciphertext in frames, one key a file.

Frames are 64 KiB of plaintext each under ChaCha20-Poly1305, so that a file of any size streams.
The nonce of a frame is its number and whether it is the last, after the STREAM construction of
Hoang, Reyhanitabar, Rogaway and Vizár (2015): frames that are exchanged, repeated, left out or cut
off at the end do not open. The key of a file derives from its shard's key and the digest of what it
holds, so that no key ever encrypts two contents and the same content is published as the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nesa.protocol.errors import IntegrityError
from nesa.protocol.ids import Digest

FRAME_BYTES: Final = 64 << 10
TAG_BYTES: Final = 16

_DOMAIN: Final = b"nesa.shard-file.v1"


def encrypt_file(shard_key: bytes, digest: Digest, data: bytes) -> bytes:
    """Ciphertext of a shard's file; `digest` is the Merkle root of `data`."""
    return b"".join(encrypted_frames(shard_key, digest, BytesIO(data)))


def decrypt_file(shard_key: bytes, digest: Digest, ciphertext: bytes) -> bytes:
    """What `encrypt_file` took; that it has the digest is for the caller to see.

    Raises:
        IntegrityError: another key or digest, or changed bytes.
    """
    return b"".join(decrypted_frames(shard_key, digest, BytesIO(ciphertext)))


def encrypted_frames(shard_key: bytes, digest: Digest, file: BinaryIO) -> Iterator[bytes]:
    """Ciphertext of a file with this digest, frame by frame."""
    cipher = _cipher(shard_key, digest)
    for number, (frame, is_last) in enumerate(_frames(file, FRAME_BYTES)):
        yield cipher.encrypt(_nonce(number, is_last), frame, _DOMAIN)


def decrypted_frames(shard_key: bytes, digest: Digest, file: BinaryIO) -> Iterator[bytes]:
    """Plaintext of what `encrypted_frames` made; not the file's before the last frame is there.

    Raises:
        IntegrityError: another key or digest, or changed bytes.
    """
    cipher = _cipher(shard_key, digest)
    for number, (frame, is_last) in enumerate(_frames(file, FRAME_BYTES + TAG_BYTES)):
        try:
            yield cipher.decrypt(_nonce(number, is_last), frame, _DOMAIN)
        except (InvalidTag, ValueError) as error:
            raise IntegrityError(
                f"frame {number} of an encrypted file does not open with the key of its shard"
            ) from error


def _frames(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bool]]:
    """Parts of a file with whether each is the last; an empty file is one empty part."""
    frame = file.read(size)
    while following := file.read(size):
        yield frame, False
        frame = following
    yield frame, True


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _cipher(shard_key: bytes, digest: Digest) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, None, _DOMAIN + digest).derive(shard_key))
