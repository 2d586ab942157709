"""What is segmented and how; the client of the worker process."""
