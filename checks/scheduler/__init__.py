"""Are pods placed as data systems need it: together, apart, in order, at all?"""
