"""Run `drht` as `python -m drht_plugin.cli`, without the installed script."""

import sys

from drht_plugin.cli.main import main

sys.exit(main())
