"""How envelopes get from one member to another; what is in them is none of its business."""
