"""Which pictures are the same, or nearly the same, and so belong together."""
