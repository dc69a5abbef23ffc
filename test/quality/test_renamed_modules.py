"""Names of before 0.2 still lead to where things are now."""

import importlib
from importlib.util import find_spec
import subprocess
import sys

from nsrp_ros.renamed_modules import RENAMED
import pytest


@pytest.mark.parametrize('old', RENAMED)
def test_an_old_name_is_the_new_module(old):
    """It warns, and gives the very same module."""
    assert find_spec(RENAMED[old]) is not None
    sys.modules.pop(old, None)
    with pytest.warns(FutureWarning, match=RENAMED[old]):
        module = importlib.import_module(old)
    assert module is importlib.import_module(RENAMED[old])


def test_an_old_command_runs():
    """`python -m` warns and does what the new command does."""
    result = subprocess.run([sys.executable, '-m', 'nsrp_ros.localize_bag', '--help'],
                            capture_output=True, text=True)
    assert result.returncode == 0 and 'nsrp_ros.bags.localize_bag' in result.stdout
    assert 'is now nsrp_ros.bags.localize_bag' in result.stderr
