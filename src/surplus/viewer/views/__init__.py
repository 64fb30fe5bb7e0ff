"""The views of a report: each file says what one view shows of a run, as JSON data."""
