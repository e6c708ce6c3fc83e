"""What privacy costs, and what it leaves to see: `make bench-privacy`."""

import os

# Read when numpy is loaded: seconds of one thread are seconds of one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
