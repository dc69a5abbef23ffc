"""Transforms of a recorded bag, all at once: what tf2 would have said at any time, and later."""

from collections import defaultdict

from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from pytransform3d.transform_manager import NumpyTimeseriesTransform
from pytransform3d.transform_manager import StaticTransform
from pytransform3d.transform_manager import TemporalTransformManager
from pytransform3d.transformations import transform_from_pq


class RecordedTransforms:
    """
    Static transforms that hold for ever, and moving ones between their stamps.

    Parameters
    ----------
    origin_ns : int
        A time near those that will be asked for, such as a bag's beginning, nanoseconds.

    """

    def __init__(self, origin_ns):
        self._origin_ns = origin_ns  # a float cannot hold nanoseconds since 1970
        self._static, self._moving = {}, defaultdict(list)
        self._tree = None

    def add(self, message, static):
        """Add a TFMessage, of /tf_static or of /tf."""
        self._tree = None
        for item in message.transforms:
            t, r = item.transform.translation, item.transform.rotation
            pq = np.array([t.x, t.y, t.z, r.w, r.x, r.y, r.z])
            if not np.isfinite(pq).all() or abs(np.linalg.norm(pq[3:]) - 1) > 1e-2:
                continue  # as tf2 does
            edge = item.child_frame_id, item.header.frame_id
            if static:
                self._static[edge] = pq
            else:
                self._moving[edge].append((stamp_to_ns(item.header.stamp), pq))

    def lookup(self, target_frame, source_frame, stamp_ns):
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

    def _make_tree(self):
        tree = TemporalTransformManager()
        for (child, parent), pq in self._static.items():
            tree.add_transform(child, parent, StaticTransform(transform_from_pq(pq)))
        for (child, parent), history in self._moving.items():
            times, first = np.unique([ns for ns, _ in history], return_index=True)
            tree.add_transform(child, parent, NumpyTimeseriesTransform(
                (times - self._origin_ns) / NS, np.array([history[k][1] for k in first])))
        return tree
