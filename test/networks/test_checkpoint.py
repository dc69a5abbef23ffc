"""Checkpoints reload bit-equal, or the error says what is wrong with them."""

import json

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import Confidence
from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.core.model_files import WeightsError
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.networks.crnn import Crnn
import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save_file
import torch

CONFIG = CrnnConfig(conv_channels=4, gru_units=4, mlp_units=8, centred=True,
                    confidence=Confidence(1.0, 2.0, 3.0))


@pytest.fixture
def checkpoint(tmp_path):
    """Write a small network; return its path and the network."""
    torch.manual_seed(0)
    model = Crnn(CONFIG)
    path = tmp_path / 'small.safetensors'
    save_checkpoint(path, model, 'neural_srp')
    return path, model


def test_a_checkpoint_reloads_bit_equal(checkpoint):
    """Weights, buffers and configuration survive the file."""
    path, model = checkpoint
    again = load_checkpoint(path)
    assert again.config == CONFIG
    state, other = model.state_dict(), again.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)


def test_files_from_before_widths_were_settings_are_read(tmp_path):
    """They have the widths that were fixed then, which files do not state."""
    config = BackprojectionConfig(channels=12, hidden_channels=12, map_channels=8, map_blocks=1,
                                  map_hidden_channels=8, dilations=(1, 4), heads=2)
    path = tmp_path / 'older.safetensors'
    save_checkpoint(path, Backprojection(config), 'backprojection')
    with safe_open(path, framework='pt') as file:
        metadata = file.metadata()
    fields = json.loads(metadata['config'])
    for name in ('hidden_channels', 'map_hidden_channels', 'weighting_channels'):
        del fields[name]
    save_file(load_file(path), path, {**metadata, 'config': json.dumps(fields)})
    assert load_checkpoint(path).config == config


def test_a_path_is_a_method(checkpoint):
    """Localizer.load takes weights by their path."""
    assert Localizer.load(str(checkpoint[0])).config == CONFIG


def damaged(path, how):
    """Damage a checkpoint in one of several ways."""
    data = bytearray(path.read_bytes())
    if how == 'truncated':
        path.write_bytes(data[:len(data) // 2])
    elif how == 'empty':
        path.write_bytes(b'')
    elif how == 'noise':
        path.write_bytes(bytes(range(256)) * 20)
    elif how == 'foreign':
        save_file({'a': torch.zeros(3)}, path)
    else:
        tensors = load_file(path)
        config = json.loads(json.dumps({'conv_channels': 5, 'gru_units': 4, 'mlp_units': 8,
                                        'confidence': {}}))
        if how == 'unknown field':
            config['no_such_setting'] = 'x'
        if how == 'not json':
            config = '{'
        save_file(tensors, path, metadata={
            'format': 'nsrp_ros-1', 'method': 'x',
            'config': config if isinstance(config, str) else json.dumps(config)})


@pytest.mark.parametrize('how', ['truncated', 'empty', 'noise', 'foreign', 'misfit',
                                 'unknown field', 'not json'])
def test_damaged_weights_are_refused_with_a_sentence(checkpoint, how):
    """Whatever is wrong, the error is a WeightsError that names the file."""
    path, _ = checkpoint
    damaged(path, how)
    with pytest.raises(WeightsError, match='small.safetensors'):
        Localizer.load(str(path))


def test_unknown_methods_are_refused():
    """The error names the method, or the file that does not exist."""
    with pytest.raises(WeightsError, match="no weights for method 'nonsense'"):
        Localizer.load('nonsense')
    with pytest.raises(WeightsError, match='no weights file'):
        find_weights('/nowhere/x.safetensors')


def test_installed_weights_are_found(checkpoint, tmp_path, monkeypatch):
    """An ament prefix has a models folder of its own."""
    folder = tmp_path / 'share/nsrp_ros/models'
    folder.mkdir(parents=True)
    checkpoint[0].rename(folder / 'my_own_method.safetensors')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert find_weights('my_own_method').parent == folder
