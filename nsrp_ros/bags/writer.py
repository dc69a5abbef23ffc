"""What localizing a bag leaves behind: a bag of outputs, a table and a picture, without ROS."""

import csv

from nsrp_ros.core.stamps import NS
from nsrp_ros.localization.occupancy_grid import occupancy
from nsrp_ros.localization.occupancy_grid import square_map
import numpy as np
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

COLUMNS = ('stamp_ns', 'seconds', 'x', 'y', 'confidence', 'presence', 'talkers', 'skipped')
_TYPES = {'source_pose': 'geometry_msgs/msg/PoseStamped',
          'likelihood': 'nav_msgs/msg/OccupancyGrid',
          'talkers': 'geometry_msgs/msg/PoseArray'}


class OutputBag:
    """
    An MCAP bag with what the localizer and the tracker would have published.

    Parameters
    ----------
    folder : pathlib.Path
        Of the bag; it must not exist.
    frame_id : str
        Of all messages.
    room_origin, room_dims : sequence of float
        Three each, metres.
    resolution : float
        Side of a map's cells, metres.

    """

    def __init__(self, folder, frame_id, room_origin, room_dims, resolution):
        self._frame_id = frame_id
        self._origin, self._dims, self._resolution = room_origin, room_dims, resolution
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._types = self._store.types
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)

    def __enter__(self):
        """Open the bag."""
        self._writer.open()
        self._connections = {
            name: self._writer.add_connection(f'/{name}', kind, typestore=self._store)
            for name, kind in _TYPES.items()}
        return self

    def __exit__(self, *error):
        """Close the bag, so that it can be read even if something went wrong."""
        self._writer.close()

    def grid(self, estimate):
        """Return an estimate's map as the localizer draws it: (height, width), int8."""
        return occupancy(square_map(estimate, self._dims, self._resolution))

    def write(self, stamp_ns, estimate, cells, talkers, confident):
        """
        Write what a window gave.

        Parameters
        ----------
        stamp_ns : int
            Of the window, nanoseconds; everything is recorded at that time.
        estimate : nsrp_ros.core.estimate.Estimate
            In the room's frame.
        cells : numpy.ndarray
            See `grid`.
        talkers : list of nsrp_ros.tracking.tracker.Talker
            In `frame_id`.
        confident : bool
            Whether there is to be a pose.

        """
        header = self._header(stamp_ns)
        make = self._types
        info = make['nav_msgs/msg/MapMetaData'](
            map_load_time=header.stamp, resolution=float(self._resolution),
            width=cells.shape[1], height=cells.shape[0], origin=self._pose(*self._origin))
        self._put('likelihood', stamp_ns, make[_TYPES['likelihood']](
            header=header, info=info, data=cells.ravel()))
        poses = [self._pose(*t.position, self._origin[2]) for t in talkers if t.talking]
        self._put('talkers', stamp_ns, make[_TYPES['talkers']](header=header, poses=poses))
        if confident:
            x, y = np.asarray(estimate.position) + self._origin[:2]
            z = self._origin[2] + (estimate.height or 0.0)
            self._put('source_pose', stamp_ns, make[_TYPES['source_pose']](
                header=header, pose=self._pose(x, y, z)))

    def _header(self, stamp_ns):
        seconds, rest = divmod(stamp_ns, NS)
        time = self._types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=rest)
        return self._types['std_msgs/msg/Header'](stamp=time, frame_id=self._frame_id)

    def _pose(self, x, y, z):
        point = self._types['geometry_msgs/msg/Point'](x=float(x), y=float(y), z=float(z))
        still = self._types['geometry_msgs/msg/Quaternion'](x=0.0, y=0.0, z=0.0, w=1.0)
        return self._types['geometry_msgs/msg/Pose'](position=point, orientation=still)

    def _put(self, name, stamp_ns, message):
        self._writer.write(self._connections[name], stamp_ns,
                           self._store.serialize_cdr(message, _TYPES[name]))


def write_table(rows, path):
    """Write rows (dicts of COLUMNS) as CSV; what a row lacks is left empty."""
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS, restval='')
        writer.writeheader()
        writer.writerows(rows)


def draw(rows, mic_positions, room_origin, room_dims, path):
    """
    Draw where talkers were, on the floor and over time.

    Parameters
    ----------
    rows : list of dict
        Of COLUMNS.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres; NaN where one is not known.
    room_origin, room_dims : sequence of float
        Three each, metres.
    path : pathlib.Path
        Of the picture.

    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    found = np.array([(r['seconds'], r['x'], r['y'], r['confidence'])
                      for r in rows if r.get('x') is not None], dtype=float).reshape(-1, 4)
    figure, (floor, time) = pyplot.subplots(1, 2, figsize=(12, 5), layout='constrained')
    low, high = room_origin[:2], np.add(room_origin[:2], room_dims[:2])
    floor.add_patch(pyplot.Rectangle(low, *np.subtract(high, low), fill=False))
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
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
