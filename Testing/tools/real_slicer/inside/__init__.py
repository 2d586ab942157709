"""What runs in Slicer's Python: it may use slicer, qt, vtk, numpy and the modules of the extension, nothing else."""
