"""`python -m llm_estimate`: the command line, of which `serve` is one command."""

from .cli.main import main

if __name__ == "__main__":
    main()
