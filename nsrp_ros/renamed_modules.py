"""
Commands and imports by their names of before 0.2, forwarded with a warning; gone in 0.3.

One table takes the place of some twenty modules of three lines: a name that Python finds nowhere
else is looked up here last.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
import sys
from types import CodeType
from types import ModuleType
import warnings

RENAMED = {
    'nsrp_ros.core.localizer': 'nsrp_ros.localization.localizer',
    'nsrp_ros.demo': 'nsrp_ros.apps.demo.main',
    'nsrp_ros.endurance': 'nsrp_ros.apps.soak_test.main',
    'nsrp_ros.localize_bag': 'nsrp_ros.bags.localize_bag',
    'nsrp_ros.training.ablate': 'nsrp_ros.evaluation.ablation',
    'nsrp_ros.training.bench': 'nsrp_ros.benchmarks.cpu_latency',
    'nsrp_ros.training.bench_gpu': 'nsrp_ros.benchmarks.gpu_throughput',
    'nsrp_ros.training.bench_simulation': 'nsrp_ros.benchmarks.simulator_speed',
    'nsrp_ros.training.calibrate': 'nsrp_ros.evaluation.confidence_calibration',
    'nsrp_ros.training.dataset': 'nsrp_ros.datasets.generate',
    'nsrp_ros.training.evaluate': 'nsrp_ros.evaluation.evaluate',
    'nsrp_ros.training.measured': 'nsrp_ros.evaluation.measured_room',
    'nsrp_ros.training.regions': 'nsrp_ros.evaluation.credible_regions',
    'nsrp_ros.training.robustness': 'nsrp_ros.evaluation.robustness',
    'nsrp_ros.training.silence': 'nsrp_ros.evaluation.voice_presence',
    'nsrp_ros.training.tracking_scenes': 'nsrp_ros.evaluation.tracking',
    'nsrp_ros.training.tune_srp': 'nsrp_ros.evaluation.tune_srp',
}
"""What README, docs and model cards of 0.1 name, and where it is now."""


class _Forwarder(MetaPathFinder, Loader):
    """Finds modules under their old names."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """Tell that an old name can be loaded."""
        return ModuleSpec(fullname, self) if fullname in RENAMED else None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave making the module to Python: it is replaced at once."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the old one's place."""
        self._warn(module.__name__)
        sys.modules[module.__name__] = import_module(RENAMED[module.__name__])

    def get_code(self, fullname: str) -> CodeType:
        """Return what `python -m` runs for an old name."""
        self._warn(fullname)
        return compile(
            f'import runpy; runpy.run_module({RENAMED[fullname]!r}, run_name=__name__, '
            'alter_sys=True)', fullname, 'exec')

    @staticmethod
    def _warn(name: str) -> None:
        warnings.warn(f'{name} is now {RENAMED[name]}; the old name goes with version 0.3',
                      FutureWarning, stacklevel=2)


def install() -> None:
    """Let Python ask here for modules that it does not find."""
    if not any(isinstance(finder, _Forwarder) for finder in sys.meta_path):
        sys.meta_path.append(_Forwarder())
