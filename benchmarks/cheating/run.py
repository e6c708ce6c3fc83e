"""Who plays: a setting, what the coalition does in it, and where that is booked."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.cheating.book import Account, Book
from benchmarks.cheating.seating import Restaked, Seats
from benchmarks.cheating.setting import Conduct, Setting


@dataclass(frozen=True, slots=True)
class Answer:
    """What a committee agreed on: slots of its signers, and whether it is what the table gives."""

    signers: tuple[int, ...]
    is_right: bool
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A coalition in a setting, over one or many queries."""

    setting: Setting
    conduct: Conduct
    book: Book = field(default_factory=Book)
    seats: Seats = field(default_factory=Restaked)

    @property
    def client(self) -> Account:
        """Who asks."""
        return Account.COALITION if self.conduct.owns_client else Account.CLIENTS

    @property
    def developer(self) -> Account:
        """Who is paid the royalty."""
        return Account.COALITION if self.conduct.owns_version else Account.DEVELOPERS

    def owner(self, slot: int) -> Account:
        """Who sits there."""
        return Account.COALITION if slot < self.setting.corrupt_seats else Account.MEMBERS

    def paid(self, answer: Answer) -> tuple[int, ...]:
        """Members of a committee that earn their slots."""
        is_strict = self.setting.rules.agreement_is_paid
        return answer.signers if is_strict else answer.members

    def burn_gas(self, account: Account, gas: int) -> None:
        """`account` pays for so much gas."""
        price = self.setting.economy.environment.gas_price
        self.book.move(account, Account.OUTSIDE, gas * price)
