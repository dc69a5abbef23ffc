"""What a node is told of the world: audio, microphones, transforms, the room."""
