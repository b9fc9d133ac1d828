#!/bin/sh
# Starts the service under gunicorn, in the background: checks the settings, writes its pid and its log into
# the data folder, and returns once it answers. With --foreground it stays, for whatever supervises it.
set -eu
cd "$(dirname "$0")"
. deploy/common.sh

if running; then
    echo "It runs already, as $(cat "$pid_file"): ./stop.sh ends it." >&2
    exit 1
fi
check_settings
mkdir -p "$data"
rm -f "$pid_file"

if [ "${1:-}" = --foreground ]; then
    exec "$python" -m gunicorn --pid "$pid_file" server:app
fi

nohup "$python" -m gunicorn --pid "$pid_file" server:app </dev/null >>"$log_file" 2>&1 &
server=$!

"$python" - "$server" <<'PYTHON' || { tail -n 20 "$log_file" >&2; exit 1; }
import os
import sys
import time
import urllib.error
import urllib.request

from app.settings import read_settings

server, settings = int(sys.argv[1]), read_settings()
host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)
url = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
for _ in range(600):
    try:
        os.kill(server, 0)
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5):
            sys.exit(print(f"It answers at {url}/, as {server}."))
    except urllib.error.HTTPError as error:
        trouble = error.read().decode(errors="replace")
    except ProcessLookupError:
        sys.exit("It ended at its start.")
    except OSError as error:
        trouble = str(error)
    time.sleep(0.1)
sys.exit(f"It does not answer at {url}/: {trouble}")
PYTHON
