"""A run's events as files: losses as a table and drawn, samples, TensorBoard."""
