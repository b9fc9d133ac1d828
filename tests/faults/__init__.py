"""What breaks, and what goes on: workers killed, stops, disks, databases, hubs and clocks that misbehave."""
