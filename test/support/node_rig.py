"""A localizer in a process of its own, and this process on the other side of DDS."""

import contextlib
from dataclasses import dataclass
from dataclasses import field
import os
import signal
import subprocess
import sys
import time

from audio_common_msgs.msg import AudioDataStamped
from audio_common_msgs.msg import AudioInfo
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import PoseWithCovarianceStamped
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import set_stamp
from nsrp_ros.ros.inputs.audio_subscription import LATCHED
import numpy as np
from rcl_interfaces.srv import SetParametersAtomically
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage

CHUNK = 512
ROOM = {'room_dims': '[6.0, 5.0, 3.0]', 'method': 'srp_phat',
        'microphone_frames': '[mic_0, mic_1, mic_2, mic_3, mic_4, mic_5]'}
"""Parameters of a localizer in the scene `anechoic`."""


def start(module, domain, parameters, log, environment=None, remap=()):
    """Start a node of the package in its own process and DDS domain."""
    arguments = [a for name, value in parameters.items() for a in ('-p', f'{name}:={value}')]
    arguments += [a for rule in remap for a in ('-r', rule)]
    return subprocess.Popen(
        [sys.executable, '-m', f'nsrp_ros.ros.{module}', '--ros-args', *arguments],
        env=os.environ | {'ROS_DOMAIN_ID': str(domain), 'OMP_NUM_THREADS': '1'}
        | (environment or {}), stdout=log, stderr=subprocess.STDOUT)


@dataclass
class Heard:
    """What came out of the localizer."""

    poses: list = field(default_factory=list)
    uncertain: list = field(default_factory=list)
    grids: list = field(default_factory=list)
    truths: list = field(default_factory=list)
    status: list = field(default_factory=list)


class Rig:
    """
    A test's side of DDS, with the processes it has started.

    Parameters
    ----------
    domain : int
        ROS_DOMAIN_ID of this rig alone.
    folder : pathlib.Path
        Where the processes' logs go.
    namespace : str, optional
        Of the topics that are listened to.

    """

    def __init__(self, domain, folder, namespace=''):
        self.domain, self._folder = domain, folder
        self._processes = []
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = Node('rig', context=self.context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self.heard = Heard()
        node = self.node
        for kind, topic, into in (
                (PoseStamped, 'source_pose', self.heard.poses),
                (PoseWithCovarianceStamped, 'source_pose_with_covariance', self.heard.uncertain),
                (OccupancyGrid, 'likelihood', self.heard.grids),
                (PoseStamped, 'true_source', self.heard.truths)):
            node.create_subscription(kind, topic, into.append, 100)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 100)
        self.audio = node.create_publisher(AudioDataStamped, 'audio', 200)
        self.info = node.create_publisher(AudioInfo, 'audio_info', LATCHED)
        self.static = node.create_publisher(TFMessage, '/tf_static', LATCHED)
        self.now_ns = 1_790_000_000 * NS  # the audio's own time, which need not be ours

    def _on_diagnostics(self, message):
        self.heard.status += message.status

    def start(self, module, environment=None, remap=(), **parameters):
        """Start a node, with more variables and topics renamed; return its process."""
        log = self._folder / f'{module}{len(self._processes)}.log'
        with log.open('w') as file:
            process = start(module, self.domain, parameters, file, environment, remap)
        process.log = log
        self._processes.append(process)
        return process

    def spin_until(self, condition, timeout):
        """Spin until the condition holds; return whether it did."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def spin(self, seconds):
        """Let messages arrive for a while."""
        self.spin_until(lambda: False, seconds)

    def wait_for_localizer(self, topics=('audio',)):
        """Wait until the localizer listens to the audio and its outputs are connected."""
        def ready():
            for process in self._processes:
                assert process.poll() is None, process.log.read_text()
            return (all(self.node.count_subscribers(t) > 0 for t in topics) and self.heard.status
                    and self.node.count_publishers('source_pose') > 0)
        assert self.spin_until(ready, 60), 'the localizer does not listen'
        self.spin(0.3)

    def say_info(self, n_channels=6, **changes):
        """Publish an AudioInfo."""
        self.info.publish(AudioInfo(**({
            'channels': n_channels, 'sample_rate': 16000, 'sample_format': 'S16LE',
            'coding_format': 'wave'} | changes)))
        self.spin(0.2)

    def say_frames(self, mic_positions, frames=None):
        """Publish the microphones as static transforms of the frame map."""
        message = TFMessage()
        for k, position in enumerate(mic_positions):
            frame = TransformStamped(child_frame_id=frames[k] if frames else f'mic_{k}')
            frame.header.frame_id = 'map'
            t = frame.transform.translation
            t.x, t.y, t.z = (float(v) for v in position)
            frame.transform.rotation.w = 1.0
            message.transforms.append(frame)
        self.static.publish(message)
        self.spin(0.2)

    def play(self, signals, encode=bytes_from_samples, rate=16000, pace=0.0):
        """
        Publish signals (M, T) as chunks, advancing the audio's time.

        `encode` turns (n, M) samples into bytes; `pace` is seconds to wait between chunks.
        """
        for first in range(0, signals.shape[1], CHUNK):
            chunk = signals[:, first:first + CHUNK]
            self.play_bytes(encode(chunk.T))
            self.now_ns += chunk.shape[1] * NS // rate
            self.spin(pace)

    def play_bytes(self, data, publisher=None, late_ns=0):
        """Publish one chunk's bytes at the audio's present time, or with a stamp that is late."""
        message = AudioDataStamped()
        set_stamp(message.header.stamp, self.now_ns + late_ns)
        message.audio.data = data
        (publisher or self.audio).publish(message)

    def pause(self, seconds):
        """Let the audio's time pass, or go back, without any audio."""
        self.now_ns += int(seconds * NS)

    def values(self):
        """Return the newest status' key-value pairs, counts as integers."""
        values = {v.key: v.value for v in self.heard.status[-1].values}
        return {k: int(v) if v.isdigit() else v for k, v in values.items()}

    def settled(self):
        """Wait for a status that was made after everything so far; return its values."""
        self.spin(0.5)
        n = len(self.heard.status)
        assert self.spin_until(lambda: len(self.heard.status) > n + 1, 10)
        return self.values()

    def set_parameters(self, node, **values):
        """Set parameters of a node, all or none; return the result."""
        client = self.node.create_client(
            SetParametersAtomically, f'{node}/set_parameters_atomically')
        assert client.wait_for_service(timeout_sec=20)
        future = client.call_async(SetParametersAtomically.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]))
        assert self.spin_until(future.done, 10)
        self.node.destroy_client(client)
        return future.result().result

    def close(self):
        """End the processes as Ctrl-C would; return their exit codes."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        codes = []
        for process in self._processes:
            try:
                codes.append(process.wait(timeout=10))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append('hung')
        self.node.destroy_node()
        self.context.try_shutdown()
        return codes


def errors(poses, scene):
    """Return the distance of each pose to the scene's talker, metres."""
    x, y = scene.source_position[:2]
    return [np.hypot(p.pose.position.x - x, p.pose.position.y - y) for p in poses]


@contextlib.contextmanager
def localizer(domain, folder, **parameters):
    """Start one that many tests torment, one after another; it must end well."""
    rig = Rig(domain, folder)
    process = rig.start('localizer_node', **parameters)
    rig.wait_for_localizer()
    yield rig
    assert rig.close() == [0], process.log.read_text()


@contextlib.contextmanager
def tormented(rig, scene):
    """Give a test a healthy localizer, and see that it is healthy again afterwards."""
    rig.pause(100)
    rig.say_info()
    rig.say_frames(scene.mic_positions)
    yield rig
    rig.pause(100)
    rig.say_info()
    n = len(rig.heard.poses)
    rig.play(scene.signals(1.0), pace=0.005)
    assert rig.spin_until(lambda: len(rig.heard.poses) >= n + 2, 10), \
        'the localizer has not recovered'
    assert max(errors(rig.heard.poses[n:], scene)) < 0.15
