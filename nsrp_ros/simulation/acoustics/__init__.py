"""How sound travels in a room: images, echoes, absorption, reverberation."""
