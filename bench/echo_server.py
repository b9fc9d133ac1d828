"""The bare echo under the very gunicorn that serves the real application."""

from app.serve import serve
from app.settings import read_settings

from .inside import echo

if __name__ == "__main__":
    serve(echo(), read_settings())
