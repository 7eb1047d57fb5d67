"""Pseudonyms, and what a dataset may say under them."""
