"""Image files: their formats, headers and names, and writing them."""
