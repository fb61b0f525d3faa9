#!/bin/sh
# configure_alerts.sh DIRECTORY: puts the alerts and recording rules where Prometheus reads them, and
# has them read again where PROMETHEUS_URL is set (it needs --web.enable-lifecycle).
set -eu
rules=$(cd "$(dirname "$0")/../../prometheus/rules" && pwd)
to=${1:?which DIRECTORY does Prometheus read rules from?}
promtool check rules "$rules"/*.yml
cp "$rules"/*.yml "$to"
[ -z "${PROMETHEUS_URL:-}" ] || curl -fsS -X POST "$PROMETHEUS_URL/-/reload"
