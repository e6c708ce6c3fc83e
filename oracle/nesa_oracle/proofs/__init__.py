"""PROVED queries: one prover a shard, and a proof that the chain's own verifier takes."""
