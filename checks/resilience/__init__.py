"""Do data systems outlive maintenance and the loss of what they stand on?

One module per question; this one names the checks, in the order in which their findings are best fixed.
"""

from .evictions import evictions

__all__ = ["evictions"]
