"""What methods are judged in: conditions, silence, rooms that are no boxes."""
