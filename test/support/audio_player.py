"""
A microphone driver of any kind, as a process of its own: it plays a recording in real time.

    python audio_player.py KIND signals.npy mics.npy

KIND is one of sources.SOURCES. It prints the time of the first sample, in nanoseconds.
"""

import array
import sys
import time

from geometry_msgs.msg import TransformStamped
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

RATE, CHUNK = 16000, 512
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def ros_drivers(node, stamped):
    """Play as audio_capture of ros-drivers does: S16LE bytes, the stamp at the start."""
    from audio_common_msgs.msg import AudioData
    from audio_common_msgs.msg import AudioDataStamped
    from audio_common_msgs.msg import AudioInfo
    info = node.create_publisher(AudioInfo, 'audio_info', LATCHED)
    publisher = node.create_publisher(AudioDataStamped if stamped else AudioData, 'audio', 10)

    def play(chunk, start, _):
        info.publish(AudioInfo(channels=chunk.shape[1], sample_rate=RATE, sample_format='S16LE',
                               coding_format='wave'))
        data = AudioData(data=array.array('B', (chunk * 2 ** 15).astype('<i2').tobytes()))
        if not stamped:
            return publisher.publish(data)
        message = AudioDataStamped(audio=data)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(start, 10 ** 9)
        publisher.publish(message)
    return publisher, play


def mgonzs13(node):
    """Play as audio_capturer_node does: best effort, int16 numbers, the stamp at the start."""
    from audio_common_msgs.msg import AudioStamped
    publisher = node.create_publisher(AudioStamped, 'audio', qos_profile_sensor_data)

    def play(chunk, start, _):
        message = AudioStamped()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(start, 10 ** 9)
        info = message.audio.info
        info.format, info.channels, info.rate, info.chunk = 8, chunk.shape[1], RATE, CHUNK
        message.audio.audio_data.int16_data = array.array(
            'h', (chunk * 2 ** 15).astype(np.int16).tobytes())
        publisher.publish(message)
    return publisher, play


def audio_utils(node):
    """Play as introlab's capture node does: float bytes, the stamp at the end."""
    from audio_utils_msgs.msg import AudioFrame
    publisher = node.create_publisher(AudioFrame, 'audio', 10)

    def play(chunk, _, end):
        message = AudioFrame(format='float', channel_count=chunk.shape[1],
                             sampling_frequency=RATE, frame_sample_count=len(chunk))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(end, 10 ** 9)
        message.data = array.array('B', chunk.astype('<f4').tobytes())
        publisher.publish(message)
    return publisher, play


KINDS = {'ros_drivers_stamped': lambda node: ros_drivers(node, True),
         'ros_drivers': lambda node: ros_drivers(node, False),
         'mgonzs13': mgonzs13, 'audio_utils': audio_utils}


def main(kind, signals, mics):
    """Play once somebody listens."""
    rclpy.init()
    node = Node('player')
    publisher, play = KINDS[kind](node)
    static = node.create_publisher(TFMessage, '/tf_static', LATCHED)
    transforms = []
    for k, position in enumerate(np.load(mics)):
        frame = TransformStamped(child_frame_id=f'mic_{k}')
        frame.header.frame_id = 'map'
        t = frame.transform.translation
        t.x, t.y, t.z = (float(v) for v in position)
        frame.transform.rotation.w = 1.0
        transforms.append(frame)
    static.publish(TFMessage(transforms=transforms))
    while not publisher.get_subscription_count():
        time.sleep(0.05)
    time.sleep(1.0)
    samples = np.load(signals).T
    start_ns = time.time_ns()
    print(start_ns, flush=True)
    for first in range(0, len(samples) - CHUNK + 1, CHUNK):
        begin, end = (start_ns + n * 10 ** 9 // RATE for n in (first, first + CHUNK))
        time.sleep(max(0.0, (end - time.time_ns()) * 1e-9))
        play(samples[first:first + CHUNK], begin, end)
    time.sleep(0.5)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == '__main__':
    main(*sys.argv[1:])
