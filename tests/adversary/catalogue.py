"""`python -m tests.adversary.catalogue` writes the tables of README.md from the tests.

A test's docstring is the one place that says what its attacker wants and what stops it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
README: Final = FOLDER / "README.md"
BEGIN, END = "<!-- written by tests.adversary.catalogue -->", "<!-- end -->"

# Names under which audits and incidents of other protocols are known.
KNOWN: Final = frozenset(
    {
        "callback_reverts_pays_node",
        "callback_oog",
        "callback_returnbomb",
        "callback_reenters",
        "callback_client_gone",
        "gas_63_64",
        "timeout_by_stranger",
        "earmark_invariant",
        "two_fulfilments_credit_adds",
        "fee_on_transfer",
        "token_returns_false",
        "proof_other_request",
        "proof_other_model",
        "instance_plus_P",
        "instance_count",
        "sig_high_s",
        "sig_dup",
        "sig_unsorted",
        "sig_zero",
        "other_chain",
        "other_deployment",
        "old_committee",
        "commit_copied",
        "reveal_without_commit",
        "reveal_frontrun",
        "no_reveal_slashed",
        "unbond_before_window",
        "slash_twice",
        "slash_after_deregister",
        "slash_more_than_stake",
        "slash_while_paused",
        "dispute_self",
        "dispute_late",
        "silent_prover_loses",
        "equivocation_one_tx",
        "seed_grind",
        "stake_change_during_draw",
        "duplicate_endpoint",
        "bps_bounds",
        "mode_without_minimum",
        "median_overflow",
        "nan_inf_negzero",
        "two_machines_same_hash",
        "reorg_depth_k",
        "restart_each_state",
        "nonce_gap",
        "replacement_mined_old_hash",
        "price_cap_stop",
        "rpc_429",
        "getLogs_too_many",
        "oversized_result",
        "voucher_replay",
        "voucher_non_monotone",
        "payer_rug_thaw",
    }
)

ABSENT: Final = {
    "median_overflow": "an average that overflows; nothing here averages, agreement is equality",
}
"""Known attacks without a test: what they are, and why there is none."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One test of this folder."""

    name: str
    story: str
    file: str

    @property
    def row(self) -> str:
        """Its line in a table."""
        return f"| `{self.name}` | {self.story} | [{self.file}]({self.file}) |"


def attacks() -> list[Attack]:
    """Every test, by its file and its place there."""
    return [attack for path in sorted(FOLDER.rglob("test_*.py")) for attack in _in_file(path)]


def _in_file(path: Path) -> Iterator[Attack]:
    if path.stem == "test_catalogue":
        return
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, functions) and node.name.startswith("test_"):
            story = " ".join((ast.get_docstring(node) or "").split())
            name = node.name.removeprefix("test_")
            yield Attack(name, story, str(path.relative_to(FOLDER)))


def tables(found: Iterable[Attack]) -> str:
    """The part of README.md between its marks."""
    known = sorted((a for a in found if a.name in KNOWN), key=lambda attack: attack.name.lower())
    own = [attack for attack in found if attack.name not in KNOWN]
    absent = [f"| `{name}` | {why} |" for name, why in sorted(ABSENT.items())]
    head = "| name | what the attacker wants, and what stops it | test |\n|---|---|---|"
    return "\n".join(
        [
            "## Known from other protocols\n",
            head,
            *(attack.row for attack in known),
            "\n## Known, without a test here\n",
            "| name | why |\n|---|---|",
            *absent,
            "\n## On this protocol\n",
            head,
            *(attack.row for attack in own),
            "",
        ]
    )


def written(text: str) -> str:
    """README.md with the tables of the moment."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables(attacks())}{END}{after}"


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
