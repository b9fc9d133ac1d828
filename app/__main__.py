"""`python -m llm_estimate` serves, as `python server.py` does in a checkout."""

from .api.application import create_app
from .serve import serve
from .settings import read_settings

if __name__ == "__main__":
    settings = read_settings()
    serve(create_app(settings), settings)
