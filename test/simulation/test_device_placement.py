"""Device placement: on their surfaces, apart from one another, and inside the room."""

from nsrp_ros.simulation.devices.placement import draw_devices
from nsrp_ros.simulation.devices.placement import MountingConfig
import pytest
import torch

ON_WALLS, ON_CEILINGS, ON_FLOORS, ON_TABLES = torch.eye(4).tolist()


def draw(config, n_mics=8, n_rooms=400, min_distance=0.5):
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape):
        return torch.rand(shape, generator=generator)
    dims = torch.tensor([3.0, 3.0, 2.0]) + torch.tensor([7.0, 7.0, 2.0]) * uniform(n_rooms, 3)
    return dims, *draw_devices(config, min_distance, dims, n_mics, uniform)


def clearance(dims, mics):
    """Return how far microphones are from the surfaces at 0 and opposite: (B, M, 3) each."""
    return mics, dims[:, None] - mics


@pytest.mark.parametrize('config', [
    MountingConfig(), MountingConfig(clusters=1.0), MountingConfig(share=1.0, clusters=0.5)])
def test_devices_are_inside_the_room_and_apart(config):
    dims, source, mics, device_ids = draw(config)
    for low, high in (clearance(dims, mics), clearance(dims, source[:, None])):
        assert low.min() > 0 and high.min() > 0
    assert torch.cdist(source[:, None], mics).min() >= 0.5
    apart = torch.cdist(mics, mics) + 10 * torch.eye(8)
    other = device_ids[:, None] != device_ids[:, :, None]
    assert apart[other].min() > 0.2 - 0.1 and apart.min() > 0.005
    assert source[:, 2].min() >= 0.8 and source[:, 2].max() <= 2.0


def test_devices_are_on_their_surfaces():
    for surfaces, on in ((ON_WALLS, slice(0, 2)), (ON_CEILINGS, 2), (ON_FLOORS, 2)):
        dims, _, mics, _ = draw(MountingConfig(share=1.0, surfaces=tuple(surfaces)))
        low, high = clearance(dims, mics)
        nearest = torch.minimum(low, high)[..., on]
        nearest = nearest.amin(dim=-1) if nearest.dim() == 3 else nearest
        assert nearest.max() <= 0.1
        if surfaces == ON_CEILINGS:
            assert 0.005 <= high[..., 2].min() and high[..., 2].max() <= 0.1
    _, _, mics, _ = draw(MountingConfig(share=1.0, surfaces=tuple(ON_TABLES)))
    assert 0.7 <= mics[..., 2].min() < 0.71 and 0.79 < mics[..., 2].max() <= 0.8


def test_a_share_of_devices_is_mounted():
    dims, _, mics, _ = draw(MountingConfig(share=0.4, surfaces=tuple(ON_CEILINGS)))
    near = (dims[:, None, 2] - mics[..., 2]) < 0.1
    assert near.float().mean() == pytest.approx(0.4 + 0.6 * 0.1 / 3, abs=0.03)


def test_scenes_have_several_small_arrays():
    config = MountingConfig(clusters=0.5)
    _, _, mics, device_ids = draw(config, n_rooms=1000)
    clustered = device_ids[:, -1] < 7
    assert clustered.float().mean() == pytest.approx(0.5, abs=0.05)
    assert device_ids.amax(dim=1).min() == 1  # two devices or more
    sizes = (device_ids[clustered] == 0).sum(dim=1)
    assert set(sizes.tolist()) == {2, 3, 4}
    same = device_ids[:, None] == device_ids[:, :, None]
    across = torch.cdist(mics, mics).where(same, torch.tensor(0.0)).amax(dim=(1, 2))[clustered]
    assert 0.02 < across.min() < across.max() <= 0.101
    assert (device_ids.diff(dim=1) >= 0).all()


def test_four_microphones_form_two_arrays_and_two_form_none():
    assert (draw(MountingConfig(clusters=1.0), n_mics=4)[3] == torch.tensor([0, 0, 1, 1])).all()
    assert (draw(MountingConfig(clusters=1.0), n_mics=2)[3] == torch.tensor([0, 1])).all()


def test_invalid_placements_are_refused():
    for wrong in ({'share': 2.0}, {'surfaces': (1.0, 1.0)}, {'apertures': (0.1, 0.05)},
                  {'cluster_sizes': (1,)}, {'reach': 0.0}):
        with pytest.raises(ValueError, match='must'):
            MountingConfig(**wrong)
    with pytest.raises(ValueError, match='do not fit'):
        draw(MountingConfig(), n_rooms=2, min_distance=20.0)
