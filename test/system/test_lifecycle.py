"""The localizer is a managed node: nothing before it is active, nothing left afterwards."""

from collections.abc import Callable
from pathlib import Path
import time
from typing import Any

from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import DescribeParameters
from rcl_interfaces.srv import ListParameters
from support.anechoic import Anechoic
from support.localizer_rig import LocalizerRig
from support.node_process import NodeProcess
from support.node_rig import ROOM
from support.patience import slowdown

MakeRig = Callable[[int], LocalizerRig]


def start(rig: LocalizerRig, **parameters: Any) -> NodeProcess:
    """Start a localizer, of which only the services may be there yet."""
    process = rig.start('localizer_node', **ROOM | parameters)
    rig.connect('localizer', inputs=(), outputs=())
    return process


def change(rig: LocalizerRig, transition: int) -> bool:
    """Ask for a transition; return whether it succeeded."""
    return rig.call(ChangeState, 'localizer/change_state',
                    transition=Transition(id=transition)).success


def state(rig: LocalizerRig) -> int:
    """Return which state the node is in."""
    return rig.call(GetState, 'localizer/get_state').current_state.id


def subscriptions(rig: LocalizerRig) -> list[int]:
    """Return how many subscribe to what an active localizer needs."""
    return [rig.node.count_subscribers(t) for t in ('audio', 'audio_info', '/tf', '/tf_static')]


def becomes_active(rig: LocalizerRig) -> bool:
    """Activate it; return whether it then has its subscriptions, to which this rig publishes."""
    return change(rig, Transition.TRANSITION_ACTIVATE) and rig.spin_until(
        lambda: subscriptions(rig) == [1, 2, 1, 1] and rig.audio.get_subscription_count() == 1
        and rig.info.get_subscription_count() == 2)


def becomes_inactive(rig: LocalizerRig) -> bool:
    """Deactivate it; return whether it then has no subscription."""
    return change(rig, Transition.TRANSITION_DEACTIVATE) and rig.spin_until(
        lambda: subscriptions(rig) == [0, 0, 0, 0])


def play(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """Play a second of audio, which has three windows, and all that a localizer needs for it."""
    rig.pause(10)
    rig.publish_info()
    rig.publish_frames(anechoic.mic_positions)
    rig.play(anechoic.signals(1.0))


def locates(rig: LocalizerRig, anechoic: Anechoic) -> bool:
    """Play; return whether every window gives a pose."""
    n = len(rig.received.poses)
    play(rig, anechoic)
    return rig.spin_until(lambda: len(rig.received.poses) == n + 3)


def ignores(rig: LocalizerRig, anechoic: Anechoic, n_windows: int) -> bool:
    """Play; return whether nothing comes of it, after a number of windows before."""
    play(rig, anechoic)
    return rig.settled()['windows'] == len(rig.received.poses) == n_windows


def test_all_transitions(make_rig: MakeRig, anechoic: Anechoic) -> None:
    """Through all states and back, twice: it locates when it is active, and only then."""
    rig = make_rig(61)
    process = start(rig, autostart=False)
    assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
    described = rig.call(DescribeParameters, 'localizer/describe_parameters',
                         names=['room_dims'])
    assert 'metres' in described.descriptors[0].description
    assert rig.status[-1].message == 'not active'
    assert rig.node.count_publishers('source_pose') == 0
    for n_windows in (0, 3):
        assert change(rig, Transition.TRANSITION_CONFIGURE)
        assert rig.spin_until(lambda: rig.node.count_publishers('source_pose') == 1)
        assert subscriptions(rig) == [0, 0, 0, 0] and ignores(rig, anechoic, n_windows)
        assert becomes_active(rig)
        assert state(rig) == State.PRIMARY_STATE_ACTIVE
        assert locates(rig, anechoic)
        assert becomes_inactive(rig)
        assert ignores(rig, anechoic, n_windows + 3)
        assert change(rig, Transition.TRANSITION_CLEANUP)
        assert rig.spin_until(lambda: rig.node.count_publishers('source_pose') == 0)
        assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
    assert change(rig, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert state(rig) == State.PRIMARY_STATE_FINALIZED
    assert process.poll() is None and 'Traceback' not in process.log.read_text()


def test_ten_activations_leave_nothing_behind(make_rig: MakeRig, anechoic: Anechoic) -> None:
    """Subscriptions, threads and descriptors are as many as after the first; it still locates."""
    rig = make_rig(72)
    process = rig.start('localizer_node', **ROOM)
    rig.wait_for_localizer()
    folder = Path(f'/proc/{process.pid}')

    def count() -> list[int]:
        return [len(list((folder / kind).iterdir())) for kind in ('task', 'fd')]
    counts = []
    for _ in range(10):
        assert becomes_inactive(rig)
        assert becomes_active(rig)
        counts.append(count())
    # A thread that has ended may take a moment to go.
    assert rig.spin_until(lambda: count() == counts[1]), counts
    assert locates(rig, anechoic)


def test_a_model_that_is_not_there(make_rig: MakeRig) -> None:
    """Activation fails with a sentence; the node stays inactive, and can be tried again."""
    rig = make_rig(62)
    process = start(rig, autostart=False, method='telepathy')
    assert change(rig, Transition.TRANSITION_CONFIGURE)
    for _ in range(2):
        assert not change(rig, Transition.TRANSITION_ACTIVATE)
        assert state(rig) == State.PRIMARY_STATE_INACTIVE
    assert "no weights for method 'telepathy'" in process.log.read_text()
    assert subscriptions(rig) == [0, 0, 0, 0]


def test_windows_in_the_queue_are_counted_when_it_is_deactivated(
        make_rig: MakeRig, anechoic: Anechoic) -> None:
    """Those that wait for transforms which never come are 'stopped', and nothing is open."""
    rig = make_rig(75)
    rig.start('localizer_node', **ROOM, transform_timeout=5.0, queue_size=20)
    rig.wait_for_localizer()
    rig.publish_info()
    for attempt in range(1, 11):
        before = rig.settled()
        rig.pause(10)
        rig.play(anechoic.signals(2.0))  # 7 windows; no frames have been published
        waiting = rig.wait_for_values(lambda v: v['windows'] == before['windows'] + 7)
        assert change(rig, Transition.TRANSITION_DEACTIVATE)
        values = rig.settled()
        assert values['not located'] == values['windows'] == 7 * attempt
        assert rig.status[-1].message == 'not active' and not rig.received.grids
        assert becomes_active(rig)
        # On a busy machine those 5 s may have passed already; then it is tried again.
        if waiting['located'] == 0 and waiting['not located'] == before['not located']:
            break
    stopped = values['skipped: stopped']
    assert stopped == 7 * attempt - before['not located'] + before.get('skipped: stopped', 0)
    # It is no fault: after it the node is as well as before.
    assert locates(rig, anechoic)
    assert rig.settled()['skipped: stopped'] == stopped


def test_autostart(make_rig: MakeRig, anechoic: Anechoic) -> None:
    """It is active without being asked, and Ctrl-C in the middle of audio ends it at once."""
    rig = make_rig(63)
    process = rig.start('localizer_node', **ROOM)
    rig.wait_for_localizer()
    assert state(rig) == State.PRIMARY_STATE_ACTIVE
    names = rig.call(ListParameters, 'localizer/list_parameters').result.names
    assert {'autostart', 'audio_source', 'device_timeout'} <= set(names)
    assert locates(rig, anechoic)
    rig.play(anechoic.signals(0.7))
    begin = time.monotonic()
    process.interrupt()
    assert process.exit_code() == 0
    assert time.monotonic() - begin < 1.0 * slowdown()
    assert 'Traceback' not in process.log.read_text()
