"""The pictures that the demo model is trained on, all drawn by rules.

``python -m recipes.demo.draw --help``, from the root of the repository.
"""
