"""
Audio and transforms in recorded bags, MCAP or SQLite, read without ROS by the `rosbags` library.

Every kind of audio message that the node supports is decoded by the same code (message_types.py).

    with AudioBag('kitchen.mcap') as bag:
        for chunk in bag.chunks():  # samples (n, M), start_ns, sample_rate
            ...
        bag.positions('map', ['mic_0', 'mic_1'], stamp_ns)  # (2, 3) metres
"""

from collections.abc import Iterator
from collections.abc import Sequence
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nsrp_ros.audio.rate_check import RateCheck
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.bags.audio_chunk import BagChunk
from nsrp_ros.bags.message_definitions import INFO
from nsrp_ros.bags.message_definitions import KINDS
from nsrp_ros.bags.message_definitions import TF
from nsrp_ros.bags.opening import cannot_read
from nsrp_ros.bags.opening import open_files
from nsrp_ros.bags.storage import bag_files
from nsrp_ros.bags.storage import BagError
from nsrp_ros.bags.transforms import RecordedTransforms
from nsrp_ros.pipeline.settings import LocalizationSettings
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReaderError
from rosbags.rosbag2 import ReaderError


class AudioBag:
    """
    A bag that contains audio; use it in a `with` statement.

    Parameters
    ----------
    path : path
        A bag's folder, or its .mcap or .db3 file.
    topic : str, optional
        Topic of the audio; may be left out where there is only one.
    info_topic : str, optional
        Topic of its AudioInfo; <topic>_info or the only one if left out.
    stamp_marks : str, optional
        What stamps mark: the 'start' or 'end' of a chunk, or 'arrival' to ignore them; 'auto' is
        what the drivers of that kind of message do.

    Attributes
    ----------
    topic : str
        Topic of the audio, once the bag is open.
    count : int
        Number of audio messages.
    n_channels : int
        Number of channels of the chunk that was read last.
    damage : str
        A sentence about what is missing of the bag; empty if nothing.

    """

    def __init__(self, path: str | os.PathLike[str], topic: str | None = None,
                 info_topic: str | None = None,
                 stamp_marks: str = LocalizationSettings.stamp_marks) -> None:
        self._path, self._topic, self._info_topic = Path(path), topic, info_topic
        self._stamp_marks = stamp_marks
        self.n_channels = 0

    def __enter__(self) -> 'AudioBag':
        """
        Open the bag, and read everything except the audio.

        Raises
        ------
        BagError
            If the bag cannot be opened, or lacks the audio or its AudioInfo.

        """
        self._scratch = TemporaryDirectory(prefix='nsrp_bag_')
        try:
            files, self.damage = bag_files(self._path, Path(self._scratch.name))
            self._reader = open_files(files)
        except BagError:
            self._scratch.cleanup()
            raise
        except (AnyReaderError, ReaderError, OSError, AssertionError) as error:
            self._scratch.cleanup()
            raise BagError(cannot_read(self._path, error)) from error
        try:
            self._audio = self._choose_audio()
            self.topic, self._source = self._audio.topic, KINDS[self._audio.msgtype]
            self._stamp_marks = self._resolved_stamp_marks()
            self.count = self._audio.msgcount
            self._infos = self._read_infos()
            self._transforms = self._read_transforms()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Close the bag."""
        self._reader.close()
        self._scratch.cleanup()

    def _choose_audio(self) -> Any:
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
        # A stamped topic is preferred to the same audio without stamps.
        found = [c for c in found if KINDS[c.msgtype].stamped] or found
        if len({c.topic for c in found}) > 1:
            raise BagError(f'{self._path} has several topics with audio ({names}): choose one '
                           'with --topic')
        return found[0]

    def _resolved_stamp_marks(self) -> str:
        if not self._source.stamped or self._stamp_marks == 'auto':
            return self._source.stamp_marks
        return self._stamp_marks

    def _messages(self, connections: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Iterate over (time, message) of connections."""
        if not connections:
            return
        try:
            for connection, time_ns, data in self._reader.messages(connections=connections):
                yield time_ns, self._reader.deserialize(data, connection.msgtype)
        except (AnyReaderError, ReaderError, OSError, EOFError, ValueError, AssertionError,
                RuntimeError) as error:
            raise BagError(cannot_read(self._path, error)) from error

    def _read_infos(self) -> list[tuple[int, Any]]:
        """Read the AudioInfo messages: a list of (time, AudioInfo)."""
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

    def _read_transforms(self) -> RecordedTransforms:
        transforms = RecordedTransforms(self._reader.start_time)
        for connection in self._reader.connections:
            if connection.msgtype == TF:
                for _, message in self._messages([connection]):
                    transforms.add(message, connection.topic.endswith('tf_static'))
        return transforms

    def positions(self, frame_id: str, frames: Sequence[str],
                  stamp_ns: int) -> tuple[NDArray[np.float64], dict[str, str]]:
        """
        Return the positions of frames at a time.

        Parameters
        ----------
        frame_id : str
            The frame that positions are given in.
        frames : sequence of str
            The M frames.
        stamp_ns : int
            The time, nanoseconds.

        Returns
        -------
        tuple of numpy.ndarray and dict
            (M, 3) metres, NaN where a frame is not known at that time; and the reasons, by frame.

        """
        found, missing = np.full((len(frames), 3), np.nan), {}
        for k, frame in enumerate(frames):
            try:
                found[k] = self.transform(frame_id, frame, stamp_ns)[:3, 3]
            except LookupError as error:
                missing[frame] = str(error)
        return found, missing

    def transform(self, frame_id: str, frame: str, stamp_ns: int) -> NDArray[np.float64]:
        """
        Look up the transform, shape (4, 4), from a frame to frame_id.

        Raises
        ------
        LookupError
            If it is not known at that time; the text says why.

        """
        return self._transforms.lookup(frame_id, frame, stamp_ns)

    def chunks(self) -> Iterator[BagChunk]:
        """
        Iterate over the audio in the order of its recording.

        Yields
        ------
        BagChunk
            Also for messages that cannot be decoded, with their problem.

        Raises
        ------
        BagError
            Where the bag is truncated or damaged, after all chunks before that.

        """
        infos, info = list(self._infos), self._infos[0][1] if self._infos else None
        rate_check = RateCheck()
        for time_ns, message in self._messages([self._audio]):
            while infos and infos[0][0] <= time_ns:
                newer = infos.pop(0)[1]
                rate_check = rate_check if newer == info else RateCheck()
                info = newer
            try:
                chunk = self._source.chunk(message, info, self._stamp_marks, time_ns)
                rate_check.check(chunk)
            except AudioError as problem:
                yield BagChunk(None, time_ns, 0, problem)
            else:
                self.n_channels = chunk.samples.shape[1]
                yield BagChunk(chunk.samples, chunk.start_ns, chunk.sample_rate)
