"""Benchmarks of speed: on processors, on graphics cards, and of the simulator."""
