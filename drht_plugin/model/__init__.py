"""The networks, their weights, and the devices that run them."""
