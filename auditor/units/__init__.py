"""Units: what a check and a report are, as their authors declare them."""
