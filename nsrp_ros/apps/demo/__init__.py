"""The demo: a simulated room, one localizer for each method, and pictures of their estimates."""
