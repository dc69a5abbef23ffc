"""The docstrings keep ROS' style."""

from ament_pep257.main import main


def test_pep257():
    """Ament's own configuration of pydocstyle finds nothing."""
    assert main(argv=['nsrp_ros', 'test', 'launch', 'tools', 'setup.py']) == 0
