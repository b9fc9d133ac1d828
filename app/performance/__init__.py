"""Speed of serving: operations read off the forward description, over a roofline with fitted efficiencies."""
