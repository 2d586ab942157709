"""nnU-Net plans and dataset descriptions from strangers, refused in words where the schemas refuse them."""

from __future__ import annotations

from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.schema import SchemaError
from lnsegfm.models.descriptions.dataset_schema import read_dataset
from lnsegfm.models.descriptions.plans_schema import read_plans


def check_plans(plans: Any, configuration: str, dataset: Any) -> dict[str, Any]:
    """Refuse plans that LN-Seg-FM cannot or must not run, and return the resolved configuration.

    Args:
        plans: Content of ``plans.json``.
        configuration: nnU-Net configuration name.
        dataset: Content of ``dataset.json``.

    Raises:
        UserError: Wrong structure, a name outside the allow-lists, impossible values, a 2D or cascaded configuration,
            several input channels or several foreground classes; the message names file and field.
    """
    try:
        resolved = read_plans(plans, configuration).resolved
    except SchemaError as error:
        raise _refused("plans.json", error) from error
    try:
        read_dataset(dataset)
    except SchemaError as error:
        raise _refused("dataset.json", error) from error
    return resolved


def architecture_name(resolved: dict[str, Any]) -> str:
    """Return the network class without its module."""
    if "architecture" in resolved:
        return str(resolved["architecture"]["network_class_name"]).rpartition(".")[2]
    return str(resolved["UNet_class_name"])


def _refused(file: str, error: SchemaError) -> UserError:
    return UserError(
        "The model was refused.", f"{file}: {error}.", "Nothing was installed. Use an nnU-Net v2 lymph node model."
    )
