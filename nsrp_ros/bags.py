"""
Audio and transforms in recorded bags, MCAP or SQLite, read without ROS by the `rosbags` library.

    with AudioBag('kitchen.mcap') as bag:
        for chunk in bag.chunks():  # samples (n, M), start_ns, sample_rate
            ...
        bag.positions('map', ['mic_0', 'mic_1'], stamp_ns)  # (2, 3) metres
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nsrp_ros.bag_files import bag_files
from nsrp_ros.bag_files import BagError
from nsrp_ros.core.window import NS
from nsrp_ros.samples import AudioError
from nsrp_ros.samples import check_format
from nsrp_ros.samples import samples_from_bytes
import numpy as np
from pytransform3d.transform_manager import NumpyTimeseriesTransform
from pytransform3d.transform_manager import StaticTransform
from pytransform3d.transform_manager import TemporalTransformManager
from pytransform3d.transformations import transform_from_pq
from rosbags.highlevel import AnyReader
from rosbags.highlevel import AnyReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

INFO = 'audio_common_msgs/msg/AudioInfo'
STAMPED = 'audio_common_msgs/msg/AudioDataStamped'
UNSTAMPED = 'audio_common_msgs/msg/AudioData'
TF = 'tf2_msgs/msg/TFMessage'
# Kinds that say themselves what they hold; the robot's own reader of them is used (sources.py).
_SELF_DESCRIBED = {'audio_common_msgs/msg/AudioStamped': 'mgonzs13',
                   'audio_utils_msgs/msg/AudioFrame': 'audio_utils'}
DEFINITIONS = {
    UNSTAMPED: 'uint8[] data\n',
    STAMPED: 'std_msgs/Header header\naudio_common_msgs/AudioData audio\n',
    INFO: 'uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\n'
          'string coding_format\n'}
"""Those of ros-drivers, for bags from before Iron, which do not bring their own."""


@dataclass(frozen=True)
class BagChunk:
    """
    A chunk of recorded audio, or why there is none.

    Attributes
    ----------
    samples : numpy.ndarray or None
        Shape (n, M), float32; None where the message could not be understood.
    start_ns : int
        Time of the first sample, nanoseconds.
    sample_rate : int
        Hertz.
    problem : AudioError or None
        What was wrong.

    """

    samples: np.ndarray | None
    start_ns: int
    sample_rate: int
    problem: AudioError | None = None


class AudioBag:
    """
    A bag with audio in it; use it in a `with` statement.

    Parameters
    ----------
    path : path
        A bag's folder, or its .mcap or .db3 file.
    topic : str, optional
        Of the audio; may be left out where there is only one.
    info_topic : str, optional
        Of its AudioInfo; <topic>_info or the only one if left out.

    Attributes
    ----------
    topic : str
        Of the audio, once the bag is open.
    count : int
        How many messages of audio there are.
    damage : str
        What is missing of the bag, a sentence; empty if nothing.

    """

    def __init__(self, path, topic=None, info_topic=None):
        self._path, self._topic, self._info_topic = Path(path), topic, info_topic

    def __enter__(self):
        """
        Open the bag, and read everything but the audio.

        Raises
        ------
        BagError
            If the bag or what is wanted of it is not there.

        """
        store = get_typestore(Stores.ROS2_HUMBLE)
        for name, text in DEFINITIONS.items():
            store.register(get_types_from_msg(text, name))
        self._scratch = TemporaryDirectory(prefix='nsrp_bag_')
        try:
            files, self.damage = bag_files(self._path, Path(self._scratch.name))
            self._reader = AnyReader(files, default_typestore=store)
            self._reader.open()
        except BagError:
            self._scratch.cleanup()
            raise
        except (AnyReaderError, ReaderError, OSError, AssertionError) as error:
            self._scratch.cleanup()
            raise BagError(_cannot_read(self._path, error)) from error
        try:
            self._audio = self._choose_audio()
            self.topic, self._kind = self._audio.topic, self._audio.msgtype
            self.count = self._audio.msgcount
            self._infos = self._read_infos()
            self._tree, self._start_ns = self._read_transforms()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        """Close the bag."""
        self._reader.close()
        self._scratch.cleanup()

    def _choose_audio(self):
        kinds = (STAMPED, UNSTAMPED, *_SELF_DESCRIBED)
        found = [c for c in self._reader.connections if c.msgtype in kinds]
        names = ', '.join(sorted({c.topic for c in found})) or 'none'
        if self._topic is not None:
            found = [c for c in found if c.topic == self._topic]
            if not found:
                raise BagError(f'{self._path} has no audio on {self._topic}; its topics with '
                               f'audio: {names}')
        if not found:
            every = ', '.join(sorted({f'{c.topic} ({c.msgtype})'
                                      for c in self._reader.connections})) or 'none'
            raise BagError(f'{self._path} has no audio; its topics: {every}'
                           + (f' ({self.damage})' if self.damage else ''))
        # A stamped topic says more than the same audio without stamps.
        found = [c for c in found if c.msgtype != UNSTAMPED] or found
        if len({c.topic for c in found}) > 1:
            raise BagError(f'{self._path} has several topics with audio ({names}): choose one '
                           'with --topic')
        return found[0]

    def _messages(self, connections):
        """Iterate over (time, message) of connections."""
        if not connections:
            return
        try:
            for connection, time_ns, data in self._reader.messages(connections=connections):
                yield time_ns, self._reader.deserialize(data, connection.msgtype)
        except (AnyReaderError, ReaderError, OSError, EOFError, ValueError, AssertionError,
                RuntimeError) as error:
            raise BagError(_cannot_read(self._path, error)) from error

    def _read_infos(self):
        """Read what the audio is, and from when on: a list of (time, AudioInfo)."""
        if self._kind in _SELF_DESCRIBED:
            return []
        found = [c for c in self._reader.connections if c.msgtype == INFO]
        wanted = self._info_topic or f'{self.topic}_info'
        named = [c for c in found if c.topic == wanted]
        if self._info_topic is None and not named and len({c.topic for c in found}) == 1:
            named = found
        infos = list(self._messages(named))
        if not infos:
            names = ', '.join(sorted({c.topic for c in found})) or 'none'
            raise BagError(f'{self._path} does not say what its audio is: there is no AudioInfo '
                           f'on {wanted}; topics with AudioInfo: {names}')
        return infos

    def _read_transforms(self):
        """Read all transforms; return their tree, and the time that it counts from."""
        moving, static = defaultdict(list), {}
        connections = [c for c in self._reader.connections if c.msgtype == TF]
        origin = self._reader.start_time
        for connection in connections:
            for _, message in self._messages([connection]):
                for item in message.transforms:
                    t, r = item.transform.translation, item.transform.rotation
                    pq = np.array([t.x, t.y, t.z, r.w, r.x, r.y, r.z])
                    if not np.isfinite(pq).all() or abs(np.linalg.norm(pq[3:]) - 1) > 1e-2:
                        continue  # as tf2 does
                    edge = item.child_frame_id, item.header.frame_id
                    if connection.topic.endswith('tf_static'):
                        static[edge] = pq
                    else:
                        moving[edge].append((_ns(item.header.stamp), pq))
        tree = TemporalTransformManager()
        for (child, parent), pq in static.items():
            tree.add_transform(child, parent, StaticTransform(transform_from_pq(pq)))
        for (child, parent), history in moving.items():
            times, first = np.unique([ns for ns, _ in history], return_index=True)
            tree.add_transform(child, parent, NumpyTimeseriesTransform(
                (times - origin) / NS, np.array([history[k][1] for k in first])))
        return tree, origin

    def positions(self, frame_id, frames, stamp_ns):
        """
        Return where frames were at a time.

        Parameters
        ----------
        frame_id : str
            In which frame.
        frames : sequence of str
            M frames.
        stamp_ns : int
            Nanoseconds.

        Returns
        -------
        tuple of numpy.ndarray and dict
            (M, 3) metres, NaN where a frame is not known at that time; and why, by frame.

        """
        found, missing = np.full((len(frames), 3), np.nan), {}
        for k, frame in enumerate(frames):
            try:
                pose = self._tree.get_transform_at_time(
                    frame, frame_id, (stamp_ns - self._start_ns) / NS)
                found[k] = np.asarray(pose).reshape(4, 4)[:3, 3]
            except (KeyError, ValueError) as error:
                missing[frame] = str(error).strip('"')
        return found, missing

    def chunks(self):
        """
        Iterate over the audio in the order of its recording.

        Yields
        ------
        BagChunk
            Also for messages that cannot be understood, with their problem.

        Raises
        ------
        BagError
            Where the bag ends too early, after everything before it.

        """
        infos, info = list(self._infos), self._infos[0][1] if self._infos else None
        for time_ns, message in self._messages([self._audio]):
            while infos and infos[0][0] <= time_ns:
                info = infos.pop(0)[1]
            try:
                yield self._chunk(message, info, time_ns)
            except AudioError as problem:
                yield BagChunk(None, time_ns, 0, problem)

    def _chunk(self, message, info, time_ns):
        if self._kind in _SELF_DESCRIBED:
            source = _robot_source(self._kind)
            chunk = source.chunk(message, None, source.stamp_marks, time_ns)
            return BagChunk(chunk.samples, chunk.start_ns, chunk.sample_rate)
        check_format(info.coding_format, info.sample_format, info.sample_rate, info.channels)
        stamped = self._kind == STAMPED
        data = message.audio.data if stamped else message.data
        samples = samples_from_bytes(data, info.sample_format, info.channels)
        if stamped:
            start_ns = _ns(message.header.stamp)
        else:  # a chunk without a stamp is taken to have ended when it was recorded
            start_ns = time_ns - len(samples) * NS // info.sample_rate
        return BagChunk(samples, start_ns, info.sample_rate)


def _robot_source(kind):
    """Return the reader of a kind that describes itself."""
    try:
        from nsrp_ros.sources import SOURCES
    except ImportError as error:
        raise BagError(f"{kind} is read by the robot's own code, which needs ROS: {error}"
                       ) from error
    return SOURCES[_SELF_DESCRIBED[kind]]


def _cannot_read(path, error):
    """Say why a bag cannot be read."""
    return (f'{path} cannot be read here ({error or type(error).__name__}): it is truncated or '
            'damaged. `mcap recover` or `ros2 bag reindex` may repair it')


def _ns(stamp):
    return int(stamp.sec) * NS + int(stamp.nanosec)
