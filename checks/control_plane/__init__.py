"""Does the control plane answer, survive a loss, and keep up?"""
