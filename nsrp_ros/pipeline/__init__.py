"""From windows to estimates and talkers: the same for a node, a bag and an evaluation."""
