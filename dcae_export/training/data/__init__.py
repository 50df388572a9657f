"""Pictures of folders and shards as training data."""
