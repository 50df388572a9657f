"""A diffusion transformer's training: its recipe, and what it is shown and scored by."""
