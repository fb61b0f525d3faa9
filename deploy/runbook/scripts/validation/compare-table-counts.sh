#!/bin/sh
# compare-table-counts.sh SERVICE [ENV]: compares both sides row by row, not by counts: two tables
# with as many rows may differ in each of them.
set -eu
service=${1:?which SERVICE?}
[ -z "${2:-}" ] || cd "environments/$2"
banyan verify "$service"
