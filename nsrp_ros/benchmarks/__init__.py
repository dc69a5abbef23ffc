"""How long things take: on processors, on graphics cards, and in the simulator."""
