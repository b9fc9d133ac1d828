"""Comparisons with the real libraries: they need requirements.txt; `make test` leaves them out."""
