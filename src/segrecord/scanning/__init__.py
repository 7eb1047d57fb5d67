"""Files into facts: each file of a source is read and checked once."""
