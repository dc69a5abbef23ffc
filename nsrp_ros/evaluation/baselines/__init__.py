"""Methods by others, and published results, to compare with."""
