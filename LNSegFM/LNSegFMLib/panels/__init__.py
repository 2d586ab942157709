"""Sections of the module's panel: widgets in, calls out; floor 4, as the module file itself."""
