"""Why a set-up step could not be done, in one sentence that says what to do."""

import errno
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_NO_NETWORK = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|self.signed certificate"
    r"|dns error|error sending request|NewConnectionError|ConnectTimeout|Max retries exceeded"
    r"|Temporary failure in name resolution|Network is unreachable|SSLError|failed to connect",
    re.IGNORECASE,
)
_DISK_FULL = re.compile(r"ENOSPC|No space left on device|Disk quota exceeded", re.IGNORECASE)
_BAD_HASH = re.compile(r"hash mismatch|DO NOT MATCH THE HASHES|EINTEGRITY", re.IGNORECASE)


class SetupError(Exception):
    """A set-up step failed; the text is one sentence for the person at the terminal."""


def explain_os_error(problem: OSError) -> SetupError:
    """The sentence for what the file system refused."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError("The disk is full: free about 2 GB and run the same command again.")
    where = f" {problem.filename}" if problem.filename else ""
    return SetupError(f"The system refused{where}: {problem.strerror or problem}.")


def explain_output(doing: str, output: str) -> SetupError:
    """The sentence for a tool that gave up, read from what it printed."""
    if _DISK_FULL.search(output):
        return SetupError(f"{doing} failed because the disk is full: free about 2 GB and retry.")
    if _BAD_HASH.search(output):
        return SetupError(
            f"{doing} failed: a download is not the file that was pinned, "
            "so it was not used; look at the mirror or proxy it came through."
        )
    if _NO_NETWORK.search(output):
        return SetupError(
            f"{doing} failed: no connection; check the network and the proxy, then retry."
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return SetupError(f"{doing} failed: {' | '.join(lines[-6:]) or 'it said nothing'}")


def run_tool(
    doing: str,
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    seconds: float,
    folder: Path | None = None,
) -> str:
    """What `command` printed; raises SetupError, worded with `doing`, where it fails or hangs."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SetupError(
            f"{doing} took more than {seconds:.0f} s: check the network and the proxy, then retry."
        ) from None
    except OSError as problem:
        raise explain_os_error(problem) from problem
    if done.returncode != 0:
        raise explain_output(doing, done.stdout + done.stderr)
    return done.stdout
