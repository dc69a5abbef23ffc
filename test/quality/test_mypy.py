"""Types agree with one another, and every function has them."""

import subprocess
import sys

from support.paths import ROOT


def test_mypy():
    """As configured in pyproject.toml, mypy finds nothing in the whole package."""
    result = subprocess.run([sys.executable, '-m', 'mypy', 'nsrp_ros'], cwd=ROOT,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
