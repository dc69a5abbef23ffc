"""The code keeps ROS' style."""

from ament_flake8.main import main_with_errors


def test_flake8():
    """Ament's own configuration of flake8 finds nothing."""
    code, errors = main_with_errors(argv=['nsrp_ros', 'test', 'launch', 'tools', 'setup.py'])
    assert code == 0, '\n'.join(errors)
