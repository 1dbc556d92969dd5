"""What stands out when all hosts of a job are looked at together. Pure, and without a model."""
