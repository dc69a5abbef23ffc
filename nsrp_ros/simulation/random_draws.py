"""Random numbers of a generator, in the form in which all the simulator's draws take them."""

from typing import Protocol

import torch


class DrawFunction(Protocol):
    """Draws float32 random numbers of a shape: `uniform(n_rooms, 3)`."""

    def __call__(self, *shape: int) -> torch.Tensor:
        """Return random numbers of the shape."""


class Draw:
    """
    Random float32 numbers on the device of a generator.

    Parameters
    ----------
    generator : torch.Generator
        On any device.

    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, *shape: int) -> torch.Tensor:
        """Draw numbers between 0 and 1."""
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def normal(self, *shape: int) -> torch.Tensor:
        """Draw standard normal numbers."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device)
