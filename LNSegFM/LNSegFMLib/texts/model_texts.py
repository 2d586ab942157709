"""What is said of a model in the manager of models."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from lnsegfm.models.ancestry import parent_among, parent_id
from lnsegfm.models.damaged import Damaged
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_tree import dice_change

_SHOWN_DIGITS = 12


def published_words(entry: Mapping[str, Any], recorded: Mapping[str, str]) -> tuple[str, str]:
    """Return a paragraph about an entry of the catalogue, and the full hashes for its tooltip.

    Args:
        entry: Of ``Models.json``.
        recorded: SHA-256 by file, recorded at the first download.
    """
    parts = [entry["architecture"]]
    if entry["internal_dice"] is not None:
        parts.append(_("DSC {score} in the authors' validation").format(score=f"{entry['internal_dice']:.4f}"))
    if entry["training_vram_gb"] is not None:
        parts.append(_("adapts with {memory} GB of GPU memory").format(memory=f"{entry['training_vram_gb']:.1f}"))
    patch = " × ".join(str(length) for length in entry["patch_size"])
    parts.append(_("patch {patch} voxels").format(patch=patch))
    text = ", ".join(parts) + "."
    if not entry["supported"]:
        text += " " + _("It cannot be installed.")
    if entry.get("note"):
        text += f" {entry['note']}"
    published = entry.get("sha256", {})
    hashes = published or recorded
    if hashes:
        origin = _("published") if published else _("recorded at the first download, since none is published")
        text += " " + _("SHA-256 {hash}..., {origin}.").format(hash=_short(next(iter(hashes.values()))), origin=origin)
    elif entry["supported"]:
        text += " " + _("No SHA-256 is published; it is recorded at the first download.")
    return text, "\n".join(f"{file}: {digest}" for file, digest in hashes.items())


def listed_name(model: ModelInfo, default: str, rejected: Collection[str]) -> str:
    """Return a model's name as lists show it, with a mark on the default and on rejected ones.

    Args:
        model: The model.
        default: Id of the one that was accepted last.
        rejected: Ids of those that were rejected.
    """
    if model.id in rejected:
        return _("{name} (rejected)").format(name=model.name)
    return _("{name} (default)").format(name=model.name) if model.id == default else model.name


def rejected_question(name: str) -> str:
    """Ask before a model is used that the user has rejected."""
    return _("'{name}' was rejected after its evaluation. Use it anyway?").format(name=name)


def parent_words(model: ModelInfo, models: Sequence[ModelInfo]) -> str:
    """Name the model that one was adapted from; empty where it is not known.

    Args:
        model: The model.
        models: The installed models.
    """
    parent = parent_among(models, model.card, model.id)
    if parent is not None:
        return parent.name
    gone = parent_id(models, model.card, model.id)
    if gone:
        return _("{model} (not installed)").format(model=gone)
    return _("a model that is not installed") if model.card.parent_sha256 else ""


def damaged_name(damaged: Damaged) -> str:
    """Return how lists show what is damaged."""
    return _("{name} (damaged)").format(name=damaged.id)


def damaged_words(damaged: Damaged) -> str:
    """Say what is wrong, for the line below a list."""
    return _("{name} is damaged and cannot be used, only removed. {reason}").format(name=damaged.id, reason=damaged.why)


def damaged_question(damaged: Damaged) -> str:
    """Ask before what is damaged goes."""
    return _("Delete {name} from this computer? It is damaged. This cannot be undone.").format(name=damaged.id)


def installed_words(model: ModelInfo, is_rejected: bool = False, parent: str = "") -> tuple[str, str]:
    """Return a paragraph about an installed model, and its full SHA-256 for its tooltip.

    Args:
        model: The model.
        is_rejected: Whether it was rejected.
        parent: See `parent_words`.
    """
    kinds = {"foundation": _("Foundation model"), "adapted": _("Adapted model"), "demonstration": _("Demonstration")}
    card = model.card
    parts = [kinds[card.kind], card.architecture]
    if parent:
        parts.append(_("adapted from {parent}").format(parent=parent))
    if isinstance(card.lineage.get("method"), str):
        parts.append(_("method {method}").format(method=card.lineage["method"]))
    change = dice_change(model)
    if change is not None:
        parts.append(_("DSC {before} → {after} on its hold-out cases").format(
            before=f"{change[0]:.3f}", after=f"{change[1]:.3f}"
        ))  # fmt: skip
    if not card.stock:
        parts.append(_("with adapters that stock nnU-Net cannot load"))
    if is_rejected:
        parts.append(_("rejected"))
    text = ", ".join(parts) + f". Id {model.id}, SHA-256 {_short(model.sha256)}..."
    return text, f"SHA-256 {model.sha256}"


def _short(digest: str) -> str:
    return digest[:_SHOWN_DIGITS]
