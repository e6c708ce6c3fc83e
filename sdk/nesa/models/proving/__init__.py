"""Proofs with ezkl: circuits, keys, proofs and verifiers of shards; every call in a process."""
