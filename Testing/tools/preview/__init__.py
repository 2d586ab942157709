"""Both modules in the Slicer stand-in, beside slice and 3D views: ``make preview`` and ``make screenshots``."""
