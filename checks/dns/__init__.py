"""Do names resolve, quickly and on more than one leg?"""
