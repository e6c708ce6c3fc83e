"""All that is done to a float model before its layers are read."""

from __future__ import annotations

import onnx

from nesa.models.simplifying.masks import with_plain_masks
from nesa.models.simplifying.norms import with_norms
from nesa.models.simplifying.optimising import optimised
from nesa.models.simplifying.slopes import without_slopes
from nesa.models.simplifying.views import with_late_views


def simplified(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same function in few forms of node, everything constant worked out.

    Raises:
        InvalidModel: ONNX Runtime cannot load the model, or a mask does more than hide places.
    """
    proto = with_norms(without_slopes(optimised(proto)))
    return with_plain_masks(with_late_views(proto))
