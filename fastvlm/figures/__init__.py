"""One module a figure; each reads tables and draws."""
