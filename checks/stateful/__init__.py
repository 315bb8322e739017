"""Do StatefulSets keep names, volumes and distance?"""
