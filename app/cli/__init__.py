"""The command line: the interface's answers as tables, JSON or CSV, without a server or against one.

Importing this costs nothing; `main` imports what a command needs when it is run.
"""
