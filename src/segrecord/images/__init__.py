"""Bytes in, checked arrays out, and back."""
