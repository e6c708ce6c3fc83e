"""Cuts any ONNX graph into shards without loading its weights, and runs the shards."""
