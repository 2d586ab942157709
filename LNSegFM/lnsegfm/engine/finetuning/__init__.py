"""The training of a job."""
