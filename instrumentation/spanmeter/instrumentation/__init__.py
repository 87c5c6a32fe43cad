"""What runs inside the metered app: usage context, client patches, lossless export."""
