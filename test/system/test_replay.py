"""A bag played over DDS at any rate gives what the same bag gives offline."""


from nsrp_ros.bags.localize_bag import main
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
import pytest
from support.bag_player import BagPlayer
from support.bag_recorder import record
from support.bag_recorder import START_NS
from support.node_rig import ROOM
from support.rows import rows_of


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Record microphones that creep, and localize them offline: (bag, table of stamp, x, y)."""
    from support.anechoic import Anechoic
    folder = tmp_path_factory.mktemp('replay')
    path = record(folder / 'bag', Anechoic(), tf='/tf', seconds=3.0, info_at=0.0)
    arguments = ['--room-dims', '6', '5', '3', '--method', 'srp_phat', '--min-confidence', '0',
                 '--microphone-frames', *(f'mic_{k}' for k in range(6))]
    assert main([str(path), *arguments, '--out', str(folder / 'out')]) == 0
    table = [(int(row['stamp_ns']), float(row['x']), float(row['y']))
             for row in rows_of(folder / 'out')]
    assert len(table) == 10 and START_NS < table[0][0] < START_NS + NS
    return path, table


@pytest.mark.parametrize('domain, rate', [(95, 1.0), (96, 3.0)])
def test_a_bag_gives_the_same_at_any_rate(bag, own, domain, rate):
    """Played with /clock and use_sim_time: the same windows, times and places as offline."""
    path, table = bag
    rig = own(domain)
    process = rig.start('localizer_node', **ROOM, use_sim_time='true', min_confidence=0.0,
                        queue_size=100)
    player = BagPlayer(rig, path)
    assert rig.spin_until(player.heard, 60), process.log.read_text()
    rig.spin(0.3)
    player.play(rate)
    rig.spin_until(lambda: len(rig.heard.poses) >= len(table), 20)
    rig.spin(0.2)
    assert [stamp_to_ns(pose.header.stamp) for pose in rig.heard.poses] == [
        row[0] for row in table], process.log.read_text()
    places = [(pose.pose.position.x, pose.pose.position.y) for pose in rig.heard.poses]
    # The table is rounded to a tenth of a millimetre.
    np.testing.assert_allclose(places, [row[1:] for row in table], atol=1.1e-4)
