"""
Audio and transforms in recorded bags, MCAP or SQLite, read without ROS by the `rosbags` library.

Every kind of audio that the node hears is read, by the same code (message_types.py).

    with AudioBag('kitchen.mcap') as bag:
        for chunk in bag.chunks():  # samples (n, M), start_ns, sample_rate
            ...
        bag.positions('map', ['mic_0', 'mic_1'], stamp_ns)  # (2, 3) metres
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nsrp_ros.audio.rate_check import Pace
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.bags.message_definitions import DEFINITIONS
from nsrp_ros.bags.message_definitions import INFO
from nsrp_ros.bags.message_definitions import KINDS
from nsrp_ros.bags.message_definitions import TF
from nsrp_ros.bags.storage import bag_files
from nsrp_ros.bags.storage import BagError
from nsrp_ros.bags.transforms import RecordedTransforms
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.highlevel import AnyReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores


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
    stamp_marks : str, optional
        What stamps mark, the 'start' or 'end' of a chunk, or 'arrival' to take no notice of
        them; 'auto' is what the drivers of that kind do.

    Attributes
    ----------
    topic : str
        Of the audio, once the bag is open.
    count : int
        How many messages of audio there are.
    n_channels : int
        How many channels the audio that was read last has.
    damage : str
        What is missing of the bag, a sentence; empty if nothing.

    """

    def __init__(self, path, topic=None, info_topic=None, stamp_marks='auto'):
        self._path, self._topic, self._info_topic = Path(path), topic, info_topic
        self._stamp_marks = stamp_marks
        self.n_channels = 0

    def __enter__(self):
        """
        Open the bag, and read everything but the audio.

        Raises
        ------
        BagError
            If the bag or what is wanted of it is not there.

        """
        self._scratch = TemporaryDirectory(prefix='nsrp_bag_')
        try:
            files, self.damage = bag_files(self._path, Path(self._scratch.name))
            self._reader = _open(files)
        except BagError:
            self._scratch.cleanup()
            raise
        except (AnyReaderError, ReaderError, OSError, AssertionError) as error:
            self._scratch.cleanup()
            raise BagError(_cannot_read(self._path, error)) from error
        try:
            self._audio = self._choose_audio()
            self.topic, self._source = self._audio.topic, KINDS[self._audio.msgtype]
            self._stamp_marks = self._what_stamps_mark()
            self.count = self._audio.msgcount
            self._infos = self._read_infos()
            self._transforms = self._read_transforms()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        """Close the bag."""
        self._reader.close()
        self._scratch.cleanup()

    def _choose_audio(self):
        found = [c for c in self._reader.connections if c.msgtype in KINDS]
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
        found = [c for c in found if KINDS[c.msgtype].stamped] or found
        if len({c.topic for c in found}) > 1:
            raise BagError(f'{self._path} has several topics with audio ({names}): choose one '
                           'with --topic')
        return found[0]

    def _what_stamps_mark(self):
        if not self._source.stamped or self._stamp_marks == 'auto':
            return self._source.stamp_marks
        return self._stamp_marks

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
        if not self._source.info:
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
        transforms = RecordedTransforms(self._reader.start_time)
        for connection in self._reader.connections:
            if connection.msgtype == TF:
                for _, message in self._messages([connection]):
                    transforms.add(message, connection.topic.endswith('tf_static'))
        return transforms

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
                found[k] = self.transform(frame_id, frame, stamp_ns)[:3, 3]
            except LookupError as error:
                missing[frame] = str(error)
        return found, missing

    def transform(self, frame_id, frame, stamp_ns):
        """
        Look up the transform, shape (4, 4), that takes points of a frame to another.

        Raises
        ------
        LookupError
            If it is not known at that time; the text says why.

        """
        return self._transforms.lookup(frame_id, frame, stamp_ns)

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
        pace = Pace()
        for time_ns, message in self._messages([self._audio]):
            while infos and infos[0][0] <= time_ns:
                newer = infos.pop(0)[1]
                info, pace = newer, pace if newer == info else Pace()
            try:
                chunk = self._source.chunk(message, info, self._stamp_marks, time_ns)
                pace.check(chunk)
            except AudioError as problem:
                yield BagChunk(None, time_ns, 0, problem)
            else:
                self.n_channels = chunk.samples.shape[1]
                yield BagChunk(chunk.samples, chunk.start_ns, chunk.sample_rate)


def _open(files):
    """Open a bag's files with the definitions that the audio in them needs."""
    definitions = {}
    while True:
        store = get_typestore(Stores.ROS2_HUMBLE)
        for name, text in definitions.items():
            store.register(get_types_from_msg(text, name))
        reader = AnyReader(files, default_typestore=store)
        reader.open()
        # Only one of the two packages of the same name can be in a robot, and so in its bags.
        wanted = {}
        for connection in reader.connections:
            if connection.msgtype in KINDS:
                wanted |= DEFINITIONS[connection.msgtype]
        if wanted == definitions:
            return reader
        reader.close()
        definitions = wanted


def _cannot_read(path, error):
    """Say why a bag cannot be read."""
    return (f'{path} cannot be read here ({error or type(error).__name__}): it is truncated or '
            'damaged. `mcap recover` or `ros2 bag reindex` may repair it')
