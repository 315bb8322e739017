#!/bin/bash
# The entry contract of the public apache/spark images: `driver ARGUMENTS` and `executor` are what Spark puts into the
# pods that it makes; anything else is run as it is.
set -euo pipefail

java=${JAVA_HOME:+$JAVA_HOME/bin/}java

# Hadoop's libraries end when the user has no name, as under a platform that picks the UID.
name_unknown_user() {
    getent passwd "$(id -u)" > /dev/null && return
    local folder
    folder=$(mktemp --directory)
    echo "spark:x:$(id -u):$(id -g):${SPARK_USER_NAME:-anonymous}:$SPARK_HOME:/bin/false" > "$folder/passwd"
    echo "spark:x:$(id -g):" > "$folder/group"
    export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=$folder/passwd NSS_WRAPPER_GROUP=$folder/group
}

class_path() {
    local parts=("${SPARK_CONF_DIR:-$SPARK_HOME/conf}")
    [[ -n ${HADOOP_CONF_DIR:-} ]] && parts=("${SPARK_CONF_DIR:-$SPARK_HOME/conf}" "$HADOOP_CONF_DIR")
    [[ -n ${SPARK_CLASSPATH:-} ]] && parts+=("$SPARK_CLASSPATH")
    parts+=("$SPARK_HOME/jars/*")
    [[ -n ${SPARK_EXTRA_CLASSPATH:-} ]] && parts+=("$SPARK_EXTRA_CLASSPATH")
    [[ -n ${SPARK_DIST_CLASSPATH:-} ]] && parts+=("$SPARK_DIST_CLASSPATH")
    parts+=("$PWD")
    local IFS=:
    echo "${parts[*]}"
}

# Java options come numbered from 0: SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, …
java_options=()
read_java_options() {
    local number=0 name=SPARK_JAVA_OPT_0
    while [[ -v $name ]]; do
        java_options+=("${!name}")
        number=$((number + 1))
        name=SPARK_JAVA_OPT_$number
    done
}

command=()
case "${1:-}" in
    driver)
        command=("$SPARK_HOME/bin/spark-submit"
            --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS"
            --conf "spark.executorEnv.SPARK_DRIVER_POD_IP=$SPARK_DRIVER_BIND_ADDRESS"
            --deploy-mode client "${@:2}")
        ;;
    executor)
        read_java_options
        command=("$java" "${java_options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY"
            -cp "$(class_path)" org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend
            --driver-url "$SPARK_DRIVER_URL"
            --executor-id "$SPARK_EXECUTOR_ID"
            --cores "$SPARK_EXECUTOR_CORES"
            --app-id "$SPARK_APPLICATION_ID"
            --hostname "$SPARK_EXECUTOR_POD_IP"
            --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID"
            --podName "$SPARK_EXECUTOR_POD_NAME")
        ;;
    *)
        name_unknown_user
        exec "$@"
        ;;
esac

name_unknown_user
user=()
[[ $(id -u) == 0 ]] && user=(setpriv --reuid=spark --regid=spark --init-groups)
exec "${user[@]}" tini -s -- "${command[@]}"
