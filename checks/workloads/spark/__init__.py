"""Can Spark run its drivers and executors here?"""
