"""The WSGI application `app`, for any WSGI server; `python server.py` serves it through gunicorn."""

from app.api.application import create_app
from app.serve import serve
from app.settings import read_settings

settings = read_settings()
app = create_app(settings)

if __name__ == "__main__":
    serve(app, settings)
