"""The transforms of a recorded bag, looked up at any time by the rules of tf2."""

from collections import defaultdict
from typing import Any

from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from numpy.typing import NDArray
from pytransform3d.transform_manager import NumpyTimeseriesTransform
from pytransform3d.transform_manager import StaticTransform
from pytransform3d.transform_manager import TemporalTransformManager
from pytransform3d.transformations import transform_from_pq


class RecordedTransforms:
    """
    Static transforms, valid at all times, and dynamic ones, interpolated between their stamps.

    Parameters
    ----------
    origin_ns : int
        A time near those of the lookups, such as the bag's start, nanoseconds.

    """

    def __init__(self, origin_ns: int) -> None:
        self._origin_ns = origin_ns  # a float cannot hold nanoseconds since 1970
        self._static: dict[tuple[str, str], NDArray[np.float64]] = {}
        self._dynamic: dict[tuple[str, str], list[tuple[int, NDArray[np.float64]]]] = (
            defaultdict(list))
        self._tree: TemporalTransformManager | None = None

    def add(self, message: Any, static: bool) -> None:
        """Add a TFMessage, of /tf_static or of /tf."""
        self._tree = None
        for item in message.transforms:
            t, r = item.transform.translation, item.transform.rotation
            pq = np.array([t.x, t.y, t.z, r.w, r.x, r.y, r.z])
            if not np.isfinite(pq).all() or abs(np.linalg.norm(pq[3:]) - 1) > 1e-2:
                continue  # tf2 ignores them, too
            edge = item.child_frame_id, item.header.frame_id
            if static:
                self._static[edge] = pq
            else:
                self._dynamic[edge].append((stamp_to_ns(item.header.stamp), pq))

    def lookup(self, target_frame: str, source_frame: str,
               stamp_ns: int) -> NDArray[np.float64]:
        """
        Look up the transform, shape (4, 4), from the source frame to the target frame.

        Raises
        ------
        LookupError
            If it is not known at that time; the text says why.

        """
        self._tree = self._tree or self._make_tree()
        try:
            pose = self._tree.get_transform_at_time(
                source_frame, target_frame, (stamp_ns - self._origin_ns) / NS)
        except (KeyError, ValueError) as error:
            raise LookupError(str(error).strip('"')) from error
        return np.asarray(pose).reshape(4, 4)

    def _make_tree(self) -> TemporalTransformManager:
        tree = TemporalTransformManager()
        for (child, parent), pq in self._static.items():
            tree.add_transform(child, parent, StaticTransform(transform_from_pq(pq)))
        for (child, parent), history in self._dynamic.items():
            times, first = np.unique([ns for ns, _ in history], return_index=True)
            tree.add_transform(child, parent, NumpyTimeseriesTransform(
                (times - self._origin_ns) / NS, np.array([history[k][1] for k in first])))
        return tree
