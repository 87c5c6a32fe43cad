"""The client libraries' older majors, each in an environment of its own: `make test-matrix`."""
