"""How private a query is: what `Client.ask` takes as its argument `privacy`, one class a mode."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, assert_never

from nesa.client.hybrid.rule import Sensitivity, read_sensitivity
from nesa.privacy.sealing import CONTENT_KEY_BYTES
from nesa.protocol.errors import InvalidInput
from nesa.protocol.queries import Privacy

if TYPE_CHECKING:
    from nesa.client.cards import Model
    from nesa.client.sharing import SharedPublicModel
    from nesa.client.splitting import SplitModel
    from nesa.privacy.equivariant.user_keys import UserKey

DEFAULT_GROUP: Final = 1
"""Members of a group: the client's check makes one right reply enough, and more would see more."""


@dataclass(frozen=True, slots=True)
class Open:
    """Everybody reads input and answer, for good."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The drawn members read the input, and whom the client grants a view.

    It is sealed with `content_key`, by default with a new one: who stores one of 32 secret random
    bytes beforehand can read the answer whatever happens in between.

    Raises:
        InvalidInput: the key has another length.
    """

    content_key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.content_key is not None and len(self.content_key) != CONTENT_KEY_BYTES:
            found = len(self.content_key)
            raise InvalidInput(f"a content key has {CONTENT_KEY_BYTES} bytes, not {found}")


@dataclass(frozen=True, slots=True, eq=False)
class Equivariant:
    """The model is under a user's key: features and answer are those of the plain model, whoever
    computes sees them in the frame of the key. `sealed` hides those from everybody else; without it
    they stand on the chain for whoever gets the plain weights, also years later."""

    key: UserKey = field(repr=False)
    sealed: Sealed | bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """This client computes the first and the last layers, the network the middle, which is the
    version that is asked; it sees activations behind the first layers, never the features. They
    can be turned back into much of the input where the first layers are known. `sealed` hides them
    from everybody but who computes; without it they stand on the chain for good."""

    split: SplitModel
    sealed: Sealed | bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Two groups of `replicas` members compute on shares of the input. Neither learns it; both
    together do, and this client has to hold the model (docs/shared-queries.md).

    `seats` counts both groups and who stands by, by default two where there is room.
    `products` is the first version of the model's products, by default what `nesa model share`
    calls it.
    """

    shared: SharedPublicModel
    products: Model | str | None = None
    replicas: int = DEFAULT_GROUP
    seats: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Auto:
    """The hybrid rule chooses mode and assurance by how sensitive the input is, see `Client.plan`.

    `deadline` is in seconds. `watched` says that a watcher will get a view grant, `public_answer`
    that the answer of critical data may be on chain for everybody, as a contract needs it that acts
    on it. The others say what the client has at hand, each or all of them: the key that the model
    is under, the model of which the version is the middle, the public model itself, to be asked on
    shares where that is what it takes. What is of another version is left aside, as long as one is
    of the version that is asked.

    Raises:
        InvalidInput: there is no such sensitivity.
    """

    sensitivity: Sensitivity | str
    deadline: int | None = None
    watched: bool = False
    public_answer: bool = False
    equivariant: UserKey | None = field(default=None, repr=False)
    split: SplitModel | None = None
    shared: Shared | None = None

    def __post_init__(self) -> None:
        read_sensitivity(self.sensitivity)


Name: TypeAlias = Literal["open", "sealed"]
OnMarket: TypeAlias = Open | Sealed | Equivariant
"""What the market carries as it is."""

AsVersion: TypeAlias = OnMarket | Split
"""What is asked of a version that the market offers."""

Chosen: TypeAlias = AsVersion | Shared
"""What says by itself how a query is asked."""

Mode: TypeAlias = Chosen | Auto

ADVICE: Final = {
    "auto": 'give Auto("public"), Auto("personal") or Auto("critical"), by which it is chosen',
    "equivariant": "give Equivariant(key), with the key that the model is under",
    "split": "give Split(model), with the model that was split",
    "shared": "give Shared(model), with the public model that you hold",
}


def read_mode(given: Mode | str) -> Mode:
    """The mode that is meant; the names "open" and "sealed" are short for the two simplest.

    Raises:
        InvalidInput: there is none of that name, or the name does not say enough.
    """
    match given:
        case Open() | Sealed() | Equivariant() | Split() | Shared() | Auto():
            return given
        case str():
            return _named(given.lower())
    raise InvalidInput(f"privacy is open, sealed or a mode of nesa.client.modes, not {given!r}")


def _named(name: str) -> Mode:
    if name == "open":
        return Open()
    if name == "sealed":
        return Sealed()
    if name in ADVICE:
        raise InvalidInput(f"privacy {name!r} needs more than its name: {ADVICE[name]}")
    known = ", ".join(ADVICE)
    raise InvalidInput(f"privacy is open, sealed, or one of {known}, not {name!r}")


def chosen_mode(given: Mode | str) -> Chosen:
    """The mode, which says by itself how a query is asked.

    Raises:
        InvalidInput: it has to be chosen first, or there is none of that name.
    """
    mode = read_mode(given)
    if isinstance(mode, Auto):
        raise InvalidInput("how Auto is asked hangs on the network: `Client.plan` says it first")
    return mode


def market_mode(given: Mode | str) -> OnMarket:
    """The mode, which the market carries as it is.

    Raises:
        InvalidInput: it takes more than one transaction, or there is none of that name.
    """
    match chosen_mode(given):
        case Open() | Sealed() | Equivariant() as mode:
            return mode
        case Split():
            raise InvalidInput("a split model is finished here: use `Client.ask`")
        case Shared():
            raise InvalidInput(
                "a query on shares is not on the market: use `Client.ask` or `shared_session`"
            )


def require_terms(
    mode: Mode, assurance: object = None, replicas: object = None, gas_deposit: int = 0
) -> None:
    """Returns when these terms of the market go with a mode.

    Raises:
        InvalidInput: the mode chooses them itself, or knows no such thing.
    """
    match mode:
        case Open() | Sealed() | Equivariant() | Split():
            return
        case Auto():
            if assurance is not None:
                raise InvalidInput("privacy auto chooses the assurance as well; leave it out")
        case Shared():
            if assurance is not None or gas_deposit:
                raise InvalidInput(
                    "a query on shares is checked by you and reported by nobody: leave out the "
                    "assurance and the gas deposit"
                )
            if replicas is not None:
                raise InvalidInput("how many are in a group says Shared(model, replicas=…)")
        case _:
            assert_never(mode)


def kind_of(mode: Chosen) -> Privacy:
    """What the protocol calls a mode."""
    match mode:
        case Open():
            return Privacy.OPEN
        case Sealed():
            return Privacy.SEALED
        case Equivariant():
            return Privacy.EQUIVARIANT
        case Split():
            return Privacy.SPLIT
        case Shared():
            return Privacy.SHARED
    assert_never(mode)


def seal_of(mode: AsVersion) -> Sealed | None:
    """How the market's query is sealed; None for an open one."""
    match mode:
        case Open():
            return None
        case Sealed():
            return mode
        case Equivariant(sealed=sealed) | Split(sealed=sealed):
            if isinstance(sealed, Sealed):
                return sealed
            return Sealed() if sealed else None
    assert_never(mode)


def with_content_key(mode: AsVersion, content_key: bytes) -> AsVersion:
    """The mode, sealed with this key where it is sealed."""
    if seal_of(mode) is None:
        return mode
    seal = Sealed(content_key)
    return seal if isinstance(mode, Open | Sealed) else replace(mode, sealed=seal)


def new_content_key() -> bytes:
    """A key that served no query before."""
    return secrets.token_bytes(CONTENT_KEY_BYTES)


def key_of(mode: AsVersion) -> UserKey | None:
    """The user's key that the version is under; None where it is under none."""
    return mode.key if isinstance(mode, Equivariant) else None
