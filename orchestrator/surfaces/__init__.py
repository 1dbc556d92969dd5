"""Where people and programs meet the fleet."""
