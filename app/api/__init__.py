"""The HTTP face: blueprints and schemas, the only part that knows HTTP.

`application.create_app` builds the WSGI application; `schemas` say what a request may hold and need
neither Flask nor a server, so that other faces check their input with the same ones.
"""
