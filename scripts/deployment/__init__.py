"""What a deployment consists of, apart from the tool that sends it."""
