"""``python -m dcae_export`` is ``dcae``."""

from dcae_export.cli import main

main()
