"""Is the platform of a kind and an age that data systems can run on?"""
