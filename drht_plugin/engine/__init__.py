"""The method: survey an image once to a `Scene`, then render any window of it from the scene."""
