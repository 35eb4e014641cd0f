"""What a model knows of its sources beside variance: usable bits, Fisher information, rank."""
