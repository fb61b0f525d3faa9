#!/bin/sh
# pre-migration-checklist.sh SERVICE [ENV]: what must be so before it begins; 1 or 2 where something is not.
set -eu
service=${1:?which SERVICE?}
[ -z "${2:-}" ] || cd "environments/$2"
banyan check
banyan checklist "$service" pre-migration --run
