"""What runs the containers of local mode: one protocol, a module for each way to do it."""
