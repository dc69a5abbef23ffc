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
        Shape (B, M, 3), metres in the room's frame, as they are told to whoever listens.
    source_position : array
        Shape (B, 3), metres: the truth, in the middle of the window where a talker walks.
    room_dims : array
        Shape (B, 3), metres, as they are told. A source can be a little outside.
    sample_rate : int
        Hertz.
    true_mic_positions, true_room_dims : array, optional
        Where what is told is wrong, the truth; never shown to whoever listens. None where it is
        right, or not known.

    """

    signals: Any
    mic_positions: Any
    source_position: Any
    room_dims: Any
    sample_rate: int = 16000
    true_mic_positions: Any = None
    true_room_dims: Any = None

    def __len__(self):
        """Return B."""
        return len(self.room_dims)
