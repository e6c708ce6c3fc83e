"""The miner: takes duties from the chain and carries them out."""
