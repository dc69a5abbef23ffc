"""Surroundings of several scenes as tensors."""

from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.core.surroundings.batch import stack
from nsrp_ros.core.surroundings.batch import SurroundingsBatch
import torch


def batch(*rooms: Surroundings) -> SurroundingsBatch[torch.Tensor]:
    """Put surroundings into tensors of 32 bits, as networks are told of them."""
    many = stack(rooms)
    area, planes, std, ends = (torch.as_tensor(of, dtype=torch.float32)
                               for of in (many.area, many.planes, many.std, many.ends))
    outline = (None if many.outline is None
               else torch.as_tensor(many.outline, dtype=torch.float32))
    return SurroundingsBatch(area, planes, std, ends, outline)
