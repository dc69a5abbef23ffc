"""
Start the localizer and, optionally, RViz.

The localizer is a lifecycle node that activates itself (its parameter autostart), so that this
works the same with and without a lifecycle manager, and on every distribution.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory('nsrp_ros'))
ARGUMENTS = [
    DeclareLaunchArgument(
        'params_file', default_value=str(SHARE / 'config/localize.yaml'),
        description="the localizer's parameters, above all the room and the microphones"),
    DeclareLaunchArgument(
        'namespace', default_value='', description='namespace of the node and its topics'),
    DeclareLaunchArgument(
        'use_sim_time', default_value='false', choices=['true', 'false'],
        description='follow /clock, as when a bag is played'),
    DeclareLaunchArgument(
        'rviz', default_value='false', choices=['true', 'false'],
        description='show map, microphones and talker in RViz'),
    DeclareLaunchArgument(
        'method', default_value='',
        description='backprojection, srp_phat or another method; empty leaves it to params_file'),
    DeclareLaunchArgument(
        'device', default_value='',
        description='torch device such as cpu or cuda:0; empty leaves it to params_file'),
    DeclareLaunchArgument(
        'autostart', default_value='', choices=['', 'true', 'false'],
        description='become active at once, or wait for a lifecycle manager; empty leaves it to '
        'params_file'),
    DeclareLaunchArgument(
        'queue_size', default_value='',
        description='windows that may wait for the localizer: many, such as 1000, for a bag that '
        'is played faster than it is processed; empty leaves it to params_file'),
    DeclareLaunchArgument(
        'log_level', default_value='info',
        choices=['debug', 'info', 'warn', 'error', 'fatal'], description='what the node logs'),
]


def _nodes(context: LaunchContext) -> list[Node]:
    value = {a.name: LaunchConfiguration(a.name).perform(context) for a in ARGUMENTS}
    sim_time = {'use_sim_time': value['use_sim_time'] == 'true'}
    # An empty argument must not override the parameter file.
    chosen: dict[str, bool | int | str] = {
        name: value[name] for name in ('method', 'device') if value[name]}
    if value['autostart']:
        chosen['autostart'] = value['autostart'] == 'true'
    if value['queue_size']:
        chosen['queue_size'] = int(value['queue_size'])
    nodes = [Node(
        package='nsrp_ros', executable='localizer', name='localizer',
        namespace=value['namespace'], output='screen', emulate_tty=True,
        parameters=[value['params_file'], sim_time, chosen],
        arguments=['--ros-args', '--log-level', f"localizer:={value['log_level']}"])]
    if value['rviz'] == 'true':
        nodes.append(Node(
            package='rviz2', executable='rviz2', name='rviz2', namespace=value['namespace'],
            arguments=['-d', str(SHARE / 'config/localize.rviz')], parameters=[sim_time]))
    return nodes


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, and the nodes that depend on them."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_nodes)])
