"""A folder, table or function in, a samples table out."""
