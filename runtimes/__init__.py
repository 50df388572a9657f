"""Runtimes of the bundle beside the Python package, and what any of them is held to."""
