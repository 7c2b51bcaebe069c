"""An evaluation shown: page, tables, charts, CSV, JSON, Markdown, terminal."""
