"""The calculations as tools of the Model Context Protocol: the same paths, checks and answers as HTTP.

`tools` says what there is and needs no more than the project; `server` needs the `mcp` package.
"""
