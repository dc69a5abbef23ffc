"""The inputs of the localizer node: audio, microphone positions, transforms, the room."""
