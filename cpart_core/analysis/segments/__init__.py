"""What segments do and mean on validation text."""
