"""How a private model is published under its developer's secret."""

from __future__ import annotations

from pydantic import ValidationError

from nesa.models.index import KeyRelease, word
from nesa.models.publish import Encryption
from nesa.privacy.keys import public_bytes
from nesa.privacy.model_secrets import ModelSecret
from nesa.privacy.shard_files import encrypt_file
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Digest, VersionRoot


def encryption_under(secret: ModelSecret, url: str) -> Encryption:
    """Encryption with the keys that `secret` gives, which are released at `url`.

    Raises:
        InvalidInput: the URL is none.
    """

    def encrypt(root: VersionRoot, shard: int, digest: Digest, data: bytes) -> bytes:
        return encrypt_file(secret.shard_key(root, shard), digest, data)

    encryption_key = word(public_bytes(secret.encryption))
    try:
        release = KeyRelease(url=url, signer=secret.address, encryption_key=encryption_key)
    except ValidationError as error:
        raise InvalidInput(f"{url!r} is no http or https URL of up to 256 characters") from error
    return Encryption(release, encrypt)
