"""`python -m drht_plugin.cli`: the command without its script."""

import sys

from drht_plugin.cli.main import main

sys.exit(main())
