"""Facts: typed views of API objects, quantities, and look-ups over them. What checks read; nothing here does I/O."""
