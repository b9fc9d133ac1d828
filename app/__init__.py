"""How much GPU memory a large language model needs, how fast it will be and what to run it on."""
