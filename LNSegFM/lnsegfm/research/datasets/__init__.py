"""Public lymph node datasets brought into nnU-Net's raw layout; no torch."""
