"""Noise, noise schedules and samplers as tables of coefficients: NumPy only."""
