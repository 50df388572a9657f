"""Light that falls unevenly, as on anything real."""

from recipes.demo.canvas import Generator, Plane, Window
from recipes.demo.waves import WaveField


def uneven_light(generator: Generator, window: Window, strength: float) -> Plane:
    """Factors around 1 that change slowly over the picture, ``strength`` their standard deviation."""
    field = WaveField.draw(generator, longest=2.0, shortest=0.6, falloff=1.5)
    return 1 + strength * field.at(window.x, window.y)
