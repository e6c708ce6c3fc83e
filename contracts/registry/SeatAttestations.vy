# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Seat Attestations
@license AGPL-3.0-only
@notice Admits operators whose keys an attestor saw inside an enclave or a trust domain.
@dev A quote costs millions of gas to check here, so the attestor checks it and states the hash of
     what it saw; anybody may check the same bytes. A statement is about two keys. While an operator
     changes its encryption key, both need one; the vault gives a new key an epoch of notice.
@custom:invariant 1. A statement is about keys that the operator uses:
    tests/contracts/staking/test_seat_attestations.py::test_another_encryption_key_is_not_attested
    2. No statement counts behind its last second:
    tests/contracts/staking/test_seat_attestations.py::test_a_statement_counts_until_its_last_second
@custom:kill The attestor revokes; seats end by `StakeVault.evict`.
"""
from ..interfaces import ISeatAdmission
from ..interfaces import ISeatAttestations
from ..interfaces import IStakeVault

implements: ISeatAdmission
implements: ISeatAttestations

VAULT: immutable(IStakeVault)
ATTESTOR: immutable(address)

attested_until: public(HashMap[address, HashMap[address, HashMap[bytes32, uint256]]])


@deploy
def __init__(vault: address, attestor: address):
    """
    @notice Binds the statements to a vault and an attestor for good.
    @param vault Knows the operators' encryption keys.
    @param attestor Who checks quotes.
    """
    assert attestor != empty(address), "attestations: no attestor"

    VAULT = IStakeVault(vault)
    ATTESTOR = attestor


@external
def attest(
    operator: address, signer: address, encryption_key: bytes32, evidence: bytes32, until: uint256
):
    """
    @notice States that an enclave holds an operator's keys; see `ISeatAttestations`.
    """
    self._check_attestor()
    assert until >= block.timestamp, "attestations: over already"

    self.attested_until[operator][signer][encryption_key] = until

    log ISeatAttestations.OperatorAttested(
        operator=operator,
        signer=signer,
        encryption_key=encryption_key,
        evidence=evidence,
        until=until,
    )


@external
def revoke(operator: address, signer: address, encryption_key: bytes32):
    """
    @notice Takes a statement back; see `ISeatAttestations`.
    """
    self._check_attestor()
    until: uint256 = self.attested_until[operator][signer][encryption_key]
    assert until != 0, "attestations: not attested"

    self.attested_until[operator][signer][encryption_key] = 0

    log ISeatAttestations.AttestationRevoked(
        operator=operator, signer=signer, encryption_key=encryption_key
    )


@external
@view
def attestor() -> address:
    """
    @notice Whose word it is; see `ISeatAttestations`.
    """
    return ATTESTOR


@external
@view
def admits(version_id: bytes32, operator: address, signer: address) -> bool:
    """
    @notice Whether a statement counts for the keys of an operator; see `ISeatAttestations`.
    """
    record: IStakeVault.Operator = staticcall VAULT.operators(operator)
    if record.key_epoch > staticcall VAULT.epoch():
        if not self._counts(operator, signer, record.encryption_key):
            return False
    return self._counts(operator, signer, record.next_encryption_key)


@internal
@view
def _check_attestor():
    assert msg.sender == ATTESTOR, "attestations: not the attestor"


@internal
@view
def _counts(operator: address, signer: address, encryption_key: bytes32) -> bool:
    return self.attested_until[operator][signer][encryption_key] >= block.timestamp
