"""One file a field; see functa_cli.decoder for the contract. Import-free, so that listing costs nothing."""
