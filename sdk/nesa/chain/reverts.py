"""What a contract said when it refused: revert data in words."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")
PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")

_PANICS: Final = {
    0x01: "an assertion failed",
    0x11: "arithmetic over- or underflow",
    0x12: "division by zero",
    0x21: "a value outside its enumeration",
    0x32: "an index out of bounds",
    0x41: "too much memory",
}


def revert_reason(data: bytes) -> str:
    """The reason in `data`; a sentence also when the contract gave none."""
    if not data:
        return "reverted without a reason"
    try:
        if data[:4] == ERROR_SELECTOR:
            return str(decode(["string"], data[4:])[0])
        if data[:4] == PANIC_SELECTOR:
            code = int(decode(["uint256"], data[4:])[0])
            return f"panic: {_PANICS.get(code, f'code {code:#x}')}"
    except (DecodingError, UnicodeDecodeError):
        return f"reverted with unreadable data 0x{data[:64].hex()}"
    return f"reverted with data 0x{data[:64].hex()}"
