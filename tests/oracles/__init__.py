"""What several tests compare with."""
