"""Which names of segments mean lymph nodes, which say nothing, and which mean something else."""

from __future__ import annotations

import re
from typing import Literal

Meaning = Literal["lymph node", "unnamed", "unclear", "other"]

LYMPH_NODE_CODES = frozenset({"59441001", "T-C4000"})
"""Lymph node in SNOMED CT and in SNOMED-RT, as DICOM and Slicer's terminologies have it."""

IMPLAUSIBLE = "implausible"
"""In the names of the segments that Slicer keeps apart, such as "Implausible 3"."""

# "Lymph", "linfonodo" (Italian, Portuguese), "linfático" (Spanish); GTVn, GTVnd, GTV_N_left, GTV-nodes, but not GTVnx
# and GTVnp, the primary tumour of the nasopharynx.
_LYMPH = re.compile(r"lymph|linfo?n[oó]d|ganglio linf|adenopath")
# What begins like it and is something else.
_NO_LYMPH = re.compile(r"lymphangi|lymph(?:o|oe)?edema|lymphoid|lymphocel|lymphocy")
_GTV = re.compile(r"(?:^|[^a-z])i?gtv[ _\-.]?n(?:$|[^a-z]|d|od)")
_TOKENS = {"ln", "lns", "lnd", "node", "nodes", "nodal"}
# What has one of these words and means something else: vessels, conduction system, planning volumes of whole levels.
_NOT = {
    "no", "non", "not", "without", "background", "vessel", "vessels", "duct", "ctv", "ptv", "av", "sa", "sinus",
    "sinuatrial", "sinoatrial", "atrioventricular", "primary", "heberden", "lobe", "tonsil", "bed",
}  # fmt: skip
# Words by which a name denies, whatever the segment's code is.
_DENIED = {
    "fp", "false", "exclude", "excluded", "excluding", "ignore", "ignored", "resected", "removed", "deleted",
    "rejected", "artifact", "artefact", IMPLAUSIBLE,
}  # fmt: skip
# What is certainly no lymph node, although the segment may have kept the code of one when it was renamed.
_ELSE = re.compile(
    r"\bven(?:a|e|ous)\b|vein|vessel|arter|aort|jugular|carot|gland|parot|thyr|tonsil|muscle|muscul|\bbone|vertebra|"
    r"heart|\blung|liver|spleen|kidney|trachea|esophag|\bbrain|nerve|\bcyst|cartilage|larynx|pharynx|thymus|"
    r"gtv[ _\-.]?p"
)
# What may mean either: a level is mostly healthy tissue, a lymphoma may lie in lymph nodes or elsewhere.
_UNCLEAR = {"level", "levels", "lymphoma", "near", "beside", "negative"}
# "Lymph node No. 2" denies nothing.
_NUMBER = re.compile(r"\bno[.:]?\s*(?=\d)")
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
    by_name, by_code = _lymph_node(name), _lymph_node(code_meaning)
    if by_name in ("unclear", "other"):
        return by_name  # also against a code, which a renamed segment keeps
    if by_name is None and _ELSE.search(name.casefold()):
        return "other"
    if "lymph node" in (by_name, by_code) or code in LYMPH_NODE_CODES:
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


def _lymph_node(name: str) -> Meaning | None:
    """Tell what a name says of lymph nodes; None where it does not speak of them."""
    # "LymphNodeExcluded" has words, too.
    text = _NUMBER.sub("", re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name.strip()).casefold())
    words = set(re.findall(r"[a-zà-ÿ]+", text))
    if words & _DENIED:
        return "other"
    if not (_LYMPH.search(text) or _GTV.search(text) or words & _TOKENS):
        return None
    if words & _NOT or _NO_LYMPH.search(text) or _LEVEL.search(text):
        return "other"
    return "unclear" if words & _UNCLEAR else "lymph node"
