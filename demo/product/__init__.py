"""A small simulated product: what the stack `shop` of the demo is made of, besides its servers."""
