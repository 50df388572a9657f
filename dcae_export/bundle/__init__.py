"""The contract between the exporter and every runtime: a folder with a manifest."""
