"""Tables, curves, figures and pages made of results files."""
