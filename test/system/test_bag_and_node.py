"""A bag that is localized offline and the nodes that receive the same bag give the same rows."""

from collections import Counter

from geometry_msgs.msg import PoseArray
from nsrp_ros.bags.localize_bag import main
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
import pytest
from rcl_interfaces.srv import GetParameters
from rosbags.highlevel import AnyReader
from support.anechoic import Anechoic
from support.anechoic import propagate
from support.bag_player import BagPlayer
from support.bag_recorder import record
from support.node_rig import ROOM
from support.patience import slowdown
from support.rows import rows_of

METHOD = 'backprojection'
LOST = 70
"""A chunk that is missing in the bag."""


class Walker(Anechoic):
    """A talker who walks to a wall at 2.2 m/s, and stands there."""

    def signals(self, seconds=0.5, seed=0, level=0.05):
        """Return (M, T) signals of white noise, from another place every eighth of a second."""
        noise = np.random.default_rng(seed).standard_normal(round(seconds * self.sample_rate))
        received = np.zeros((len(self.mic_positions), len(noise)), np.float32)
        for first in range(0, len(noise), 2000):
            x = min(1.0 + 2.2 * first / self.sample_rate, 5.9)
            from_there = propagate(noise, np.array([x, 2.5, 1.5]), self.mic_positions)
            received[:, first:first + 2000] = from_there[:, first:first + 2000]
        return (level * received / received.std(axis=1).max()).astype(np.float32)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Record the walk, and localize it offline: the bag and the folder of what came out."""
    folder = tmp_path_factory.mktemp('walk')
    path = record(folder / 'bag', Walker(), tf='/tf', seconds=4.0, info_at=0.0, lost=(LOST,))
    arguments = ['--room-dims', '6', '5', '3', '--method', METHOD,
                 '--microphone-frames', *(f'mic_{k}' for k in range(6))]
    assert main([str(path), *arguments, '--out', str(folder / 'out')]) == 0
    return path, folder / 'out'


def messages(folder, topic):
    """Return the messages of a topic in a bag of outputs, by stamp."""
    found = {}
    with AnyReader([folder / 'outputs']) as reader:
        for connection, _, data in reader.messages():
            if connection.topic == topic:
                message = reader.deserialize(data, connection.msgtype)
                found[stamp_to_ns_of(message)] = message
    return found


def stamp_to_ns_of(message):
    """Return a message's stamp, nanoseconds."""
    return stamp_to_ns(message.header.stamp)


def places(poses):
    """Return the positions of poses, (n, 3)."""
    return np.array([(p.position.x, p.position.y, p.position.z) for p in poses]).reshape(-1, 3)


def test_nobody_is_tracked_behind_a_wall(bag):
    """The bag's tracker is told the room, as the node's is: its talkers stay within the walls."""
    _, out = bag
    tracked = [part.split(':') for row in rows_of(out) for part in row['talkers'].split()]
    assert len(tracked) >= 5
    x, y = np.array([part[1:] for part in tracked], dtype=float).T
    assert 5.5 < x.max() <= 6.0 and y.min() >= 0 and y.max() <= 5


def test_the_nodes_give_the_rows_of_the_bag(bag, own):
    """Localizer and tracker: the same windows, maps, poses, talkers, and reasons for the rest."""
    path, out = bag
    rig = own(97)
    talkers = []
    rig.node.create_subscription(PoseArray, 'talkers', talkers.append, 100)
    # The tracker first: DDS introduces the localizer to it while that loads its model.
    tracker = rig.start('tracker_node', use_sim_time='true')
    assert rig.spin_until(lambda: rig.node.count_publishers('talkers'), 60), rig.logs()
    localizer = rig.start('localizer_node', **ROOM | {'method': METHOD}, use_sim_time='true',
                          queue_size=100)
    player = BagPlayer(rig, path)
    logs = (localizer.log, tracker.log)
    assert rig.spin_until(lambda: player.heard() and rig.node.count_publishers('talkers')
                          and rig.node.count_subscribers('source_pose') > 1, 60), [
        log.read_text() for log in logs]
    for name in ('tracker', 'localizer'):
        rig.call(GetParameters, f'{name}/get_parameters')  # knows this rig from then on
    rig.spin(1.5 * slowdown())  # whether the two know one another cannot be seen from here
    player.play(1.0)
    poses, maps = (messages(out, topic) for topic in ('/source_pose', '/likelihood'))
    offline = {ns: m for ns, m in messages(out, '/talkers').items() if ns in poses}
    assert rig.spin_until(lambda: len(rig.heard.grids) >= len(maps)
                          and len(talkers) >= len(offline), 60), [log.read_text() for log in logs]

    assert [stamp_to_ns_of(m) for m in rig.heard.poses] == sorted(poses)
    assert [stamp_to_ns_of(m) for m in rig.heard.grids] == sorted(maps)
    assert [stamp_to_ns_of(m) for m in talkers] == sorted(offline)
    for message in rig.heard.poses:
        np.testing.assert_array_equal(places([message.pose]),
                                      places([poses[stamp_to_ns_of(message)].pose]))
    for message in rig.heard.grids:
        theirs = maps[stamp_to_ns_of(message)]
        np.testing.assert_array_equal(message.data, theirs.data)
        assert message.info.resolution == theirs.info.resolution
    for message in talkers:
        np.testing.assert_array_equal(places(message.poses),
                                      places(offline[stamp_to_ns_of(message)].poses))

    skipped = Counter(next(str(reason) for reason in SkipReason
                           if row['skipped'].startswith(str(reason)))
                      for row in rows_of(out) if row['skipped'])
    assert skipped['gap'] == 1
    rig.spin(1.5)  # for a status that was made after everything
    status = [s for s in rig.heard.status if s.name.endswith('localizer: localization')][-1]
    counted = {v.key.removeprefix('skipped: '): int(v.value) for v in status.values
               if v.key.startswith('skipped: ')}
    assert counted == skipped
