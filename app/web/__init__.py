"""The page for people at `/`: a shell rendered here, ES modules that ask the public API for the rest.

`page` renders the shell with a first answer in it, `files` serves scripts, styles and catalogues under an
address that changes with their content, `first` answers the query of a link before any script runs.
Nothing here calculates, and nothing the page shows comes from anywhere but the API's own answers.
"""

from .page import blueprint

__all__ = ["blueprint"]
