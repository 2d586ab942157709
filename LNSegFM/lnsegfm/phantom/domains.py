"""The domains of the phantom: what a scanner, a protocol and a disease make of an anatomy."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Domain:
    """How the cases of one hospital look. A ``Range`` is drawn from uniformly, once a case or once a structure.

    Args:
        description: What the domain stands for, in words.
        region: The anatomy, "neck" or "chest".
        vessel_hu: Blood in veins and arteries.
        node_hu: Lymph nodes.
        muscle_hu: Muscle.
        gland_hu: Salivary glands.
        thyroid_hu: The thyroid gland.
        fat_hu: Fat.
        noise_hu: Standard deviation of the noise.
        noise_grain_mm: Correlation length of the noise.
        edge_mm: Blur of edges by the reconstruction kernel.
        scale: Size of the patient.
        node_count: Smallest and greatest number of separate lymph nodes or clusters.
        node_mm: Smallest diameter of a lymph node.
        confluent: Share of lymph nodes that others have grown together with.
        necrotic: Share of lymph nodes over 11 mm with a dark centre.
        couch: Share of cases that show the couch.
    """

    description: str
    region: str
    vessel_hu: Range
    node_hu: Range
    muscle_hu: Range
    gland_hu: Range
    thyroid_hu: Range
    fat_hu: Range
    noise_hu: Range
    noise_grain_mm: Range
    edge_mm: Range
    scale: Range
    node_count: tuple[int, int]
    node_mm: Range
    confluent: float
    necrotic: float
    couch: float


CATALOGUE: dict[str, Domain] = {
    "source": Domain(
        description="Neck CT with intravenous contrast: bright vessels, slightly enhancing nodes, little noise.",
        region="neck",
        vessel_hu=(155.0, 220.0),
        node_hu=(75.0, 100.0),
        muscle_hu=(52.0, 62.0),
        gland_hu=(20.0, 45.0),
        thyroid_hu=(120.0, 160.0),
        fat_hu=(-112.0, -98.0),
        noise_hu=(9.0, 14.0),
        noise_grain_mm=(0.8, 1.2),
        edge_mm=(0.9, 1.2),
        scale=(0.95, 1.05),
        node_count=(3, 8),
        node_mm=(5.0, 14.0),
        confluent=0.0,
        necrotic=0.0,
        couch=0.3,
    ),
    "hospital": Domain(
        description=(
            "Neck CT of another hospital: no contrast, vessels close to muscle, nodes a little darker, more, coarser "
            "noise, another reconstruction kernel, other patient sizes, larger nodes, some confluent or necrotic."
        ),
        region="neck",
        vessel_hu=(38.0, 52.0),
        node_hu=(22.0, 36.0),
        muscle_hu=(52.0, 62.0),
        gland_hu=(5.0, 30.0),
        thyroid_hu=(90.0, 115.0),
        fat_hu=(-110.0, -92.0),
        noise_hu=(18.0, 26.0),
        noise_grain_mm=(1.4, 2.2),
        edge_mm=(1.5, 2.1),
        scale=(0.92, 1.12),
        node_count=(2, 6),
        node_mm=(7.0, 15.0),
        confluent=0.45,
        necrotic=0.4,
        couch=0.8,
    ),
    "mediastinum": Domain(
        description="Chest CT with contrast around the windpipe: lungs, heart, vessels, nodes in the fat between.",
        region="chest",
        vessel_hu=(140.0, 200.0),
        node_hu=(50.0, 80.0),
        muscle_hu=(50.0, 60.0),
        gland_hu=(20.0, 40.0),
        thyroid_hu=(110.0, 150.0),
        fat_hu=(-112.0, -96.0),
        noise_hu=(12.0, 18.0),
        noise_grain_mm=(0.9, 1.4),
        edge_mm=(1.0, 1.5),
        scale=(0.94, 1.06),
        node_count=(3, 8),
        node_mm=(5.0, 14.0),
        confluent=0.15,
        necrotic=0.1,
        couch=0.3,
    ),
}

DOMAINS: dict[str, str] = {name: domain.description for name, domain in CATALOGUE.items()}
