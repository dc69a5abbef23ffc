"""The long run: a node, hours of spoilt audio, and an account of every window."""
