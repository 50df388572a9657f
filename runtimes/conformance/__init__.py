"""Hold any program that runs bundles to the bundle's format: see docs/adding-a-runtime.md."""
