"""
ROS messages to and from NumPy and Estimate: pure functions, no node, no clock.

Audio is `audio_common_msgs/AudioDataStamped` with its `AudioInfo`; sample formats carry
GStreamer's names, as those messages do.
"""

import array
import math

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.core.window import NS
import numpy as np
from scipy.ndimage import map_coordinates

PEAK = 98
"""What the likeliest cell of an occupancy grid is scaled to: RViz's map colours give 99 and 100
meanings of their own (inscribed and lethal)."""
UNKNOWN = -1

# Sample format: how it lies in memory, the value of silence, and of full scale.
_FORMATS = {
    'S8': ('i1', 0, 2 ** 7),
    'U8': ('u1', 2 ** 7, 2 ** 7),
    'S16LE': ('<i2', 0, 2 ** 15),
    'S16BE': ('>i2', 0, 2 ** 15),
    'S32LE': ('<i4', 0, 2 ** 31),
    'S32BE': ('>i4', 0, 2 ** 31),
    'F32LE': ('<f4', 0, 1),
    'F32BE': ('>f4', 0, 1),
    'F64LE': ('<f8', 0, 1),
    'F64BE': ('>f8', 0, 1),
}


class AudioError(ValueError):
    """
    Audio that cannot be understood.

    Attributes
    ----------
    reason : str
        A short name under which such chunks are counted; the sentence is the exception's text.

    """

    def __init__(self, reason, sentence):
        super().__init__(sentence)
        self.reason = reason


def stamp_to_ns(stamp):
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return stamp.sec * NS + stamp.nanosec


def set_stamp(stamp, time_ns):
    """Write integer nanoseconds into a builtin_interfaces/Time."""
    stamp.sec, stamp.nanosec = divmod(int(time_ns), NS)


def check_audio_info(info, n_channels):
    """
    Refuse audio that is not plain samples of the microphones that are configured.

    Parameters
    ----------
    info : audio_common_msgs.msg.AudioInfo
        What the source says of its audio.
    n_channels : int
        How many microphones the node was told of; 0 if it was not told.

    Raises
    ------
    AudioError
        With the reason 'not wave', 'sample format', 'sample rate' or 'channel count'.

    """
    # An empty coding format is what drivers send that only ever send samples.
    if info.coding_format.lower() not in ('wave', 'wav', 'raw', 'pcm', ''):
        raise AudioError('not wave', f'the audio is coded as {info.coding_format!r}; only plain '
                         "samples can be located: set the source's format to 'wave'")
    if info.sample_format.upper() not in _FORMATS:
        raise AudioError('sample format', f'unknown sample format {info.sample_format!r}; '
                         f'known are {", ".join(_FORMATS)}')
    if info.sample_rate < 1000:
        raise AudioError('sample rate', f'a sample rate of {info.sample_rate} Hz holds no speech')
    if info.channels < 2:
        raise AudioError('channel count', f'the audio has {info.channels} channel(s); a position '
                         'takes 2 or more microphones')
    if n_channels and info.channels != n_channels:
        raise AudioError('channel count', f'the audio has {info.channels} channels, but '
                         f'{n_channels} microphones are configured')


def samples_from_bytes(data, sample_format, n_channels):
    """
    Decode interleaved samples.

    Parameters
    ----------
    data : bytes or array.array
        As the message brings them.
    sample_format : str
        Such as 'S16LE'.
    n_channels : int
        How many channels are interleaved.

    Returns
    -------
    numpy.ndarray
        Shape (n, M), float32, integers scaled to [-1, 1).

    Raises
    ------
    AudioError
        With the reason 'truncated' where the bytes do not make whole frames.

    """
    kind, silence, full_scale = _FORMATS[sample_format.upper()]
    dtype = np.dtype(kind)
    frame = dtype.itemsize * n_channels
    if len(data) % frame:
        raise AudioError('truncated', f'a chunk of {len(data)} bytes does not hold whole frames '
                         f'of {n_channels} {sample_format} samples ({frame} bytes)')
    samples = np.frombuffer(data, dtype=dtype).reshape(-1, n_channels)
    if dtype.kind == 'f':
        return samples.astype(np.float32)
    return ((samples.astype(np.float64) - silence) / full_scale).astype(np.float32)


def bytes_from_samples(samples):
    """
    Encode samples as interleaved S16LE.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape (n, M), full scale being 1; what lies beyond is clipped.

    Returns
    -------
    array.array
        Unsigned bytes, the type that message setters take without a loop.

    """
    pcm = np.clip(np.round(np.asarray(samples) * 2 ** 15), -2 ** 15, 2 ** 15 - 1)
    return array.array('B', pcm.astype('<i2').tobytes())


def pose_message(estimate, stamp_ns, frame_id, room_origin):
    """
    Say where the talker is, on the room's floor: these methods do not estimate a height.

    Parameters
    ----------
    estimate : nsrp_ros.core.estimate.Estimate
        In the room's frame.
    stamp_ns : int
        Time of the window's last sample, nanoseconds.
    frame_id : str
        The frame that `room_origin` is given in.
    room_origin : sequence of float
        Where the room's lower corner is, metres.

    Returns
    -------
    geometry_msgs.msg.PoseStamped
        Without a direction: the orientation is the identity.

    """
    message = PoseStamped()
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    position = message.pose.position
    position.x = float(estimate.position[0] + room_origin[0])
    position.y = float(estimate.position[1] + room_origin[1])
    position.z = float(room_origin[2])
    message.pose.orientation.w = 1.0
    return message


def square_map(estimate, room_dims, resolution):
    """
    Resample an estimate's map to square cells from the room's lower corner.

    Parameters
    ----------
    estimate : nsrp_ros.core.estimate.Estimate
        Its cells may have any shape.
    room_dims : sequence of float
        The room's length, width and height, metres.
    resolution : float
        Side of a cell, metres.

    Returns
    -------
    numpy.ndarray
        Shape (height, width), float; NaN in cells whose centre is outside the room.

    """
    width, height = (math.ceil(d / resolution - 1e-6) for d in room_dims[:2])
    step = [axis[1] - axis[0] if len(axis) > 1 else d
            for axis, d in zip((estimate.x, estimate.y), room_dims, strict=False)]
    # Cells coarser than the map's take the largest of several samples, lest they miss the peak.
    fine = math.ceil(resolution / min(step))
    offsets = (np.arange(fine) + 0.5) / fine
    x = (np.arange(width)[:, None] + offsets).ravel() * resolution
    y = (np.arange(height)[:, None] + offsets).ravel() * resolution
    columns = (x - estimate.x[0]) / step[0]
    rows = (y - estimate.y[0]) / step[1]
    values = map_coordinates(estimate.likelihood_map, np.meshgrid(rows, columns, indexing='ij'),
                             output=np.float64, order=1, mode='nearest')
    values = values.reshape(height, fine, width, fine).max(axis=(1, 3))
    values[(np.arange(height) + 0.5) * resolution > room_dims[1]] = np.nan
    values[:, (np.arange(width) + 0.5) * resolution > room_dims[0]] = np.nan
    return values


def grid_message(estimate, stamp_ns, frame_id, room_origin, room_dims, resolution):
    """
    Draw the likelihood map as an occupancy grid that RViz and Nav2 accept.

    Parameters
    ----------
    estimate, stamp_ns, frame_id, room_origin
        As in `pose_message`.
    room_dims : sequence of float
        Metres.
    resolution : float
        Side of a cell, metres.

    Returns
    -------
    nav_msgs.msg.OccupancyGrid
        Row-major from the lower corner, 0 for the least likely cell, 98 for the likeliest, -1
        where a cell's centre is outside the room.

    """
    values = square_map(estimate, room_dims, resolution)
    inside = np.isfinite(values)
    low, high = values[inside].min(), values[inside].max()
    cells = np.full(values.shape, UNKNOWN, dtype=np.int8)
    if high - low > 1e-6 * max(abs(high), abs(low)):  # more than rounding
        cells[inside] = np.round(PEAK * (values[inside] - low) / (high - low)).astype(np.int8)
    else:
        cells[inside] = 0

    message = OccupancyGrid()
    set_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    set_stamp(message.info.map_load_time, stamp_ns)
    message.info.resolution = float(resolution)
    message.info.height, message.info.width = (int(n) for n in values.shape)
    origin = message.info.origin
    origin.position.x, origin.position.y, origin.position.z = (float(v) for v in room_origin)
    origin.orientation.w = 1.0
    message.data = array.array('b', cells.tobytes())
    return message


def pose_array_positions(message):
    """
    Read microphone positions from a geometry_msgs/PoseArray.

    Returns
    -------
    numpy.ndarray
        Shape (M, 3), metres in the message's frame; NaN for a microphone that is missing, which
        a pose with a position that is not finite says.

    """
    positions = np.array([(p.position.x, p.position.y, p.position.z) for p in message.poses],
                         dtype=np.float64).reshape(-1, 3)
    positions[~np.isfinite(positions).all(axis=1)] = np.nan
    return positions
