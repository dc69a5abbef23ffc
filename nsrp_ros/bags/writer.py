"""The outputs of localizing a bag: a bag, a table and a picture, written without ROS."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import csv
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.stamps import NS
from nsrp_ros.pipeline.settings import Room
from nsrp_ros.pipeline.talkers import LikelihoodMap
from nsrp_ros.tracking.tracker import Talker
import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ('stamp_ns', 'seconds', 'x', 'y', 'confidence', 'presence', 'talkers', 'skipped')
_TYPES = {'source_pose': 'geometry_msgs/msg/PoseStamped',
          'likelihood': 'nav_msgs/msg/OccupancyGrid',
          'talkers': 'geometry_msgs/msg/PoseArray'}


class OutputBag:
    """
    An MCAP bag of what localizer and tracker would have published.

    Parameters
    ----------
    folder : pathlib.Path
        The bag's, which must not exist.
    frame_id : str
        Frame of all messages.
    room : nsrp_ros.pipeline.settings.Room
        Its origin is added to estimates.

    """

    def __init__(self, folder: Path, frame_id: str, room: Room) -> None:
        self._frame_id = frame_id
        self._origin = room.origin
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._types = self._store.types
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)

    def __enter__(self) -> 'OutputBag':
        """Open the bag."""
        self._writer.open()
        self._connections = {
            name: self._writer.add_connection(f'/{name}', kind, typestore=self._store)
            for name, kind in _TYPES.items()}
        return self

    def __exit__(self, *error: object) -> None:
        """Close the bag, so that it is readable even after an error."""
        self._writer.close()

    def write(self, stamp_ns: int, estimate: Estimate, likelihood_map: LikelihoodMap,
              talkers: Sequence[Talker], confident: bool) -> None:
        """
        Write the messages of one window.

        Parameters
        ----------
        stamp_ns : int
            Stamp of the window, nanoseconds, and the time of recording.
        estimate : nsrp_ros.core.estimate.Estimate
            In the room's frame.
        likelihood_map : nsrp_ros.pipeline.talkers.LikelihoodMap
            As the localizer publishes it.
        talkers : list of nsrp_ros.tracking.tracker.Talker
            In `frame_id`.
        confident : bool
            Whether a pose is written.

        """
        header = self._header(stamp_ns)
        make, cells = self._types, likelihood_map.cells
        info = make['nav_msgs/msg/MapMetaData'](
            map_load_time=header.stamp, resolution=likelihood_map.resolution,
            width=cells.shape[1], height=cells.shape[0], origin=self._pose(*self._origin))
        self._put('likelihood', stamp_ns, make[_TYPES['likelihood']](
            header=header, info=info, data=cells.ravel()))
        poses = [self._pose(t.position[0], t.position[1], self._origin[2])
                 for t in talkers if t.talking]
        self._put('talkers', stamp_ns, make[_TYPES['talkers']](header=header, poses=poses))
        if confident:
            x, y = np.asarray(estimate.position) + self._origin[:2]
            z = self._origin[2] + (estimate.height or 0.0)
            self._put('source_pose', stamp_ns, make[_TYPES['source_pose']](
                header=header, pose=self._pose(x, y, z)))

    def _header(self, stamp_ns: int) -> Any:
        seconds, rest = divmod(stamp_ns, NS)
        time = self._types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=rest)
        return self._types['std_msgs/msg/Header'](stamp=time, frame_id=self._frame_id)

    def _pose(self, x: float, y: float, z: float) -> Any:
        point = self._types['geometry_msgs/msg/Point'](x=float(x), y=float(y), z=float(z))
        identity = self._types['geometry_msgs/msg/Quaternion'](x=0.0, y=0.0, z=0.0, w=1.0)
        return self._types['geometry_msgs/msg/Pose'](position=point, orientation=identity)

    def _put(self, name: str, stamp_ns: int, message: Any) -> None:
        self._writer.write(self._connections[name], stamp_ns,
                           self._store.serialize_cdr(message, _TYPES[name]))


def write_table(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write the COLUMNS of rows as CSV; missing values stay empty."""
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS, restval='', extrasaction='ignore')
        writer.writeheader()
        writer.writerows(rows)


def plot(rows: Sequence[Mapping[str, Any]], mic_positions: NDArray[np.float64],
         room: Room) -> 'Figure':
    """
    Plot the positions of talkers on the floor and over time.

    Parameters
    ----------
    rows : list of dict
        As `localize` yields them.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres; NaN where one is not known.
    room : nsrp_ros.pipeline.settings.Room
        Its floor is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        With two axes, which no display shows.

    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    found = np.array([(r['seconds'], r['x'], r['y'], r['confidence'])
                      for r in rows if r.get('x') is not None], dtype=float).reshape(-1, 4)
    figure, (floor, time) = pyplot.subplots(1, 2, figsize=(12, 5), layout='constrained')
    floor.add_patch(pyplot.Rectangle((room.origin[0], room.origin[1]), room.dims[0], room.dims[1],
                                     fill=False))
    dots = floor.scatter(found[:, 1], found[:, 2], c=found[:, 0], s=4 + 30 * found[:, 3],
                         cmap='viridis', label='talker')
    floor.plot(mic_positions[:, 0], mic_positions[:, 1], 'k^', label='microphone')
    floor.set(xlabel='x (m)', ylabel='y (m)', aspect='equal', title='on the floor')
    floor.legend(loc='upper right')
    figure.colorbar(dots, ax=floor, label='time (s)')
    for column, name in ((1, 'x (m)'), (2, 'y (m)'), (3, 'confidence')):
        time.plot(found[:, 0], found[:, column], '.', label=name)
    time.set(xlabel='time (s)', title=f'{len(found)} of {len(rows)} windows')
    time.legend(loc='upper right')
    pyplot.close(figure)  # it is not shown, but can be saved
    return figure
