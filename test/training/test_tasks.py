"""What batches of scenes ask of the network."""

from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.training.backprojection import tasks
from nsrp_ros.training.backprojection.tasks import draw_task
from nsrp_ros.training.backprojection.tasks import random_subregion
from nsrp_ros.training.backprojection.tasks import whole_task
import pytest
from support.surroundings_tensors import batch
import torch

MANY = 200


@pytest.fixture
def scenes():
    """Make scenes of three people, of whom none to three talk, in rooms that are not at 0."""
    torch.manual_seed(0)
    room = Surroundings.box((6.0, 5.0, 3.0), origin=(1.0, -2.0, 0.0))
    talkers = torch.tensor([1.0, -2.0, 0.0]) + torch.rand(MANY, 3, 3) * torch.tensor([6.0, 5, 3])
    return Scenes(torch.randn(MANY, 4, 8000), torch.rand(MANY, 4, 3), talkers[:, 0],
                  torch.tensor([[6.0, 5.0, 3.0]]).repeat(MANY, 1), talkers=talkers,
                  n_talking=torch.arange(MANY) % 4, surroundings=batch(*[room] * MANY))


def inside(points, area):
    """Tell which points (B, K, 3) are in areas, seen from above."""
    return ((points >= area[:, None, 0] - 1e-4) & (points <= area[:, None, 1] + 1e-4))[
        ..., :2].all(dim=2)


def test_random_subregions_contain_the_talker():
    """Every subregion is a box in its area, of varying size, with the talker in it."""
    torch.manual_seed(0)
    low = torch.tensor([[1.0, -2.0, 0.5]]).repeat(MANY, 1)
    size = torch.tensor([[6.0, 5.0, 3.0]])
    source = low + size * torch.rand(MANY, 3)
    area = torch.stack([low, low + size], dim=1)
    lower, upper = random_subregion(area, source).unbind(dim=1)
    assert (lower >= low - 1e-4).all() and (upper <= low + size + 1e-4).all()
    assert (lower <= source + 1e-4).all() and (source <= upper + 1e-4).all()
    share = (upper - lower) / size
    assert share.min() >= 0.0999 and share.std() > 0.2


def test_whole_tasks_ask_for_everybody_who_talks(scenes):
    """Anywhere in the search area, from the whole window."""
    task = whole_task(scenes)
    assert task.scenes is scenes and task.found is None and task.counts.all()
    torch.testing.assert_close(task.area, scenes.surroundings.area)
    assert task.wanted.sum(dim=1).tolist() == scenes.n_talking.tolist()


def test_scenes_of_one_talker_in_boxes_need_nothing_else():
    """Then `talking` tells whether he is wanted, and the room is known exactly."""
    dims, source = torch.tensor([[6.0, 5.0, 3.0]] * 2), torch.tensor([[1.0, 2.0, 1.0]] * 2)
    plain = Scenes(torch.randn(2, 4, 8000), torch.rand(2, 4, 3), source, dims)
    assert whole_task(plain).wanted.tolist() == [[True], [True]]
    silent = Scenes(*(getattr(plain, name) for name in (
        'signals', 'mic_positions', 'source_position', 'room_dims')),
        talking=torch.tensor([False, True]))
    task = whole_task(silent)
    assert task.wanted.tolist() == [[False], [True]]
    assert task.surroundings.planes.shape == (2, 6, 4) and not task.surroundings.std.any()


def test_who_is_outside_the_search_area_is_not_wanted(scenes):
    """Unless by a few centimetres."""
    low = scenes.surroundings.area[:, 0]
    for away, wanted in ((tasks.OUTSIDE - 0.05, True), (tasks.OUTSIDE + 0.05, False)):
        scenes.talkers[:, 0] = low + torch.tensor([-away, 1.0, 1.0])
        assert bool(whole_task(scenes).wanted[1, 0]) is wanted
    # Maps end at walls, not at floors.
    scenes.talkers[:, 0] = low + torch.tensor([1.0, 1.0, -2.0])
    assert whole_task(scenes).wanted[1, 0]


def test_whoever_is_found_is_not_wanted(scenes):
    """Those who talk are wanted or found, about where they are; few are invented."""
    task = draw_task(scenes, 0.0, 1.0, 0.0)
    found = torch.isfinite(task.found.std)
    talks = torch.arange(3) < scenes.n_talking[:, None]
    torch.testing.assert_close(task.wanted, talks & ~found[:, :3])
    assert not (found[:, :3] & ~talks).any()
    of_two = found[scenes.n_talking == 2, :2]
    # None, one or both, as often; either of them.
    share = torch.bincount(of_two.sum(dim=1), minlength=3) / len(of_two)
    assert share.min() > 0.15 and (of_two.float().mean(dim=0) > 0.25).all()
    away = torch.linalg.vector_norm(task.found.position[:, :3] - scenes.talkers, dim=2)
    relative = (away / task.found.std[:, :3])[found[:, :3]]
    # Each coordinate is off by std over the root of two.
    assert float(relative.square().mean()) == pytest.approx(1.5, abs=0.4)
    std = task.found.std[found]
    assert 0.02 <= float(std.min()) < 0.04 and 0.1 < float(std.max()) <= 0.2
    invented = found[:, 3]
    assert 0 < int(invented.sum()) < 0.15 * MANY
    assert inside(task.found.position[:, 3:], scenes.surroundings.area).all()


def test_subregions_contain_somebody_who_is_wanted(scenes):
    """And who of the others is outside is not wanted there."""
    whole = whole_task(scenes)
    task = draw_task(scenes, 0.0, 0.0, 1.0)
    within = inside(task.talkers, task.area)
    somebody = whole.wanted.any(dim=1)
    assert (within & whole.wanted).any(dim=1)[somebody].all()
    torch.testing.assert_close(task.wanted.any(dim=1), somebody)
    assert not (task.wanted & ~whole.wanted).any()
    left_out = whole.wanted & ~task.wanted
    assert left_out.any() and not (left_out & within).any()
    # The search area, of which the grid is a part, stays.
    assert task.surroundings is scenes.surroundings


def test_subregions_contain_who_is_left(scenes):
    """Not those who have been found already."""
    task = draw_task(scenes, 0.0, 1.0, 1.0)
    talks = torch.arange(3) < scenes.n_talking[:, None]
    left = talks & ~torch.isfinite(task.found.std[:, :3])
    assert left.any() and (task.wanted.any(dim=1) == left.any(dim=1)).all()


def test_short_windows_keep_the_middle(scenes):
    """There a walking talker is where he should be; lengths vary, from a tenth of a second."""
    ramp = torch.arange(8000.0).expand(MANY, 4, -1)
    moved = Scenes(ramp, scenes.mic_positions, scenes.source_position, scenes.room_dims)
    lengths = set()
    for _ in range(60):
        signals = draw_task(moved, 1.0, 0.0, 0.0).scenes.signals
        assert float(signals[0, 0, 0]) <= 4000 <= float(signals[0, 0, -1]) + 1
        lengths.add(signals.shape[-1])
    assert 1600 <= min(lengths) < 3000 and 6000 < max(lengths) < 8000


def test_pauses_in_short_windows_do_not_count(scenes):
    """If hardly anything is left of a talker, nobody can say; of silence nothing was expected."""
    loud = draw_task(scenes, 1.0, 0.0, 0.0)
    assert loud.counts.all()
    few = scenes.take(slice(8))
    few.signals[:, :, 2000:6000] *= 0.01
    power, task = 1.0, None
    while power > 0.1:  # of windows of all lengths, until one is in the pause
        task = draw_task(few, 1.0, 0.0, 0.0)
        power = float(task.scenes.signals.square().mean())
    assert task.counts.tolist() == [1.0, 0.0, 0.0, 0.0] * 2  # those in which somebody talks


def test_the_middle_is_kept_unless_another_start_is_given(scenes):
    """The rest of the task stays as it is."""
    whole = whole_task(scenes)
    for start, first in ((None, 3000), (500, 500)):
        task = tasks.middle_part(whole, 2000, start)
        assert torch.equal(task.scenes.signals, scenes.signals[..., first:first + 2000])
        assert torch.equal(task.wanted, whole.wanted) and task.counts.all()
