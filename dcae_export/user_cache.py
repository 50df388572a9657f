"""Where on this machine is kept what can be had again."""

import os
from pathlib import Path


def cache_root() -> Path:
    """``DCAE_CACHE``, or ``dcae-export`` in ``XDG_CACHE_HOME`` (``~/.cache``)."""
    own = os.environ.get("DCAE_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    root = Path(own) if own else Path(shared) / "dcae-export"
    return root.expanduser()
