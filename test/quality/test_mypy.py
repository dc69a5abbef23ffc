"""Types agree with one another."""

import subprocess
import sys

FOLDERS = [f'nsrp_ros/{name}' for name in (
    'core', 'audio', 'localization', 'networks', 'tracking')]


def test_mypy():
    """As configured in pyproject.toml, mypy finds nothing."""
    result = subprocess.run([sys.executable, '-m', 'mypy', *FOLDERS],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
