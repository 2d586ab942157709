"""``python -m bench``: print every measurement as a Markdown table."""

from __future__ import annotations

import argparse
import platform

import torch

from bench import iterations, resampling, responsiveness, sessions, steps
from bench.network import PATCH


def main() -> None:
    """Run all benchmarks on one device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--patch", type=int, nargs=3, help="patch of the 31 M network (default: by device)")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"Device: {name}; PyTorch {torch.__version__}, Python {platform.python_version()}\n")
    # The paper's patch needs some 8 GB with AMP on a GPU; on a CPU one iteration of it would take minutes.
    patch = tuple(options.patch or (PATCH if device.type == "cuda" else (32, 64, 96)))
    iterations.print_table(device, patch, options.repeats)
    steps.print_table(device, options.repeats)
    resampling.print_table(options.repeats)
    sessions.print_table()
    responsiveness.print_table()


if __name__ == "__main__":
    main()
