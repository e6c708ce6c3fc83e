"""Quotes of Intel's SGX enclaves and TDX trust domains, checked down to Intel's root certificate.

A quote says which program was started (its measurement) and carries 64 bytes that this program
chose. Whether the processor is up to date stands in the *collateral* that Intel publishes beside
it: the certificates, revocation lists and levels of the moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, assert_never

from nesa.protocol.errors import InvalidMessage

MAX_QUOTE_BYTES: Final = 16 * 1024
MAX_COLLATERAL_BYTES: Final = 256 * 1024

_SGX_DEBUG: Final = 0x02  # byte 0 of ATTRIBUTES.FLAGS
_TDX_DEBUG: Final = 0x01  # byte 0 of TDATTRIBUTES


class Technology(Enum):
    """What isolates the program."""

    SGX = "sgx"
    TDX = "tdx"

    @property
    def registers(self) -> tuple[str, ...]:
        """Names of the registers that a measurement consists of; the first one is the program."""
        match self:
            case Technology.SGX:
                return ("mr_enclave", "mr_signer")
            case Technology.TDX:
                return ("mr_td", "rt_mr0", "rt_mr1", "rt_mr2", "rt_mr3", "mr_config_id")
        assert_never(self)

    @property
    def register_bytes(self) -> int:
        """Length of each register."""
        return 32 if self is Technology.SGX else 48


@dataclass(frozen=True, slots=True)
class Quote:
    """What a quote states. Nothing of it is true before it was verified.

    `registers` are those of the technology by name; `is_debug` means that whoever owns the machine
    reads the program's memory.
    """

    technology: Technology
    registers: Mapping[str, bytes]
    report_data: bytes
    is_debug: bool


@dataclass(frozen=True, slots=True)
class VerifiedQuote:
    """A quote that an unrevoked key of Intel's signed.

    `status` is Intel's word for the processor's firmware, such as `UpToDate` or
    `SWHardeningNeeded`; `advisories` names what is known to be wrong with it.
    """

    quote: Quote
    status: str
    advisories: tuple[str, ...]


def read_quote(data: bytes) -> Quote:
    """What a quote states, unverified.

    Raises:
        InvalidMessage: longer than 16 KiB, or no quote of SGX or TDX.
    """
    import dcap_qvl

    _expect_short(len(data), MAX_QUOTE_BYTES, "a quote")
    try:
        parsed = dcap_qvl.Quote.parse(data)
    except ValueError as error:
        raise InvalidMessage(
            f"not a quote of SGX or TDX ({_first_line(error)}); give its bytes as the enclave's "
            "host hands them out, not as hex or JSON"
        ) from error
    technology = Technology.TDX if parsed.is_tdx() else Technology.SGX
    report = parsed.report
    registers = {name: bytes(getattr(report, name)) for name in technology.registers}
    return Quote(technology, registers, bytes(report.report_data), _is_debug(technology, report))


def verify_quote(data: bytes, collateral: str, at: int) -> VerifiedQuote:
    """The quote, checked against Intel's root certificate at a second of Unix time.

    `collateral` is the JSON text that goes with the quote, as PCCS services and the tools of
    `dcap-qvl` write it. It is signed by Intel too, so it may come from the operator.

    Raises:
        InvalidMessage: too long, not readable, a signature that is wrong, a revoked key, or
            collateral that is not valid at that time.
    """
    import dcap_qvl

    quote = read_quote(data)
    _expect_short(len(collateral), MAX_COLLATERAL_BYTES, "the collateral of a quote")
    try:
        read = dcap_qvl.QuoteCollateralV3.from_json(collateral)
        report = dcap_qvl.verify(data, read, at)
    except ValueError as error:
        raise InvalidMessage(f"the quote does not verify: {_first_line(error)}") from error
    return VerifiedQuote(quote, str(report.status), tuple(report.advisory_ids))


def _is_debug(technology: Technology, report: Any) -> bool:
    match technology:
        case Technology.SGX:
            return bool(report.attributes[0] & _SGX_DEBUG)
        case Technology.TDX:
            return bool(report.td_attributes[0] & _TDX_DEBUG)
    assert_never(technology)


def _expect_short(length: int, limit: int, what: str) -> None:
    if length > limit:
        raise InvalidMessage(f"{what} has {length:,} bytes and may have {limit:,}")


def _first_line(error: ValueError) -> str:
    return str(error).partition("\n")[0].rstrip(" :")
