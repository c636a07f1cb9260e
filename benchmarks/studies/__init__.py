"""Studies over seeds at full length."""
