"""Write files so that they appear complete or not at all, and read small ones safely."""

from drht_plugin.storage.identity import FileIdentity, identity_in, identity_of
from drht_plugin.storage.private import BusyError, PrivateFolder
from drht_plugin.storage.replace import Together, kind_of, replacing, reserve
from drht_plugin.storage.replace_folder import replacing_folder
from drht_plugin.storage.scratch import (
    make_locked_file,
    openable_file,
    remove_leftovers,
    scratch_folder,
    temporary_folder,
)
from drht_plugin.storage.small_json import parse_json, read_json_object

__all__ = [
    "BusyError",
    "FileIdentity",
    "PrivateFolder",
    "Together",
    "identity_in",
    "identity_of",
    "kind_of",
    "make_locked_file",
    "openable_file",
    "parse_json",
    "read_json_object",
    "remove_leftovers",
    "replacing",
    "replacing_folder",
    "reserve",
    "scratch_folder",
    "temporary_folder",
]
