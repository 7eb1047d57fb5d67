"""A dataset held against itself and against its source. Shares nothing with write."""
