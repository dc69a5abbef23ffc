"""Writes bags of the anechoic scene with any kind of audio, without ROS."""

from collections.abc import Callable
from collections.abc import Container
from pathlib import Path
from typing import Any

from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.bags.message_definitions import DEFINITIONS
from nsrp_ros.bags.message_definitions import INFO
from nsrp_ros.bags.message_definitions import TF
from nsrp_ros.core.stamps import NS
import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from support.anechoic import Anechoic

START_NS = 1_790_000_000 * NS
CHUNK = 512
RATE = 16000
UNSTAMPED = 'audio_common_msgs/msg/AudioData'
STAMPED = 'audio_common_msgs/msg/AudioDataStamped'
MGONZS13 = 'audio_common_msgs/msg/AudioStamped'
AUDIO_UTILS = 'audio_utils_msgs/msg/AudioFrame'


def record(folder: Path, anechoic: Anechoic, storage: StoragePlugin = StoragePlugin.MCAP,
           kind: str = STAMPED, lost: Container[int] = (), tf: str = '/tf_static',
           info_at: float | None = 1.0, seconds: float = 2.0,
           coding_format: str = 'wave') -> Path:
    """
    Write a bag: chunks of the scene's audio but for the lost ones, its frames, its info.

    Stamps are what the drivers of that kind make of a first sample at START_NS; every chunk is
    recorded at the time of its last sample. Frames on /tf move slowly, 20 times a second.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in DEFINITIONS[kind].items():
        store.register(get_types_from_msg(text, name))
    make = store.types
    samples = anechoic.signals(seconds).T

    with Writer(folder, version=9, storage_plugin=storage) as writer:
        def topic(name: str, message_type: str) -> Callable[[int, Any], None]:
            connection = writer.add_connection(name, message_type, typestore=store)

            def put(ns: int, message: Any) -> None:
                writer.write(connection, ns, store.serialize_cdr(message, message_type))
            return put

        frames, audio = topic(tf, TF), topic('/audio', kind)
        speed = 0.02 if tf == '/tf' else 0.0  # metres a second
        for moment in np.arange(0.0, seconds + 0.05, 0.05) if speed else [0.0]:
            transforms, at = [], START_NS + round(moment * NS)
            for k, p in enumerate(anechoic.mic_positions + speed * moment):
                transforms.append(make['geometry_msgs/msg/TransformStamped'](
                    _header(make, at, 'map'), f'mic_{k}', make['geometry_msgs/msg/Transform'](
                        make['geometry_msgs/msg/Vector3'](*map(float, p)),
                        make['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0))))
            frames(at, make[TF](transforms))
        if info_at is not None and kind in (STAMPED, UNSTAMPED):
            # After the first audio, as from a driver that sends it now and then.
            topic('/audio_info', INFO)(START_NS + round(info_at * NS), make[INFO](
                6, RATE, 'S16LE', 0, coding_format))
        for k in range(len(samples) // CHUNK):
            if k in lost:
                continue
            start_ns = START_NS + k * CHUNK * NS // RATE
            end_ns = start_ns + CHUNK * NS // RATE
            audio(end_ns, _message(make, kind, samples[k * CHUNK:(k + 1) * CHUNK], start_ns,
                                   end_ns))
    return folder


def _header(make: Any, ns: int, frame: str = '') -> Any:
    return make['std_msgs/msg/Header'](
        make['builtin_interfaces/msg/Time'](*divmod(ns, NS)), frame)


def _message(make: Any, kind: str, samples: NDArray[np.float32], start_ns: int,
             end_ns: int) -> Any:
    """Make a chunk's message of a kind of audio."""
    data = np.frombuffer(bytes_from_samples(samples), np.uint8)
    if kind == MGONZS13:
        empty = {name: np.array([], dtype) for name, dtype in (
            ('float32_data', np.float32), ('int32_data', np.int32), ('int8_data', np.int8),
            ('uint8_data', np.uint8))}
        audio = make['audio_common_msgs/msg/Audio'](
            make[UNSTAMPED](int16_data=data.view('<i2'), **empty),
            make[INFO](format=8, channels=6, rate=RATE, chunk=len(samples)))
        return make[kind](_header(make, start_ns), audio)
    if kind == AUDIO_UTILS:
        return make[kind](_header(make, end_ns), 'signed_16', 6, RATE, len(samples), data)
    plain = make[UNSTAMPED](data)
    return plain if kind == UNSTAMPED else make[STAMPED](_header(make, start_ns), plain)
