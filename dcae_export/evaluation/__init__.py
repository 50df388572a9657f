"""Judge results: parity on this machine, and picture quality."""
