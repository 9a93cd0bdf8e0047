import os
import signal

from gimp_harness import gimp as gimp  # a fixture
from hypothesis import settings

# Two threads, so that thread counts can be compared on a machine of one core.
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
# A thread that waits for others sleeps, and leaves its core to the tests that run beside.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A runner that was started in the background or under nohup hands down that Ctrl-C or a hang-up is
# ignored, which the tests of interrupted commands need.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("project", deadline=None, max_examples=12)
settings.load_profile("project")
