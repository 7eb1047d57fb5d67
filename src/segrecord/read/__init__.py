"""Datasets read back: the index, the records, the batches. Shares nothing with write."""
