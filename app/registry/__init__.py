"""What the service knows by name: accelerators, built-in models, users' models, and the hub."""
