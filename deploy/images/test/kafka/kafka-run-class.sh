#!/bin/bash
# Runs a class of Kafka's: kafka-run-class.sh CLASS ARGUMENTS. Reads the environment that Kafka's own script of this
# name reads: CLASSPATH, KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_JMX_OPTS, JMX_PORT, KAFKA_LOG4J_OPTS, KAFKA_OPTS.
set -euo pipefail

home=$(cd "$(dirname "$(readlink --canonicalize "$0")")/.." && pwd)
collector="-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35"
collector="$collector -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true"

jmx=${KAFKA_JMX_OPTS:--Dcom.sun.management.jmxremote=true -Dcom.sun.management.jmxremote.authenticate=false -Dcom.sun.management.jmxremote.ssl=false}
[[ -n ${JMX_PORT:-} ]] && jmx="$jmx -Dcom.sun.management.jmxremote.port=$JMX_PORT"

# Each of these variables holds several options.
# shellcheck disable=SC2086
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" \
    ${KAFKA_HEAP_OPTS:--Xmx256M} \
    ${KAFKA_JVM_PERFORMANCE_OPTS:-$collector} \
    $jmx \
    "-Dkafka.logs.dir=${LOG_DIR:-$home/logs}" \
    ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=$home/config/tools-log4j2.yaml} \
    ${KAFKA_OPTS:-} \
    -cp "${CLASSPATH:+$CLASSPATH:}$home/libs/*" "$@"
