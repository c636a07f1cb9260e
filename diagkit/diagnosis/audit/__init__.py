"""What the data, the outputs and the loss look like, before anything is trained."""
