"""Which quotes are good enough: whose program, on which processors, for whom, and how old."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from eth_utils.address import to_checksum_address
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from nesa.models.validation import first_problem
from nesa.privacy.attested.binding import REPORT_DATA_BYTES, Binding
from nesa.privacy.attested.quotes import Quote, Technology, VerifiedQuote
from nesa.protocol.errors import InvalidConfiguration, InvalidMessage

UP_TO_DATE: Final = "UpToDate"


def _from_hex(value: object) -> object:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else value


Register = Annotated[bytes, BeforeValidator(_from_hex)]


class Part(BaseModel):
    """Nothing but the fields that are named."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Measurement(Part):
    """A program that may hold a seat: every register that is named must be the quote's.

    The first register of its technology is the program itself and must be there.
    """

    technology: Technology
    registers: Mapping[str, Register]

    @model_validator(mode="after")
    def _names_a_program(self) -> Measurement:
        known = self.technology.registers
        if unknown := sorted(set(self.registers) - set(known)):
            raise ValueError(f"{self.technology.value} has no register {unknown[0]}: {known}")
        if known[0] not in self.registers:
            raise ValueError(f"{known[0]} is missing: it alone says which program runs")
        size = self.technology.register_bytes
        if wrong := [name for name, value in self.registers.items() if len(value) != size]:
            raise ValueError(f"{wrong[0]} has {size} bytes")
        return self

    def allows(self, quote: Quote) -> bool:
        """Whether the quote is of this program."""
        wanted = self.registers.items()
        return self.technology is quote.technology and all(
            quote.registers[name] == value for name, value in wanted
        )


def _checksummed(value: object) -> object:
    return to_checksum_address(value) if isinstance(value, str) else value


Account = Annotated[str, BeforeValidator(_checksummed)]


class NamedReportData(Part):
    """Report data that the attestor itself found to stand for an operator's keys.

    For programs that fill report data in a way of their own, such as a hash of a TLS key. They
    carry no block of this chain, so they show no age.
    """

    operator: Account
    signer: Account
    encryption_key: Annotated[Register, Field(min_length=32, max_length=32)]
    report_data: Annotated[
        Register, Field(min_length=REPORT_DATA_BYTES, max_length=REPORT_DATA_BYTES)
    ]


class Policy(Part):
    """What a quote must be. `statuses` other than `UpToDate` and `advisories` are accepted only by
    name, and so are `report_data` that do not follow from a `Binding`; `max_age` is in blocks of
    the chain that the quote is bound to."""

    measurements: tuple[Measurement, ...] = Field(min_length=1)
    statuses: tuple[str, ...] = (UP_TO_DATE,)
    advisories: tuple[str, ...] = ()
    report_data: tuple[NamedReportData, ...] = ()
    max_age: int = Field(gt=0)

    def names(self, binding: Binding, report_data: bytes) -> bool:
        """Whether these report data stand for the operator and keys of a binding by name."""
        keys = (binding.operator, binding.signer, binding.encryption_key, report_data)
        return any(
            (one.operator, one.signer, one.encryption_key, one.report_data) == keys
            for one in self.report_data
        )


def read_policy(path: Path) -> Policy:
    """The policy in a JSON file.

    Raises:
        InvalidConfiguration: no such file, or a field missing or wrong.
    """
    try:
        return Policy.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        place, problem = first_problem(error, "the policy")
        raise InvalidConfiguration(f"{path}: {place}: {problem}") from error
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(f"cannot read the policy {path}: {error}") from error


def check_policy(found: VerifiedQuote, binding: Binding, policy: Policy, block: int) -> None:
    """Returns when the quote meets the policy at a block of the chain.

    Raises:
        InvalidMessage: the first rule that it breaks, and what would meet it.
    """
    quote = found.quote
    if quote.is_debug:
        raise InvalidMessage("the program runs in debug mode: its owner reads its memory")
    if not any(measurement.allows(quote) for measurement in policy.measurements):
        registers = ", ".join(f"{name} {value.hex()}" for name, value in quote.registers.items())
        raise InvalidMessage(f"no measurement of the policy is this program's: {registers}")
    if found.status not in policy.statuses:
        raise InvalidMessage(f"the processor is {found.status}: update its firmware")
    if unknown := sorted(set(found.advisories) - set(policy.advisories)):
        raise InvalidMessage(f"{', '.join(unknown)} apply to the processor: update its firmware")
    if policy.names(binding, quote.report_data):
        return
    if quote.report_data != binding.report_data:
        raise InvalidMessage("the quote is for another operator, signer, key, chain or block")
    if not 0 <= block - binding.block_number <= policy.max_age:
        age = block - binding.block_number
        raise InvalidMessage(f"the quote is {age} blocks old and may be {policy.max_age}")
