"""The simulated room as a robot's microphones."""

from collections.abc import Callable

from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from support.localizer_rig import LocalizerRig
from support.node_rig import ROOM


def scored(rig: LocalizerRig) -> list[float]:
    """Return the errors, metres, of those poses whose talker did not change in their window."""
    truths = {stamp_to_ns(m.header.stamp): m.pose.position for m in rig.received.truths}
    found = []
    for pose in rig.received.poses:
        at = stamp_to_ns(pose.header.stamp)
        near = [t for s, t in truths.items() if at - 5e8 <= s <= at + 4e7]
        if len(near) >= 15 and len({(t.x, t.y) for t in near}) == 1:
            found.append(float(np.hypot(pose.pose.position.x - near[0].x,
                                        pose.pose.position.y - near[0].y)))
    return found


def median_error(rig: LocalizerRig) -> float:
    """Wait for nine new poses, of which three can be scored; return the median error, metres."""
    rig.received.poses.clear()
    rig.received.truths.clear()
    # On a busy machine some truths are lost, and with them what can be scored.
    assert rig.spin_until(
        lambda: len(rig.received.poses) >= 9 and len(scored(rig)) >= 3, 60), rig.logs()
    return float(np.median(scored(rig)))


def test_one_microphone_leaves_and_returns(make_rig: Callable[[int], LocalizerRig]) -> None:
    """Three processes: room, localizer, test. The talkers are found all the time."""
    rig = make_rig(44)
    rig.start('simulated_room_node', rt60=0.0, speech='synthetic', pause_seconds=0.2,
              turn_seconds=4.0)
    rig.start('localizer_node', **ROOM | {
        'room_dims': '[6.0, 5.0, 2.8]', 'silence_threshold_db': -45.0})
    rig.wait_for_localizer()
    assert median_error(rig) < 0.2
    assert rig.set_parameters('simulated_room', hidden_frames=['mic_2']).successful
    rig.wait_for_values(lambda v: v['microphones'] == '5 of 6' and 'missing mic_2' in v)
    assert median_error(rig) < 0.3
    values = rig.values()
    assert values['microphones'] == '5 of 6' and 'missing mic_2' in values
    assert rig.set_parameters('simulated_room', hidden_frames=['none']).successful
    rig.wait_for_values(lambda v: v['microphones'] == '6 of 6')
