"""The command line: one file per command, its imports inside the command."""
