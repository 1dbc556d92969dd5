"""The watch over all parts of the fleet: what nobody runs is run again, or answered for."""
