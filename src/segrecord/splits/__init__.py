"""Which sample goes to which split, shard and position."""
