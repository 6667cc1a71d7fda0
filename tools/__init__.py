"""Development tools, not part of the product.

`toolchain` fetches servers and packages, `docs` writes the reference pages.
"""
