#!/bin/sh
# Ends the service that start.sh started, gracefully: requests that have come are answered.
# ./stop.sh [SECONDS] waits so long [30].
set -eu
cd "$(dirname "$0")"
. deploy/common.sh

if ! running; then
    echo "It does not run."
    rm -f "$pid_file"
    exit 0
fi
server=$(cat "$pid_file")
kill -TERM "$server"
tenths=$((${1:-30} * 10))
while running; do
    if [ "$tenths" -le 0 ]; then
        echo "It still runs, as $server." >&2
        exit 1
    fi
    tenths=$((tenths - 1))
    sleep 0.1
done
echo "It has ended."
