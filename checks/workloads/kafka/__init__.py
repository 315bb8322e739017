"""Can Kafka keep its promises here?"""
