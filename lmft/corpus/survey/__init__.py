"""What is in the text, for the report: person, languages, secrets, scripts."""
