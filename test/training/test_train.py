"""Training: a batch overfits, loaders yield what they should, and a run leaves its files."""

import json

from matplotlib import pyplot as plt
from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.networks.crnn import Crnn
from nsrp_ros.simulation.shoebox_rooms import PRESETS
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.training.augmentation import random_pairs
from nsrp_ros.training.augmentation import random_symmetry
from nsrp_ros.training.augmentation import shuffle_microphones
from nsrp_ros.training.config import NETWORKS
from nsrp_ros.training.config import RECIPES
from nsrp_ros.training.config import TrainConfig
from nsrp_ros.training.crnn_module import CrnnModule
from nsrp_ros.training.crnn_module import position_errors
from nsrp_ros.training.crnn_targets import TargetConfig
from nsrp_ros.training.crnn_targets import tdoa_error
from nsrp_ros.training.curves import curves_figure
from nsrp_ros.training.data_modules import stored_scenes
from nsrp_ros.training.loaders import FreshScenes
from nsrp_ros.training.loaders import StoredScenes
from nsrp_ros.training.train import main
import numpy as np
import pytest
from safetensors.torch import load_file
import torch

SMALL = CrnnConfig(conv_channels=8, n_blocks=2, gru_units=16, gru_layers=1, mlp_units=64,
                   grid_size=9)


@pytest.fixture(scope='module')
def bank():
    """Return synthetic speech, which needs no files."""
    return find_speech('synthetic')[0]


@pytest.fixture(scope='module')
def scenes(bank):
    """Return eight anechoic scenes of four microphones."""
    return simulate(PRESETS['anechoic_sim'], 4, 8, bank, torch.Generator().manual_seed(3))


@pytest.fixture
def generator():
    """Return a seeded generator."""
    return torch.Generator().manual_seed(11)


def test_one_batch_overfits(scenes):
    """A small network can reproduce eight maps."""
    torch.manual_seed(0)
    module = CrnnModule(Crnn(SMALL), TargetConfig('hyperbolic'), 3e-3)
    batch = scenes.with_microphones(slice(2))
    optimizer = module.configure_optimizers()
    losses = []
    for _ in range(150):
        loss = module.loss(batch, module.model.encode)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_symmetries_keep_every_delay(scenes, generator):
    """Distances stay, and all devices are in the mirrored room."""
    image = random_symmetry(scenes, generator)
    assert not torch.equal(image.source_position, scenes.source_position)
    before, after = (
        torch.linalg.vector_norm(s.mic_positions - s.source_position[:, None], dim=2)
        for s in (scenes, image))
    assert torch.allclose(before, after, atol=1e-4)
    assert (image.mic_positions <= image.room_dims[:, None]).all()
    assert (image.mic_positions >= 0).all()
    assert torch.allclose(image.room_dims.prod(dim=1), scenes.room_dims.prod(dim=1))


def test_pairs_are_drawn_without_repetition_in_both_orders(scenes, generator):
    """All six pairs of four microphones come, with their own signals."""
    pairs = random_pairs(scenes, 6, generator)
    assert pairs.signals.shape[:2] == (48, 2)
    first, second = (  # which microphone of the first scene stands where
        (scenes.mic_positions[0][:, None] == where[None]).all(dim=2).int().argmax(dim=0)
        for where in pairs.mic_positions[:6].unbind(dim=1))
    assert {frozenset(pair) for pair in zip(first.tolist(), second.tolist())} == {
        frozenset(pair) for pair in microphone_pairs(4).tolist()}
    assert torch.equal(pairs.signals[:6, 0], scenes.signals[0][first])
    assert torch.equal(pairs.signals[:6, 1], scenes.signals[0][second])
    assert (first > second).any() and (first < second).any()


def test_shuffled_microphones_keep_their_signals(scenes, generator):
    """Signals and positions move together."""
    shuffled = shuffle_microphones(scenes, generator)
    for k in range(4):
        where = (shuffled.mic_positions[0] == scenes.mic_positions[0, k]).all(dim=1)
        assert torch.equal(shuffled.signals[0][where][0], scenes.signals[0, k])


def test_every_epoch_has_every_scene_once(scenes):
    """Two processes share a pass without overlap, and orders differ between passes."""
    halves = [StoredScenes(scenes, 3, 5, rank, 2) for rank in (0, 1)]
    passes = [[batch.room_dims for half in halves for batch in half] for _ in range(2)]
    for batches in passes:
        dims = torch.cat(batches)
        assert len(dims) == 8 and len(torch.unique(dims, dim=0)) == 8
    assert not torch.equal(torch.cat(passes[0]), torch.cat(passes[1]))
    assert [len(b) for b in halves[0]] == [3, 1] and len(halves[0]) == 2


def test_fresh_rooms_are_never_repeated(bank, generator):
    """Each epoch's batches have the size asked for and new rooms."""
    fresh = FreshScenes(PRESETS['anechoic_sim'], bank, 2, 4, 3, generator, 2, 5)
    epochs = [torch.cat([b.source_position for b in fresh]) for _ in range(2)]
    assert len(fresh) == 3 and epochs[0].shape == (12, 3)
    assert not set(map(tuple, epochs[0].tolist())) & set(map(tuple, epochs[1].tolist()))


def test_hyperbolas_of_pairs_meet_at_the_source(scenes):
    """The targets of pairs, summed as in eq. 7, peak at the talker."""
    points = scenes.source_position[:, None]
    for i, j in ((0, 1), (2, 3)):
        mics = scenes.mic_positions[:, [i, j]]
        assert tdoa_error(points, mics, scenes.source_position).max() < 1e-7


def test_errors_of_training_are_those_of_the_localizer(scenes, tmp_path):
    """The batched validation and the robot's code give the same positions."""
    torch.manual_seed(1)
    model = Crnn(SMALL).eval()
    save_checkpoint(tmp_path / 'small.safetensors', model, 'small')
    localizer = Localizer.load(str(tmp_path / 'small.safetensors'))
    batched = position_errors(model, scenes)
    for k in range(3):
        one = scenes.take(k)
        position = localizer.locate(one.signals.numpy(), 16000, one.mic_positions.numpy(),
                                    one.room_dims.numpy()).position
        error = np.linalg.norm(position - one.source_position[:2].numpy())
        assert float(batched[k]) == pytest.approx(error, abs=1e-4)


def test_a_run_leaves_its_files_and_can_be_resumed(tmp_path, capsys):
    """One command trains through both phases; --resume finds them finished."""
    arguments = ['neural_srp', str(tmp_path), '--online', '--speech', 'synthetic',
                 '--max-epochs', '1', '--batches-per-epoch', '2', '--rooms-at-once', '2',
                 '--pairs-per-room', '4', '--batch-size', '4', '--n-val', '2']
    main(arguments)
    weights = tmp_path / 'neural_srp.safetensors'
    before = load_file(weights)
    assert json.loads((tmp_path / 'config.json').read_text())['train']['batch_size'] == 4
    for phase in ('1-anechoic_sim', '2-reverb_sim'):
        assert {p.name for p in (tmp_path / phase).iterdir()} >= {
            'best.ckpt', 'last.ckpt', 'curves-1', 'curves.png', 'summary.json'}
    main([*arguments, '--resume'])
    after = load_file(weights)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert '2-reverb_sim: 1 epochs' in capsys.readouterr().out
    # An interrupted phase goes on with its second epoch.
    (tmp_path / '2-reverb_sim/summary.json').unlink()
    main([*arguments, '--max-epochs', '2', '--resume'])
    assert '2-reverb_sim: 2 epochs, 4 steps' in capsys.readouterr().out
    Localizer.load(str(weights))
    # Its curves are those of both parts.
    figure = curves_figure([tmp_path / f'2-reverb_sim/curves-{k}/metrics.csv' for k in (1, 2)])
    losses, errors = figure.axes
    training, validation = losses.lines
    assert [training.get_label(), validation.get_label()] == ['training', 'validation']
    np.testing.assert_array_equal(training.get_xdata(), [0, 1])
    summary = json.loads((tmp_path / '2-reverb_sim/summary.json').read_text())
    assert np.min(validation.get_ydata()) == pytest.approx(summary['best_val_loss'], rel=1e-5)
    assert [line.get_label() for line in errors.lines] == ['all microphones']
    plt.close(figure)


def test_invalid_runs_are_refused(tmp_path):
    """The sentence names the command that makes missing data, or the wrong setting."""
    with pytest.raises(FileNotFoundError, match='nsrp_ros.datasets.generate'):
        stored_scenes(tmp_path, 'hard', 'train', 2)
    with pytest.raises(ValueError, match='methods'):
        TrainConfig(method='perceptron')
    with pytest.raises(ValueError, match='minutes'):
        TrainConfig(minutes=(1.0,))


def test_networks_are_as_large_as_the_paper_s():
    """About a million parameters, as the paper says; the authors' code has 995,406."""
    counts = {name: sum(p.numel() for p in Crnn(config).parameters())
              for name, (config, _) in NETWORKS.items() if isinstance(config, CrnnConfig)}
    assert counts['neural_srp_code'] == 995406
    for name in ('neural_srp', 'crnn4', 'crnn6'):
        assert 0.9e6 < counts[name] < 1.05e6


def test_backprojection_has_its_own_recipe(tmp_path):
    """Options that are not given are its recipe's; the weights carry the network's settings."""
    main(['backprojection', str(tmp_path), '--minutes', '0.02', '--stages', 'anechoic_sim',
          '--batch-size', '4', '--rooms-at-once', '4', '--batches-per-epoch', '2', '--n-val', '2',
          '--precision', '32-true', '--speech', 'synthetic', '--network', 'channels=8',
          'map_channels=8', 'dilations=(1,4)', 'map_blocks=1'])
    settings = json.loads((tmp_path / 'config.json').read_text())
    recipe = RECIPES['backprojection']
    assert settings['train']['online'] and settings['train']['batch_size'] == 4
    assert settings['train']['learning_rate'] == recipe.learning_rate
    model = load_checkpoint(tmp_path / 'backprojection.safetensors')
    assert model.config.channels == 8 and model.config.dilations == (1, 4)
    figure = curves_figure([tmp_path / '1-anechoic_sim/curves-1/metrics.csv'])
    losses, errors = figure.axes
    assert [line.get_label() for line in losses.lines] == ['training', 'validation']
    assert [line.get_label() for line in errors.lines] == ['all microphones', 'four of them']
    saved = plt.imread(tmp_path / '1-anechoic_sim/curves.png')
    figure.canvas.draw()
    assert saved.shape[:2] == tuple(np.round(1.2 * np.array([360, 900])))
    plt.close(figure)
