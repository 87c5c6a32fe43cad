"""What `spanmeter doctor` looks at: whether every call will be metered, where records go, and
whether they arrive. One file for each thing that is looked at."""
