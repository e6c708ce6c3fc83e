"""The consumer's side: ask, wait, check the answer."""
