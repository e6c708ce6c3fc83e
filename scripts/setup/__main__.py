"""`python3 -m scripts.setup environment anvil solc training`: provides what is named, in order."""

import sys
from collections.abc import Callable, Sequence

from scripts.setup.anvil import provide_anvil
from scripts.setup.environment import provide_environment, provide_training
from scripts.setup.failure import SetupError, explain_os_error
from scripts.setup.placing import one_run_at_a_time
from scripts.setup.solc import provide_solc

_STEPS: dict[str, Callable[[], object]] = {
    "environment": provide_environment,
    "training": provide_training,
    "anvil": provide_anvil,
    "solc": provide_solc,
}


def main(names: Sequence[str]) -> int:
    """0 when everything named is there; otherwise 1 and one sentence on stderr."""
    unknown = [name for name in names if name not in _STEPS]
    if unknown or not names:
        print(f"usage: python3 -m scripts.setup {{{','.join(_STEPS)}}}...", file=sys.stderr)
        return 2
    try:
        with one_run_at_a_time():
            for name in names:
                _STEPS[name]()
    except SetupError as problem:
        print(f"set-up: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"set-up: {explain_os_error(problem)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
