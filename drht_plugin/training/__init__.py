"""Training of the networks on shots taken by the virtual camera. Needs the extra `train`."""
