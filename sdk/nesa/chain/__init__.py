"""Reading and writing the contracts: ABIs, cursors, senders, deployments."""
