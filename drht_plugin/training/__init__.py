"""Training: scenes, triplets by the virtual camera, losses, the loop; the `train` extra."""
