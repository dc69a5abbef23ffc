"""Tracks: persistent numbers, confirmation, deletion, and the time of the audio."""

import gc

from nsrp_ros.tracking.peaks import Peak
from nsrp_ros.tracking.tracker import TalkerTracker
from nsrp_ros.tracking.tracker import TrackingConfig
import numpy as np
import pytest
from stonesoup.types.state import State

HOP_NS = 250_000_000
START_NS = 1_790_000_000 * 10 ** 9


def peak(x, y, mass=0.9):
    """Return a peak of small spread."""
    return Peak(np.array([x, y]), mass, 0.01 * np.eye(2))


def track(tracker, maps, start_ns=START_NS):
    """Update a tracker by the peaks of one map each hop; return the talkers after each."""
    return [tracker.update(start_ns + k * HOP_NS, peaks) for k, peaks in enumerate(maps)]


def test_a_track_is_confirmed_by_its_third_detection():
    """Not by one or two."""
    talkers_by_map = track(TalkerTracker(), [[peak(1, 1)], [], [peak(1, 1)], [peak(1, 1)]])
    assert [len(talkers) for talkers in talkers_by_map] == [0, 0, 0, 1]
    assert talkers_by_map[-1][0].number == 1 and talkers_by_map[-1][0].talking


def test_two_talkers_keep_their_numbers_although_each_window_has_one_peak():
    """The peak alternates at random between one who walks and one who stands."""
    generator = np.random.default_rng(0)
    maps, truth = [], []
    for k in range(64):
        walker = np.array([1 + 0.5 * (k * 0.25), 3.0])
        place = walker if generator.random() < 0.5 else np.array([4.0, 1.0])
        place = place + 0.05 * generator.standard_normal(2)
        maps.append([peak(*place)])
        truth.append(walker)
    # A map shows where talkers were half a window before its stamp.
    talkers_by_map = track(TalkerTracker(TrackingConfig(delay=0.0)), maps)
    last = {t.number: t for t in talkers_by_map[-1]}
    assert sorted(last) == [1, 2]
    walker = min(last.values(), key=lambda t: np.linalg.norm(t.position - truth[-1]))
    assert np.linalg.norm(walker.position - truth[-1]) < 0.4
    assert walker.velocity[0] == pytest.approx(0.5, abs=0.2)
    numbers = {t.number for talkers in talkers_by_map for t in talkers}
    assert numbers == {1, 2}


def test_positions_are_those_at_the_stamp():
    """A walking talker has moved on since the middle of the window, where the peak holds."""
    config = TrackingConfig(delay=0.25)
    maps = [[peak(1 + 0.8 * (k * 0.25 - config.delay), 2)] for k in range(40)]
    talker = track(TalkerTracker(config), maps)[-1][0]
    assert talker.position[0] == pytest.approx(1 + 0.8 * 39 * 0.25, abs=0.1)


def test_a_silent_talker_is_deleted_after_the_patience():
    """The silence is counted; one who comes back after the deletion has a new number."""
    config = TrackingConfig(patience=3.0, voice_time=0.6)
    tracker = TalkerTracker(config)
    track(tracker, [[peak(2, 2)]] * 8)
    end_ns = START_NS + 7 * HOP_NS
    talker = tracker.update(end_ns + 10 ** 9, [])[0]
    assert not talker.talking and talker.silent_for == pytest.approx(1.0)
    assert tracker.update(end_ns + 2 * 10 ** 9, [peak(2, 2)])[0].talking
    assert tracker.update(end_ns + 6 * 10 ** 9, []) == []
    talkers_by_map = track(tracker, [[peak(2, 2)]] * 4, end_ns + 7 * 10 ** 9)
    assert [t.number for t in talkers_by_map[-1]] == [2]


def test_a_stale_track_takes_no_peak():
    """It is deleted before the first peak after a long silence is associated."""
    tracker = TalkerTracker()
    track(tracker, [[peak(2, 2)]] * 8)
    assert tracker.update(START_NS + 60 * 10 ** 9, [peak(2.1, 2)]) == []


def test_an_uncertain_track_is_deleted():
    """Whatever the patience, above max_spread."""
    for max_spread, known in ((0.8, False), (50.0, True)):
        tracker = TalkerTracker(TrackingConfig(max_spread=max_spread, patience=100.0))
        track(tracker, [[peak(2, 2)]] * 8)
        end_ns = START_NS + 7 * HOP_NS
        assert len(tracker.update(end_ns + 10 ** 9, [])) == 1
        assert bool(tracker.update(end_ns + 20 * 10 ** 9, [])) is known
        if not known:
            assert tracker.update(end_ns + 21 * 10 ** 9, [peak(2, 2)]) == []


def test_no_track_passes_a_wall():
    """One that leads to a wall is reported at the wall, then deleted; others stay."""
    box = [(0.0, 0.0), (6.0, 5.0)]
    tracker, talkers_by_map = TalkerTracker(), []
    for k in range(40):
        maps = [peak(1, 1)] + ([peak(3 + 0.2 * k, 4)] if k < 14 else [])
        talkers_by_map.append(tracker.update(START_NS + k * HOP_NS, maps, box))
    walker = [[t.position for t in talkers if t.position[1] > 3] for talkers in talkers_by_map]
    assert all(walker[3:15]) and not any(walker[32:])
    assert max(p[0] for places in walker for p in places) <= 6.0
    free = TalkerTracker()
    for k in range(32):
        talkers = free.update(START_NS + k * HOP_NS, [] if k >= 14 else [peak(3 + 0.2 * k, 4)])
    assert talkers[0].position[0] > 6.5
    assert [t.number for t in talkers_by_map[-1] if t.position[1] < 2] == [1]


def test_tracks_outlive_a_change_of_the_configuration():
    """Talkers keep their numbers, and unconfirmed tracks their detections."""
    tracker = TalkerTracker(TrackingConfig(confirmations=3))
    track(tracker, [[peak(1, 1)], [peak(1, 1)], [peak(1, 1), peak(4, 4)]])
    tracker.configure(TrackingConfig(confirmations=2, patience=2.0))
    talkers = tracker.update(START_NS + 3 * HOP_NS, [peak(1, 1), peak(4, 4)])
    assert [t.number for t in talkers] == [1, 2]
    assert tracker.update(START_NS + 15 * HOP_NS, []) == []


def test_faint_peaks_update_tracks_but_start_none():
    """A peak below birth_mass never becomes a talker."""
    maps = [[peak(1, 1), peak(4, 4, 0.1)]] * 12
    assert [t.number for t in track(TalkerTracker(), maps)[-1]] == [1]
    tracker = TalkerTracker()
    track(tracker, [[peak(4, 4)]] * 4)
    assert tracker.update(START_NS + 5 * HOP_NS, [peak(4, 4, 0.1)])[0].silent_for == 0


def test_a_clock_that_is_set_back_deletes_all_tracks():
    """And no number is used twice."""
    tracker = TalkerTracker()
    track(tracker, [[peak(2, 2)]] * 6)
    talkers_by_map = track(tracker, [[peak(2, 2)]] * 4, START_NS - 10 ** 12)
    assert [len(talkers) for talkers in talkers_by_map] == [0, 0, 1, 1]
    assert talkers_by_map[-1][0].number == 2


def test_the_same_maps_give_the_same_talkers():
    """At any speed of a replay: no clock is read."""
    generator = np.random.default_rng(1)
    maps = [[peak(*generator.uniform(0, 5, 2)) for _ in range(generator.integers(0, 4))]
            for _ in range(100)]
    one, other = (track(TalkerTracker(), maps) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert [t.number for t in a] == [t.number for t in b]
        for s, t in zip(a, b, strict=True):
            np.testing.assert_array_equal(s.position, t.position)


def test_memory_does_not_grow():
    """The number of filter states that are alive is the same after 500 maps and after 2000."""
    tracker = TalkerTracker()
    alive = {}
    for k in range(2000):
        talkers = tracker.update(START_NS + k * HOP_NS, [peak(2, 2)] if k % 3 else [])
        if k in (499, 1999):
            gc.collect()
            alive[k] = sum(issubclass(type(thing), State) for thing in gc.get_objects())
    assert len(talkers) == 1 and abs(alive[1999] - alive[499]) < 40


@pytest.mark.parametrize('change', [
    {'agility': 0.0}, {'patience': -1.0}, {'max_spread': 0.0}, {'way_out': -1.0},
    {'gate': float('nan')}, {'delay': -0.1}, {'confirmations': 0}, {'birth_mass': 2.0}])
def test_invalid_configurations_are_refused(change):
    """When they are made."""
    with pytest.raises(ValueError):
        TrackingConfig(**change)
