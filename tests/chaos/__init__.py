"""Real processes that fall, freeze and lose touch at random, and books that must add up."""
