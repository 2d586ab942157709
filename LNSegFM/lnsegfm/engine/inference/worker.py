"""The segmentation worker: a process that keeps a model on the device, see `lnsegfm.base.serving.process_server`."""

from __future__ import annotations

from lnsegfm.base.serving.process_server import FindOperation, Operation, serve


def _operations() -> FindOperation:
    # Imported late: torch takes seconds, in which a closed pipe must already end the process.
    from lnsegfm.engine.inference.operations import Operations

    operations = Operations()
    known: dict[str, Operation] = {
        "segment": operations.segment, "install": operations.install, "devices": operations.devices,
        "warm_up": operations.warm_up,
    }
    return known.get


def main() -> None:
    """Entry point of ``python -m lnsegfm.engine.inference.worker``."""
    serve(_operations)


if __name__ == "__main__":
    main()
