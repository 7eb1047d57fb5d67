"""What the command line prints, and a notebook shows: findings, progress, tables."""
