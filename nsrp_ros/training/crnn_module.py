"""
Training and validation of the paper's networks.

The loss is the mean absolute error between predicted and target maps (the paper's eq. 10), the
optimiser Adam. A pair network is trained on single pairs; its maps are summed only to locate.
"""

from collections.abc import Callable

import lightning
from nsrp_ros.networks.crnn import Crnn
from nsrp_ros.networks.crnn import likelihood_maps
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.training.crnn_targets import target_maps
from nsrp_ros.training.crnn_targets import TargetConfig
import torch

LOCATED_BATCHES = 32
"""How many validation batches are also located with all microphones, which is the costly part."""


class CrnnModule(lightning.LightningModule):
    """
    Training and validation of one Crnn.

    Parameters
    ----------
    model : Crnn
        Trained in place.
    target : TargetConfig
        The maps that it is trained to predict.
    learning_rate : float
        Of Adam.
    compile_encoder : bool
        Whether to compile the convolutions, which pays for itself after some minutes on a GPU.

    """

    def __init__(self, model: Crnn, target: TargetConfig, learning_rate: float = 5e-4,
                 compile_encoder: bool = False) -> None:
        super().__init__()
        self.model = model
        self.target = target
        self.learning_rate = learning_rate
        # Held in a tuple: a compiled copy must not become a sub-module with weights of its own.
        self._encode = (torch.compile(model.encode) if compile_encoder else model.encode,)

    def transfer_batch_to_device(self, batch: Scenes, device: torch.device,
                                 dataloader_idx: int) -> Scenes:
        """Return the batch as it is: the loaders make it on the training device."""
        return batch

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make Adam."""
        return torch.optim.Adam(self.model.parameters(), self.learning_rate)

    def predict_maps(self, scenes: Scenes,
                     encode: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """
        Map scenes that have as many microphones as the network has channels.

        Only the convolutions run in the trainer's precision: phases and metadata in metres need
        more than the eight bits of bfloat16.
        """
        kind = scenes.signals.device.type
        with torch.autocast(kind, enabled=False), torch.no_grad():
            phases = self.model.phases(scenes.signals)
        features = encode(phases)
        metadata = torch.cat([scenes.mic_positions.flatten(1), scenes.room_dims], dim=1)
        with torch.autocast(kind, enabled=False):
            return self.model.decode(features.float(), metadata)

    def loss(self, scenes: Scenes,
             encode: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Return the mean absolute error of eq. 10."""
        with torch.no_grad():
            target = target_maps(self.target, self.model.config.grid_size,
                                 scenes.mic_positions, scenes.source_position, scenes.room_dims)
        return (self.predict_maps(scenes, encode) - target).abs().mean()

    def training_step(self, scenes: Scenes, _: int) -> torch.Tensor:
        """Compute the loss of one batch."""
        loss = self.loss(scenes, self._encode[0])
        self.log('train_loss', loss, on_step=False, on_epoch=True, prog_bar=True,
                 batch_size=len(scenes))
        return loss

    def validation_step(self, scenes: Scenes, index: int) -> None:
        """Measure the loss, and on the first batches the mean error in metres."""
        first = scenes.with_microphones(slice(self.model.config.n_channels))
        self.log('val_loss', self.loss(first, self.model.encode), prog_bar=True, sync_dist=True,
                 batch_size=len(scenes))
        if index < LOCATED_BATCHES:
            located = first if self.model.config.n_channels > 2 else scenes
            self.log('val_error', position_errors(self.model, located).mean(), prog_bar=True,
                     sync_dist=True, batch_size=len(scenes))


@torch.no_grad()
def position_errors(model: Crnn, scenes: Scenes) -> torch.Tensor:
    """
    Locate scenes with all their microphones at once.

    Parameters
    ----------
    model : Crnn
        On the scenes' device.
    scenes : Scenes
        B scenes of tensors.

    Returns
    -------
    torch.Tensor
        Shape (B,), metres between the highest cell's centre and the source, on the floor plan.

    """
    side = model.config.grid_size
    maps = likelihood_maps(model, scenes.signals, scenes.mic_positions, scenes.room_dims)
    best = maps.flatten(1).argmax(dim=1)
    cell = torch.stack([best % side, best // side], dim=1)  # x, y
    position = (cell + 0.5) / side * scenes.room_dims[:, :2]
    return torch.linalg.vector_norm(position - scenes.source_position[:, :2], dim=1)
