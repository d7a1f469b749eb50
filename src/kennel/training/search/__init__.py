"""A whole search in one job: what is tried is kennel.tuning's to say, it is tried here."""
