"""The main job on phantoms, without Slicer: ``make demo``."""
