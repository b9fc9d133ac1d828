#!/bin/sh
# Passwords and tokens of this place alone, for docker-compose.yml: deploy/make-secrets.sh [FOLDER]
# Files that are there stay as they are. The folder is for its owner only; the files can be read by whatever
# account a container runs as.
set -eu

folder=${1:-$(dirname "$0")/secrets}

secret() { # name, text
    if [ -e "$folder/$1" ]; then
        echo "$1: kept"
    else
        printf '%s' "$2" >"$folder/$1"
        chmod 0444 "$folder/$1"
        echo "$1: made"
    fi
}

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

mkdir -p "$folder"
chmod 0700 "$folder"
secret token "$(random)"
secret postgres_password "$(random)"
secret redis_password "$(random)"
secret database_url "postgresql://llm_estimate:$(cat "$folder/postgres_password")@postgres/llm_estimate"
secret redis_url "redis://:$(cat "$folder/redis_password")@redis:6379/0"
