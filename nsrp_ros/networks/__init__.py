"""The networks as they are trained, in torch, and the checkpoints that hold them."""
