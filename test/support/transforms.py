"""Makes transforms, with less to write."""

from collections.abc import Sequence

from geometry_msgs.msg import TransformStamped
from nsrp_ros.core.stamps import set_stamp
import numpy as np
from numpy.typing import ArrayLike


def transform(child: str, position: ArrayLike, time_ns: int = 0, parent: str = 'map',
              quaternion: Sequence[float] = (0.0, 0.0, 0.0, 1.0)) -> TransformStamped:
    """Make a TransformStamped of a frame at a position (3,), metres; quaternion (x, y, z, w)."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    set_stamp(message.header.stamp, time_ns)
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = np.asarray(position, dtype=float).tolist()
    r.x, r.y, r.z, r.w = (float(v) for v in quaternion)
    return message
