"""Records into shards, and shards into a committed dataset."""
