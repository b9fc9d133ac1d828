"""Training memory: a step followed through forward, loss, backward and optimizer step."""
