#!/bin/sh
# validate-service.sh SERVICE [NAMESPACE] [ENV]: whether the service can take traffic; 1 where it cannot.
# Pods and secrets are the cluster's to tell: the namespace is not used.
set -eu
service=${1:?which SERVICE?}
[ -z "${3:-}" ] || cd "environments/$3"
banyan status --check "$service"
