"""Comparisons with the real libraries; they need tests/oracles/requirements.txt and are not part of `make test`."""
