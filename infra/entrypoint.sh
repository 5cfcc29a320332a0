#!/bin/sh
# Entry point of the image. Each secret file that is called like a setting becomes that setting, for this process
# and its children: `docker inspect` and the compose file show no secret.
set -eu
for file in "${SECRETS:-/run/secrets}"/INDELIBLE_* "${SECRETS:-/run/secrets}"/PREFECT_*; do
    [ -f "$file" ] || continue
    value=$(cat "$file")
    export "${file##*/}=$value"
done
exec "$@"
