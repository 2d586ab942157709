"""nnU-Net networks, plans and checkpoints from strangers."""
