"""Start the localizer, the tracker, and what Nav2 needs to follow talkers."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.actions import OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory('nsrp_ros'))
LOCALIZE = SHARE / 'launch/localize.launch.py'
ARGUMENTS = [
    DeclareLaunchArgument(
        'talkers_params_file', default_value=str(SHARE / 'config/talkers.yaml'),
        description='parameters of the tracker and the follow node'),
    DeclareLaunchArgument(
        'localizer', default_value='true', choices=['true', 'false'],
        description='start the localizer, too; false if it is running already'),
    DeclareLaunchArgument(
        'follow', default_value='true', choices=['true', 'false'],
        description='publish goal_update and talker_mask for Nav2'),
    DeclareLaunchArgument(
        'filter_info', default_value='false', choices=['true', 'false'],
        description="start Nav2's costmap_filter_info_server for talker_mask (nav2_map_server)"),
]


def _nodes(context: LaunchContext) -> list[Node]:
    value = {name: LaunchConfiguration(name).perform(context) for name in (
        'talkers_params_file', 'namespace', 'use_sim_time', 'follow', 'filter_info')}
    parameters = [value['talkers_params_file'], {'use_sim_time': value['use_sim_time'] == 'true'}]
    common = {'namespace': value['namespace'], 'output': 'screen', 'emulate_tty': True,
              'parameters': parameters}
    nodes = [Node(package='nsrp_ros', executable='tracker', name='tracker', **common)]
    if value['follow'] == 'true':
        nodes.append(Node(package='nsrp_ros', executable='follow', name='follow', **common))
    if value['filter_info'] == 'true':
        nodes += [
            LifecycleNode(package='nav2_map_server', executable='costmap_filter_info_server',
                          name='talker_filter_info_server', **common),
            Node(package='nav2_lifecycle_manager', executable='lifecycle_manager',
                 name='lifecycle_manager_talker_filter', **common)]
    return nodes


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, including those of localize.launch.py, and the nodes."""
    return LaunchDescription([
        *ARGUMENTS,
        DeclareLaunchArgument(
            'namespace', default_value='', description='namespace of the nodes and their topics'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', choices=['true', 'false'],
            description='follow /clock, as when a bag is played'),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(LOCALIZE)),
            condition=IfCondition(LaunchConfiguration('localizer'))),
        OpaqueFunction(function=_nodes),
    ])
