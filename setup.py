"""Install nsrp_ros as an ament_python package, or into a virtual environment."""

from glob import glob

from setuptools import find_packages
from setuptools import setup

package_name = 'nsrp_ros'
share = f'share/{package_name}'
TORCH = ['torch>=2.2', 'safetensors>=0.4.3,<1']
SIMULATION = [*TORCH, 'av>=14,<19', 'matplotlib>=3.8,<4', 'pillow>=10,<14',
              'pyroomacoustics>=0.8,<0.11', 'soundfile>=0.12,<0.15']
EXTRAS = {
    'onnx': ['onnxruntime>=1.17,<2'],  # the default network without torch
    'torch': TORCH,  # every network, also on a graphics card
    'fast': ['numba>=0.61,<1'],  # compiled loops
    'bags': ['rosbags>=0.11,<0.12', 'pytransform3d>=3.5,<4', 'soundfile>=0.12,<0.15',
             'stonesoup>=1.7,<2', 'tqdm>=4.66,<5'],
    'simulation': SIMULATION,  # the simulated room and the demo
    'train': [*SIMULATION, 'lightning>=2.4,<3', 'onnx>=1.16,<2', 'onnxruntime>=1.17,<2',
              'tqdm>=4.66,<5', 'xsrp>=0.1.1,<0.2'],
    'test': ['pytest'],
}

setup(
    name=package_name,
    version='0.2.0',
    packages=find_packages(exclude=['test', 'test.*']),
    package_data={package_name: ['py.typed']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (share, ['package.xml']),
        (f'{share}/launch', glob('launch/*.launch.py')),
        (f'{share}/config', glob('config/*')),
        (f'{share}/models', glob('models/*')),
    ],
    install_requires=['setuptools', 'numpy', 'scipy'],
    zip_safe=True,
    maintainer='nsrp_ros founders',
    maintainer_email='nsrp-ros@example.com',
    description='Locates a talker in metres on the map from scattered microphones.',
    license='Apache-2.0',
    extras_require=EXTRAS,
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
