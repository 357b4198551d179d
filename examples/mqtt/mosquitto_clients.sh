#!/usr/bin/env bash
# Listen and publish with the mosquitto command-line clients.
#
#     mosquitto_clients.sh [HOST [PORT]]
set -euo pipefail
host=${1:-127.0.0.1}
port=${2:-1883}

# The latest value is kept for whoever comes later.
mosquitto_pub -h "$host" -p "$port" -t rooms/kitchen/light -m '{"on": true}' -q 1 -r
mosquitto_sub -h "$host" -p "$port" -t 'rooms/+/light' -q 1 -C 1 -W 10 -v
