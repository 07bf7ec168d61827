"""What measurements compare: our layers and models, other people's, and made runs."""
