"""The command line: a module for each command, its imports inside the command."""

import sys


def main() -> None:
    """Run the program ``dcae``."""
    from dcae_export.cli.failures import run
    from dcae_export.cli.program import dcae

    sys.exit(run(dcae, prog_name="dcae"))


def export_main() -> None:
    """Run the program ``dcae-export``, which is ``dcae export``."""
    from dcae_export.cli.commands.export import command
    from dcae_export.cli.failures import run

    sys.exit(run(command, prog_name="dcae-export"))
