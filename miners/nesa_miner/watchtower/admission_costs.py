"""What evictions may cost where a contract of a developer's own says who is admitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from nesa.chain.unadmitted import EVICTION_GAS, RestrictedVersion
from nesa.protocol.ids import Address, VersionId

FAIR_GAS: Final = 200_000
"""Gas of an eviction above which its contract burns some. By the network's list one was measured to
take 81,000, by statements of an attestor 94,000."""

DAY_SECONDS: Final = 24 * 3600.0


@dataclass(slots=True)
class AdmissionCosts:
    """Whose contracts are left alone for a day, and the gas of the day that all of them share.

    A contract that makes evictions dear answers for every version that names it. The network's own
    list is shared by many developers, so there the version answers, and what its evictions take is
    not counted: they cannot be made dear. Where one was refused it is the version alone: an
    operator can turn its keys to and fro, which is no fault of its attestor. Kept in memory: a
    watchtower that starts again begins anew.
    """

    clock: Callable[[], float]
    gas_a_day: int
    _put_off: dict[Address | VersionId, float] = field(default_factory=dict)
    _spent: int = 0
    _day_ends: float = 0.0

    def may_ask(self, version: RestrictedVersion) -> bool:
        """Whether its admission is not left alone."""
        asked = (version.version_id, _answering(version))
        return all(self._put_off.get(one, 0.0) <= self.clock() for one in asked)

    def can_pay(self, version: RestrictedVersion) -> bool:
        """Whether the dearest eviction would still be within the day's gas."""
        if self.clock() >= self._day_ends:
            self._spent, self._day_ends = 0, self.clock() + DAY_SECONDS
        return version.is_listed or self._spent + EVICTION_GAS <= self.gas_a_day

    def count(self, version: RestrictedVersion, gas: int) -> None:
        """An eviction took so much; one that took more than is fair is the last of its contract."""
        self.count_unmined(version, gas)
        if gas > FAIR_GAS:
            self._put_off[_answering(version)] = self.clock() + DAY_SECONDS

    def count_unmined(self, version: RestrictedVersion, gas: int) -> None:
        """An eviction may still take so much; that it waits is not its contract's doing."""
        if not version.is_listed:
            self._spent += gas

    def leave_alone(self, version: RestrictedVersion) -> None:
        """Ask no more for a day who is admitted to this version."""
        self._put_off[version.version_id] = self.clock() + DAY_SECONDS


def _answering(version: RestrictedVersion) -> Address | VersionId:
    return version.version_id if version.is_listed else version.admission
