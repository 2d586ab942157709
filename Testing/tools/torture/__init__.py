"""Kills, full disks and damaged files, tried until the time is over: ``python -m torture``."""
