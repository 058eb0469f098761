"""Videos and frame folders: index, decode, encode, prepare."""
