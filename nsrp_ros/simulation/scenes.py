"""The one structure of simulated and recorded scenes that data sets and training share."""

from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import Generic
from typing import TYPE_CHECKING
from typing import TypeVar
from typing import Union

from nsrp_ros.core.surroundings.batch import SurroundingsBatch
import numpy as np

if TYPE_CHECKING:
    import torch

Array = TypeVar('Array', 'np.ndarray', 'torch.Tensor')
Index = Union[slice, list[int], 'np.ndarray', 'torch.Tensor']


@dataclass(frozen=True)
class Scenes(Generic[Array]):
    """
    A batch of scenes: all arrays are of NumPy, or all are torch tensors.

    Attributes
    ----------
    signals : array
        Shape (B, M, T), float32, the microphone signals at `sample_rate`.
    mic_positions : array
        Shape (B, M, 3), metres in the room's frame, as reported to the localizer.
    source_position : array
        Shape (B, 3), metres: the truth, in mid-window where a talker walks. It is that of the
        first talker where there are several.
    room_dims : array
        Shape (B, 3), metres, as reported to the localizer. A source can be a little outside.
    sample_rate : int
        Hertz.
    true_mic_positions, true_room_dims : array, optional
        The truth where the reported geometry has errors, never given to the localizer. None where
        the reported geometry is exact, or the truth is unknown.
    talking : array, optional
        Shape (B,), bool: whether a talker is active; None where one is in every scene.
    talkers : array, optional
        Shape (B, K, 3), metres: the people in the room, those who talk first; None where there
        is the one at `source_position`, which is `talkers[:, 0]` otherwise.
    n_talking : array, optional
        Shape (B,), int64: how many of the talkers are active, 0 to K; given with `talkers`.
    surroundings : SurroundingsBatch, optional
        What the localizer is told of the room in place of `room_dims`; None where that is all.
    outline : array, optional
        Shape (B, C, 2), metres: the true corners of the floor, counterclockwise, the last one
        repeated where rooms have fewer than others; None where all rooms are boxes.

    """

    signals: Array
    mic_positions: Array
    source_position: Array
    room_dims: Array
    sample_rate: int = 16000
    true_mic_positions: Array | None = None
    true_room_dims: Array | None = None
    talking: Array | None = None
    talkers: Array | None = None
    n_talking: Array | None = None
    surroundings: SurroundingsBatch[Array] | None = None
    outline: Array | None = None

    def __len__(self) -> int:
        """Return B."""
        return len(self.room_dims)

    @property
    def all_talkers(self) -> Array:
        """Return the positions of the people in the room, (B, K, 3), also where there is one."""
        return self.source_position[:, None] if self.talkers is None else self.talkers

    @property
    def talking_mask(self) -> Array:
        """Return which of `all_talkers` are active: (B, K), bool."""
        x: Any = self.all_talkers[..., 0]
        # Numbers 1 to K of the people, in the library and on the device of the others.
        number = (x == x).cumsum(1)
        if self.n_talking is not None:
            return number <= self.n_talking[:, None]
        return number == 1 if self.talking is None else (number == 1) & self.talking[:, None]

    def take(self, index: Index) -> 'Scenes[Array]':
        """Return the scenes at `index`: positions in the batch, or a slice."""
        def some(array: Array | None) -> Array | None:
            return None if array is None else array[index]

        return replace(self, signals=self.signals[index], mic_positions=self.mic_positions[index],
                       source_position=self.source_position[index],
                       room_dims=self.room_dims[index],
                       true_mic_positions=some(self.true_mic_positions),
                       true_room_dims=some(self.true_room_dims), talking=some(self.talking),
                       talkers=some(self.talkers), n_talking=some(self.n_talking),
                       surroundings=(None if self.surroundings is None
                                     else self.surroundings.take(index)),
                       outline=some(self.outline))

    def with_microphones(self, mics: Index) -> 'Scenes[Array]':
        """Keep the same microphones of every scene: their indices, or a slice."""
        true = self.true_mic_positions
        return replace(self, signals=self.signals[:, mics],
                       mic_positions=self.mic_positions[:, mics],
                       true_mic_positions=None if true is None else true[:, mics])
