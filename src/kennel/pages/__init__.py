"""
Pages that need nothing but a browser: one HTML file with its charts, and no network.
"""
