"""
Surroundings of many scenes in arrays of one size, for data sets, training and batches on a GPU.

Shapes: B scenes, N planes, C corners of an outline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields
from typing import Any
from typing import Generic
from typing import TypeVar

from nsrp_ros.core.surroundings import Surroundings
import numpy as np
from numpy.typing import NDArray

# Of NumPy, or of torch, which core does without.
Array = TypeVar('Array', bound=Any)


@dataclass(frozen=True, eq=False)
class SurroundingsBatch(Generic[Array]):
    """
    The surroundings of B scenes: all arrays are of NumPy, or all are torch tensors.

    Attributes
    ----------
    area : array
        Shape (B, 2, 3), metres: lower and upper corners.
    planes, std, ends : array
        Shapes (B, N, 4), (B, N) and (B, N, 2); where scenes have fewer planes than others, the
        rest have an infinite std.
    outline : array or None
        Shape (B, C, 2), metres, the last corners repeated where outlines have fewer; None where
        all scenes search their whole boxes.

    """

    area: Array
    planes: Array
    std: Array
    ends: Array
    outline: Array | None = None

    def __len__(self) -> int:
        """Return B."""
        return len(self.area)

    def take(self, index: Any) -> 'SurroundingsBatch[Array]':
        """Return those of the scenes at `index`: positions in the batch, or a slice."""
        return SurroundingsBatch(*(None if (value := getattr(self, field.name)) is None
                                   else value[index] for field in fields(self)))

    def one(self, number: int) -> Surroundings:
        """Return those of one scene, without the planes of which nothing is known."""
        def array(value: Any) -> NDArray[np.float64]:
            value = value[number]
            return np.asarray(value.cpu() if hasattr(value, 'cpu') else value, np.float64)

        std = array(self.std)
        known = np.isfinite(std)
        planes = array(self.planes)[known]
        # Numbers of 32 bits have normals that are not quite of length one.
        planes[:, :3] /= np.linalg.norm(planes[:, :3], axis=1, keepdims=True)
        lower, upper = array(self.area)
        return Surroundings(lower, upper, planes, std[known], array(self.ends)[known],
                            None if self.outline is None else array(self.outline))


def stack(many: Sequence[Surroundings]) -> SurroundingsBatch[np.ndarray]:
    """Put surroundings into one batch of NumPy arrays, padded to the same N and C."""
    n = max(len(one.planes) for one in many)

    def padded(values: NDArray[np.float64], fill: Any) -> NDArray[np.float64]:
        rest = np.broadcast_to(np.asarray(fill, np.float64),
                               (n - len(values), *np.shape(fill)))
        return np.concatenate([values, rest])

    outline = None
    if any(one.outline is not None for one in many):
        outlines = [_box_outline(one) if one.outline is None else one.outline for one in many]
        most = max(map(len, outlines))
        outline = np.stack([np.concatenate([o, np.repeat(o[-1:], most - len(o), axis=0)])
                            for o in outlines])
    return SurroundingsBatch(
        np.stack([[one.lower, one.upper] for one in many]),
        np.stack([padded(one.planes, (0.0, 0.0, 1.0, 0.0)) for one in many]),
        np.stack([padded(one.std, np.inf) for one in many]),
        np.stack([padded(one.ends, (-np.inf, np.inf)) for one in many]), outline)


def _box_outline(one: Surroundings) -> NDArray[np.float64]:
    (x1, y1), (x2, y2) = one.lower[:2], one.upper[:2]
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
