"""The interface of whatever decides what an agent does next."""
