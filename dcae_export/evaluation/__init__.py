"""Judge results: a bundle's golden arrays on the runtimes of this machine."""
