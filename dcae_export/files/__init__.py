"""Files and folders that are written whole, and read without following links."""
