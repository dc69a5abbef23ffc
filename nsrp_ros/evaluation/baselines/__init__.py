"""Other people's methods and published figures to stand beside."""
