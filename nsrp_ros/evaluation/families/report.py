"""The table of families, as Markdown."""

from collections.abc import Sequence
from datetime import datetime
from datetime import timezone
import os
from pathlib import Path
import platform

from nsrp_ros.evaluation.families.measure import Result
from nsrp_ros.evaluation.families.scores import PositionScores
from nsrp_ros.evaluation.families.scores import Share
from nsrp_ros.evaluation.families.scores import TalkerScores

_POSITIONS = ('family', 'microphones', 'method', 'mean error (95 %)', 'median', 'below 0.5 m',
              'lies', 'sure')
_AZIMUTHS = ('azimuth, mean', 'median')
_TALKERS = ('family', 'microphones', 'method', 'all found (95 %)', 'found and sure',
            'invented', '1st, 2nd, 3rd estimate right')
_NOTES = """
Lies: windows with a confidence of 0.5 or more that are 0.5 m off or more; sure: windows with one
of 0.5 or more; both shares of all windows in which somebody talks. All found: every talker is
within 0.5 m of an estimate of his own. Invented: windows with an estimate of a confidence of 0.5
or more, 0.5 m off everybody who talks. xsrp is told how many talk, and has no confidence."""


def markdown(results: Sequence[Result]) -> str:
    """
    Write results as Markdown.

    Parameters
    ----------
    results : list of Result
        In the order of the rows.

    Returns
    -------
    str
        A table of those with positions and one of those with several talkers, what the columns
        mean, and when and on what they were measured.

    """
    parts = []
    positions = [(r, r.scores) for r in results if isinstance(r.scores, PositionScores)]
    if positions:
        turned = any(scores.azimuth_mean is not None for _, scores in positions)
        columns = _POSITIONS + (_AZIMUTHS if turned else ())
        parts.append(_table(columns, [
            (*_who(result, scores.count), _metres(scores.mean), _metres(scores.median),
             _percent(scores.right), _percent(scores.lies), _percent(scores.sure),
             *((_degrees(scores.azimuth_mean), _degrees(scores.azimuth_median)) if turned
               else ())) for result, scores in positions]))
    talkers = [(r, r.scores) for r in results if isinstance(r.scores, TalkerScores)]
    if talkers:
        parts.append(_table(_TALKERS, [
            (*_who(result, scores.count), _percent(scores.all_found),
             _percent(scores.all_sure), _percent(scores.invented),
             ', '.join(map(_percent, scores.by_rank)) or _percent(None))
            for result, scores in talkers]))
    return '\n\n'.join([*parts, _NOTES.strip(), _circumstances()])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ['---'] * len(columns), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _who(result: Result, count: int) -> tuple[str, str, str]:
    return (f'{result.family.name} ({count} windows)', str(result.n_mics),
            Path(result.method).stem)


def _metres(value: Share | float | None) -> str:
    if isinstance(value, Share):
        return f'{value.value:.3f} m ({value.low:.3f} to {value.high:.3f})'
    return '–' if value is None else f'{value:.3f} m'


def _percent(value: Share | float | None) -> str:
    if isinstance(value, Share):
        return f'{value.value:.1%} ({value.low:.1%} to {value.high:.1%})'
    return '–' if value is None else f'{value:.1%}'


def _degrees(value: float | None) -> str:
    return '–' if value is None else f'{value:.1f}°'


def _circumstances() -> str:
    """Return when and on what machine this is."""
    return (f'{datetime.now(timezone.utc):%Y-%m-%d}, {platform.system()} on '
            f'{platform.machine()} with {os.cpu_count()} cores, Python '
            f'{platform.python_version()}.')
