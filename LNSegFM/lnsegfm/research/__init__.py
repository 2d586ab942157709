"""The paper's experiment, for researchers; not shipped into Slicer."""
