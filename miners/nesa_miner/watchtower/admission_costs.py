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

    A contract answers for every version that names it. The network's own list is shared by many
    developers, so there the version answers, and what its evictions take is not counted: they
    cannot be made dear. Kept in memory: a watchtower that starts again begins anew.
    """

    clock: Callable[[], float]
    gas_a_day: int
    _put_off: dict[Address | VersionId, float] = field(default_factory=dict)
    _spent: int = 0
    _day_ends: float = 0.0

    def may_ask(self, version: RestrictedVersion) -> bool:
        """Whether its admission is not left alone."""
        return self._put_off.get(_answering(version), 0.0) <= self.clock()

    def can_pay(self, version: RestrictedVersion) -> bool:
        """Whether the dearest eviction would still be within the day's gas."""
        if self.clock() >= self._day_ends:
            self._spent, self._day_ends = 0, self.clock() + DAY_SECONDS
        return version.is_listed or self._spent + EVICTION_GAS <= self.gas_a_day

    def count(self, version: RestrictedVersion, gas: int) -> None:
        """An eviction took so much; one that took more than is fair is the last of its contract."""
        if not version.is_listed:
            self._spent += gas
        if gas > FAIR_GAS:
            self.leave_alone(version)

    def leave_alone(self, version: RestrictedVersion) -> None:
        """Ask its admission no more for a day."""
        self._put_off[_answering(version)] = self.clock() + DAY_SECONDS


def _answering(version: RestrictedVersion) -> Address | VersionId:
    return version.version_id if version.is_listed else version.admission
