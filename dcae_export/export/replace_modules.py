"""Replace the submodules of one class by what another class makes of them."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn

Old = TypeVar("Old", bound=nn.Module)


def replace_modules(module: nn.Module, old: type[Old], make: Callable[[Old], nn.Module]) -> None:
    """Put ``make(part)`` in the place of every submodule ``part`` of class ``old``, in place."""
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, old):
                setattr(parent, name, make(part))
