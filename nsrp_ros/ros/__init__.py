"""The nodes, their parameters, and messages to and from arrays."""
