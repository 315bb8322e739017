"""The probe agent: what runs inside pods. Python 3.9, its standard library and dnspython; nothing of auditor.

It is shipped as the package ``agent`` of a zipapp, so that its modules import each other relatively. A task is a module
in ``tasks`` with a function ``run(arguments)`` that yields observations, each a dictionary that JSON can write.
"""
