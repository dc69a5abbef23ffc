"""Measured rooms: methods are evaluated on a synthetic file of responses."""

from nsrp_ros.evaluation.measured_room import main
import numpy as np
import pytest
from scipy.io import savemat
from support.dechorate_file import write_dechorate_file


def test_methods_are_evaluated(tmp_path, capsys):
    """A strong baseline locates a talker in free field; the centre does not."""
    room = write_dechorate_file(tmp_path)
    main([str(room.path), 'centre', 'srp_phat', '--windows', '3', '--mics', '6', '--polarity',
          'mended', '--out', str(tmp_path / 'out')])
    centre, srp = (float(line.split('mean ')[1].split(' m')[0])
                   for line in capsys.readouterr().out.splitlines() if 'mean' in line)
    assert srp < 0.1 < 1 < centre
    assert (tmp_path / 'out/results.json').is_file()


def test_other_files_are_refused(tmp_path, capsys):
    """The error names the file, whatever is wrong with it."""
    other = tmp_path / 'other.mat'
    savemat(other, {'rirs': np.zeros(3)})
    for path in (other, tmp_path / 'missing.mat'):
        with pytest.raises(SystemExit):
            main([str(path)])
        assert str(path) in capsys.readouterr().err
