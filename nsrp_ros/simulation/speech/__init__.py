"""What simulated talkers say."""
