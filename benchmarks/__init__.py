"""Benchmarks of the package: ``python -m benchmarks.run --help``, from the root of the repository."""
