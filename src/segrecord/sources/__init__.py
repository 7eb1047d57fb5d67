"""A place full of files in, a samples table out."""
