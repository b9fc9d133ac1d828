#!/bin/sh
# Certificates by which Dask's scheduler, its workers and the service know each other, made anew:
#     deploy/make-certificates.sh FOLDER [DAYS]
# The authority's own key is forgotten: to renew, make all of them again. Needs openssl.
set -eu

[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
folder=$1
days=${2:-365}
mkdir -p "$folder"
chmod 0700 "$folder"
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
curve="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"

# shellcheck disable=SC2086
openssl req -x509 $curve -days "$days" -subj "/CN=llm-estimate Dask authority" \
    -keyout "$kept/ca.key" -out "$folder/ca.pem" 2>"$kept/log" || { cat "$kept/log" >&2; exit 1; }
# shellcheck disable=SC2086
openssl req $curve -subj "/CN=llm-estimate Dask" -keyout "$folder/key.pem" -out "$kept/request" 2>"$kept/log" ||
    { cat "$kept/log" >&2; exit 1; }
openssl x509 -req -in "$kept/request" -CA "$folder/ca.pem" -CAkey "$kept/ca.key" -CAcreateserial \
    -CAserial "$kept/serial" -days "$days" -out "$folder/cert.pem" 2>"$kept/log" || { cat "$kept/log" >&2; exit 1; }
chmod 0600 "$folder/key.pem"
echo "$folder: ca.pem, cert.pem, key.pem, for $days days"
