"""gunicorn's settings; it reads this file from the directory it starts in."""

import os

bind = os.environ.get("BIND", "127.0.0.1:8000")

# Threads, because a request mostly waits for the database. Each thread holds
# one connection: workers x threads must stay below max_connections.
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))

# Longer than proxies keep idle connections (60 s is usual), so that the proxy
# closes first and never sends a request into a closing connection.
keepalive = 75
graceful_timeout = 30

# The heartbeat file must not wait for a disk.
if os.path.isdir("/dev/shm"):
    worker_tmp_dir = "/dev/shm"

# No second way in, and no files in the home directory.
control_socket_disable = True

accesslog = None
errorlog = "-"
loglevel = os.environ.get("LOG_LEVEL", "info")
