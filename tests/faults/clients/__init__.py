"""Users, agents and subscribers that note what they did and were told."""
