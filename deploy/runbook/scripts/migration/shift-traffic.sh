#!/bin/sh
# shift-traffic.sh SERVICE WEIGHT [ENV]: sends WEIGHT percent of the readers to the service.
# Asks first. ENV: the directory environments/ENV has the plan and the state.
set -eu
service=${1:?which SERVICE?} weight=${2:?which WEIGHT, 0 to 100?}
[ -z "${3:-}" ] || cd "environments/$3"
banyan why "$service" || true
printf 'Shift %s %% of the readers of %s? (y/N) ' "$weight" "$service"
read -r confirm
[ "$confirm" = y ] || { echo Aborted.; exit 2; }
banyan shift "$service" --reads "$weight%"
