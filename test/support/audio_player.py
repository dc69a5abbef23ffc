"""
A microphone driver of any kind, as a process of its own: it plays a recording again and again.

    python audio_player.py KIND RATE signals.npy mics.npy

KIND is one of message_types.SOURCES, RATE how many times faster than real time. It waits for a
localizer, prints the time of the first sample, in nanoseconds, and plays until it is terminated.
"""

import array
from collections.abc import Callable
import sys
import time
from typing import Any

from audio_common_msgs import msg as audio_common
import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos import QoSProfile
from support.transforms import transform
from tf2_msgs.msg import TFMessage

RATE, CHUNK = 16000, 512
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
Play = Callable[[NDArray[np.float32], int, int], None]
"""Publishes samples (n, M) of a chunk with its first and last time, nanoseconds."""


def ros_drivers(node: Node, stamped: bool) -> tuple[Publisher, Play]:
    """Play as audio_capture of ros-drivers does: S16LE bytes, the stamp at the start."""
    AudioData, AudioInfo = audio_common.AudioData, audio_common.AudioInfo
    info = node.create_publisher(AudioInfo, 'audio_info', LATCHED)
    publisher = node.create_publisher(
        audio_common.AudioDataStamped if stamped else AudioData, 'audio', 50)

    def play(chunk: NDArray[np.float32], start: int, _: int) -> None:
        info.publish(AudioInfo(channels=chunk.shape[1], sample_rate=RATE, sample_format='S16LE',
                               coding_format='wave'))
        data = AudioData(data=array.array('B', (chunk * 2 ** 15).astype('<i2').tobytes()))
        if not stamped:
            return publisher.publish(data)
        message = audio_common.AudioDataStamped(audio=data)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(start, 10 ** 9)
        publisher.publish(message)
    return publisher, play


def mgonzs13(node: Node) -> tuple[Publisher, Play]:
    """Play as audio_capturer_node does: best effort, int16 numbers, the stamp at the start."""
    publisher = node.create_publisher(audio_common.AudioStamped, 'audio', qos_profile_sensor_data)

    def play(chunk: NDArray[np.float32], start: int, _: int) -> None:
        message = audio_common.AudioStamped()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(start, 10 ** 9)
        info = message.audio.info
        info.format, info.channels, info.rate, info.chunk = 8, chunk.shape[1], RATE, CHUNK
        message.audio.audio_data.int16_data = array.array(
            'h', (chunk * 2 ** 15).astype(np.int16).tobytes())
        publisher.publish(message)
    return publisher, play


def audio_utils(node: Node) -> tuple[Publisher, Play]:
    """Play as introlab's capture node does: float bytes, the stamp at the end."""
    from audio_utils_msgs.msg import AudioFrame
    publisher = node.create_publisher(AudioFrame, 'audio', 50)

    def play(chunk: NDArray[np.float32], _: int, end: int) -> None:
        message = AudioFrame(format='float', channel_count=chunk.shape[1],
                             sampling_frequency=RATE, frame_sample_count=len(chunk))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(end, 10 ** 9)
        message.data = array.array('B', chunk.astype('<f4').tobytes())
        publisher.publish(message)
    return publisher, play


KINDS: dict[str, Callable[[Node], tuple[Publisher, Play]]] = {
    'ros_drivers_stamped': lambda node: ros_drivers(node, True),
    'ros_drivers': lambda node: ros_drivers(node, False),
    'mgonzs13': mgonzs13, 'audio_utils': audio_utils}


def wait_for_localizer(node: Node, publisher: Publisher) -> None:
    """Wait until the localizer subscribes, and knows the publishers of this node."""
    while not publisher.get_subscription_count():
        rclpy.spin_once(node, timeout_sec=0.05)
    # It answers a client that was announced after the publishers; see node_rig.Rig.connect.
    client: Any = node.create_client(GetParameters, 'localizer/get_parameters')
    while True:
        if client.service_is_ready():
            future = client.call_async(GetParameters.Request())
            rclpy.spin_until_future_complete(node, future, timeout_sec=2.0)
            if future.done():
                return
        rclpy.spin_once(node, timeout_sec=0.05)


def main(kind: str, rate: str, signals: str, mics: str) -> None:
    """Play; see the module's docstring."""
    rclpy.init()
    node = Node('player')
    publisher, play = KINDS[kind](node)
    static = node.create_publisher(TFMessage, '/tf_static', LATCHED)
    static.publish(TFMessage(transforms=[
        transform(f'mic_{k}', position) for k, position in enumerate(np.load(mics))]))
    wait_for_localizer(node, publisher)
    samples = np.load(signals).T
    samples = samples[:len(samples) // CHUNK * CHUNK]
    start_ns, started = time.time_ns(), time.monotonic()
    print(start_ns, flush=True)
    n = 0
    while True:
        begin, end = (start_ns + k * 10 ** 9 // RATE for k in (n, n + CHUNK))
        time.sleep(max(0.0, started + (n + CHUNK) / RATE / float(rate) - time.monotonic()))
        play(samples[n % len(samples):n % len(samples) + CHUNK], begin, end)
        n += CHUNK


if __name__ == '__main__':
    main(*sys.argv[1:])
