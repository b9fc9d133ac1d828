#!/bin/sh
# Serves this checkout to its developer: on loopback only, and again after every change of the code.
set -eu
cd "$(dirname "$0")"
. deploy/common.sh

export HOST=127.0.0.1
check_settings
exec "$python" -m flask --app server run --host "$HOST" --port "${PORT:-5000}" --reload --no-debugger
