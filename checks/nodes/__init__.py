"""Are the nodes healthy, large enough, and set up for data systems?"""
