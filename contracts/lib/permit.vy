# pragma version ~=0.4.3
"""
@title Permit
@license AGPL-3.0-only
@notice Takes an ERC-2612 permit of the caller for the contract that runs this.
"""


@internal
def take(
    token: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
) -> bool:
    """
    @notice Uses the caller's permit. One that a front-runner has used already fails here, and the
            allowance is there.
    @param token The token.
    @param amount Units that the permit is for.
    @param deadline Until when the permit counts.
    @param v Signature of the permit.
    @param r Signature of the permit.
    @param s Signature of the permit.
    @return Whether the token took it.
    """
    return raw_call(
        token,
        abi_encode(
            msg.sender,
            self,
            amount,
            deadline,
            v,
            r,
            s,
            method_id=method_id("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"),
        ),
        revert_on_failure=False,
    )
