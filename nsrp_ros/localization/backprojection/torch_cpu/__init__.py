"""The default network by torch on a CPU, one scene at a time."""
