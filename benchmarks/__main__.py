"""`python -m benchmarks`: every figure that the README quotes, one page after the other."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

PAGES: Final = (
    "gas",
    "proving",
    "latency",
    "hops",
    "failover",
    "scale",
    "placement",
    "stacking",
    "cheating",
)


def main() -> int:
    """Run each page in a process of its own, so that none warms another up."""
    wanted = sys.argv[1:] or PAGES
    for page in wanted:
        if page not in PAGES:
            print(f"there is no benchmark {page!r}; choose among {', '.join(PAGES)}")
            return 2
        found = subprocess.run([sys.executable, "-m", f"benchmarks.{page}"], check=False)
        if found.returncode:
            return found.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
