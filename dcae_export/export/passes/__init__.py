"""Exact simplifications, one a file: of the module before it is traced, of the graph after."""
