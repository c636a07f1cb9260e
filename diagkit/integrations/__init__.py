"""Other packages' logs and loops: each package is optional and imported when it is used."""
