"""The demo: a simulated room, two localizers, and pictures of what they found."""
