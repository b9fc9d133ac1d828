"""What requests may hold and answers look like: strict, published as they are in /openapi.json."""
