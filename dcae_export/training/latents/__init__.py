"""Folders of latents: made from pictures once, and read as training data."""
