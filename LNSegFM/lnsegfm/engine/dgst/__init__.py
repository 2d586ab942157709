"""Dynamic Gradient Sparsification Training and the methods it is compared with."""
