"""Several processes that answer on one port, and the supervisor that keeps them running."""

from briggs.workers.supervisor import supervise

__all__ = ["supervise"]
