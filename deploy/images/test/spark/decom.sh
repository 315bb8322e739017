#!/bin/bash
# Runs before an executor's pod is stopped, when decommissioning is on: tells the executor and waits for it to end.
set -uo pipefail
pids=$(pgrep -f org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend)
[[ -n $pids ]] || exit 0
# shellcheck disable=SC2086
kill -s PWR $pids
for _ in {1..30}; do
    # shellcheck disable=SC2086
    kill -0 $pids 2> /dev/null || exit 0
    sleep 1
done
