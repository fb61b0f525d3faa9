# Sourced. `scratch` prints the directory in which tests keep the data of their servers: memory
# where there is plenty, since each of some hundreds of them starts a database of a thousand small
# files, which take longer to make on a disk than the rest of the test (docs/decisions/0007).
SCRATCH_KIB=$((8 * 1024 * 1024))

scratch() {
    memory=/dev/shm
    if [ -d "$memory" ] && [ -w "$memory" ] && [ -r /proc/meminfo ]; then
        room=$(df -Pk "$memory" | awk 'NR == 2 { print $4 }')
        free=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
        if [ "${room:-0}" -ge "$SCRATCH_KIB" ] && [ "${free:-0}" -ge "$SCRATCH_KIB" ]; then
            echo "$memory"
            return
        fi
    fi
    echo /tmp
}
