"""DC-AE in PyTorch: configurations, modules, published presets and their weights."""
