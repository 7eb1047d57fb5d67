"""Datasets read back and verified; shares nothing with building."""
