"""Each file tells that a button was pressed."""
