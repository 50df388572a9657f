"""How models that come with the package are made; part of the repository, not of the package."""
