#!/bin/sh
# validate_data_integrity.sh SERVICE...: compares both sides of each row by row; 1 where one differs.
set -eu
code=0
[ $# -gt 0 ] || { echo 'which SERVICE...?' >&2; exit 2; }
for service; do
    banyan verify "$service" || code=1
done
exit $code
