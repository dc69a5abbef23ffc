"""Install nsrp_ros as an ament_python package, or into a virtual environment."""

from glob import glob

from setuptools import find_packages
from setuptools import setup

package_name = 'nsrp_ros'
share = f'share/{package_name}'

setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(exclude=['test']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (share, ['package.xml']),
        (f'{share}/launch', glob('launch/*.launch.py')),
        (f'{share}/config', glob('config/*')),
        (f'{share}/models', glob('models/*')),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='nsrp_ros founders',
    maintainer_email='nsrp-ros@example.com',
    description='Locates a talker in metres on the map from scattered microphones.',
    license='Apache-2.0',
    extras_require={'test': ['pytest'], 'onnx': ['onnxruntime>=1.17,<2'],
                    'fast': ['numba>=0.61,<1']},
    entry_points={
        'console_scripts': [
            'localizer = nsrp_ros.ros.localizer_node:main',
            'simulated_room = nsrp_ros.ros.simulated_room_node:main',
            'demo = nsrp_ros.apps.demo.main:main',
            'tracker = nsrp_ros.ros.tracker_node:main',
            'follow = nsrp_ros.ros.follower_node:main',
            'play_audio = nsrp_ros.ros.audio_player_node:main',
            'localize_bag = nsrp_ros.bags.localize_bag:main',
            'endurance = nsrp_ros.apps.soak_test.main:main',
        ],
    },
)
