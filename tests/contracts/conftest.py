"""What tests of contracts need beside the contracts."""

from __future__ import annotations

from vyper.semantics.namespace import get_namespace

# Evaluating a statement takes vyper's namespace, which only compiling makes: without this it
# fails in a process whose contracts all come from boa's cache.
get_namespace()
