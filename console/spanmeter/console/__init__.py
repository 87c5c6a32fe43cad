"""What people use: the command line, reports, pages and exports."""
