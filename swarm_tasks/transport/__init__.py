"""The way of messages between our processes and the broker: kombu's, with changes for Redis."""

MESSAGING = "swarm_tasks.transport.messaging:OwnMessaging"
"""How a Celery app finds what is here."""
