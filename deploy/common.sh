# Read by start.sh, dev.sh and stop.sh: which Python, and where the running service's pid and log are.
# shellcheck shell=sh disable=SC2034

python=${PYTHON:-.venv/bin/python}
command -v "$python" >/dev/null || python=python3
"$python" -c 'import flask, gunicorn' 2>/dev/null || {
    echo "The service's packages are missing: run make serve once, or pip install -e ." >&2
    exit 1
}

data=${LLM_ESTIMATE_DATA:-data}
pid_file=$data/llm-estimate.pid
log_file=$data/llm-estimate.log

check_settings() { # says in one line what is wrong with them, or that the port is taken
    "$python" - <<'PYTHON'
import socket
import sys

from app.settings import read_settings

try:
    settings = read_settings()
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))
except ValueError as error:
    sys.exit(f"Settings: {error}")
except OSError as error:
    sys.exit(f"Port {settings.port} of {settings.host}: {error.strerror}")
PYTHON
}

running() { # whether the pid in the file is that of a gunicorn
    [ -s "$pid_file" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$pid_file")/cmdline" | grep -q gunicorn
}
