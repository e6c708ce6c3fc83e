"""Says in words what a key changes of a tensor."""

from __future__ import annotations

from nesa.privacy.equivariant.conditions import Conditions
from nesa.privacy.equivariant.frames import TensorFrame
from nesa.privacy.equivariant.layouts import Leaf, leaves_of

PLAIN = "as it is: nothing of it is hidden"


def hidden_words(frame: TensorFrame) -> str:
    """What of a tensor the key changes."""
    said = []
    if frame.alphabet is not None and not frame.alphabet.stays:
        said.append(f"{frame.alphabet.size} names permuted")
    moving = [leaf for leaf in leaves_of(frame.places) if not leaf.stays]
    said.extend(f"{leaf.size} places {_how(leaf)}" for leaf in moving)
    return ", ".join(said) or PLAIN


def _how(leaf: Leaf) -> str:
    rules = leaf.rules
    if rules.permutes:
        return "permuted"
    return "permuted and scaled" if Conditions.SPARSE in rules else "mixed"
