"""Reasons for skipping are words: unique, explained, and printed as themselves."""

import json
import os
import subprocess
import sys

from nsrp_ros.core import skip_reasons
from nsrp_ros.core.skip_reasons import SkipReason
import pytest

# Loads the module alone, which needs no other package, and prints every reason in several ways.
PRINTING = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location('skip_reasons', sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps([[r.value, str(r), f'{r}', f'{r:s}', '%s' % r, ''.join([r]), r + '']
                  for r in module.SkipReason]))
"""


def test_words_are_unique():
    """No two reasons are counted under the same words, which are not empty."""
    words = [reason.value for reason in SkipReason]
    assert len(set(words)) == len(words) == len(SkipReason.__members__)
    assert all(word and word == word.strip() for word in words)


def test_every_reason_has_a_meaning():
    """A sentence of its own, and not only the words again."""
    meanings = [reason.meaning for reason in SkipReason]
    assert len(set(meanings)) == len(meanings)
    for reason in SkipReason:
        assert len(reason.meaning) > 10 and reason.meaning != reason.value
        assert isinstance(reason.of_window, bool) and isinstance(reason.is_fault, bool)


@pytest.mark.parametrize('reason', list(SkipReason))
def test_a_reason_equals_its_words(reason):
    """Also as a key of a mapping, and it is found by its words."""
    assert reason == reason.value and reason.value == reason
    assert {reason: 1}[reason.value] == 1 and {reason.value: 1}[reason] == 1
    assert SkipReason(reason.value) is reason


@pytest.mark.parametrize('version', [None, '3.10', '3.11', '3.12', '3.13'])
def test_a_reason_prints_as_its_words_on_every_python(version):
    """The format of enumerations differs between Python 3.10, 3.11 and 3.12; this does not."""
    command = [sys.executable if version is None else f'python{version}', '-c']
    settings = {'env': os.environ | ({'PYENV_VERSION': version} if version else {}),
                'capture_output': True, 'text': True, 'timeout': 60}
    try:
        subprocess.run([*command, 'pass'], check=True, **settings)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f'there is no Python {version} here')
    result = subprocess.run([*command, PRINTING, skip_reasons.__file__], **settings)
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert [words for words, *_ in printed] == [reason.value for reason in SkipReason]
    for words, *ways in printed:
        assert set(ways) == {words}
