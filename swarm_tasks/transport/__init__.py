"""The way of messages between our processes and the broker: kombu's, with changes for Redis."""

MESSAGING = "swarm_tasks.transport.messaging:OwnMessaging"
"""How a Celery app finds what is here."""

RABBIT_PRIORITIES = 9
"""The highest priority of a message in RabbitMQ, where it goes first. A queue is made with that and
keeps it, so it does not depend on how many lanes there are; RabbitMQ advises against more than ten.
"""
