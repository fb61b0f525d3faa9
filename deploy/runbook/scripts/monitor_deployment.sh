#!/bin/sh
# monitor_deployment.sh: what goes on, until Ctrl-C.
set -eu
banyan watch
