"""Diffuse fields: the coherence of two microphones is sin(kd) / (kd)."""

from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.diffuse_field import coherence_factors
from nsrp_ros.simulation.acoustics.diffuse_field import diffuse_field
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.octave_bands import octave_filters
import numpy as np
import pytest
import torch

MICS = torch.tensor([[[1.0, 1.0, 1.0], [1.05, 1.0, 1.0], [1.0, 1.3, 1.0], [4.0, 3.0, 2.0]]])


def test_octave_filters_add_up_to_one():
    frequency = torch.linspace(0, 8000, 1001, dtype=torch.float64)
    filters = octave_filters(frequency)
    assert torch.allclose(filters.sum(dim=0), torch.ones(1001, dtype=torch.float64))
    centres = octave_filters(torch.tensor(BANDS, dtype=torch.float64))
    assert torch.allclose(centres, torch.eye(6, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize('band', range(len(BANDS)))
def test_coherence_matches_theory(band):
    white = torch.randn(1, 4, 400000, generator=torch.Generator().manual_seed(0))
    field = diffuse_field(white, MICS, 16000)[0].numpy()
    spectra = np.fft.rfft(field)
    # Close to the centre, where no neighbouring band contributes.
    inside = slice(int(0.95 * BANDS[band] * 25), int(BANDS[band] * 25))
    cross = spectra[:, inside] @ spectra[:, inside].conj().T
    power = np.sqrt(np.diag(cross).real)
    found = (cross / np.outer(power, power)).real
    distances = torch.cdist(MICS[0], MICS[0]).numpy()
    expected = np.sinc(2 * BANDS[band] * distances / SPEED_OF_SOUND)
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_field_has_the_power_of_the_signals():
    white = torch.randn(1, 4, 50000, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(diffuse_field(white, MICS, 16000).std(dim=-1), torch.tensor(1.0),
                          atol=0.06)


def test_coherence_of_sixteen_close_microphones_can_be_factored():
    mics = 0.03 * torch.rand(8, 16, 3, generator=torch.Generator().manual_seed(2))
    assert coherence_factors(mics).isfinite().all()
