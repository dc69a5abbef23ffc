"""The localizer is a managed node: nothing before it is active, nothing left afterwards."""

from pathlib import Path
import signal
import time

from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import DescribeParameters
from rcl_interfaces.srv import ListParameters
from support.node_rig import ROOM


def ask(rig, kind, service, **fields):
    """Call one of the localizer's services."""
    client = rig.node.create_client(kind, f'/localizer/{service}')
    assert client.wait_for_service(timeout_sec=30), service
    future = client.call_async(kind.Request(**fields))
    assert rig.spin_until(future.done, 30), service
    rig.node.destroy_client(client)
    return future.result()


def change(rig, transition):
    """Ask for a transition; return whether it succeeded."""
    return ask(rig, ChangeState, 'change_state', transition=Transition(id=transition)).success


def state(rig):
    """Return which state the node is in."""
    return ask(rig, GetState, 'get_state').current_state.id


def listeners(rig):
    """Return how many subscribe to what an active localizer needs."""
    return [rig.node.count_subscribers(t) for t in ('audio', 'audio_info', '/tf', '/tf_static')]


def locates(rig, anechoic):
    """Play and return how many poses came of it."""
    n = len(rig.heard.poses)
    rig.pause(10)
    rig.say_info()
    rig.say_frames(anechoic.mic_positions)
    rig.play(anechoic.signals(1.0), pace=0.005)
    rig.spin(1.0)
    return len(rig.heard.poses) - n


def test_a_life(own, anechoic):
    """Through all states and back, twice: it hears when it is active, and only then."""
    rig = own(61)
    process = rig.start('localizer_node', autostart=False, **ROOM)
    assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
    described = ask(rig, DescribeParameters, 'describe_parameters', names=['room_dims'])
    assert 'metres' in described.descriptors[0].description
    assert rig.spin_until(lambda: rig.heard.status, 10)
    assert rig.heard.status[-1].message == 'not active'
    assert rig.node.count_publishers('source_pose') == 0
    for _ in range(2):
        assert change(rig, Transition.TRANSITION_CONFIGURE)
        assert rig.spin_until(lambda: rig.node.count_publishers('source_pose') == 1, 5)
        assert listeners(rig) == [0, 0, 0, 0] and locates(rig, anechoic) == 0
        assert change(rig, Transition.TRANSITION_ACTIVATE)
        assert state(rig) == State.PRIMARY_STATE_ACTIVE
        assert rig.spin_until(lambda: listeners(rig) == [1, 2, 1, 1], 5)
        assert locates(rig, anechoic) >= 2
        assert change(rig, Transition.TRANSITION_DEACTIVATE)
        assert rig.spin_until(lambda: listeners(rig) == [0, 0, 0, 0], 5)
        assert locates(rig, anechoic) == 0
        assert change(rig, Transition.TRANSITION_CLEANUP)
        assert rig.spin_until(lambda: rig.node.count_publishers('source_pose') == 0, 5)
        assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
    assert change(rig, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert state(rig) == State.PRIMARY_STATE_FINALIZED
    assert process.poll() is None and 'Traceback' not in process.log.read_text()


def test_ten_activations_leave_nothing_behind(own, anechoic):
    """Subscriptions, threads and descriptors are as many as after the first; it still locates."""
    rig = own(72)
    process = rig.start('localizer_node', **ROOM)
    rig.wait_for_localizer()
    folder = Path(f'/proc/{process.pid}')
    counts = []
    for _ in range(10):
        assert change(rig, Transition.TRANSITION_DEACTIVATE)
        assert rig.spin_until(lambda: listeners(rig) == [0, 0, 0, 0], 5)
        assert change(rig, Transition.TRANSITION_ACTIVATE)
        assert rig.spin_until(lambda: listeners(rig) == [1, 2, 1, 1], 5)
        counts.append([len(list((folder / kind).iterdir())) for kind in ('task', 'fd')])
    assert counts[-1] == counts[1], counts
    assert locates(rig, anechoic) >= 2


def test_a_model_that_is_not_there(own):
    """Activation fails with a sentence; the node stays inactive, and can be tried again."""
    rig = own(62)
    process = rig.start('localizer_node', autostart=False, **ROOM | {'method': 'telepathy'})
    assert change(rig, Transition.TRANSITION_CONFIGURE)
    for _ in range(2):
        assert not change(rig, Transition.TRANSITION_ACTIVATE)
        assert state(rig) == State.PRIMARY_STATE_INACTIVE
    assert "no weights for method 'telepathy'" in process.log.read_text()
    assert listeners(rig) == [0, 0, 0, 0]


def test_windows_in_the_queue_are_counted_when_it_is_deactivated(own, anechoic):
    """Those that wait for transforms which never come are 'stopped', and nothing is open."""
    rig = own(75)
    rig.start('localizer_node', **ROOM, transform_timeout=5.0, queue_size=20)
    rig.wait_for_localizer()
    rig.say_info()
    rig.play(anechoic.signals(2.0), pace=0.005)  # 7 windows; no frames have been said
    assert rig.spin_until(lambda: rig.values().get('windows') == 7, 3)
    assert rig.values()['located'] == rig.values()['not located'] == 0
    assert change(rig, Transition.TRANSITION_DEACTIVATE)
    values = rig.settled()
    assert values['skipped: stopped'] == values['not located'] == values['windows'] == 7
    assert rig.heard.status[-1].message == 'not active' and not rig.heard.grids
    # It is no fault: after it the node is as well as before.
    assert change(rig, Transition.TRANSITION_ACTIVATE)
    assert rig.spin_until(lambda: listeners(rig) == [1, 2, 1, 1], 5)
    assert locates(rig, anechoic) >= 2
    assert rig.settled()['skipped: stopped'] == 7


def test_by_itself(own, anechoic):
    """Without anybody's asking it is active, and Ctrl-C in the middle of audio ends it at once."""
    rig = own(63)
    process = rig.start('localizer_node', **ROOM)
    rig.wait_for_localizer()
    assert state(rig) == State.PRIMARY_STATE_ACTIVE
    names = ask(rig, ListParameters, 'list_parameters').result.names
    assert {'autostart', 'audio_source', 'device_timeout'} <= set(names)
    assert locates(rig, anechoic) >= 2
    rig.play(anechoic.signals(0.7), pace=0.001)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    assert time.monotonic() - begin < 1.0
    assert 'Traceback' not in process.log.read_text()
