"""Where the localizer has its microphones from, and what it does without."""

from collections.abc import Callable

from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseArray
import numpy as np
from support.anechoic import Anechoic
from support.localizer_rig import errors
from support.localizer_rig import LocalizerRig
from support.node_rig import ROOM


def test_microphones_from_a_pose_array(make_rig: Callable[[int], LocalizerRig],
                                       anechoic: Anechoic) -> None:
    """Poses instead of frames; a pose that is not finite leaves that microphone out."""
    rig = make_rig(42)
    rig.start('localizer_node', **ROOM | {'microphone_source': 'pose_array'})
    publisher = rig.node.create_publisher(PoseArray, 'microphones', 10)
    rig.wait_for_localizer(['audio', 'microphones'])
    rig.publish_info()
    signals = anechoic.signals(1.0)
    rig.play(signals)
    assert rig.settled()['skipped: too few microphones'] >= 1 and not rig.received.poses
    mics = anechoic.mic_positions.copy()
    mics[0] = np.nan
    rig.deliver(publisher, PoseArray(
        poses=[Pose(position=Point(x=x, y=y, z=z)) for x, y, z in mics]))
    rig.play(signals)
    assert rig.spin_until(lambda: len(rig.received.poses) >= 3)
    assert max(errors(rig.received.poses, anechoic)) < 0.15
    assert rig.settled()['microphones'] == '5 of 6'


def test_missing_frames_and_missing_info(make_rig: Callable[[int], LocalizerRig],
                                         anechoic: Anechoic) -> None:
    """Without AudioInfo or with too few frames nothing is located; both are reported."""
    rig = make_rig(43)
    rig.start('localizer_node', **ROOM, min_confidence=0.0)  # four are few for SRP-PHAT
    rig.wait_for_localizer()
    signals = anechoic.signals(1.0)
    rig.play(signals)
    assert rig.settled()['skipped: no audio_info'] >= 1
    rig.publish_info()
    rig.publish_frames(anechoic.mic_positions[:2])
    rig.pause(1)
    rig.play(signals)
    values = rig.settled()
    assert values['skipped: too few microphones'] >= 1 and values['microphones'] == '2 of 6'
    assert 'missing mic_4' in values
    assert not rig.received.poses and not rig.received.grids
    rig.publish_frames(anechoic.mic_positions[:4])
    rig.pause(1)
    rig.play(signals)
    assert rig.spin_until(lambda: len(rig.received.poses) >= 2)
