"""Equivariant encryption: a model under a user's key answers in that key's frame.

The weights of the transformed model are permuted (or, in float models, rotated) such that every
activation is that of the plain model in another order, and answers are exactly the same.
`docs/equivariant.md` says what this hides and what it does not.
"""
