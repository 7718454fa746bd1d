#!/bin/sh
# Starts Prometheus with $SCRAPE_INTERVAL in its configuration: it reads no environment itself. The
# folder of the configuration may be read-only, so the changed one goes to /tmp.
set -eu
from="$(dirname "$0")"
config="${SCRAPE_CONFIG:-prometheus.yml}"
interval="${SCRAPE_INTERVAL:-15s}"
case "$interval" in
    *[!0-9smh]* | "") echo "SCRAPE_INTERVAL must be a duration such as 15s, not \"$interval\"" >&2; exit 2 ;;
esac
# A scrape may take no longer than the interval; one with another unit than seconds stays as it is.
timeout=10s
case "$interval" in
    [1-9]s | *ms) timeout="$interval" ;;
esac
sed -e "s/^\(  scrape_interval:\).*/\1 $interval/" \
    -e "s/^\(  evaluation_interval:\).*/\1 $interval/" \
    -e "s/^\(  scrape_timeout:\).*/\1 $timeout/" \
    -e "s|^  - rules/|  - $from/rules/|" \
    "$from/$config" >"${TMPDIR:-/tmp}/prometheus.yml"
exec prometheus --config.file="${TMPDIR:-/tmp}/prometheus.yml" "$@"
