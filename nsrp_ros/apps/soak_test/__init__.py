"""The soak test: a node, hours of audio with faults, and the outcome of every window."""
