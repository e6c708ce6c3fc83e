"""A miner's part in queries on shares: what it serves, what it is paid, and what it has signed.

`serving` answers requests by the rules of `terms`, `ledger` is what must not be forgotten, and
`redeeming` brings the newest voucher to the chain in time.
"""
