"""How a report is shown to people: on a terminal, and as one HTML file. Pure."""
