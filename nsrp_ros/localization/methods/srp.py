"""SRP-PHAT by name: as strong as it gets, and the paper's baseline."""

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.config import SrpConfig
from nsrp_ros.localization.methods import Method
from nsrp_ros.localization.methods import register
from nsrp_ros.localization.srp_phat import SrpPhat

SRP_CONFIGS = {
    'srp_phat': SrpConfig(confidence=Confidence(-12.0445, 5.2142, 1.5667)),
    'srp_phat_2d': SrpConfig(nx=25, ny=25, nz=1, interpolation=1,
                             confidence=Confidence(-10.2049, 3.5628, 2.4203)),
}
"""Their settings; the confidences are what `nsrp_ros.evaluation.confidence_calibration` prints."""


def _load_srp_phat(device: str, threads: int) -> Method:
    return SrpPhat(SRP_CONFIGS['srp_phat'])


def _load_srp_phat_2d(device: str, threads: int) -> Method:
    return SrpPhat(SRP_CONFIGS['srp_phat_2d'])


register('srp_phat', _load_srp_phat)
register('srp_phat_2d', _load_srp_phat_2d)
