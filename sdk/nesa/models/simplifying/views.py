"""A softmax works in front of views that keep its rows, so that a mask stands next to it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import onnx
from onnx import NodeProto, helper

from nesa.models.simplifying.network import Network, attribute, rewritten

_VIEWS: Final = ("Identity", "Reshape", "Squeeze", "Unsqueeze")


def with_late_views(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with views behind the softmax that they stood in front of."""
    network = Network(proto)
    return rewritten(network, partial(_replaced, network))


def _replaced(network: Network, node: NodeProto) -> Iterator[NodeProto]:
    """The softmax over what the view reads, then the view; or the node."""
    view = network.made_by(node.input[0], *_VIEWS) if node.op_type == "Softmax" else None
    if view is None or not _keeps_rows(network, view, node):
        yield node
        return
    label, shares = node.name or node.output[0], f"{node.output[0]}_before"
    yield helper.make_node("Softmax", [view.input[0]], [shares], label, axis=-1)
    moved = NodeProto()
    moved.CopyFrom(view)
    moved.name, moved.input[0], moved.output[0] = f"{label}_view", shares, node.output[0]
    yield moved


def _keeps_rows(network: Network, view: NodeProto, softmax: NodeProto) -> bool:
    """Whether the softmax is over the last axis, and that axis is the same in front of the view."""
    before, after = (network.shape(name) for name in (view.input[0], view.output[0]))
    is_last = attribute(softmax, "axis", -1) in (-1, len(after) - 1)
    return is_last and bool(before) and bool(after) and before[-1] == after[-1] != 0
