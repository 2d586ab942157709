"""The network of an nnU-Net model, built from its plans alone."""

from __future__ import annotations

import copy
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lnsegfm.base.errors import UserError
from lnsegfm.engine.networks.adapters import fit_adapters
from lnsegfm.engine.networks.nnunet_plans import architecture_name, check_plans
from lnsegfm.models.descriptions.network_schema import NETWORK_MODULE

_SHOWN = 4
# Ten times the largest nnU-Net that is published.
MOST_PARAMETERS = 1 << 30


def build_network(
    plans: dict[str, Any], configuration: str, dataset: dict[str, Any], *, deep_supervision: bool
) -> torch.nn.Module:
    """Build the plans' network with random weights. The plans are checked first.

    Raises:
        UserError: See `lnsegfm.engine.networks.nnunet_plans.check_plans`; also when the plans' arguments do not fit the
            network.
    """
    resolved = check_plans(plans, configuration, dataset)
    # PlansManager hands out, and some versions of it edit, the dictionary it was given.
    manager = PlansManager(copy.deepcopy(plans))
    try:
        settings = manager.get_configuration(configuration)
        return get_network_from_plans(
            # Of old plans nnU-Net makes a class name that no longer exists, and searching for it imports timm.
            f"{NETWORK_MODULE}.{architecture_name(resolved)}",
            settings.network_arch_init_kwargs,
            settings.network_arch_init_kwargs_req_import,
            determine_num_input_channels(manager, settings, dataset),
            manager.get_label_manager(dataset).num_segmentation_heads,
            allow_init=False,
            deep_supervision=deep_supervision,
        )
    except (TypeError, KeyError, ValueError, AssertionError, RuntimeError, AttributeError) as error:
        raise UserError(
            "The network cannot be built from plans.json.", f"{type(error).__name__}: {error}.",
            "Check that plans.json belongs to this checkpoint.",
        ) from error


def outlined_network(plans: dict[str, Any], configuration: str, dataset: dict[str, Any]) -> torch.nn.Module:
    """Build the plans' network without data (device ``meta``), with its heads for deep supervision.

    Raises:
        UserError: See `build_network`; or the network has more than `MOST_PARAMETERS`.
    """
    with torch.device("meta"):
        network = build_network(plans, configuration, dataset, deep_supervision=True)
    count = sum(parameter.numel() for parameter in network.parameters())
    if count > MOST_PARAMETERS:
        raise UserError(
            "The model was refused.",
            f"plans.json: 'configurations.{configuration}' describes a network of {count} parameters; at most "
            f"{MOST_PARAMETERS} are accepted.",
            "Nothing was installed. Use an nnU-Net v2 lymph node model.",
        )
    return network


def check_weights(
    weights: dict[str, torch.Tensor], plans: dict[str, Any], configuration: str, dataset: dict[str, Any], name: str
) -> None:
    """Compare weights with the network of the plans, without allocating that network.

    Args:
        weights: State dict, or its outlines (device ``meta``).
        plans: Content of ``plans.json``.
        configuration: nnU-Net configuration name.
        dataset: Content of ``dataset.json``.
        name: The checkpoint's file name, for messages.

    Raises:
        UserError: Tensors are missing, superfluous or of another shape; the message names them and the shapes.
    """
    network = outlined_network(plans, configuration, dataset)
    with torch.device("meta"):
        fit_adapters(network, weights)
    expected = network.state_dict()
    problems = [f"'{key}' is missing (expected shape {_shape(value)})" for key, value in expected.items()
                if key not in weights]
    problems += [f"'{key[:200]}' is not part of the network" for key in weights if key not in expected]
    problems += [
        f"'{key}' has shape {_shape(weights[key])}, expected {_shape(value)}"
        for key, value in expected.items()
        if key in weights and weights[key].shape != value.shape
    ]
    problems += [
        f"'{key}' holds {weights[key].dtype}, expected {value.dtype}"
        for key, value in expected.items()
        if key in weights and weights[key].is_floating_point() != value.is_floating_point()
    ]
    if problems:
        shown = "; ".join(problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UserError(
            f"The weights in {name} do not fit the network of plans.json.", f"{shown}{more}.",
            "Check that checkpoint and plans come from the same training.",
        )


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "scalar"
