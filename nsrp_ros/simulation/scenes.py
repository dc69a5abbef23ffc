"""What a simulated or recorded scene is: the one structure that data sets and training share."""

from dataclasses import dataclass
from dataclasses import replace
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
    talking : array, optional
        Shape (B,), bool: whether anybody talks; None where somebody does in every scene.

    """

    signals: Any
    mic_positions: Any
    source_position: Any
    room_dims: Any
    sample_rate: int = 16000
    true_mic_positions: Any = None
    true_room_dims: Any = None
    talking: Any = None

    def __len__(self):
        """Return B."""
        return len(self.room_dims)

    def take(self, index):
        """Return the scenes at `index`: positions in the batch, or a slice."""
        def some(array):
            return None if array is None else array[index]

        return replace(self, signals=self.signals[index], mic_positions=self.mic_positions[index],
                       source_position=self.source_position[index],
                       room_dims=self.room_dims[index],
                       true_mic_positions=some(self.true_mic_positions),
                       true_room_dims=some(self.true_room_dims), talking=some(self.talking))

    def with_microphones(self, mics):
        """Keep the same microphones of every scene: their indices, or a slice."""
        true = self.true_mic_positions
        return replace(self, signals=self.signals[:, mics],
                       mic_positions=self.mic_positions[:, mics],
                       true_mic_positions=None if true is None else true[:, mics])
