"""
How one network learns: its loss, its optimiser, and what is measured while it learns.

The loss is the mean absolute error between drawn and target maps (the paper's eq. 10), the
optimiser Adam. A pair network learns from single pairs; its maps are summed only to locate.
"""


import lightning
from nsrp_ros.networks.crnn import locate_maps
from nsrp_ros.training.crnn_targets import target_maps
import torch

LOCATED_BATCHES = 32
"""How many validation batches are also located with all microphones, which is the dear part."""


class CrnnLearning(lightning.LightningModule):
    """
    Training and validation of one Crnn.

    Parameters
    ----------
    model : Crnn
        Trained in place.
    target : TargetConfig
        What it learns to draw.
    learning_rate : float
        Of Adam.
    compile_encoder : bool
        Whether to compile the convolutions, which pays for itself after some minutes on a GPU.

    """

    def __init__(self, model, target, learning_rate=5e-4, compile_encoder=False):
        super().__init__()
        self.model = model
        self.target = target
        self.learning_rate = learning_rate
        # Held in a tuple: a compiled copy must not become a sub-module with weights of its own.
        self._encode = (torch.compile(model.encode) if compile_encoder else model.encode,)

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        """Return the batch: the loaders make it where it is needed."""
        return batch

    def configure_optimizers(self):
        """Make Adam."""
        return torch.optim.Adam(self.model.parameters(), self.learning_rate)

    def draw(self, scenes, encode):
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
            return self.model.draw(features.float(), metadata)

    def loss(self, scenes, encode):
        """Return the mean absolute error of eq. 10."""
        with torch.no_grad():
            target = target_maps(self.target, self.model.config.grid_size,
                                 scenes.mic_positions, scenes.source_position, scenes.room_dims)
        return (self.draw(scenes, encode) - target).abs().mean()

    def training_step(self, scenes, _):
        """Learn from one batch."""
        loss = self.loss(scenes, self._encode[0])
        self.log('train_loss', loss, on_step=False, on_epoch=True, prog_bar=True,
                 batch_size=len(scenes))
        return loss

    def validation_step(self, scenes, index):
        """Measure the loss, and on the first batches the mean error in metres."""
        first = scenes.with_microphones(slice(self.model.config.n_channels))
        self.log('val_loss', self.loss(first, self.model.encode), prog_bar=True, sync_dist=True,
                 batch_size=len(scenes))
        if index < LOCATED_BATCHES:
            seen = first if self.model.config.n_channels > 2 else scenes
            self.log('val_error', position_errors(self.model, seen).mean(), prog_bar=True,
                     sync_dist=True, batch_size=len(scenes))


@torch.no_grad()
def position_errors(model, scenes):
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
    maps = locate_maps(model, scenes.signals, scenes.mic_positions, scenes.room_dims)
    best = maps.flatten(1).argmax(dim=1)
    cell = torch.stack([best % side, best // side], dim=1)  # x, y
    position = (cell + 0.5) / side * scenes.room_dims[:, :2]
    return torch.linalg.vector_norm(position - scenes.source_position[:, :2], dim=1)
