"""Survey: the whole image to a `Scene`, decided once."""
