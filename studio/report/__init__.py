"""What reports are made of: the shapes of results, the words for figures, and the HTML page. No Qt, no command."""
