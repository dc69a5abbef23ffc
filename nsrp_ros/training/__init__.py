"""What makes the networks: batches, losses, runs, and their export. No ROS."""
