"""
The localizer node: audio and microphone positions in, a pose and a likelihood map out.

It is a managed (lifecycle) node. Made: its parameters are declared and checked. Configured: it
has its publishers. Active: it has its model, its subscriptions and its worker. Deactivating and
cleaning up free the same again. With `autostart`, which is the default, it becomes active by
itself. What happens to the audio in between is told in live.py.
"""

import os

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.audio.message_types import SOURCES
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.pipeline.live import Pipeline
from nsrp_ros.ros.compat import spin_managed
from nsrp_ros.ros.conversions import covariance_message
from nsrp_ros.ros.conversions import grid_message
from nsrp_ros.ros.conversions import pose_message
from nsrp_ros.ros.inputs.audio_subscription import AudioInput
from nsrp_ros.ros.inputs.microphone_positions import FixedMicrophones
from nsrp_ros.ros.inputs.microphone_positions import FrameMicrophones
from nsrp_ros.ros.inputs.microphone_positions import PoseArrayMicrophones
from nsrp_ros.ros.inputs.room_source import FixedRoom
from nsrp_ros.ros.inputs.room_source import MapRoom
from nsrp_ros.ros.inputs.room_source import Room
from nsrp_ros.ros.inputs.transforms import make_listener
from nsrp_ros.ros.localizer_diagnostics import Status
from nsrp_ros.ros.localizer_parameters import NodeConfig
from nsrp_ros.ros.node_main import run_node
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import updated_settings
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile


KERNELS_KEPT = {'ONEDNN_PRIMITIVE_CACHE_CAPACITY': 128, 'LRU_CACHE_CAPACITY': 16}
"""Compiled kernels that torch keeps, one for every size of a matrix: of the 1024 of its default
memory grows by 800 MB in an hour, of these by nothing, and the time for a window is the same."""


MAPS = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Latched, but with room for maps that a listener is a moment late for: each is a window."""


class StartError(RuntimeError):
    """The node cannot become active; the text says why."""


class LocalizerNode(LifecycleNode):
    """See the module's docstring; the parameters are described in localizer_parameters.py."""

    def __init__(self, **kwargs):
        # Before all else: a node that cannot be made is destroyed, too.
        self._close_all = []  # what frees the parts of an active node, in the order of making
        self._problem = ''
        super().__init__('localizer', **kwargs)
        self.config = declare_settings(self, NodeConfig)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._status = Status(self, lambda: self.config)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_timer(1.0, lambda: self._diagnostics.publish(self._status.message()))

    def bring_up(self):
        """
        Become active without anybody's asking.

        Raises
        ------
        StartError
            If that fails.

        """
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                raise StartError(self._problem)

    def on_configure(self, state):
        """Make the publishers, which stay silent until the node is active."""
        make = self.create_lifecycle_publisher
        self._pose = make(PoseStamped, 'source_pose', 10)
        self._uncertain = make(PoseWithCovarianceStamped, 'source_pose_with_covariance', 10)
        self._grid = make(OccupancyGrid, 'likelihood', MAPS)
        return super().on_configure(state)

    def on_activate(self, state):
        """Load the model, listen, and work; or fail with a sentence in the log."""
        try:
            self._begin()
        except Exception as error:  # noqa: B902  rclpy would swallow it without a word
            self._end()
            self._problem = str(error) or type(error).__name__
            self.get_logger().error(f'cannot become active: {error}')
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state):
        """Free what was made to become active."""
        self._end()
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        """Free the publishers."""
        self._free_publishers()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state):
        """Free everything, whatever state that is asked for in."""
        self._end()
        self._free_publishers()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state):
        """Free everything; the node can then be configured again."""
        return self.on_shutdown(state)

    def _free_publishers(self):
        for name in ('_pose', '_uncertain', '_grid'):
            if hasattr(self, name):
                self.destroy_lifecycle_publisher(getattr(self, name))
                delattr(self, name)

    def _begin(self):
        config = self.config
        source = SOURCES[config.audio_source]
        source.types()  # refuses messages that are not installed before anything is made
        localizer = _load(config)
        listener = make_listener(self)
        self._close_all.append(listener.close)
        microphones = self._make_microphones(listener)
        if config.room_source == 'map':
            room = MapRoom(self, config.frame_id, config.room_height)
        else:
            room = FixedRoom(Room(config.room_origin, config.room_dims))
        self._close_all.append(room.close)
        self._status.listening(config.audio_topics)
        pipeline = Pipeline(lambda: self.config, localizer, microphones, room, self._status,
                            self._publish)
        self._close_all.append(pipeline.close)
        inputs = []
        for k, (topic, n_channels) in enumerate(zip(config.audio_topics, config.topic_channels)):
            inputs.append(AudioInput(
                self, topic, source, config.stamps, n_channels,
                lambda chunk, device=k: pipeline.hear(device, chunk),
                lambda error, device=k: pipeline.fault(device, error)))
            self._close_all.append(inputs[-1].close)
        timer = self.create_timer(0.2, lambda: [one.attend() for one in inputs])
        self._close_all.append(lambda: self.destroy_timer(timer))
        self.get_logger().info(
            f'locating with {config.method}, hearing {config.audio_source} on '
            f'{", ".join(config.audio_topics)}, in frame {config.frame_id!r}')
        if config.stamps == 'arrival':
            self.get_logger().warning('the audio is timed by its arrival: microphones that move '
                                      'are taken to be where they were that much later, and a '
                                      'lost chunk cannot be told from a late one')

    def _make_microphones(self, listener):
        config = self.config
        if config.microphone_source == 'fixed':
            return FixedMicrophones(listener, config.frame_id, config.microphone_positions,
                                    config.microphone_positions_frame or config.frame_id)
        if config.microphone_source == 'pose_array':
            found = PoseArrayMicrophones(self, listener, config.frame_id,
                                         lambda: self.config.pose_timeout)
            self._close_all.append(lambda: self.destroy_subscription(found.subscription))
            return found
        return FrameMicrophones(listener, config.frame_id, config.microphone_frames,
                                config.microphone_frame_prefix)

    def _end(self):
        # Backwards: nobody may be told anything by what is gone already.
        while self._close_all:
            self._close_all.pop()()
        self._status.listening(())

    def _on_parameters(self, changes):
        self.config, result = updated_settings(self.config, changes)
        return result

    def _publish(self, estimate, window, room):
        config = self.config
        where = (window.stamp_ns, config.frame_id, room.origin)
        self._grid.publish(grid_message(estimate, *where, room.dims, config.map_resolution))
        if estimate.confidence < config.min_confidence:
            self._status.skip('low confidence', f'a confidence of {estimate.confidence:.2f} is '
                              'below min_confidence: the map is published without a pose')
            return
        self._pose.publish(pose_message(estimate, *where))
        if estimate.covariance is not None:
            self._uncertain.publish(covariance_message(estimate, *where, room.dims[2]))

    def destroy_node(self):
        """Stop the worker before what it publishes to goes away."""
        if self._close_all:
            self._end()
        super().destroy_node()


def _load(config):
    # Read by torch at its first product of matrices. A user's own wish goes before ours.
    for name, most in KERNELS_KEPT.items():
        os.environ.setdefault(name, str(most))
    localizer = Localizer.load(config.method, config.device, config.threads)
    # The first call pays for what libraries set up lazily: let no talker wait for it.
    still = np.random.default_rng(0).standard_normal((2, 16000)).astype(np.float32)
    try:
        localizer.locate(still, 16000, [[1, 1, 1], [2, 2, 1]], (5, 5, 3))
    except ValueError:
        pass  # a network for a fixed number of microphones
    return localizer


def _spin(node):
    if node.config.autostart:
        node.bring_up()
    spin_managed(node)


def main(args=None):
    """Run the localizer until it is interrupted; exit with 1 where it cannot start."""
    run_node('localizer', LocalizerNode, (ValueError, StartError), _spin, args)


if __name__ == '__main__':
    main()
