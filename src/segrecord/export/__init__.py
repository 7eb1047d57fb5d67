"""What lies beside the shards: card, Croissant, files for TFDS, lists of names and findings."""
