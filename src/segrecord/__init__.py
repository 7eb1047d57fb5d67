"""segrecord."""
