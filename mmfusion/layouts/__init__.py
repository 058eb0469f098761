"""Published file formats, each with its one reader."""
