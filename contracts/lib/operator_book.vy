# pragma version ~=0.4.3
"""
@title Operator Book
@license AGPL-3.0-only
@notice Who the operators are: a cold owner each, with a number, a hot signer, an encryption key and
        an endpoint.
"""
from ..interfaces import IStakeVault

from . import epoch_clock
from . import signature
from . import tenure

uses: epoch_clock

# What a signer signs for the operator that takes it.
CONSENT_TYPE: constant(bytes32) = keccak256("SignerConsent(address operator)")

# Epochs until an announced encryption key is used: one in which a seat can be ended for it.
KEY_NOTICE: constant(uint256) = 2

operators: public(HashMap[address, IStakeVault.Operator])

# Operators are numbered from 1, because a seat has room for a number only.
operator_count: public(uint256)
operator_number: public(HashMap[address, uint256])
operator_at: public(HashMap[uint256, address])

# The operator that a signer belongs to for good.
operator_of: public(HashMap[address, address])


# === Operators ===


@external
def register_operator(
    signer: address,
    consent: IStakeVault.Consent,
    encryption_key: bytes32,
    endpoint: String[128],
):
    """
    @notice Makes the caller an operator; its address is the operator's id and should be cold.
    @param signer Hot key that signs work. It can never belong to another operator.
    @param consent The signer's signature, see `IStakeVault`.
    @param encryption_key X25519 public key.
    @param endpoint Where members and oracles reach the operator.
    """
    assert self.operators[msg.sender].signer == empty(address), "vault: already an operator"
    assert encryption_key != empty(bytes32), "vault: no encryption key"
    self._check_endpoint(endpoint)

    self._claim_signer(signer, consent)
    self._number_operator()
    self.operators[msg.sender] = IStakeVault.Operator(
        signer=signer,
        encryption_key=encryption_key,
        next_encryption_key=encryption_key,
        key_epoch=epoch_clock._epoch(),
        endpoint=endpoint,
    )

    log IStakeVault.OperatorRegistered(
        operator=msg.sender, signer=signer, encryption_key=encryption_key, endpoint=endpoint
    )


@external
def set_endpoint(endpoint: String[128]):
    """
    @notice Changes where the calling operator is reached.
    @param endpoint The new endpoint.
    """
    self._check_operator(msg.sender)
    self._check_endpoint(endpoint)

    self.operators[msg.sender].endpoint = endpoint

    log IStakeVault.EndpointChanged(operator=msg.sender, endpoint=endpoint)


@external
def set_encryption_key(encryption_key: bytes32):
    """
    @notice Changes the calling operator's encryption key from the epoch after the next one on: a
            seat that admits the old key alone can be ended before the new one is used.
    @param encryption_key X25519 public key.
    """
    self._check_operator(msg.sender)
    assert encryption_key != empty(bytes32), "vault: encryption key is zero"

    epoch: uint256 = epoch_clock._epoch()
    if self.operators[msg.sender].key_epoch <= epoch:
        current: bytes32 = self.operators[msg.sender].next_encryption_key
        self.operators[msg.sender].encryption_key = current
    self.operators[msg.sender].next_encryption_key = encryption_key
    self.operators[msg.sender].key_epoch = epoch + KEY_NOTICE

    log IStakeVault.EncryptionKeyChanged(
        operator=msg.sender, encryption_key=encryption_key, from_epoch=epoch + KEY_NOTICE
    )


@external
def rotate_signer(signer: address, consent: IStakeVault.Consent):
    """
    @notice Changes the signer of seats that the caller takes later; a seat keeps its signer.
    @param signer The new signer; a former signer of the same operator is allowed.
    @param consent The new signer's signature, see `IStakeVault`.
    """
    self._check_operator(msg.sender)

    self._claim_signer(signer, consent)
    self.operators[msg.sender].signer = signer

    log IStakeVault.SignerRotated(operator=msg.sender, signer=signer)


# === Internals ===


@internal
@view
def _check_operator(operator: address):
    assert self.operators[operator].signer != empty(address), "vault: not an operator"


@internal
def _claim_signer(signer: address, consent: IStakeVault.Consent):
    # Without consent anybody could take an address that somebody else signs or reports with, and
    # what that earns.
    assert signer != empty(address), "vault: no signer"
    message: bytes32 = keccak256(abi_encode(CONSENT_TYPE, msg.sender))
    digest: bytes32 = signature.typed_hash(self, message)
    consenting: address = signature.signer_of(digest, consent.r, consent.vs)
    assert consenting == signer, "vault: signer did not consent"
    holder: address = self.operator_of[signer]
    assert holder == empty(address) or holder == msg.sender, "vault: signer is taken"

    self.operator_of[signer] = msg.sender


@internal
def _number_operator():
    number: uint256 = self.operator_count + 1
    assert number <= tenure.MAX_OPERATORS, "vault: too many operators"
    self.operator_count = number
    self.operator_number[msg.sender] = number
    self.operator_at[number] = msg.sender


@internal
@pure
def _check_endpoint(endpoint: String[128]):
    assert len(endpoint) != 0, "vault: no endpoint"
