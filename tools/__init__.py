"""What the project needs to set itself up and to write its reference pages; no part of the product.

`toolchain` fetches servers and packages, `docs` writes pages.
"""
