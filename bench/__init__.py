"""Processor time of the service's paths, each beside a bare Flask echo in the same run: `make bench`."""
