"""The files for Nav2 agree with the nodes, and with one another."""

from dataclasses import fields
from typing import Any
from xml.etree import ElementTree

from nsrp_ros.ros.follower_node import FollowSettings
from nsrp_ros.ros.tracker_node import TrackerSettings
from ruamel.yaml import YAML
from support.paths import ROOT

CONFIG = ROOT / 'config'


def parameters(name: str) -> dict[str, Any]:
    """Read a parameter file."""
    return YAML(typ='safe').load((CONFIG / name).read_text())


def test_the_parameters_are_those_of_the_nodes() -> None:
    """Every name is declared, and every value is accepted."""
    nodes = parameters('talkers.yaml')['/**']
    for name, settings in (('tracker', TrackerSettings), ('follow', FollowSettings)):
        values = nodes[name]['ros__parameters']
        types = {spec.name: type(spec.default) for spec in fields(settings)}
        assert {key: type(value) for key, value in values.items()} == {
            key: types[key] for key in values}
        settings(**values)


def test_filter_and_mask_have_one_name_each() -> None:
    """What one server announces is what the costmap listens to, and what the node publishes."""
    info = parameters('talkers.yaml')['/**']['talker_filter_info_server']['ros__parameters']
    nav2 = parameters('nav2_talkers.yaml')
    costmap = nav2['global_costmap']['global_costmap']['ros__parameters']
    filters = [costmap[name] for name in costmap['filters']]
    assert [f['filter_info_topic'] for f in filters] == [info['filter_info_topic']]
    controller = nav2['controller_server']['ros__parameters']
    assert controller['speed_limit_topic'] == filters[0]['speed_limit_topic']
    source = (CONFIG.parent / 'nsrp_ros/ros/follower_node.py').read_text()
    assert f"'{info['mask_topic']}'" in source
    # A limit in percent that is above 0 and below the full speed.
    assert 0 <= info['base'] + info['multiplier'] * FollowSettings().slow_value < 100


def test_the_tree_follows_goal_update() -> None:
    """It is well-formed, replans to the updated goal, and does not shorten the path again."""
    tree = ElementTree.parse(CONFIG / 'follow_talker.xml').getroot()
    updater = tree.find('.//GoalUpdater')
    assert updater is not None
    compute, behavior = updater.find('ComputePathToPose'), tree.find('BehaviorTree')
    assert compute is not None and behavior is not None
    assert compute.get('goal') == updater.get('output_goal')
    assert tree.find('.//TruncatePath') is None
    assert tree.get('main_tree_to_execute') == behavior.get('ID')
