"""The one call that every method answers."""

import json

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import confidence
from nsrp_ros.core.estimate import peak_prominence
from nsrp_ros.localization.localizer import Localizer
import numpy as np
import pytest
import soundfile

METHODS = ('srp_phat', 'srp_phat_2d', 'neural_srp', 'backprojection')


@pytest.mark.parametrize('method', METHODS)
def test_every_method_answers_alike(method, anechoic):
    """Shapes, units and the confidence's range are the same for all."""
    estimate = Localizer.load(method).locate(
        anechoic.signals(), anechoic.sample_rate, anechoic.mic_positions, anechoic.room_dims)
    assert estimate.position.shape == (2,)
    assert np.all((estimate.position > 0) & (estimate.position < anechoic.room_dims[:2]))
    assert estimate.likelihood_map.shape == (len(estimate.y), len(estimate.x))
    row, column = np.unravel_index(estimate.likelihood_map.argmax(),
                                   estimate.likelihood_map.shape)
    peak = [estimate.x[column], estimate.y[row]]
    if method == 'backprojection':  # finer than a cell
        assert np.linalg.norm(estimate.position - peak) < 0.3
    else:
        np.testing.assert_array_equal(estimate.position, peak)
    assert 0 <= estimate.confidence <= 1


@pytest.mark.parametrize('method', METHODS)
def test_the_order_of_microphones_does_not_matter(method, anechoic):
    """Reordering channels together with positions leaves the estimate nearly where it was."""
    localizer = Localizer.load(method)
    signals = anechoic.signals()
    order = [3, 0, 5, 1, 4, 2]
    scene = (anechoic.sample_rate,)
    one = localizer.locate(signals, *scene, anechoic.mic_positions, anechoic.room_dims)
    other = localizer.locate(signals[order], *scene, anechoic.mic_positions[order],
                             anechoic.room_dims)
    # Networks have only learnt, not proved, that a pair may be swapped.
    tolerance = {'neural_srp': 0.7, 'backprojection': 0.05}.get(method, 1e-9)
    assert np.linalg.norm(one.position - other.position) <= tolerance


def test_the_default_is_our_network(anechoic):
    """Without a name, backprojection: right in free air, even of noise, and of its height too."""
    localizer = Localizer.load()
    estimate = localizer.locate(anechoic.signals(), anechoic.sample_rate, anechoic.mic_positions,
                                anechoic.room_dims)
    assert np.linalg.norm(estimate.position - anechoic.source_position[:2]) < 0.15
    # That noise is no voice is not for it to know, nor that it is one.
    assert 0.3 < estimate.confidence <= estimate.presence
    assert abs(estimate.height - anechoic.source_position[2]) < 0.5
    assert np.sqrt(np.trace(estimate.covariance)) < 0.4
    assert estimate.likelihood_map.sum() == pytest.approx(1, abs=1e-4)


def test_only_posteriors_can_be_asked_about_an_area(anechoic):
    """Other methods say that they have a grid of their own."""
    scene = anechoic.signals(), anechoic.sample_rate, anechoic.mic_positions, anechoic.room_dims
    corner = np.array([np.zeros(2), np.asarray(anechoic.room_dims[:2])])
    assert Localizer.load().locate(*scene, area=corner, shape=(9, 7)).likelihood_map.shape == (
        9, 7)
    with pytest.raises(ValueError, match='area and shape can be asked of backprojection only'):
        Localizer.load('srp_phat').locate(*scene, area=corner, shape=(9, 7))


def test_any_sample_rate(anechoic):
    """Audio of 48 kHz gives what its 16 kHz version gives."""
    anechoic.sample_rate = 48000
    estimate = Localizer.load('srp_phat').locate(
        anechoic.signals(), 48000, anechoic.mic_positions, anechoic.room_dims)
    assert np.linalg.norm(estimate.position - anechoic.source_position[:2]) < 0.1


@pytest.mark.parametrize('n_mics', [2, 3, 5])
def test_any_number_of_microphones(anechoic, n_mics):
    """From two up, methods answer; from three up, SRP is right in free air."""
    signals, mics = anechoic.signals()[:n_mics], anechoic.mic_positions[:n_mics]
    for method in METHODS:
        Localizer.load(method).locate(signals, 16000, mics, anechoic.room_dims)
    estimate = Localizer.load('srp_phat').locate(signals, 16000, mics, anechoic.room_dims)
    if n_mics >= 5:
        assert np.linalg.norm(estimate.position - anechoic.source_position[:2]) < 0.1


def test_bad_scenes_are_refused(anechoic):
    """A NaN never becomes a position."""
    signals = anechoic.signals()
    signals[2, 17] = np.nan
    with pytest.raises(ValueError, match=r'NaN or infinity in channels \[2\]'):
        Localizer.load('srp_phat').locate(
            signals, 16000, anechoic.mic_positions, anechoic.room_dims)


@pytest.mark.parametrize('method', (*METHODS, 'surroundings'))
def test_copies_of_one_channel_are_refused(method, anechoic):
    """By every method, with a sentence that names them; they vote for equal distances."""
    signals = anechoic.signals()
    signals[4] = -0.5 * signals[1] + 0.01
    scene = 16000, anechoic.mic_positions, anechoic.room_dims
    localizer = Localizer.load(method)
    for ask in (localizer.locate, localizer.locate_talkers):
        with pytest.raises(ValueError, match='channels 1 and 4 are copies of one another'):
            ask(signals, *scene)


@pytest.mark.parametrize('method', ('backprojection', 'surroundings', 'srp_phat'))
def test_an_offset_changes_nothing_much(method, anechoic):
    """A sound card's direct current, of 0.9 here, is no sound."""
    localizer, signals = Localizer.load(method), anechoic.signals()
    scene = 16000, anechoic.mic_positions, anechoic.room_dims
    one = localizer.locate(signals, *scene)
    other = localizer.locate(signals + np.float32(0.9), *scene)
    assert np.linalg.norm(one.position - other.position) < 0.01
    assert one.confidence == pytest.approx(other.confidence, abs=0.02)


def test_silence_earns_no_confidence(anechoic):
    """Digital silence makes a flat map, which says nothing at all."""
    estimate = Localizer.load('srp_phat').locate(
        np.zeros((6, 8000), np.float32), 16000, anechoic.mic_positions, anechoic.room_dims)
    assert estimate.confidence == 0.0


def test_confidence_grows_with_the_peak():
    """The logistic model is what its docstring says."""
    flat = np.zeros((10, 10))
    flat[3, 4] = 1.0
    assert peak_prominence(flat) == pytest.approx(0.99 / np.sqrt(0.01 * 0.99))
    model = Confidence(bias=-2.0, prominence=1.0, mics=0.5)
    expected = 1 / (1 + np.exp(2 - np.log(peak_prominence(flat)) - 0.5 * np.log(4)))
    assert confidence(model, flat, 4) == pytest.approx(expected)


@pytest.mark.parametrize('method', METHODS)
def test_real_recordings(method, recorded_folder, capsys):
    """Every method runs on two real recordings; its errors are printed for people to read."""
    localizer = Localizer.load(method)
    errors = []
    for scene in json.loads((recorded_folder / 'scenes.json').read_text()):
        signals = np.stack([
            soundfile.read(recorded_folder / scene['scene'] / name, dtype='float32')[0]
            for name in scene['channels']])
        for start in range(0, signals.shape[1] - 7999, 4000):
            estimate = localizer.locate(signals[:, start:start + 8000], scene['sample_rate'],
                                        scene['mic_positions'], scene['room_dims'])
            errors.append(np.linalg.norm(
                estimate.position - scene['source_position'][:2]))
    with capsys.disabled():
        print(f'\n  recorded, {method}: mean {np.mean(errors):.2f} m, median '
              f'{np.median(errors):.2f} m, greatest {np.max(errors):.2f} m over {len(errors)} '
              'windows of 0.5 s')
    # In this room of 9.8 x 10.3 m even its centre is 4.7 m off.
    assert np.median(errors) < 4.7
    if method == 'backprojection':  # what the product promises
        assert np.max(errors) < 0.3
