"""The families of pictures, one a file: each has ``draw(generator, side)``."""
