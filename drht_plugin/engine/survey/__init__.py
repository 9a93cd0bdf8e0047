"""Survey: reduce the whole image to a `Scene`, once."""
