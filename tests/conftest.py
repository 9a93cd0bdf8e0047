import os

# Two threads, so that thread counts can be compared on a machine of one core.
os.environ.setdefault("NUMBA_NUM_THREADS", "2")

from hypothesis import settings

settings.register_profile("project", deadline=None, max_examples=12)
settings.load_profile("project")
