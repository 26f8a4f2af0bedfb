"""What runs when: archive, units, commit protocol, engines, workspaces, command line."""

import os

# Before ray is imported anywhere: no usage statistics, and no `uv run` around every worker.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its C++ side writes past every Python logger
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
