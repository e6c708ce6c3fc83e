"""Models as data: opcodes, quantising, cutting, the reference run and proving."""
