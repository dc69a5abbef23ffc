"""Commands that run whole nodes and watch them from outside: the demo and the soak test."""
