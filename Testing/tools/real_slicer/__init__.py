"""Runs the self-tests and a clinician's day in a real Slicer: ``make slicer-test SLICER=/path/to/Slicer``.

The package itself needs nothing but Python's standard library. What is in `inside` runs in Slicer's Python.
"""
