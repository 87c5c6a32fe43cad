"""What is worth a message: rules, and detectors that judge usage by them. Pure: usage comes through `UsageHistory`."""
