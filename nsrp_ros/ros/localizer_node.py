"""
The localizer node: from audio and microphone positions to a pose and a likelihood map.

It is a managed (lifecycle) node. Unconfigured: its parameters are declared and checked. Inactive:
it has its publishers. Active: it has its model, its subscriptions and its window queue.
Deactivation and cleanup free the same. With `autostart`, the default, it becomes active by itself.
The processing of the audio is in pipeline/live.py.
"""

from collections.abc import Callable
from functools import partial
import os
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
from nsrp_ros.audio.message_types import SOURCES
from nsrp_ros.audio.windowing import Window
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.pipeline.interfaces import Microphones
from nsrp_ros.pipeline.live import Pipeline
from nsrp_ros.pipeline.settings import Room
from nsrp_ros.ros.compat import spin_managed
from nsrp_ros.ros.conversions import covariance_message
from nsrp_ros.ros.conversions import grid_message
from nsrp_ros.ros.conversions import pose_message
from nsrp_ros.ros.inputs.audio_subscription import AudioSubscription
from nsrp_ros.ros.inputs.microphone_positions import FixedMicrophones
from nsrp_ros.ros.inputs.microphone_positions import FrameMicrophones
from nsrp_ros.ros.inputs.microphone_positions import PoseArrayMicrophones
from nsrp_ros.ros.inputs.room_source import FixedRoom
from nsrp_ros.ros.inputs.room_source import MapRoom
from nsrp_ros.ros.inputs.transforms import make_listener
from nsrp_ros.ros.inputs.transforms import TransformListener
from nsrp_ros.ros.localizer_diagnostics import LocalizerDiagnostics
from nsrp_ros.ros.localizer_parameters import NodeConfig
from nsrp_ros.ros.node_main import run_node
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import updated_settings
import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile

KERNEL_CACHES = {'ONEDNN_PRIMITIVE_CACHE_CAPACITY': 128, 'LRU_CACHE_CAPACITY': 16}
"""Sizes of torch's caches of compiled kernels, one for each shape of a matrix: with the default of
1024 memory grows by 800 MB in an hour, with these it does not, at the same time for a window."""
MAP_QOS = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Transient local, and deep enough that a slow subscriber misses no map: each is a window."""


class StartError(RuntimeError):
    """The node cannot become active; the text says why."""


class LocalizerNode(LifecycleNode):
    """See the module's docstring; the parameters are described in localizer_parameters.py."""

    def __init__(self, **kwargs: Any) -> None:
        # Set first, since `destroy_node` is called even where the rest of this fails.
        self._closers: list[Callable[[], object]] = []  # free an active node's parts, last first
        self._problem = ''
        super().__init__('localizer', **kwargs)
        self.config = declare_settings(self, NodeConfig)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._diagnostics = LocalizerDiagnostics(self, lambda: self.config)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_timer(1.0, lambda: self._diagnostics_publisher.publish(
            self._diagnostics.message()))

    def bring_up(self) -> None:
        """
        Configure and activate the node without a lifecycle manager.

        Raises
        ------
        StartError
            If it cannot become active.

        """
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                raise StartError(self._problem)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the publishers, which publish only while the node is active."""
        make = self.create_lifecycle_publisher
        self._pose = make(PoseStamped, 'source_pose', 10)
        self._covariance = make(PoseWithCovarianceStamped, 'source_pose_with_covariance', 10)
        self._grid = make(OccupancyGrid, 'likelihood', MAP_QOS)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and start the pipeline; fail with a sentence in the log."""
        try:
            self._start_pipeline()
        except Exception as error:  # noqa: B902  rclpy would not log it
            self._stop_pipeline()
            self._problem = str(error) or type(error).__name__
            self.get_logger().error(f'cannot become active: {error}')
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free what was made to become active."""
        self._stop_pipeline()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the publishers."""
        self._free_publishers()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, in any state."""
        self._stop_pipeline()
        self._free_publishers()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything; the node can then be configured again."""
        return self.on_shutdown(state)

    def _free_publishers(self) -> None:
        for name in ('_pose', '_covariance', '_grid'):
            if hasattr(self, name):
                self.destroy_lifecycle_publisher(getattr(self, name))
                delattr(self, name)

    def _start_pipeline(self) -> None:
        config = self.config
        source = SOURCES[config.audio_source]
        source.types()  # raises SourceError first if the messages are not installed
        localizer = _load(config)
        listener = make_listener(self)
        self._closers.append(listener.close)
        microphones = self._make_microphones(listener)
        room: FixedRoom | MapRoom
        if config.room_source == 'map':
            room = MapRoom(self, config.frame_id, config.room_height)
        else:
            room = FixedRoom(config.room)
        self._closers.append(room.close)
        self._diagnostics.subscribed(config.audio_topics)
        pipeline = Pipeline(lambda: self.config, localizer, microphones, room, self._diagnostics,
                            self._publish)
        self._closers.append(pipeline.close)
        subscriptions: list[AudioSubscription] = []
        for k, (topic, n_channels) in enumerate(zip(config.audio_topics, config.topic_channels)):
            subscriptions.append(AudioSubscription(
                self, topic, source, config.stamps, n_channels, partial(pipeline.push, k),
                partial(pipeline.fault, k)))
            self._closers.append(subscriptions[-1].close)

        def adapt_reliability() -> None:
            for subscription in subscriptions:
                subscription.adapt_reliability()

        timer = self.create_timer(0.2, adapt_reliability)
        self._closers.append(lambda: self.destroy_timer(timer))
        self.get_logger().info(
            f'locating with {config.method}, receiving {config.audio_source} on '
            f'{", ".join(config.audio_topics)}, in frame {config.frame_id!r}')
        if config.stamps == 'arrival':
            self.get_logger().warning('the audio is timed by its arrival: positions of moving '
                                      'microphones are looked up that much later, and a lost '
                                      'chunk cannot be distinguished from a late one')

    def _make_microphones(self, listener: TransformListener) -> Microphones:
        config = self.config
        if config.microphone_source == 'fixed':
            return FixedMicrophones(listener, config.frame_id, config.microphone_positions,
                                    config.microphone_positions_frame or config.frame_id)
        if config.microphone_source == 'pose_array':
            microphones = PoseArrayMicrophones(self, listener, config.frame_id,
                                               lambda: self.config.pose_timeout)
            self._closers.append(lambda: self.destroy_subscription(microphones.subscription))
            return microphones
        return FrameMicrophones(listener, config.frame_id, config.microphone_frames,
                                config.microphone_frame_prefix)

    def _stop_pipeline(self) -> None:
        # Last first: no part may use one that is closed already.
        while self._closers:
            self._closers.pop()()
        self._diagnostics.subscribed(())

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        self.config, result = updated_settings(self.config, changes)
        return result

    def _publish(self, estimate: Estimate, window: Window, room: Room) -> None:
        config = self.config
        context = (window.stamp_ns, config.frame_id, room.origin)
        self._grid.publish(grid_message(estimate, *context, room.dims, config.map_resolution))
        if estimate.confidence < config.min_confidence:
            self._diagnostics.skip(
                SkipReason.LOW_CONFIDENCE, f'a confidence of {estimate.confidence:.2f} is below '
                'min_confidence: the map is published without a pose')
            return
        self._pose.publish(pose_message(estimate, *context))
        if estimate.covariance is not None:
            self._covariance.publish(covariance_message(estimate, *context, room.dims[2]))

    def destroy_node(self) -> None:
        """Stop the pipeline before the publishers are destroyed."""
        if self._closers:
            self._stop_pipeline()
        super().destroy_node()


def _load(config: NodeConfig) -> Localizer:
    # Torch reads these at its first matrix product; values that the user has set stay.
    for name, size in KERNEL_CACHES.items():
        os.environ.setdefault(name, str(size))
    localizer = Localizer.load(config.method, config.device, config.threads)
    # The first call is slow, since libraries initialize lazily; it is made before any audio.
    noise = np.random.default_rng(0).standard_normal((2, 16000)).astype(np.float32)
    try:
        localizer.locate(noise, 16000, [[1, 1, 1], [2, 2, 1]], (5, 5, 3))
    except ValueError:
        pass  # a network for a fixed number of microphones
    return localizer


def _spin(node: LocalizerNode) -> None:
    if node.config.autostart:
        node.bring_up()
    spin_managed(node)


def main(args: list[str] | None = None) -> None:
    """Run the localizer until it is interrupted; exit with 1 where it cannot start."""
    run_node('localizer', LocalizerNode, (ValueError, StartError), _spin, args)


if __name__ == '__main__':
    main()
