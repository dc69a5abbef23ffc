"""Start a simulated room beside the localizer: a talker appears on the map, without hardware."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory('nsrp_ros'))


def generate_launch_description():
    """Include localize.launch.py, whose other arguments can be given here as well."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'rviz', default_value='true', choices=['true', 'false'],
            description='show map, microphones and talker in RViz'),
        DeclareLaunchArgument(
            'namespace', default_value='', description='namespace of the nodes and their topics'),
        DeclareLaunchArgument(
            'rt60', default_value='0.4',
            description='reverberation time of the simulated room, seconds'),
        DeclareLaunchArgument(
            'speech', default_value='auto',
            description="'prompts', 'synthetic', a folder of audio files, or 'auto'"),
        Node(
            package='nsrp_ros', executable='simulated_room', name='simulated_room',
            namespace=LaunchConfiguration('namespace'), output='screen', emulate_tty=True,
            parameters=[{
                'rt60': ParameterValue(LaunchConfiguration('rt60'), value_type=float),
                'speech': ParameterValue(LaunchConfiguration('speech'), value_type=str)}]),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(SHARE / 'launch/localize.launch.py')),
            launch_arguments={'rviz': LaunchConfiguration('rviz'),
                              'namespace': LaunchConfiguration('namespace')}.items()),
    ])
