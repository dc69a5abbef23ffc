"""What a simulated or recorded scene is: the one structure that data sets and training share."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scenes:
    """
    A batch of scenes, as NumPy arrays or torch tensors alike.

    Attributes
    ----------
    signals : array
        Shape (B, M, T), float32, as the microphones hear them at `sample_rate`.
    mic_positions : array
        Shape (B, M, 3), metres in the room's frame.
    source_position : array
        Shape (B, 3), metres.
    room_dims : array
        Shape (B, 3), metres.
    sample_rate : int
        Hertz.

    """

    signals: Any
    mic_positions: Any
    source_position: Any
    room_dims: Any
    sample_rate: int = 16000

    def __len__(self):
        """Return B."""
        return len(self.room_dims)
