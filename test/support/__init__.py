"""What several test files share: scenes, rigs of real nodes, recorders of bags."""
