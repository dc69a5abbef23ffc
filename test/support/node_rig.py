"""A test's side of DDS: it publishes to nodes in other processes, and receives from them."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters
from rcl_interfaces.srv import SetParametersAtomically
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from support.node_process import NodeProcess
from support.patience import patience
from support.patience import wait_until
from tf2_msgs.msg import TFMessage

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ROOM: dict[str, Any] = {
    'room_dims': '[6.0, 5.0, 3.0]', 'method': 'srp_phat',
    'microphone_frames': '[mic_0, mic_1, mic_2, mic_3, mic_4, mic_5]'}
"""Parameters of a localizer in the scene `anechoic`."""


class Rig:
    """
    A test's side of DDS, with the processes that it has started.

    Nothing in it depends on how fast the machine is: `connect` returns once publishers and
    subscriptions on both sides know each other, `settled` once the node has processed everything.
    Both rest on `exchange`.

    Parameters
    ----------
    domain : int
        ROS_DOMAIN_ID of this rig alone.
    folder : pathlib.Path
        Where the processes' logs go.
    namespace : str, optional
        Of the rig's topics, and of the node that it tests.

    """

    def __init__(self, domain: int, folder: Path, namespace: str = '') -> None:
        self.domain, self._folder = domain, folder
        self.processes: list[NodeProcess] = []
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = Node('rig', context=self.context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}
        self._peer = ''  # the node that is tested, once `connect` was called
        self._newest: tuple[int, DiagnosticStatus] | None = None  # its status, and when made
        self.status: list[DiagnosticStatus] = []
        """All that has arrived on /diagnostics."""
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 100)
        self.static = self.node.create_publisher(TFMessage, '/tf_static', LATCHED)
        self.now_ns = 1_790_000_000 * NS
        """The time of the messages' stamps, which need not be ours."""

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.status += message.status
        for status in message.status:
            name = f"{self.node.get_namespace().rstrip('/')}/{self._peer}"
            if status.name.startswith(f'{name}:'):
                self._newest = stamp_to_ns(message.header.stamp), status

    def start(self, module: str, environment: Mapping[str, str] | None = None,
              remap: Sequence[str] = (), **parameters: Any) -> NodeProcess:
        """Start a node; see NodeProcess."""
        log = self._folder / f'{module}{len(self.processes)}.log'
        self.processes.append(
            NodeProcess(module, self.domain, log, parameters, environment, remap))
        return self.processes[-1]

    def spin_until(self, condition: Callable[[], object], seconds: float = 20.0) -> bool:
        """Receive until a condition holds; return whether it did. See patience.wait_until."""
        return wait_until(condition, seconds,
                          lambda: self._executor.spin_once(timeout_sec=0.02))

    def spin(self, seconds: float) -> None:
        """Receive for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def logs(self) -> str:
        """Return what the processes have said, for messages of failed assertions."""
        return '\n'.join(process.log.read_text() for process in self.processes)

    def assert_alive(self) -> None:
        """Fail with the log of a process that has ended."""
        for process in self.processes:
            assert process.poll() is None, process.log.read_text()

    def call(self, service_type: Any, service: str, **fields: object) -> Any:
        """
        Call a service, such as 'localizer/get_state', and return the response.

        A server that does not know a client yet loses its requests. So a service is only called
        after the node is known to know it (see `connect`); the client is then kept.
        """
        if service not in self._clients:
            client: Any = self.node.create_client(service_type, service)
            assert self.spin_until(client.service_is_ready, 40), (service, self.logs())
            self._clients[service] = client
            self._introduce(service.rpartition('/')[0])
        future = self._clients[service].call_async(service_type.Request(**fields))
        assert self.spin_until(future.done, 40), (service, self.logs())
        return future.result()

    def _introduce(self, name: str) -> None:
        """Wait until a node knows every publisher, subscription and client made so far."""
        # DDS announces endpoints reliably and in order: who answers the newest client knows all
        # before it. A client may be announced later than its requests arrive: so ask again.
        client: Any = self.node.create_client(GetParameters, f'{name}/get_parameters')

        def answered() -> bool:
            self.assert_alive()
            if not client.service_is_ready():
                return False
            future = client.call_async(GetParameters.Request())
            end = time.monotonic() + patience(0.5)
            while not future.done() and time.monotonic() < end:
                self._executor.spin_once(timeout_sec=0.02)
            return future.done()
        assert self.spin_until(answered, 60), f'{name} does not answer\n{self.logs()}'
        self.node.destroy_client(client)

    def connect(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """
        Wait until a node is connected: no message is lost from then on.

        Parameters
        ----------
        name : str
            Of the node to be tested; `values`, `settled` and `exchange` are about it.
        inputs, outputs : sequence of str
            Topics that it subscribes to, and those that it publishes.

        """
        self._peer = name

        def ready() -> bool:
            self.assert_alive()
            return (all(self.node.count_subscribers(topic) for topic in inputs)
                    and all(self.node.count_publishers(topic) for topic in outputs)
                    and self._newest is not None)
        assert self.spin_until(ready, 60), f'{name} is not there\n{self.logs()}'
        self._introduce(name)
        assert self.spin_until(lambda: all(
            publisher.get_subscription_count() for publisher in self.node.publishers
            if publisher.topic_name in [self.node.resolve_topic_name(t) for t in inputs]))
        self.exchange()

    def exchange(self) -> None:
        """
        Ask the node something, and wait for the answer.

        An executor takes at least one message that waits on a topic before it answers. So a node
        that is asked after every message keeps up with them, however slow it is.
        """
        self.call(GetParameters, f'{self._peer}/get_parameters')

    def deliver(self, publisher: Publisher, message: Any) -> None:
        """Publish a message, and wait until the node has taken it."""
        publisher.publish(message)
        if self._peer:
            self.exchange()
            self.exchange()

    def pause(self, seconds: float) -> None:
        """Let the audio's time pass, or go back, without any audio."""
        self.now_ns += int(seconds * NS)

    def values(self) -> dict[str, Any]:
        """Return the key-value pairs of the node's newest status, counts as integers."""
        assert self._newest is not None
        return {v.key: int(v.value) if v.value.isdigit() else v.value
                for v in self._newest[1].values}

    def wait_for_values(self, condition: Callable[[dict[str, Any]], object],
                        seconds: float = 20.0) -> dict[str, Any]:
        """Wait for a status whose key-value pairs meet a condition; return them."""
        assert self.spin_until(lambda: condition(self.values()), seconds), self.values()
        return self.values()

    def settled(self) -> dict[str, Any]:
        """Return the values of a status made after the node has processed everything so far."""
        for _ in range(3):
            self.exchange()
        processed_ns = time.time_ns()

        def current(values: dict[str, Any]) -> bool:
            assert self._newest is not None
            # A localizer has also answered for every window that was cut.
            return self._newest[0] >= processed_ns and values.get('windows', 0) == values.get(
                'located', 0) + values.get('not located', 0)
        values = self.wait_for_values(current)
        self.exchange()  # what was published before the status may come after it
        return values

    def set_parameters(self, node: str, **values: Any) -> SetParametersResult:
        """Set parameters of a node, all or none; return the result."""
        return self.call(SetParametersAtomically, f'{node}/set_parameters_atomically',
                         parameters=[Parameter(name, value=value).to_parameter_msg()
                                     for name, value in values.items()]).result

    def close(self) -> list[int]:
        """End the processes as Ctrl-C does; return their exit codes."""
        for process in self.processes:
            process.interrupt()
        codes = [process.exit_code(10.0) for process in self.processes]
        self.node.destroy_node()
        self.context.try_shutdown()
        return codes
