"""Judge results: golden arrays on the runtimes of this machine, reconstructions, generated pictures, captions."""
