"""Training of the networks: batches, losses, experiments, and their export. No ROS."""
