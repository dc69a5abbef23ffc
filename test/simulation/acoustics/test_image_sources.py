"""Image sources: their positions and their gains."""

from nsrp_ros.simulation.acoustics.image_sources import count_images
from nsrp_ros.simulation.acoustics.image_sources import image_sources
from nsrp_ros.simulation.shoebox_rooms import Rooms
import pyroomacoustics
import pytest
import torch


def room():
    """Return one room of 5 x 4 x 3 m whose six walls absorb differently."""
    absorption = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])[None, ..., None]
    return Rooms(torch.tensor([[5.0, 4.0, 3.0]]), torch.tensor([[[4.0, 1.0, 2.0]]]),
                 torch.tensor([[1.0, 2.5, 0.5]]), absorption.expand(1, 3, 2, 6))


@pytest.mark.parametrize(('order', 'count'), [(0, 1), (1, 7), (2, 25), (17, 7175)])
def test_image_indices_fill_an_octahedron(order, count):
    gains, distances = image_sources(room(), order)
    assert count_images(order) == count
    assert gains.shape == (1, 6, count) and distances.shape == (1, 1, count)


def test_first_reflections_come_from_six_images():
    gains, distances = image_sources(room(), 1)
    images = [(1.0, 2.5, 0.5), (-1.0, 2.5, 0.5), (9.0, 2.5, 0.5), (1.0, -2.5, 0.5),
              (1.0, 5.5, 0.5), (1.0, 2.5, -0.5), (1.0, 2.5, 5.5)]
    kept = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    expected = sorted(
        (torch.dist(torch.tensor(image), room().mic_positions[0, 0]).item(), energy ** 0.5)
        for image, energy in zip(images, kept, strict=True))
    found = sorted(zip(distances[0, 0].tolist(), gains[0, 0].tolist(), strict=True))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected))


def test_images_match_pyroomacoustics():
    names = ('west', 'east', 'south', 'north', 'floor', 'ceiling')
    walls = dict(zip(names, room().absorption[0, :, :, 0].flatten().tolist(), strict=True))
    reference = pyroomacoustics.ShoeBox(
        [5.0, 4.0, 3.0], fs=16000, max_order=5,
        materials={name: pyroomacoustics.Material(a) for name, a in walls.items()})
    reference.add_source([1.0, 2.5, 0.5])
    reference.add_microphone([4.0, 1.0, 2.0])
    reference.image_source_model()
    [source] = reference.sources
    theirs = torch.stack([
        torch.from_numpy(source.images.T).sub(torch.tensor([4.0, 1.0, 2.0])).norm(dim=1),
        torch.from_numpy(source.damping[0])], dim=1).double()
    gains, distances = image_sources(room(), 5)
    ours = torch.stack([distances[0, 0], gains[0, 0]], dim=1).double()
    # Sorted by distance; the gain breaks ties in the same way for both.
    order = [(t[:, 0] + 1e-3 * t[:, 1]).argsort() for t in (ours, theirs)]
    torch.testing.assert_close(ours[order[0]], theirs[order[1]], atol=1e-4, rtol=0)
