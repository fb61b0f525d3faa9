#!/bin/sh
# roll_back.sh SERVICE: back to the monolith, with all that was written since. Asks first.
# For restore_database_backup.sh and update_dns_to_monolith.sh: nothing is restored, and no name
# changes, since the gateway stays in front.
set -eu
banyan rollback "${1:?which SERVICE?}"
