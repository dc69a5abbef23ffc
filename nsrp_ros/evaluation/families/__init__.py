"""What a method is worth in each kind of scene: one table of all families."""
