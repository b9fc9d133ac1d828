"""Options that `gunicorn server:app` finds by itself: the same as `python server.py` uses."""

from app.serve import gunicorn_options
from app.settings import read_settings

globals().update(gunicorn_options(read_settings()))
