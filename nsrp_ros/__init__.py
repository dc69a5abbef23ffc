"""
nsrp_ros: where somebody is talking, in metres, on the map.

    from nsrp_ros import Localizer, Surroundings

Public names are imported when they are asked for; docs/explanation/architecture.md is the map of
all modules. Dimensions, the same everywhere: B batch, M microphones, P = M (M - 1) / 2 pairs,
T samples, N frames, F bins, L lags, G cells a side, K talkers. SI units and radians stand bare;
anything else carries its unit (_db, _deg, _ns, _ms).
"""

from importlib import import_module
from typing import TYPE_CHECKING

from nsrp_ros import renamed_modules

if TYPE_CHECKING:
    from nsrp_ros.bags.reader import AudioBag
    from nsrp_ros.core.direction import Direction
    from nsrp_ros.core.estimate import Estimate
    from nsrp_ros.core.posterior import Posterior
    from nsrp_ros.core.surroundings import Surroundings
    from nsrp_ros.localization.localizer import Localizer
    from nsrp_ros.tracking.peaks import find_peaks
    from nsrp_ros.tracking.tracker import TalkerTracker
    from nsrp_ros.tracking.tracking_config import TrackingConfig

__version__ = '0.2.0'

_PUBLIC = {
    'AudioBag': 'bags.reader',
    'Direction': 'core.direction',
    'Estimate': 'core.estimate',
    'Localizer': 'localization.localizer',
    'Posterior': 'core.posterior',
    'Surroundings': 'core.surroundings',
    'TalkerTracker': 'tracking.tracker',
    'TrackingConfig': 'tracking.tracking_config',
    'find_peaks': 'tracking.peaks',
}
__all__ = ['AudioBag', 'Direction', 'Estimate', 'find_peaks', 'Localizer', 'Posterior',
           'Surroundings', 'TalkerTracker', 'TrackingConfig']

renamed_modules.install()


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(import_module(f'{__name__}.{_PUBLIC[name]}'), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, too."""
    return sorted({*globals(), *_PUBLIC})
