"""What stands around the pictures of every page: headers, figures, forms, words."""
