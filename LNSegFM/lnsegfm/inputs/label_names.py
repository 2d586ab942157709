"""Which names of segments mean lymph nodes, which say nothing, and which mean something else."""

from __future__ import annotations

import re
from typing import Literal

Meaning = Literal["lymph node", "unnamed", "other"]

LYMPH_NODE_CODES = frozenset({"59441001", "T-C4000"})
"""Lymph node in SNOMED CT and in SNOMED-RT, as DICOM and Slicer's terminologies have it."""

# "Lymph", "linfonodo" (Italian, Portuguese), "linfático" (Spanish); GTVn, GTVnd, GTV_N_left, GTV-nodes, but not GTVnx
# and GTVnp, the primary tumour of the nasopharynx.
_LYMPH = re.compile(r"lymph|linfo?n[oó]d|ganglio linf")
_GTV = re.compile(r"(?:^|[^a-z])i?gtv[ _\-.]?n(?:$|[^a-z]|d|od)")
_TOKENS = {"ln", "lns", "lnd", "node", "nodes", "nodal"}
# What has one of these words and means something else: vessels, conduction system, planning volumes of whole levels.
_NOT = {
    "no", "non", "not", "without", "background", "vessel", "vessels", "duct", "lymphocele", "level", "levels", "ctv",
    "ptv", "av", "sa", "sinus", "sinuatrial", "sinoatrial", "atrioventricular", "primary",
}  # fmt: skip
# TG-263 calls nodal levels LN_Neck_II: mostly healthy tissue.
_LEVEL = re.compile(r"\bln[ _\-.]+neck\b|\bln[ _\-.]+neck[ _\-.]")
# Names that programs give by themselves, and such as say only that there is something.
_UNNAMED = re.compile(
    r"(?:new |untitled )?(?:seg|segment|segmentation|label|labels|mask|foreground|fg|roi|region|structure|object|"
    r"target|tissue|lesion|lesions|finding|value|class|unknown|untitled|tumou?r|tumou?rs|metastas[ie]s|mass|neoplasm|gtv)?"
    r"[ _\-.#]*\d*(?:[ _\-.]*\d+)*"
)


def meaning(name: str, code: str = "", code_meaning: str = "") -> Meaning:
    """Tell what a segment is.

    Args:
        name: What it is called.
        code: Value of the code of its type in a terminology, where it has one.
        code_meaning: The text of that code.
    """
    if code in LYMPH_NODE_CODES or _is_lymph_node(name) or _is_lymph_node(code_meaning):
        return "lymph node"
    if not _UNNAMED.fullmatch(name.strip().casefold()):
        return "other"
    return "unnamed" if _UNNAMED.fullmatch(code_meaning.strip().casefold()) else "other"


def meaning_of(name: str, entry: str) -> Meaning:
    """Tell what a segment is.

    Args:
        name: What it is called.
        entry: Slicer's terminology entry of the segment, ``context~category~type~modifier~...`` with codes as
            ``scheme^value^meaning``; may be empty.
    """
    kind = [*entry.split("~"), "", "", ""][2]
    _scheme, code, text = [*kind.split("^"), "", "", ""][:3]
    return meaning(name, code, text)


def _is_lymph_node(name: str) -> bool:
    text = name.strip().casefold()
    words = set(re.findall(r"[a-zà-ÿ]+", text))
    if words & _NOT or _LEVEL.search(text):
        return False
    return bool(_LYMPH.search(text) or _GTV.search(text) or words & _TOKENS)
