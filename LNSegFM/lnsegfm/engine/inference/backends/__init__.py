"""What runs a network: PyTorch, or OpenVINO on computers without CUDA."""
