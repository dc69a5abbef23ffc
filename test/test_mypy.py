"""The core's types agree with one another."""

import subprocess
import sys


def test_mypy_on_the_core():
    """As configured in pyproject.toml, mypy finds nothing."""
    result = subprocess.run([sys.executable, '-m', 'mypy', 'nsrp_ros/core'],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
