#!/bin/sh
# migrate_data.sh SERVICE: copies its tables and follows them from then on.
# For migrate_user_data.sh, migrate_service_data.sh, migrate_job_data.sh, migrate_file_data.sh.
set -eu
banyan start "${1:?which SERVICE?}"
