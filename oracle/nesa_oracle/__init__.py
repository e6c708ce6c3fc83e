"""The oracle: gathers evidence, reports and submits proofs."""
