"""``python -m bench``: print every measurement as Markdown tables; ``--write PAGE`` puts them into a page."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import torch

from bench.page import Copy, put_between
from bench.parts import PARTS
from bench.targets import Targets

_PACKAGES = ("torch", "openvino", "nnunetv2", "numpy")


def main() -> int:
    """Run all benchmarks of one device, or those that are named; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--parts", default="", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page with the markers bench:cpu and bench:cuda")
    options = parser.parse_args()
    device = torch.device(options.device)
    names = [name for name in options.parts.split(",") if name] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; known are {', '.join(PARTS)}")
    failed, targets = 0, Targets()
    with Copy() as copy:
        print(f"{_computer(device)}.\n")
        for name in names:
            if PARTS[name].on in ("", device.type):
                failed += not _run(name, device, targets)
        targets.print_table()
    if options.write and not failed:
        put_between(options.write, device.type, copy.text)
    return failed


def _run(name: str, device: torch.device, targets: Targets) -> bool:
    started = time.monotonic()
    try:
        PARTS[name].run(device, targets)
    except Exception:  # the other parts are still worth their time
        traceback.print_exc()
        return False
    finally:
        print(f"{name}: {(time.monotonic() - started) / 60:.1f} minutes", file=sys.stderr, flush=True)
    return True


def _computer(device: torch.device) -> str:
    versions = []
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{_cpu_name()}, {torch.get_num_threads()} threads"
    return f"{name}; {', '.join(versions)}, Python {platform.python_version()}"


def _cpu_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                flags = [flag for flag in ("AMX", "AVX-512 BF16") if _has(flag)]
                return f"{line.partition(':')[2].strip()} with {' and '.join(flags) or 'neither AMX nor AVX-512 BF16'}"
    return platform.processor() or platform.machine()


def _has(flag: str) -> bool:
    name = {"AMX": "_is_amx_tile_supported", "AVX-512 BF16": "_is_avx512_bf16_supported"}[flag]
    return bool(getattr(torch.cpu, name, bool)())


if __name__ == "__main__":
    sys.exit(main())
