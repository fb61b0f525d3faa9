#!/bin/sh
# health_check_all_services.sh: whether anything is not well with any extraction; 1 where it is.
set -eu
banyan status --check
