"""Training of the back-projection network: its worlds, its losses, weights to start from."""
