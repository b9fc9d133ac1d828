"""What the service keeps beyond one request, in SQLite by default or in PostgreSQL by URL.

`Store` opens nothing and imports no database library until something is read or written.
"""

from .store import Store

__all__ = ["Store"]
