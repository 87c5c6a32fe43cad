"""The commands that run where the application does, one file each. The command line finds them by
the entry points of the group `spanmeter.commands`, and prints the `Answer` that they return."""
