#!/bin/sh
# roll_back.sh SERVICE: back to the monolith, with all that was written since. Before the switch that
# is its readers, at once; after it the data, which asks first.
# For restore_database_backup.sh and update_dns_to_monolith.sh: nothing is restored, and no name
# changes, since the gateway stays in front.
set -eu
service=${1:?which SERVICE?}
status=$(banyan status "$service" --json)
owner=$(printf '%s\n' "$status" | sed -n 's/^ *"owner": "\([a-z]*\)",*$/\1/p' | head -n 1)
case $owner in
monolith | both) banyan withdraw "$service" ;;
service) banyan rollback "$service" ;;
*)
    echo "who owns $service is not known now: see \`banyan status $service\`" >&2
    exit 1
    ;;
esac
