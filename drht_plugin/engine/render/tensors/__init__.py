"""Both details in plain tensor operations, on the device where the networks run."""
