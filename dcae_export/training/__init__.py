"""Train the networks on pictures."""
