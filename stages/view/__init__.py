"""What the report page and the terminal view share: verdicts, charts and words about videos, files and frames."""
