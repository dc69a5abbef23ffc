"""Start a simulated room and the localizer: a demonstration without hardware."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.actions import OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

LOCALIZE = Path(get_package_share_directory('nsrp_ros')) / 'launch/localize.launch.py'
ARGUMENTS = [
    DeclareLaunchArgument(
        'rviz', default_value='true', choices=['true', 'false'],
        description='show map, microphones and talker in RViz'),
    DeclareLaunchArgument(
        'rt60', default_value='',
        description="reverberation time of the room in seconds; empty leaves the room's default"),
    DeclareLaunchArgument(
        'speech', default_value='',
        description="'prompts', 'synthetic', a folder of audio files, or 'auto'; empty leaves the "
        "room's default"),
]


def _room(context: LaunchContext) -> list[Node]:
    value = {name: LaunchConfiguration(name).perform(context)
             for name in ('rt60', 'speech', 'namespace', 'use_sim_time')}
    parameters: dict[str, bool | float | str] = {
        'use_sim_time': value['use_sim_time'] == 'true'}
    if value['rt60']:
        parameters['rt60'] = float(value['rt60'])
    if value['speech']:
        parameters['speech'] = value['speech']
    return [Node(package='nsrp_ros', executable='simulated_room', name='simulated_room',
                 namespace=value['namespace'], output='screen', emulate_tty=True,
                 parameters=[parameters])]


def generate_launch_description() -> LaunchDescription:
    """Return the nodes; the arguments of localize.launch.py are accepted, too."""
    return LaunchDescription([
        *ARGUMENTS,
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(LOCALIZE)),
            launch_arguments={'rviz': LaunchConfiguration('rviz')}.items()),
        OpaqueFunction(function=_room),
    ])
