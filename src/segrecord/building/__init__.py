"""Records written into shards, and shards committed as a dataset."""
